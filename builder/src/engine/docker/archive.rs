//! Images out of the engine and into it, as the archives of `docker save`.

use std::path::Path;

use bollard::query_parameters::ImportImageOptions;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::super::{Destination, Error};
use super::{Docker, PATIENCE, classify};
use crate::model::{ImageId, Reference};

impl Docker {
    pub(super) async fn export_images(
        &self,
        images: &[(ImageId, Vec<Reference>)],
        destination: &Destination,
    ) -> Result<(), Error> {
        let Destination::Archive(path) = destination else {
            return Err(Error::Unsuitable {
                address: self.address.to_string(),
                reason: "it writes archives only, not image layouts".to_owned(),
            });
        };
        let names: Vec<String> = images
            .iter()
            .flat_map(|(_, names)| names.iter().map(ToString::to_string))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |e: std::io::Error| Error::Context {
            message: format!("{}: {e}", path.display()),
        };
        let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let file = temporary.as_file().try_clone().map_err(failed)?;
        let mut file = tokio::fs::File::from_std(file);
        let client = self.client.clone().with_timeout(PATIENCE);
        let mut stream = client.export_images(&names);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| classify::request(error, "the images"))?;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        temporary.persist(path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// Takes in the images of an archive that `docker save` could have written.
    ///
    /// # Errors
    /// When it cannot be read, or the engine refuses it.
    pub async fn load(&self, archive: &Path) -> Result<(), Error> {
        let file = tokio::fs::File::open(archive).await;
        let file = file.map_err(|e| Error::Context {
            message: format!("{}: {e}", archive.display()),
        })?;
        let pieces = ReaderStream::with_capacity(file, 256 * 1024);
        let body = bollard::body_try_stream(pieces);
        let client = self.client.clone().with_timeout(PATIENCE);
        let mut stream = client.import_image(ImportImageOptions::default(), body, None);
        while let Some(message) = stream.next().await {
            message.map_err(|error| classify::request(error, "the images"))?;
        }
        Ok(())
    }
}
