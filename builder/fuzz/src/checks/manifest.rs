//! The documents of images: what is read can be written, and is the same when it is read again.

use kolla::model::Platform;
use kolla::oci::Error;
use kolla::oci::spec::{ImageConfig, Index, Manifest};

/// Any bytes as each of the documents.
pub fn check(data: &[u8]) {
    let manifest = round(data, Manifest::parse, Manifest::to_bytes);
    let config = round(data, ImageConfig::parse, ImageConfig::to_bytes);
    if let Some(index) = round(data, Index::parse, Index::to_bytes) {
        for platform in ["linux/amd64", "linux/arm64", "linux/arm/v7"] {
            let platform = Platform::parse(platform).unwrap();
            assert!(
                index
                    .find(&platform)
                    .is_none_or(|found| index.manifests.contains(found)),
                "{index:?}"
            );
        }
    }
    if let Some(manifest) = manifest {
        assert!(!manifest.kind().is_empty() || manifest.media_type.is_some());
        if let Some(config) = config {
            let fits = manifest.layers.len() == config.rootfs.diff_ids.len();
            assert_eq!(config.fits(&manifest, "it").is_ok(), fits);
        }
    }
}

/// The document, if it is one.
fn round<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    parse: fn(&[u8], &str) -> Result<T, Error>,
    write: fn(&T) -> Result<Vec<u8>, Error>,
) -> Option<T> {
    match parse(data, "the document") {
        Ok(document) => {
            let bytes = write(&document).unwrap();
            let again = parse(&bytes, "what was written").unwrap();
            assert_eq!(again, document);
            assert_eq!(write(&again).unwrap(), bytes);
            Some(document)
        }
        Err(error) => {
            // A report of a hostile document is no document itself.
            assert!(error.to_string().len() < 1_000, "{error}");
            None
        }
    }
}
