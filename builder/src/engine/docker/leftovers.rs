use std::collections::{HashMap, HashSet};

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};

use super::super::{Error, Leftover};
use super::{Docker, classify, run};

const CONTAINER: &str = "container";
const IMAGE: &str = "image";

impl Docker {
    /// Containers inherit the labels of their image, so a stopped container with `label` may well
    /// be somebody's service. Ours are those that carry the label of this program's own runs, and
    /// those in which the classic builder only changed the configuration, which never ran.
    pub(super) async fn list_leftovers(&self, label: &str) -> Result<Vec<Leftover>, Error> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let containers = self.client.list_containers(Some(options)).await;
        let containers =
            containers.map_err(|error| classify::request(error, "the list of containers"))?;
        let filters = HashMap::from([("label", vec![label]), ("dangling", vec!["true"])]);
        let options = ListImagesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let images = self.client.list_images(Some(options)).await;
        let images = images.map_err(|error| classify::request(error, "the list of images"))?;

        let (ours, others): (Vec<_>, Vec<_>) = containers
            .into_iter()
            .partition(|container| is_ours(container, label));
        let used: HashSet<_> = others.into_iter().filter_map(|c| c.image_id).collect();
        let containers = ours.into_iter().filter_map(|container| {
            Some(Leftover {
                kind: CONTAINER,
                description: describe(&container),
                size: size(container.size_rw),
                id: container.id?,
            })
        });
        let images = images
            .into_iter()
            .filter(|image| !used.contains(&image.id))
            .map(|image| {
                let short = image.id.trim_start_matches("sha256:").chars().take(12);
                Leftover {
                    kind: IMAGE,
                    description: format!("image {} without a name", short.collect::<String>()),
                    size: size(Some(image.size)),
                    id: image.id,
                }
            });
        // Containers first: an image goes only when no container stands on it.
        Ok(containers.chain(images).collect())
    }

    pub(super) async fn remove_leftover(&self, leftover: &Leftover) -> Result<(), Error> {
        match leftover.kind {
            CONTAINER => run::remove(&self.client, &leftover.id).await,
            _ => self.remove_image(&leftover.id).await,
        }
    }
}

fn is_ours(container: &ContainerSummary, label: &str) -> bool {
    let labels = container.labels.as_ref();
    let has = |key: &str| labels.is_some_and(|labels| labels.contains_key(key));
    let build_step = container
        .command
        .as_deref()
        .is_some_and(|c| c.contains("#(nop) "));
    has(run::LABEL) || (has(label) && build_step)
}

fn describe(container: &ContainerSummary) -> String {
    let names = container.names.as_deref().unwrap_or_default();
    let name = names
        .first()
        .map_or("without a name", |name| name.trim_start_matches('/'));
    let status = container.status.as_deref().unwrap_or("in an unknown state");
    format!("container {name} ({})", status.to_lowercase())
}

fn size(bytes: Option<i64>) -> u64 {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default()
}
