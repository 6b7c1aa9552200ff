use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Release;
use crate::model::{Diagnostic, Digest, Location, Place};

/// What is under way in a namespace, on disk, so that an interrupted publishing can be finished or
/// undone. While it is open no other process of this machine publishes there.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// For people who look at the file.
    place: String,
    release: Release,
}

impl Journal {
    /// Opens the journal of a namespace, in a folder that is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process publishes there.
    pub fn open(folder: &Path, place: &Place) -> Result<Self, Diagnostic> {
        let name = Digest::of(place.to_string()).hex();
        let path = folder.join(format!("{name}.json"));
        let lock = path.with_extension("lock");
        let unusable = |error: io::Error| {
            Diagnostic::environment(format!("cannot use the journal: {error}"))
                .at(Location::file(&path))
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Diagnostic::environment(format!(
                "another kolla publishes in {place}"
            ))
            .hint("wait until it has ended")),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The release whose tags began to move, and were not all moved.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn unfinished(&self) -> Result<Option<Release>, Diagnostic> {
        let at = |problem: Diagnostic| problem.at(Location::file(&self.path));
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let problem = format!("cannot read the journal: {error}");
                return Err(at(Diagnostic::environment(problem)));
            }
        };
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| {
            at(
                Diagnostic::environment(format!("the journal is damaged: {error}"))
                    .hint("see with `kolla search` what the tags stand for, then remove the file"),
            )
        })?;
        Ok(Some(entry.release))
    }

    /// Notes that the tags of a release are about to move. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, place: &Place, release: &Release) -> Result<(), Diagnostic> {
        let entry = Entry {
            place: place.to_string(),
            release: release.clone(),
        };
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&file, &entry)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| {
            Diagnostic::environment(format!("cannot write the journal: {error}"))
                .at(Location::file(&self.path))
        })
    }

    /// Notes that nothing is under way.
    ///
    /// # Errors
    /// When that cannot be noted.
    pub fn end(&self) -> Result<(), Diagnostic> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Diagnostic::environment(
                format!("cannot remove the journal: {error}"),
            )
            .at(Location::file(&self.path))),
            _ => Ok(()),
        }
    }
}
