use std::path::PathBuf;

use super::Inputs;
use crate::model::{Fingerprint, ImageId, ImageName};

/// How many records of an image are kept.
const KEPT: usize = 20;

/// The file of the engine's identifiers; no image can have this name.
const MADE: &str = "MADE";

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

    /// Remembers that an engine's image was made here. An image that somebody makes from ours has
    /// our labels too, so a label does not tell.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn made(&self, id: &ImageId) -> std::io::Result<()> {
        use std::io::Write as _;
        std::fs::create_dir_all(&self.folder)?;
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(MADE));
        // One write, so that lines of several processes do not mix.
        file?.write_all(format!("{id}\n").as_bytes())
    }

    /// The engine's images that were made here.
    pub fn all_made(&self) -> std::collections::BTreeSet<String> {
        let text = std::fs::read_to_string(self.folder.join(MADE)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
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
