//! Uploads that a process may leave open when it is killed, noted where the next one finds them.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use url::Url;

use super::Repository;
use crate::model::Digest;

/// The longest address taken, in bytes.
const MAX_URL: u64 = 16 << 10;

/// The note of one upload, which is this process's alone as long as this lives. What it says may be out
/// of date: it is never more than a reason to ask the registry. Without a note, as on a full disk, an
/// upload begins anew.
pub(super) struct Note {
    path: PathBuf,
    file: File,
    written: Option<Url>,
}

impl Note {
    /// The note of the upload of a blob to a repository; none where another process has it in hand.
    pub(super) fn claim(folder: &Path, repository: &Repository, blob: &Digest) -> Option<Self> {
        let whole = format!("{}/{} {blob}", repository.authority(), repository.path());
        let path = folder.join(Digest::of(whole).hex());
        std::fs::create_dir_all(folder).ok()?;
        // Some registries put into an address what lets anybody go on with the upload.
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .ok()?;
        file.try_lock().ok()?;
        Some(Self {
            path,
            file,
            written: None,
        })
    }

    /// Where another process left the upload open.
    pub(super) fn found(&self) -> Option<Url> {
        let mut text = String::new();
        (&self.file).take(MAX_URL).read_to_string(&mut text).ok()?;
        text.parse().ok()
    }

    /// The upload is open there.
    pub(super) fn write(&mut self, url: &Url) {
        if self.written.as_ref() == Some(url) {
            return;
        }
        let written = self.file.rewind().and_then(|()| {
            self.file.set_len(0)?;
            self.file.write_all(url.as_str().as_bytes())
        });
        self.written = written.ok().map(|()| url.clone());
    }

    /// The upload is open no more.
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::Reference;

    #[test]
    fn a_note_outlives_its_process_and_is_one_process_s_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = folder.path().join("uploads");
        let repository = Repository::of(&Reference::parse("r.example/a/b").unwrap());
        let claim = || Note::claim(&uploads, &repository, &Digest::of("x"));
        let mut note = claim().unwrap();
        assert_eq!(note.found(), None);
        for url in ["https://r.example/v2/a/b/long", "https://r.example/v2/b"] {
            note.write(&url.parse().unwrap());
        }
        assert!(claim().is_none());
        drop(note);
        let note = claim().unwrap();
        assert_eq!(note.found().unwrap().as_str(), "https://r.example/v2/b");
        note.remove();
        assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
    }
}
