use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::header::{BLOCK, Record, encode, pad};
use super::tree::{self, Attributes};
use super::{OPAQUE, OverlayAttributes, WHITEOUT, travels};
use crate::oci::error::at;

/// How a directory becomes a layer.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The latest time a file may carry, seconds since 1970: later ones become this.
    pub clamp: i64,
    /// Whose attributes the overlay used.
    pub overlay: OverlayAttributes,
    /// Whether the root directory has an entry of its own, `./`. Docker and containerd write none;
    /// a layer needs one where it changes the owner, mode or attributes of the root.
    pub root_entry: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many entries; 0 where the layer changes nothing.
    pub entries: u64,
    /// Bytes of the tar.
    pub size: u64,
}

/// Writes the tar of an overlay's upper directory, which nothing may change meanwhile.
///
/// Each directory comes before what is in it, names in the order of their bytes. Owners are numbers
/// without names, times whole seconds. Of the names of one file the first has the content, and the
/// others are hard links to it. Sparse files are written with their zeros. Sockets are left out. Of
/// extended attributes file capabilities and `user.*` are written (`SCHILY.xattr.*`). Whiteouts have
/// neither time nor owner.
///
/// # Errors
/// Those of the files and of `out`; when a file changes while it is read; when the overlay was
/// mounted so that a directory refers to another place beneath (`redirect_dir`, `metacopy`); and for
/// a name that begins with `.wh.`, which would remove a file where the layer is used.
pub fn write(root: &Path, options: &WriteOptions, out: &mut dyn Write) -> io::Result<Written> {
    let directory = tree::open_root(root).map_err(|e| at(root, e))?;
    let mut walk = Walk {
        options,
        out,
        links: HashMap::new(),
        path: Vec::new(),
        header: Vec::with_capacity(4 * BLOCK),
        content: vec![0; 256 << 10],
        attributes: Attributes::new(),
        written: Written {
            entries: 0,
            size: 0,
        },
    };
    walk.root(directory.as_fd())
        .map_err(|e| at(&root.join(OsStr::from_bytes(&walk.path)), e))?;
    walk.put(&[0; 2 * BLOCK])?;
    Ok(walk.written)
}

struct Walk<'a> {
    options: &'a WriteOptions,
    out: &'a mut dyn Write,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// Where the walk is; after an error, where it happened.
    path: Vec<u8>,
    header: Vec<u8>,
    content: Vec<u8>,
    attributes: Attributes,
    written: Written,
}

/// What the attributes of a file say.
struct Marks {
    travelling: Vec<(Vec<u8>, Vec<u8>)>,
    opaque: bool,
}

impl Walk<'_> {
    fn root(&mut self, directory: BorrowedFd<'_>) -> io::Result<()> {
        let marks = self.marks(directory, c".")?;
        if self.options.root_entry {
            let stat = rustix::fs::fstat(directory)?;
            let record = Record {
                path: b"./",
                kind: b'5',
                attributes: &marks.travelling,
                ..self.common(&stat)
            };
            self.entry(&record)?;
        }
        if marks.opaque {
            self.mark(OPAQUE)?;
        }
        self.directory(directory, 0)
    }

    fn directory(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        let depth = tree::deeper(depth)?;
        let length = self.path.len();
        for name in tree::names(directory)? {
            self.path.extend_from_slice(name.to_bytes());
            self.file(directory, &name, length, depth)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    /// One name; the part of the path before `length` is its directory's.
    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        length: usize,
        depth: usize,
    ) -> io::Result<()> {
        let stat = tree::stat(parent, name)?;
        if name.to_bytes().starts_with(WHITEOUT) {
            return Err(io::Error::other(
                "a name that begins with `.wh.` means in a layer that a file is removed: give the file another name",
            ));
        }
        if tree::is_whiteout(&stat) {
            let gone = [&self.path[..length], WHITEOUT, name.to_bytes()].concat();
            return self.mark(&gone);
        }
        let kind = tree::kind(&stat);
        if kind == FileType::Socket {
            return Ok(());
        }
        if kind != FileType::Directory && stat.st_nlink > 1 && self.linked(&stat)? {
            return Ok(());
        }
        let marks = self.marks(parent, name)?;
        let mut path = self.path.clone();
        let mut record = Record {
            attributes: &marks.travelling,
            ..self.common(&stat)
        };
        match kind {
            FileType::Directory => {
                path.push(b'/');
                record.path = &path;
                record.kind = b'5';
                self.entry(&record)?;
                if marks.opaque {
                    self.mark(&[&path, OPAQUE].concat())?;
                }
                let directory = tree::open(parent, name)?;
                self.path.push(b'/');
                return self.directory(directory.as_fd(), depth);
            }
            FileType::RegularFile => {
                record.path = &path;
                record.kind = b'0';
                record.size = u64::try_from(stat.st_size).map_err(io::Error::other)?;
                self.entry(&record)?;
                return self.content(parent, name, record.size);
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
                record.path = &path;
                record.kind = b'2';
                record.mode = 0o777;
                record.link = target.to_bytes();
                return self.entry(&record);
            }
            FileType::Fifo => record.kind = b'6',
            FileType::CharacterDevice => record.kind = b'3',
            FileType::BlockDevice => record.kind = b'4',
            _ => return Err(io::Error::other("this kind of file cannot be in a layer")),
        }
        if kind != FileType::Fifo {
            let (major, minor) = (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            );
            record.device = Some((major, minor));
        }
        record.path = &path;
        self.entry(&record)
    }

    /// Writes a link where an earlier name of the file has been written, and else keeps this one.
    fn linked(&mut self, stat: &Stat) -> io::Result<bool> {
        let key = (stat.st_dev, stat.st_ino);
        let Some(first) = self.links.get(&key).cloned() else {
            self.links.insert(key, self.path.clone());
            return Ok(false);
        };
        let path = self.path.clone();
        let record = Record {
            path: &path,
            kind: b'1',
            link: &first,
            ..self.common(stat)
        };
        self.entry(&record)?;
        Ok(true)
    }

    fn common(&self, stat: &Stat) -> Record<'static> {
        Record {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: stat.st_mtime.min(self.options.clamp),
            ..Record::default()
        }
    }

    /// A file that is a mark of the tar's own.
    fn mark(&mut self, path: &[u8]) -> io::Result<()> {
        self.entry(&Record {
            path,
            kind: b'0',
            ..Record::default()
        })
    }

    fn marks(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Marks> {
        let prefix = self.options.overlay.prefix();
        let wanted = |attribute: &[u8]| travels(attribute) || attribute.starts_with(prefix);
        let mut travelling = self.attributes.read(parent, name.to_bytes(), wanted)?;
        let mut opaque = false;
        for (attribute, value) in travelling.extract_if(.., |(name, _)| !travels(name)) {
            match (&attribute[prefix.len()..], value.as_slice()) {
                (b"opaque", b"y") => opaque = true,
                (b"redirect" | b"metacopy" | b"whiteout" | b"opaque", _) => {
                    return Err(io::Error::other(format!(
                        "its attribute {} cannot be kept in a layer: the overlay has to be mounted with redirect_dir=off,metacopy=off",
                        String::from_utf8_lossy(&attribute)
                    )));
                }
                _ => {}
            }
        }
        if let Some((name, _)) = travelling.iter().find(|(name, _)| name.contains(&b'=')) {
            return Err(io::Error::other(format!(
                "its attribute {} has a `=` in its name, which a layer cannot hold",
                String::from_utf8_lossy(name)
            )));
        }
        Ok(Marks { travelling, opaque })
    }

    fn content(&mut self, parent: BorrowedFd<'_>, name: &CStr, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(parent, name, flags, Mode::empty())?);
        let mut left = size;
        loop {
            let count = file.read(&mut self.content)?;
            if count as u64 > left || (count == 0 && left > 0) {
                return Err(io::Error::other("it changed while it was read"));
            }
            if count == 0 {
                break;
            }
            left -= count as u64;
            self.out.write_all(&self.content[..count])?;
        }
        let end = usize::try_from(size % BLOCK as u64).map_err(io::Error::other)?;
        self.written.size += size;
        self.put(&[0; BLOCK][..end.next_multiple_of(BLOCK) - end])
    }

    fn entry(&mut self, record: &Record<'_>) -> io::Result<()> {
        let mut header = std::mem::take(&mut self.header);
        header.clear();
        encode(record, &mut header);
        pad(&mut header);
        self.put(&header)?;
        self.header = header;
        self.written.entries += 1;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
