//! Looking into images: their unpacked layers are listed where they lie.

use super::super::{Error, Visitor};
use super::step::Cancel;
use super::store::Store;
use crate::model::ImageId;
use crate::oci::layer::{Listing, flatten};
use crate::oci::spec::ImageConfig;

/// Shows a visitor the files of an image.
pub(super) fn walk(
    store: &Store,
    id: &ImageId,
    visitor: &dyn Visitor,
    cancel: &Cancel,
) -> Result<ImageConfig, Error> {
    let missing = || Error::NoSuchImage {
        reference: id.to_string(),
    };
    let image = store.image(id)?.ok_or_else(missing)?;
    let mut listings = Vec::new();
    for layer in store.layers_of(&image).ok_or_else(missing)? {
        if cancel.is_cancelled() {
            return Err(Error::Engine {
                message: "nobody waits for the image's files any more".to_owned(),
            });
        }
        let path = store.snapshot_path(&layer.snapshot);
        let listing = Listing::of_directory(&path, store.overlay(), visitor);
        listings.push(listing.map_err(|e| store.error(&path, &e))?);
    }
    let wrong = |e: std::io::Error| Error::Engine {
        message: e.to_string(),
    };
    flatten(&listings, visitor).map_err(wrong)?;
    Ok(image.config.clone())
}
