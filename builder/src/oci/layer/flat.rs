//! The files that an image has, found in its layers without unpacking or mounting them.
//!
//! A layer is listed on its own, from its tar or from the directory it was unpacked into, so that
//! those that images share need not be read again for each. What one layer hides of another is seen
//! where they are laid over each other.

use std::collections::{BTreeMap, HashMap};
use std::fs::File as DiskFile;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::number::{bad, cut_off};
use super::read::{Kind, Member, Reader};
use super::sparse::Map;
use super::target::parts;
use super::tree::{self, Attributes};
use super::{OPAQUE, OverlayAttributes, WHITEOUT, WHITEOUT_META};
use crate::oci::error::at;

/// The most entries of a layer, and files of an image.
const MAX_FILES: usize = 4_000_000;

/// The most bytes of files that are kept for the visitor of one layer.
const MAX_KEPT: usize = 512 << 20;

const CAPABILITIES: &[u8] = b"security.capability";

/// One file of an image, of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the root, without a `/` before it; what is no UTF-8 is replaced.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Permissions with the set-id bits and the sticky one.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Bytes, of an ordinary file.
    pub size: u64,
    /// Where a symbolic link points to, as it says.
    pub target: Option<String>,
    /// Whether it gives capabilities to who executes it (capabilities(7)).
    pub capabilities: bool,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// An ordinary file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A device.
    Device,
}

/// Who looks at the files of an image.
pub trait Visitor: Send + Sync {
    /// How many bytes from the beginning of an ordinary file are wanted, `None` for none. It is asked
    /// of the files of single layers, and may be of some that a later layer hides. Of a file with
    /// several names in a layer it is asked for the first.
    fn wants(&self, file: &File) -> Option<u64>;

    /// Takes one file of the image; they come sorted by path.
    fn visit(&self, file: &File, content: Option<&[u8]>);
}

#[derive(Debug, Clone)]
struct Entry {
    file: File,
    content: Option<Arc<[u8]>>,
}

/// What one layer has, and what it hides.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    entries: BTreeMap<Vec<u8>, Entry>,
    gone: Vec<Vec<u8>>,
    opaque: Vec<Vec<u8>>,
    kept: usize,
}

impl Listing {
    /// Lists a layer's uncompressed tar, which is read to its end.
    ///
    /// Entries count by the paths they have: one that leads through a symbolic link of the same tar
    /// is where it says it is.
    ///
    /// # Errors
    /// Those of the stream; when the tar is malformed or beyond the bounds.
    pub fn of_tar(tar: &mut dyn Read, visitor: &dyn Visitor) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut reader = Reader::new(BufReader::with_capacity(128 << 10, tar));
        while let Some(member) = reader.next()? {
            let path = String::from_utf8_lossy(&member.path).into_owned();
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.escape_debug()))
            };
            listing
                .member(&member, &mut reader, visitor)
                .map_err(named)?;
        }
        reader.drain()?;
        Ok(listing)
    }

    /// Lists the directory that a layer was unpacked into, or that an overlay wrote it to.
    ///
    /// # Errors
    /// Those of the file system; when the tree is beyond the bounds.
    pub fn of_directory(
        path: &Path,
        overlay: OverlayAttributes,
        visitor: &dyn Visitor,
    ) -> io::Result<Self> {
        let root = tree::open_root(path).map_err(|e| at(path, e))?;
        let mut walk = Walk {
            listing: Self::default(),
            overlay,
            visitor,
            path: Vec::new(),
            attributes: Attributes::new(),
            links: HashMap::new(),
        };
        if walk.marks(root.as_fd(), b".")?.opaque {
            walk.listing.opaque.push(Vec::new());
        }
        walk.directory(root.as_fd(), 0).map_err(|e| at(path, e))?;
        Ok(walk.listing)
    }

    fn put(&mut self, path: Vec<u8>, entry: Entry) -> io::Result<()> {
        if self.entries.len() >= MAX_FILES {
            return Err(bad(format!("the layer has more than {MAX_FILES} entries")));
        }
        if entry.file.kind != FileKind::Directory {
            remove_below(&mut self.entries, &path);
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    fn hide(&mut self, what: Hidden) -> io::Result<()> {
        if self.gone.len() + self.opaque.len() >= MAX_FILES {
            return Err(bad(format!("the layer hides more than {MAX_FILES} files")));
        }
        match what {
            Hidden::Gone(path) => self.gone.push(path),
            Hidden::Below(path) => self.opaque.push(path),
        }
        Ok(())
    }

    /// Counts bytes that are kept.
    fn keep(&mut self, bytes: Vec<u8>) -> io::Result<Arc<[u8]>> {
        self.kept += bytes.len();
        if self.kept > MAX_KEPT {
            return Err(bad(format!(
                "the files to look into have more than {MAX_KEPT} bytes"
            )));
        }
        Ok(bytes.into())
    }

    fn member<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut Reader<R>,
        visitor: &dyn Visitor,
    ) -> io::Result<()> {
        let parts = parts(&member.path)?;
        let Some((name, folders)) = parts.split_last() else {
            return Ok(());
        };
        let path = parts.join(&b'/');
        if name.starts_with(WHITEOUT) {
            return match &name[WHITEOUT.len()..] {
                _ if *name == OPAQUE => self.hide(Hidden::Below(folders.join(&b'/'))),
                _ if name.starts_with(WHITEOUT_META) => Ok(()),
                b"" | b"." | b".." => Err(bad("a whiteout names no file")),
                gone => {
                    let path = folders.iter().copied().chain([gone]).collect::<Vec<_>>();
                    self.hide(Hidden::Gone(path.join(&b'/')))
                }
            };
        }
        let (kind, size, target) = match &member.kind {
            Kind::Character(0, 0) => return self.hide(Hidden::Gone(path)),
            Kind::HardLink(source) => {
                let source = self::parts(source)?.join(&b'/');
                let first = self.entries.get(&source);
                let first = first.filter(|first| first.file.kind != FileKind::Directory);
                let missing = || bad("a hard link names a file that this layer does not have");
                let mut entry = first.ok_or_else(missing)?.clone();
                entry.file.path = text(&path);
                return self.put(path, entry);
            }
            Kind::File(size, _) => (FileKind::File, *size, None),
            Kind::Symlink(target) => (FileKind::Symlink, 0, Some(text(target))),
            Kind::Character(..) | Kind::Block(..) => (FileKind::Device, 0, None),
            Kind::Directory => (FileKind::Directory, 0, None),
            Kind::Fifo => (FileKind::Fifo, 0, None),
        };
        let file = File {
            path: text(&path),
            kind,
            mode: permissions(kind, member.mode),
            uid: member.uid,
            gid: member.gid,
            size,
            target,
            capabilities: member.attributes.iter().any(|(n, _)| n == CAPABILITIES),
        };
        let content = match &member.kind {
            Kind::File(size, map) => match visitor.wants(&file) {
                Some(most) => {
                    let mut stored = tar.content();
                    let bytes = beginning(&mut stored, *size, map.as_ref(), most)?;
                    // The next header is behind what nobody wanted.
                    io::copy(&mut stored, &mut io::sink())?;
                    Some(self.keep(bytes)?)
                }
                None => None,
            },
            _ => None,
        };
        self.put(path, Entry { file, content })
    }
}

enum Hidden {
    Gone(Vec<u8>),
    Below(Vec<u8>),
}

/// Shows a visitor the files of an image whose layers these are, the lowest first.
///
/// # Errors
/// When they have more files together than is allowed.
pub fn flatten<'a>(
    layers: impl IntoIterator<Item = &'a Listing>,
    visitor: &dyn Visitor,
) -> io::Result<()> {
    let mut files: BTreeMap<&[u8], &Entry> = BTreeMap::new();
    for layer in layers {
        // What a layer hides is beneath it, whichever comes first in its tar.
        for path in &layer.gone {
            files.remove(path.as_slice());
            remove_below(&mut files, path);
        }
        for path in &layer.opaque {
            if path.is_empty() {
                files.clear();
            }
            remove_below(&mut files, path);
        }
        for (path, entry) in &layer.entries {
            // A directory that no entry describes hides a file of its name, too.
            for end in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
                let folder = &path[..end.0];
                let is_file = |e: &&Entry| e.file.kind != FileKind::Directory;
                if files.get(folder).is_some_and(is_file) {
                    files.remove(folder);
                }
            }
            if entry.file.kind != FileKind::Directory {
                remove_below(&mut files, path);
            }
            files.insert(path, entry);
        }
        if files.len() > MAX_FILES {
            return Err(bad(format!("the image has more than {MAX_FILES} files")));
        }
    }
    for entry in files.values() {
        visitor.visit(&entry.file, entry.content.as_deref());
    }
    Ok(())
}

/// Removes what is in a directory.
fn remove_below<K, V>(files: &mut BTreeMap<K, V>, path: &[u8])
where
    K: Ord + Clone + std::borrow::Borrow<[u8]>,
{
    // `0` is the character behind `/`.
    let (first, beyond) = ([path, b"/"].concat(), [path, b"0"].concat());
    let below: Vec<K> = files
        .range::<[u8], _>((
            std::ops::Bound::Included(first.as_slice()),
            std::ops::Bound::Excluded(beyond.as_slice()),
        ))
        .map(|(path, _)| path.clone())
        .collect();
    for path in below {
        files.remove(path.borrow());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A symbolic link has no permissions of its own, and tools write various ones.
fn permissions(kind: FileKind, mode: u32) -> u32 {
    if kind == FileKind::Symlink {
        0o777
    } else {
        mode & 0o7777
    }
}

/// The first bytes of a file; of what the archive does not hold, zeros.
fn beginning(
    content: &mut dyn Read,
    size: u64,
    map: Option<&Map>,
    most: u64,
) -> io::Result<Vec<u8>> {
    let most = size.min(most).min(MAX_KEPT as u64);
    let mut bytes = Vec::new();
    let Some(map) = map else {
        content.take(most).read_to_end(&mut bytes)?;
        return match bytes.len() as u64 == most {
            true => Ok(bytes),
            false => Err(cut_off()),
        };
    };
    for (offset, length) in &map.parts {
        let start = (*offset).min(most);
        bytes.resize(usize::try_from(start).unwrap_or(usize::MAX), 0);
        let wanted = (*length).min(most - start);
        if content.take(wanted).read_to_end(&mut bytes)? as u64 != wanted {
            return Err(cut_off());
        }
        if wanted < *length {
            break;
        }
    }
    bytes.resize(usize::try_from(most).unwrap_or(usize::MAX), 0);
    Ok(bytes)
}

/// A directory on the way.
struct Walk<'a> {
    listing: Listing,
    overlay: OverlayAttributes,
    visitor: &'a dyn Visitor,
    path: Vec<u8>,
    attributes: Attributes,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

struct Marks {
    opaque: bool,
    capabilities: bool,
}

impl Walk<'_> {
    fn directory(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        let depth = tree::deeper(depth)?;
        let length = self.path.len();
        for name in tree::names(directory)? {
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            let stat = tree::stat(directory, &name)?;
            self.file(directory, name.to_bytes(), &stat)?;
            if tree::kind(&stat) == FileType::Directory {
                let inner = tree::open(directory, &*name)?;
                self.directory(inner.as_fd(), depth)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> io::Result<()> {
        let path = self.path.clone();
        if tree::is_whiteout(stat) {
            return self.listing.hide(Hidden::Gone(path));
        }
        let kind = match tree::kind(stat) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            // Layers hold no sockets.
            _ => return Ok(()),
        };
        if kind != FileKind::Directory && stat.st_nlink > 1 {
            let first = self
                .links
                .entry((stat.st_dev, stat.st_ino))
                .or_insert_with(|| path.clone());
            if let Some(first) = self.listing.entries.get(first) {
                let mut entry = first.clone();
                entry.file.path = text(&path);
                return self.listing.put(path, entry);
            }
        }
        let marks = match kind {
            FileKind::File | FileKind::Directory => self.marks(parent, name)?,
            _ => Marks {
                opaque: false,
                capabilities: false,
            },
        };
        if marks.opaque {
            self.listing.hide(Hidden::Below(path.clone()))?;
        }
        let target = match kind {
            FileKind::Symlink => Some(rustix::fs::readlinkat(parent, name, Vec::new())?),
            _ => None,
        };
        let file = File {
            path: text(&path),
            kind,
            mode: permissions(kind, stat.st_mode),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: match kind {
                FileKind::File => u64::try_from(stat.st_size).map_err(io::Error::other)?,
                _ => 0,
            },
            target: target.map(|target| text(target.as_bytes())),
            capabilities: marks.capabilities,
        };
        let wanted = match kind {
            FileKind::File => self.visitor.wants(&file),
            _ => None,
        };
        let content = match wanted {
            Some(most) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let open = rustix::fs::openat(parent, name, flags, Mode::empty())?;
                let bytes = beginning(&mut DiskFile::from(open), file.size, None, most)?;
                Some(self.listing.keep(bytes)?)
            }
            None => None,
        };
        self.listing.put(path, Entry { file, content })
    }

    fn marks(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Marks> {
        let opaque = [self.overlay.prefix(), b"opaque"].concat();
        let wanted = |attribute: &[u8]| attribute == opaque || attribute == CAPABILITIES;
        let found = self.attributes.read(parent, name, wanted)?;
        Ok(Marks {
            opaque: found.iter().any(|(n, v)| *n == opaque && v == b"y"),
            capabilities: found.iter().any(|(n, _)| n == CAPABILITIES),
        })
    }
}
