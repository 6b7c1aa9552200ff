use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::Digest as _;

use crate::model::Digest;

/// The time every entry carries: 1980-01-01T00:00:00Z, the first that a zip archive can hold, since
/// Python and Java pack what they find in images into zip archives.
pub const FIXED_TIME: u64 = 315_532_800;

const BLOCK: usize = 512;

/// One entry of an archive. Owner and group are always 0.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path, relative, with `/` between parts.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub enum EntryKind {
    /// A directory, mode 0755.
    Directory,
    /// A symbolic link and its text.
    Symlink(String),
    /// A file, mode 0755 where it is executable and else 0644.
    File {
        /// Whether it is executable.
        executable: bool,
        /// What is in it.
        body: Body,
    },
}

/// Where a file's bytes come from.
#[derive(Debug, Clone)]
pub enum Body {
    /// Memory.
    Text(Arc<str>),
    /// A file on disk, which must still have this size, and this digest where one is given, when
    /// it is read.
    Disk {
        /// The file.
        path: PathBuf,
        /// Bytes.
        size: u64,
        /// What was found in it before.
        digest: Option<Digest>,
    },
}

/// An uncompressed tar, made while it is read; of a file's content never more than the reader's own
/// buffer is in memory.
pub struct TarReader {
    entries: VecDeque<Entry>,
    parts: VecDeque<Part>,
    ended: bool,
}

enum Part {
    Bytes(Cursor<Vec<u8>>),
    File(FilePart),
}

struct FilePart {
    file: io::Take<File>,
    path: PathBuf,
    check: Option<(sha2::Sha256, Digest)>,
}

impl TarReader {
    /// An archive of these entries, in this order.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            parts: VecDeque::new(),
            ended: false,
        }
    }

    /// Queues what comes next; false at the end of the archive.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(entry) = self.entries.pop_front() else {
            let more = !self.ended;
            if more {
                self.ended = true;
                self.bytes(vec![0; 2 * BLOCK]);
            }
            return Ok(more);
        };
        let mut bytes = header(&entry)?;
        if let EntryKind::File { body, .. } = entry.kind {
            match body {
                Body::Text(text) => {
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
                }
                Body::Disk { path, size, digest } => {
                    let file = File::open(&path).map_err(|e| at(&path, &e))?;
                    self.bytes(bytes);
                    self.parts.push_back(Part::File(FilePart {
                        file: file.take(size),
                        path,
                        check: digest.map(|d| (sha2::Sha256::new(), d)),
                    }));
                    let end = usize::try_from(size % BLOCK as u64).map_err(io::Error::other)?;
                    bytes = vec![0; end.next_multiple_of(BLOCK) - end];
                }
            }
        }
        self.bytes(bytes);
        Ok(true)
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        self.parts.push_back(Part::Bytes(Cursor::new(bytes)));
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.parts.is_empty() && !self.advance()? {
                return Ok(0);
            }
            let count = match self.parts.front_mut() {
                None => 0,
                Some(Part::Bytes(bytes)) => bytes.read(buffer)?,
                Some(Part::File(part)) => part.read(buffer)?,
            };
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.parts.pop_front();
        }
    }
}

impl FilePart {
    /// Reads on; at the end makes sure that the file is what it was when it was looked at first,
    /// so that an image is never made of something other than its fingerprint says.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer).map_err(|e| at(&self.path, &e))?;
        if let Some((hasher, _)) = &mut self.check {
            hasher.update(&buffer[..count]);
        }
        if count == 0 && !buffer.is_empty() {
            let mut beyond = [0];
            let longer = self.file.get_mut().read(&mut beyond)? > 0;
            let other = self
                .check
                .take()
                .is_some_and(|(hasher, digest)| Digest::from_hasher(hasher) != digest);
            if self.file.limit() > 0 || longer || other {
                return Err(io::Error::other(format!(
                    "{} changed while it was read",
                    self.path.display()
                )));
            }
        }
        Ok(count)
    }
}

fn at(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The header of an entry, with GNU's extension where a path or a link is longer than 100 bytes.
fn header(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(FIXED_TIME);
    let mut builder = tar::Builder::new(Vec::with_capacity(3 * BLOCK));
    match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            builder.append_data(&mut header, format!("{}/", entry.path), io::empty())?;
        }
        EntryKind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            builder.append_link(&mut header, &entry.path, target)?;
        }
        EntryKind::File { executable, body } => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(match body {
                Body::Text(text) => text.len() as u64,
                Body::Disk { size, .. } => *size,
            });
            builder.append_data(&mut header, &entry.path, io::empty())?;
        }
    }
    // `into_inner` closes the archive with two empty blocks, which belong behind the last entry.
    let mut bytes = builder.into_inner()?;
    bytes.truncate(bytes.len() - 2 * BLOCK);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, body: Body) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: EntryKind::File {
                executable: false,
                body,
            },
        }
    }

    fn archive(entries: Vec<Entry>, chunk: usize) -> io::Result<Vec<u8>> {
        let mut reader = TarReader::new(entries);
        let (mut all, mut buffer) = (Vec::new(), vec![0; chunk]);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
    }

    #[test]
    fn the_tar_crate_reads_it_back() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        for size in [0, 1, 511, 512, 513, 100_000] {
            let content = vec![b'x'; size];
            std::fs::write(&path, &content)?;
            let long = "d/".repeat(80) + "end";
            let entries = vec![
                Entry {
                    path: "d".into(),
                    kind: EntryKind::Directory,
                },
                file("d/text", Body::Text("hello".into())),
                file(
                    &long,
                    Body::Disk {
                        path: path.clone(),
                        size: size as u64,
                        digest: Some(Digest::of(&content)),
                    },
                ),
                Entry {
                    path: "l".into(),
                    kind: EntryKind::Symlink("t".repeat(150)),
                },
            ];
            let bytes = archive(entries.clone(), 7)?;
            assert_eq!(bytes, archive(entries, 65536)?, "the chunk size shows");
            let mut read = tar::Archive::new(bytes.as_slice());
            let mut seen = Vec::new();
            for entry in read.entries()? {
                let mut entry = entry?;
                let mut body = Vec::new();
                entry.read_to_end(&mut body)?;
                assert_eq!(
                    (entry.header().uid()?, entry.header().mtime()?),
                    (0, FIXED_TIME)
                );
                seen.push((entry.path()?.display().to_string(), body.len()));
            }
            assert_eq!(
                seen,
                [
                    ("d/".into(), 0),
                    ("d/text".into(), 5),
                    (long, size),
                    ("l".into(), 0)
                ]
            );
        }
        Ok(())
    }

    #[test]
    fn a_file_that_changed_is_an_error() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("f");
        let entry = |size| {
            file(
                "f",
                Body::Disk {
                    path: path.clone(),
                    size,
                    digest: Some(Digest::of("old")),
                },
            )
        };
        for (content, size) in [("new", 3), ("o", 3), ("older", 3)] {
            std::fs::write(&path, content)?;
            let error = archive(vec![entry(size)], 100).err();
            assert!(
                error.is_some_and(|e| e.to_string().contains("changed")),
                "{content}"
            );
        }
        std::fs::write(&path, "old")?;
        assert!(archive(vec![entry(3)], 100).is_ok());
        Ok(())
    }
}
