use bollard::errors::Error as Bollard;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::super::Error;
use super::push::{conceal, header};
use super::{Docker, PATIENCE, classify};
use crate::model::{ImageId, Reference, Registry};
use crate::registry::Credentials;

impl Docker {
    pub(super) async fn pull_image(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        name: &Reference,
    ) -> Result<ImageId, Error> {
        let text = reference.to_string();
        let registry = reference.registry().map_or("docker.io", Registry::as_str);
        let options = CreateImageOptionsBuilder::default()
            .from_image(&text)
            .build();
        let client = self.client.clone().with_timeout(PATIENCE);
        let header = credentials.map(|c| header(c, registry));
        let mut stream = std::pin::pin!(client.create_image(Some(options), None, header));
        while let Some(message) = stream.next().await {
            if let Err(error) = message {
                return Err(conceal(failed(error, &text), credentials));
            }
        }
        let id = self.inspect(&text).await?;
        self.tag_image(&id, name).await?;
        self.remove_image(&text).await?;
        Ok(id)
    }
}

fn failed(error: Bollard, reference: &str) -> Error {
    match &error {
        Bollard::DockerStreamError { error } => classify::pull(reference, error),
        Bollard::DockerResponseServerError { message, .. } => classify::pull(reference, message),
        _ => classify::request(error, reference),
    }
}
