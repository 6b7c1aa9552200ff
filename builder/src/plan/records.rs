use std::path::PathBuf;

use super::Inputs;
use crate::model::{Fingerprint, ImageName};

/// How many records of an image are kept.
const KEPT: usize = 20;

/// The inputs of earlier builds on this machine, so that a plan can say what changed. They are a
/// convenience: a record that is missing or unreadable costs an explanation, nothing else.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// Keeps records in `folder`, one folder an image.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The inputs behind a fingerprint, if it was built here.
    pub fn load(&self, image: &ImageName, fingerprint: &Fingerprint) -> Option<Inputs> {
        read(&self.path(image, fingerprint))
    }

    /// The inputs of the latest build.
    pub fn newest(&self, image: &ImageName) -> Option<Inputs> {
        read(&self.by_age(image).pop()?)
    }

    /// Keeps the inputs of a build.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn store(
        &self,
        image: &ImageName,
        fingerprint: &Fingerprint,
        inputs: &Inputs,
    ) -> std::io::Result<()> {
        let folder = self.folder.join(image.as_str());
        std::fs::create_dir_all(&folder)?;
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer(&file, inputs)?;
        file.persist(self.path(image, fingerprint))?;
        let all = self.by_age(image);
        for old in &all[..all.len().saturating_sub(KEPT)] {
            std::fs::remove_file(old)?;
        }
        Ok(())
    }

    fn path(&self, image: &ImageName, fingerprint: &Fingerprint) -> PathBuf {
        self.folder
            .join(image.as_str())
            .join(format!("{fingerprint}.json"))
    }

    /// Oldest first.
    fn by_age(&self, image: &ImageName) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.join(image.as_str())) else {
            return Vec::new();
        };
        let mut all: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        all.sort();
        all.into_iter().map(|(_, path)| path).collect()
    }
}

fn read(path: &std::path::Path) -> Option<Inputs> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
