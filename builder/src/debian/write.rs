//! The tar of a root file system, the same to the byte for the same packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::PathBuf;

use super::layout::{Inode, Layout, Node, Placed};
use crate::archive::FIXED_TIME;

/// A file that no package has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) path: String,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) mtime: u64,
    pub(super) bytes: Vec<u8>,
}

impl Made {
    /// One that everybody may read, with the time of what has none.
    pub(super) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode: 0o644,
            mtime: FIXED_TIME,
            bytes: content.into(),
        }
    }

    /// The same, executable.
    pub(super) fn script(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            mode: 0o755,
            ..Self::new(path, content)
        }
    }
}

/// The unpacked files of a package, one after the other in one file.
#[derive(Debug, Default)]
pub(super) struct Spool {
    pub(super) path: PathBuf,
    /// For each entry of the package's archive, where its bytes are and how many there are.
    pub(super) extents: Vec<(u64, u64)>,
}

enum Item<'a> {
    Placed(&'a Placed),
    Made(&'a Made),
    /// A folder for the files made.
    Folder,
}

/// Writes everything as a tar, sorted by path. The entries at `conffiles` are written as
/// `NAME.dpkg-new`. Files made take the place of a package's.
pub(super) fn write(
    out: impl Write,
    layout: &Layout,
    conffiles: &[String],
    spools: &[Spool],
    made: &[Made],
) -> io::Result<()> {
    let conffiles: BTreeSet<&String> = conffiles.iter().collect();
    let mut items: BTreeMap<String, Item<'_>> = BTreeMap::new();
    for (path, placed) in layout.entries() {
        let path = match conffiles.contains(path) {
            true => format!("{path}.dpkg-new"),
            false => path.clone(),
        };
        items.insert(path, Item::Placed(placed));
    }
    for file in made {
        for (end, _) in file.path.match_indices('/') {
            items
                .entry(file.path[..end].to_owned())
                .or_insert(Item::Folder);
        }
        items.insert(file.path.clone(), Item::Made(file));
    }
    let mut tar = tar::Builder::new(out);
    let mut written: BTreeMap<Inode, &str> = BTreeMap::new();
    for (path, item) in &items {
        match item {
            Item::Folder => folder(&mut tar, path, header(0o755, 0, 0, FIXED_TIME))?,
            Item::Made(file) => {
                let mut header = header(file.mode, 0, 0, file.mtime);
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(file.bytes.len() as u64);
                tar.append_data(&mut header, path, file.bytes.as_slice())?;
            }
            Item::Placed(placed) => {
                let mut header = header(placed.mode, placed.uid, placed.gid, placed.mtime);
                match &placed.node {
                    Node::Directory => folder(&mut tar, path, header)?,
                    Node::Symlink(target) => {
                        header.set_entry_type(tar::EntryType::Symlink);
                        tar.append_link(&mut header, path, target)?;
                    }
                    Node::File(inode) => match written.get(inode) {
                        Some(first) => {
                            header.set_entry_type(tar::EntryType::Link);
                            tar.append_link(&mut header, path, first)?;
                        }
                        None => {
                            written.insert(*inode, path);
                            content(&mut tar, path, header, *inode, spools)?;
                        }
                    },
                }
            }
        }
    }
    tar.into_inner()?.flush()
}

fn header(mode: u32, uid: u64, gid: u64, mtime: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(mtime);
    header.set_size(0);
    header
}

fn folder(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    mut header: tar::Header,
) -> io::Result<()> {
    header.set_entry_type(tar::EntryType::Directory);
    tar.append_data(&mut header, format!("{path}/"), io::empty())
}

fn content(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    mut header: tar::Header,
    (package, entry): Inode,
    spools: &[Spool],
) -> io::Result<()> {
    let found = spools
        .get(package)
        .and_then(|spool| Some((spool, *spool.extents.get(entry)?)));
    let (spool, (start, size)) =
        found.ok_or_else(|| io::Error::other(format!("`{path}` was not unpacked")))?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    let mut file = File::open(&spool.path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut body = BufReader::new(file).take(size);
    tar.append_data(&mut header, path, &mut body)?;
    match body.limit() {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("`{path}` was cut off on disk"))),
    }
}
