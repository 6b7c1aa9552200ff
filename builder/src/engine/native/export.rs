//! Images as files.

use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::super::{Destination, Error};
use super::store::{Image, Store, store_error};
use crate::model::{Digest, ImageId, Reference};
use crate::oci::docker_archive::{self, ArchiveImage};
use crate::oci::layout::{BlobSource, Layout};

/// Writes images under these names.
pub(super) fn export(
    store: &Store,
    images: &[(ImageId, Vec<Reference>)],
    destination: &Destination,
) -> Result<(), Error> {
    let mut found: Vec<(Arc<Image>, &[Reference])> = Vec::new();
    for (id, names) in images {
        let missing = || Error::NoSuchImage {
            reference: id.to_string(),
        };
        found.push((store.image(id)?.ok_or_else(missing)?, names));
    }
    match destination {
        Destination::Layout(folder) => to_layout(store, &found, folder),
        Destination::Archive(file) => to_archive(store, &found, file),
    }
}

struct Blobs<'a>(&'a Store);

impl BlobSource for Blobs<'_> {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send + '_>, crate::oci::Error> {
        let path = self.0.blob_path(digest);
        let file = File::open(&path).map_err(crate::oci::Error::io(&path))?;
        Ok(Box::new(file))
    }
}

fn to_layout(
    store: &Store,
    images: &[(Arc<Image>, &[Reference])],
    folder: &Path,
) -> Result<(), Error> {
    let failed = |e: crate::oci::Error| writing(folder, e);
    let layout = Layout::create(folder).map_err(failed)?;
    for (image, names) in images {
        let path = store.blob_path(&image.descriptor.digest);
        let manifest = std::fs::read(&path).map_err(|e| store.error(&path, &e))?;
        for name in *names {
            layout
                .add_image(&name.to_string(), &manifest, &Blobs(store))
                .map_err(failed)?;
        }
    }
    Ok(())
}

fn to_archive(
    store: &Store,
    images: &[(Arc<Image>, &[Reference])],
    path: &Path,
) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |e: std::io::Error| store_error(folder, path, &e);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let images: Vec<ArchiveImage> = images
        .iter()
        .map(|(image, names)| ArchiveImage {
            manifest: image.manifest.clone(),
            tags: names.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let mut out = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    docker_archive::write(&images, &Blobs(store), &mut out).map_err(|e| writing(path, e))?;
    out.flush().map_err(failed)?;
    drop(out);
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(open).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

fn writing(path: &Path, error: crate::oci::Error) -> Error {
    match error {
        crate::oci::Error::Io { path: at, source } => store_error(path, &at, &source),
        other => Error::Engine {
            message: other.to_string(),
        },
    }
}
