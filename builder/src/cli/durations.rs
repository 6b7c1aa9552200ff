//! How long images took before, so that the longest chains start first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::ImageName;

/// Assumed for an image that was never built here, in milliseconds.
const UNKNOWN: u64 = 20_000;

/// Durations by image, in milliseconds. Losing them costs some waiting, nothing else.
pub(super) struct Durations {
    path: PathBuf,
    known: BTreeMap<String, u64>,
}

impl Durations {
    pub(super) fn load(cache: &Path) -> Self {
        let path = cache.join("durations.json");
        let known = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { path, known }
    }

    pub(super) fn of(&self, image: &ImageName) -> u64 {
        self.known.get(image.as_str()).copied().unwrap_or(UNKNOWN)
    }

    /// Keeps new durations beside what other runs have written meanwhile.
    pub(super) fn store(&self, new: impl Iterator<Item = (ImageName, f64)>) {
        let mut all = Self::load(self.path.parent().unwrap_or(Path::new(""))).known;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        all.extend(new.map(|(image, seconds)| (image.to_string(), (seconds * 1000.0) as u64)));
        let write = || -> std::io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&file, &all)?;
            file.persist(&self.path)?;
            Ok(())
        };
        let _ = write();
    }
}
