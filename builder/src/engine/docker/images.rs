use std::collections::HashMap;

use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};

use super::super::{Error, StoredImage};
use super::{Docker, classify, names};
use crate::model::{ImageId, Reference};

impl Docker {
    pub(super) async fn list_images(&self, label: &str) -> Result<Vec<StoredImage>, Error> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::default()
            .all(false)
            .filters(&filters)
            .build();
        let images = self.client.list_images(Some(options)).await;
        let images = images.map_err(|error| classify::request(error, "the list of images"))?;
        let stored = images.into_iter().map(|image| StoredImage {
            id: ImageId::new(image.id),
            references: image
                .repo_tags
                .iter()
                .filter_map(|text| names::listed(text, self.is_podman))
                .collect(),
            labels: image.labels.into_iter().collect(),
            created: image.created,
            size: image.size.try_into().unwrap_or_default(),
        });
        Ok(stored.collect())
    }

    /// The engine's own name for what `name` stands for.
    pub(super) async fn inspect(&self, name: &str) -> Result<ImageId, Error> {
        let image = self.client.inspect_image(name).await;
        let image = image.map_err(|error| classify::request(error, name))?;
        image.id.map(ImageId::new).ok_or_else(|| Error::Engine {
            message: format!("it describes the image {name} without an identifier"),
        })
    }

    pub(super) async fn tag_image(
        &self,
        image: &ImageId,
        reference: &Reference,
    ) -> Result<(), Error> {
        let repository = reference.repository();
        let tag = reference.tag().map_or("latest", |tag| tag.as_str());
        let options = TagImageOptionsBuilder::default()
            .repo(&repository)
            .tag(tag)
            .build();
        let tagged = self.client.tag_image(image.as_str(), Some(options)).await;
        tagged.map_err(|error| classify::request(error, image.as_str()))
    }

    pub(super) async fn untag_image(&self, reference: &Reference) -> Result<(), Error> {
        self.remove_image(&reference.to_string()).await
    }

    /// Removes a reference or an image; one that is not there is as good as removed.
    pub(super) async fn remove_image(&self, name: &str) -> Result<(), Error> {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        match self.client.remove_image(name, Some(options), None).await {
            Ok(_) => Ok(()),
            Err(error) => match classify::request(error, name) {
                Error::NoSuchImage { .. } => Ok(()),
                other => Err(other),
            },
        }
    }
}
