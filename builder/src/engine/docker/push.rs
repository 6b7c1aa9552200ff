use std::collections::HashMap;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as Bollard;
use bollard::models::PushImageInfo;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt;

use super::super::Error;
use super::{Docker, PATIENCE, classify};
use crate::model::{Digest, ImageId, Reference, Registry};
use crate::registry::Credentials;

type Moved<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

impl Docker {
    /// The engine sends by name, so the image has each name while it is sent by it.
    pub(super) async fn push_image(
        &self,
        image: &ImageId,
        references: &[Reference],
        credentials: Option<&Credentials>,
        progress: Moved<'_>,
    ) -> Result<Digest, Error> {
        let mut digest = None;
        for reference in references {
            let before = match self.inspect(&reference.to_string()).await {
                Ok(id) => Some(id),
                Err(Error::NoSuchImage { .. }) => None,
                Err(error) => return Err(error),
            };
            if before.as_ref() != Some(image) {
                self.tag_image(image, reference).await?;
            }
            let sent = self.push_name(reference, credentials, progress).await;
            match before {
                None => self.untag_image(reference).await?,
                Some(before) if before != *image => self.tag_image(&before, reference).await?,
                Some(_) => {}
            }
            digest = Some(sent?);
        }
        digest.ok_or_else(|| Error::NoSuchImage {
            reference: image.to_string(),
        })
    }

    async fn push_name(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        progress: Moved<'_>,
    ) -> Result<Digest, Error> {
        let registry = reference.registry().map_or("docker.io", Registry::as_str);
        let repository = reference.repository();
        let tag = reference.tag().map_or("latest", |tag| tag.as_str());
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        let client = self.client.clone().with_timeout(PATIENCE);
        let header = credentials.map(|c| header(c, registry));
        let mut stream = std::pin::pin!(client.push_image(&repository, Some(options), header));
        let mut sent = Sent::default();
        let mut digest = None;
        while let Some(message) = stream.next().await {
            let message = message
                .map_err(|error| conceal(failed(error, registry, &repository), credentials))?;
            if let Some(found) = message.status.as_deref().and_then(digest_in) {
                digest = Some(found);
            }
            if sent.take(&message) {
                let (done, total) = sent.sum();
                progress(done, total);
            }
        }
        match digest {
            Some(digest) => Ok(digest),
            None => self.stored_digest(reference).await,
        }
    }

    /// The digest under which the engine remembers the repository to hold the image.
    async fn stored_digest(&self, reference: &Reference) -> Result<Digest, Error> {
        let name = reference.to_string();
        let image = self.client.inspect_image(&name).await;
        let image = image.map_err(|error| classify::request(error, &name))?;
        let known = image.repo_digests.unwrap_or_default();
        let prefix = format!("{}@", reference.repository());
        let digest = known
            .iter()
            .find_map(|text| Digest::parse(text.strip_prefix(&prefix)?).ok());
        digest.ok_or_else(|| Error::Engine {
            message: format!("it does not say under which digest {name} was pushed"),
        })
    }
}

pub(super) fn header(credentials: &Credentials, registry: &str) -> DockerCredentials {
    let server = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    match credentials {
        Credentials::Password { username, password } => DockerCredentials {
            username: Some(username.clone()),
            password: Some(password.clone()),
            ..server
        },
        Credentials::Token(token) => DockerCredentials {
            identitytoken: Some(token.clone()),
            ..server
        },
    }
}

fn failed(error: Bollard, registry: &str, repository: &str) -> Error {
    match &error {
        Bollard::DockerStreamError { error } => classify::push(registry, repository, error),
        // Older Podman answers with the registry's trouble as a status of its own.
        Bollard::DockerResponseServerError { message, .. } => {
            classify::push(registry, repository, message)
        }
        _ => classify::request(error, repository),
    }
}

/// A registry may repeat what it was sent; whatever it says, no secret leaves here.
pub(super) fn conceal(error: Error, credentials: Option<&Credentials>) -> Error {
    let secret = match credentials {
        Some(Credentials::Password { password, .. }) => password.as_str(),
        Some(Credentials::Token(token)) => token.as_str(),
        None => "",
    };
    if secret.is_empty() {
        return error;
    }
    let hide = |message: String| message.replace(secret, "***");
    match error {
        Error::Unauthorized { registry, message } => Error::Unauthorized {
            registry,
            message: hide(message),
        },
        Error::RegistryUnwell {
            registry,
            message,
            retry_after,
        } => Error::RegistryUnwell {
            registry,
            message: hide(message),
            retry_after,
        },
        Error::RegistryRefused { registry, message } => Error::RegistryRefused {
            registry,
            message: hide(message),
        },
        Error::BaseImage { reference, message } => Error::BaseImage {
            reference,
            message: hide(message),
        },
        Error::BaseImageUnwell { reference, message } => Error::BaseImageUnwell {
            reference,
            message: hide(message),
        },
        Error::DiskFull { message } => Error::DiskFull {
            message: hide(message),
        },
        Error::Engine { message } => Error::Engine {
            message: hide(message),
        },
        Error::Connection { message } => Error::Connection {
            message: hide(message),
        },
        other => other,
    }
}

/// Reads `TAG: digest: sha256:… size: N`, which Docker and Podman end a push with.
fn digest_in(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    Digest::parse(rest.split_whitespace().next()?).ok()
}

/// Bytes sent of each layer. The client library drops the layers' names, so a layer is known by
/// its size; two of exactly the same size are shown as one.
#[derive(Debug, Default)]
struct Sent(HashMap<i64, i64>);

impl Sent {
    /// Whether the message changed anything.
    fn take(&mut self, message: &PushImageInfo) -> bool {
        let Some(detail) = &message.progress_detail else {
            return false;
        };
        let (Some(current), Some(total)) = (detail.current, detail.total) else {
            return false;
        };
        if total <= 0 {
            return false;
        }
        let known = self.0.entry(total).or_default();
        // Compressing makes the engine count a little past the end.
        *known = current.clamp(*known, total);
        true
    }

    fn sum(&self) -> (u64, u64) {
        let sum = |numbers: i64| u64::try_from(numbers).unwrap_or_default();
        (sum(self.0.values().sum()), sum(self.0.keys().sum()))
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn the_digest_is_read_from_the_last_status() {
        let digest = Digest::of("x");
        assert_eq!(
            digest_in(&format!("x: digest: {digest} size: 528")),
            Some(digest)
        );
        for other in [
            "The push refers to repository [r/a]",
            "x: digest: none size: 1",
            "Pushed",
        ] {
            assert_eq!(digest_in(other), None);
        }
    }

    #[test]
    fn bytes_of_all_layers_are_summed() {
        let mut sent = Sent::default();
        for (current, total) in [(5, 100), (40, 50), (20, 100), (10, 100), (60, 50), (1, 0)] {
            sent.take(&PushImageInfo {
                progress_detail: Some(ProgressDetail {
                    current: Some(current),
                    total: Some(total),
                }),
                ..PushImageInfo::default()
            });
        }
        assert_eq!(sent.sum(), (70, 150));
    }

    #[test]
    fn a_secret_that_comes_back_is_hidden() {
        let credentials = Credentials::Password {
            username: "u".into(),
            password: "pass!word".into(),
        };
        let error = conceal(
            classify::push("r", "r/a", "unauthorized: bad password pass!word"),
            Some(&credentials),
        );
        assert_eq!(
            error.to_string(),
            "r refuses access: unauthorized: bad password ***"
        );
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
