use std::fs::File;
use std::path::{Path, PathBuf};

use super::files::temporary;
use crate::model::Digest;
use crate::oci::Error;

/// A blob that is being written; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    file: tempfile::NamedTempFile,
    blobs: PathBuf,
}

impl Incoming {
    pub(super) fn new(blobs: &Path) -> Result<Self, Error> {
        Ok(Self {
            file: temporary(blobs).map_err(Error::io(blobs))?,
            blobs: blobs.to_path_buf(),
        })
    }

    /// The file to write to.
    ///
    /// # Errors
    /// Those of the system.
    pub fn file(&self) -> Result<File, Error> {
        let file = self.file.as_file().try_clone();
        file.map_err(Error::io(self.file.path()))
    }

    /// Gives the blob its name. The digest is that of everything written, which the caller vouches
    /// for; a blob that was there is replaced by its equal.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn finish(self, digest: &Digest) -> Result<(), Error> {
        let path = self.blobs.join(digest.hex());
        self.file
            .persist(&path)
            .map_err(|e| Error::io(&path)(e.error))?;
        Ok(())
    }
}
