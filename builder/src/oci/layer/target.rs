//! The directory a layer is unpacked into, and finding places in it.
//!
//! Every part of a path is opened from the descriptor of the one before it without following links;
//! a link is read and its text walked from the root of the target, so that nothing, wherever it
//! points, leads outside.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

use super::number::bad;
use super::{MAX_DEPTH, OverlayAttributes, WHITEOUT, normalise, tree};
use crate::archive::FIXED_TIME;

/// How many links one path may lead through, as the kernel has it.
const MAX_LINKS: usize = 40;

/// A directory that was found: its path with all links resolved, and its descriptor.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) path: Vec<u8>,
    pub(super) fd: Rc<OwnedFd>,
}

impl Place {
    pub(super) fn child(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() {
            return name.to_vec();
        }
        [self.path.as_slice(), b"/", name].concat()
    }
}

/// What stood under a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    Directory,
    Whiteout,
}

pub(super) struct Target {
    root: Place,
    overlay: OverlayAttributes,
    /// The directory that was found last, by the path it was asked for with: archives list what is
    /// in a directory together.
    last: Option<(Vec<u8>, Place)>,
    /// The times of directories, which are set when nothing is put into them any more.
    times: BTreeMap<Vec<u8>, i64>,
}

/// The parts of a path or of a hard link's target, without empty ones and `.`.
pub(super) fn parts(path: &[u8]) -> io::Result<Vec<&[u8]>> {
    let mut parts = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                return Err(bad(
                    "a path has `..` in it, which would lead outside of the layer",
                ));
            }
            part if part.contains(&0) => return Err(bad("a path has a zero byte in it")),
            part => parts.push(part),
        }
    }
    if parts.len() > MAX_DEPTH {
        return Err(bad(format!("a path has more than {MAX_DEPTH} parts")));
    }
    let folders = parts.len().saturating_sub(1);
    if parts[..folders]
        .iter()
        .any(|part| part.starts_with(WHITEOUT))
    {
        return Err(bad(
            "a directory's name begins with `.wh.`, which marks what is removed",
        ));
    }
    Ok(parts)
}

impl Target {
    pub(super) fn open(path: &std::path::Path, overlay: OverlayAttributes) -> io::Result<Self> {
        let fd = tree::open_root(path)?;
        if !tree::names(fd.as_fd())?.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::DirectoryNotEmpty,
                "a layer is unpacked into an empty directory",
            ));
        }
        Ok(Self {
            root: Place {
                path: Vec::new(),
                fd: Rc::new(fd),
            },
            overlay,
            last: None,
            times: BTreeMap::new(),
        })
    }

    pub(super) fn root(&self) -> Place {
        self.root.clone()
    }

    /// The directory at a path. Links on the way are followed inside of the target, as Docker and
    /// containerd do, and what is missing is made (mode 0755, owner 0) where `create` says so.
    pub(super) fn directory(&mut self, parts: &[&[u8]], create: bool) -> io::Result<Place> {
        let asked = parts.join(&b'/');
        if let Some((path, place)) = &self.last
            && *path == asked
        {
            return Ok(place.clone());
        }
        let place = self.walk(parts, create)?;
        self.last = Some((asked, place.clone()));
        Ok(place)
    }

    fn walk(&mut self, parts: &[&[u8]], create: bool) -> io::Result<Place> {
        let mut ahead: VecDeque<Vec<u8>> = parts.iter().map(|p| p.to_vec()).collect();
        let mut way = vec![self.root()];
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                // Only texts of links have it; the root's parent is the root.
                way.truncate((way.len() - 1).max(1));
                continue;
            }
            let here = way.last().cloned().unwrap_or_else(|| self.root());
            let next = match enter(&here, &name) {
                Ok(fd) => step(&here, &name, fd),
                Err(Errno::NOENT) if create => self.make(&here, &name)?,
                Err(Errno::NOTDIR | Errno::LOOP) => match self.turn(&here, &name, create)? {
                    Turn::Into(place) => place,
                    Turn::Link(text) => {
                        if text.starts_with(b"/") {
                            way.truncate(1);
                        }
                        let words = text.split(|b| *b == b'/');
                        for word in words.rev().filter(|w| !matches!(*w, b"" | b".")) {
                            ahead.push_front(word.to_vec());
                        }
                        links += 1;
                        if links > MAX_LINKS || ahead.len() > 2 * MAX_DEPTH {
                            return Err(Errno::LOOP.into());
                        }
                        continue;
                    }
                },
                Err(error) => return Err(error.into()),
            };
            way.push(next);
            if way.len() > MAX_DEPTH {
                return Err(bad(format!(
                    "directories would lie more than {MAX_DEPTH} deep"
                )));
            }
        }
        Ok(way.pop().unwrap_or_else(|| self.root()))
    }

    /// Something that is not a directory, on the way to one.
    fn turn(&mut self, here: &Place, name: &[u8], create: bool) -> io::Result<Turn> {
        match rustix::fs::readlinkat(&here.fd, name, Vec::new()) {
            Ok(text) => Ok(Turn::Link(text.into_bytes())),
            Err(Errno::INVAL)
                if create
                    && self
                        .look(here, name)?
                        .is_some_and(|s| tree::is_whiteout(&s)) =>
            {
                self.clear(here, name, true)?;
                let place = self.make(here, name)?;
                self.hide(&place)?;
                Ok(Turn::Into(place))
            }
            Err(Errno::INVAL) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// A directory that no entry has described, so far. Its time is fixed, so that the same layer
    /// gives the same tree.
    fn make(&mut self, here: &Place, name: &[u8]) -> io::Result<Place> {
        rustix::fs::mkdirat(&here.fd, name, Mode::from_raw_mode(0o755))?;
        rustix::fs::chmodat(&here.fd, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
        let place = step(here, name, enter(here, name)?);
        self.times
            .insert(place.path.clone(), FIXED_TIME.cast_signed());
        Ok(place)
    }

    /// What stands under a name.
    pub(super) fn look(&self, place: &Place, name: &[u8]) -> io::Result<Option<Stat>> {
        match tree::stat(place.fd.as_fd(), &c_string(name)?) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes way under a name, except that a directory may stay where one is to come.
    pub(super) fn clear(
        &mut self,
        place: &Place,
        name: &[u8],
        directory: bool,
    ) -> io::Result<Before> {
        let Some(stat) = self.look(place, name)? else {
            return Ok(Before::Nothing);
        };
        match tree::kind(&stat) {
            FileType::Directory if directory => return Ok(Before::Directory),
            FileType::Directory => {
                self.last = None;
                let path = place.child(name);
                let (first, beyond) = ([&path[..], b"/"].concat(), [&path[..], b"0"].concat());
                let below: Vec<_> = self
                    .times
                    .range(first..beyond)
                    .map(|(p, _)| p.clone())
                    .collect();
                for path in below.iter().chain([&path]) {
                    self.times.remove(path);
                }
                remove(place.fd.as_fd(), &c_string(name)?, 0)?;
            }
            _ => {
                self.last = None;
                rustix::fs::unlinkat(&place.fd, name, AtFlags::empty())?;
            }
        }
        Ok(if tree::is_whiteout(&stat) {
            Before::Whiteout
        } else {
            Before::Nothing
        })
    }

    /// Lets a directory hide what the layers beneath have in it.
    pub(super) fn hide(&self, place: &Place) -> io::Result<()> {
        let path = tree::by_descriptor(&*place.fd, b".");
        let attribute = [self.overlay.prefix(), b"opaque"].concat();
        rustix::fs::setxattr(&path, &attribute, b"y", XattrFlags::empty()).map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(
                error.kind(),
                format!("cannot mark a directory as opaque for overlays: {error}"),
            )
        })
    }

    /// Keeps the time of a directory for the end.
    pub(super) fn time(&mut self, path: Vec<u8>, seconds: i64) {
        self.times.insert(path, seconds);
    }

    /// Sets the times of the directories.
    pub(super) fn finish(self) -> io::Result<()> {
        for (path, seconds) in &self.times {
            let times = normalise::times(*seconds);
            let mut here = self.root();
            let mut way: Vec<_> = path.split(|b| *b == b'/').collect();
            let name = way.pop().filter(|name| !name.is_empty());
            for part in way {
                here = step(&here, part, enter(&here, part)?);
            }
            // The root has no name; its own descriptor is one for reading.
            match name {
                Some(name) => {
                    rustix::fs::utimensat(&here.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)?
                }
                None => rustix::fs::futimens(&here.fd, &times)?,
            }
        }
        Ok(())
    }
}

enum Turn {
    Into(Place),
    Link(Vec<u8>),
}

fn enter(here: &Place, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&here.fd, name, flags, Mode::empty())
}

fn step(here: &Place, name: &[u8], fd: OwnedFd) -> Place {
    Place {
        path: here.child(name),
        fd: Rc::new(fd),
    }
}

pub(super) fn c_string(name: &[u8]) -> io::Result<CString> {
    CString::new(name).map_err(|_| bad("a name has a zero byte in it"))
}

/// Removes a directory and what is in it.
fn remove(parent: BorrowedFd<'_>, name: &std::ffi::CStr, depth: usize) -> io::Result<()> {
    let depth = tree::deeper(depth)?;
    let directory = tree::open(parent, name)?;
    for inner in tree::names(directory.as_fd())? {
        match rustix::fs::unlinkat(&directory, &*inner, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR) => remove(directory.as_fd(), &inner, depth)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
