//! How a file or a directory of the configuration gets to its place.
//!
//! A file is written under another name beside its place, given its owner and permissions, and
//! renamed: whoever reads it finds the old one or the new one. So is a directory that replaces
//! another, but for the moment between the removal of the old one and the renaming of the new one,
//! as an overlay file system cannot exchange them.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, XattrFlags};

use crate::error::{Error, Result};
use crate::root::{Node, Place, Root, last_name};

/// Whose what is copied will be, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Properties {
    /// Owner, permissions, times and extended attributes of the source.
    Preserve,
    /// As given; who may read a directory may enter it too.
    Set { owner: (u32, u32), mode: u32 },
}

/// What becomes of links among the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// What they lead to is copied. Kubernetes mounts every file as a link.
    Follow,
    /// Those to files are copied as links, those to directories followed: what upstream does where
    /// both `merge` and `preserve_properties` are set.
    KeepToFiles,
    /// All are copied as links.
    Keep,
}

/// One way of copying.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    pub(crate) root: &'a Root,
    pub(crate) properties: Properties,
    pub(crate) links: Links,
}

/// What there is to copy.
#[derive(Debug)]
pub(crate) enum Source {
    Dir(Node),
    File(Place, Node),
    Link(PathBuf),
    /// A socket, a pipe or a device.
    Special(Node),
}

/// What is at `path`, as far as these links are followed.
pub(crate) fn look(root: &Root, links: Links, path: &Path) -> Result<Source> {
    let place = root.name(path)?;
    let keep = match links {
        Links::Follow => false,
        Links::Keep => true,
        Links::KeepToFiles => !is_dir(root, path),
    };
    if keep && place.required()?.is_link() {
        return Ok(Source::Link(place.link_target()?));
    }
    let place = root.follow(path)?;
    let node = place.required()?;
    Ok(match node.kind() {
        FileType::Directory => Source::Dir(node),
        FileType::RegularFile => Source::File(place, node),
        _ => Source::Special(node),
    })
}

/// Whether a path leads to a directory.
pub(crate) fn is_dir(root: &Root, path: &Path) -> bool {
    let node = root.follow(path).and_then(|place| place.node());
    matches!(node, Ok(Some(node)) if node.is_dir())
}

impl Copier<'_> {
    /// Makes `dest` what `source` is, whatever is there.
    pub(crate) fn replace(&self, source: &Path, dest: &Path) -> Result<()> {
        let found = look(self.root, self.links, source)?;
        let place = self.root.name(dest)?;
        let new = place.beside(".", ".kolla-new")?;
        // Of a run that was interrupted.
        new.remove()?;
        let is_dir = matches!(found, Source::Dir(_));
        let done = self.build(found, source, &new).and_then(|()| {
            let in_the_way = place.node()?.is_some_and(|old| is_dir || old.is_dir());
            if in_the_way {
                place.remove()?;
            }
            new.rename_to(&place)
        });
        if done.is_err() {
            // The first error is the one to tell.
            let _ = new.remove();
        }
        done
    }

    /// Puts what is in the directory `source` into the directory `dest`, beside what else is there.
    /// A file replaces what is at `dest`.
    pub(crate) fn merge(&self, source: &Path, dest: &Path) -> Result<()> {
        let Source::Dir(from) = look(self.root, self.links, source)? else {
            return self.replace(source, dest);
        };
        if !is_dir(self.root, dest) {
            let place = self.root.name(dest)?;
            place.remove()?;
            place.make_dir(0o700)?;
        }
        let into = self.root.follow(dest)?.directory()?;
        for child in from.children()? {
            let name = last_name(child.path());
            self.merge(&source.join(name), &dest.join(name))?;
        }
        self.finish(&from, &into)
    }

    /// Creates at `place`, where nothing is, what was found at `source`.
    fn build(&self, found: Source, source: &Path, place: &Place) -> Result<()> {
        match found {
            Source::Link(target) => place.make_link(&target),
            Source::File(from, node) => {
                let mut input = from.open()?;
                let mut output = place.create()?;
                io::copy(&mut input, &mut output).map_err(Error::io("write", place.path()))?;
                // By the open file: the name may be another file's by now.
                self.finish(&node, &Node::of(&output, place.path())?)
            }
            Source::Dir(from) => {
                let into = place.make_dir(0o700)?;
                for child in from.children()? {
                    let name = last_name(child.path());
                    let source = source.join(name);
                    let found = look(self.root, self.links, &source)?;
                    self.build(found, &source, &into.child(name)?)?;
                }
                self.finish(&from, &into)
            }
            // A default that is saved: a socket's server makes it anew.
            Source::Special(_) if self.links == Links::Keep => Ok(()),
            Source::Special(node) => Err(node.unexpected("a regular file or a directory")),
        }
    }

    fn finish(&self, from: &Node, to: &Node) -> Result<()> {
        match self.properties {
            Properties::Set { owner, mode } => {
                to.set_owner(owner)?;
                to.set_mode(wanted_mode(mode, to.is_dir()))
            }
            Properties::Preserve => {
                to.set_owner(from.owner())?;
                copy_attributes(from, to)?;
                to.set_mode(from.mode())?;
                set_times(from, to)
            }
        }
    }
}

/// Who may read a directory may enter it too.
pub(crate) fn wanted_mode(mode: u32, is_dir: bool) -> u32 {
    if is_dir {
        mode | (mode & 0o444) >> 2
    } else {
        mode
    }
}

fn set_times(from: &Node, to: &Node) -> Result<()> {
    let stat = from.stat();
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    #[allow(clippy::cast_possible_wrap)]
    let times = Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    };
    rustix::fs::utimensat(CWD, to.proc_name(), &times, AtFlags::empty())
        .map_err(Error::io("set the times of", to.path()))
}

/// Extended attributes, where both file systems have them and this user may set them; as with
/// upstream, others are left behind.
fn copy_attributes(from: &Node, to: &Node) -> Result<()> {
    let (source, dest) = (from.proc_name(), to.proc_name());
    let mut names = vec![0; 64 << 10];
    let Ok(length) = rustix::fs::listxattr(&source, &mut names) else {
        return Ok(());
    };
    names.truncate(length);
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 << 10];
        let Ok(length) = rustix::fs::getxattr(&source, name, &mut value) else {
            continue;
        };
        value.truncate(length);
        match rustix::fs::setxattr(&dest, name, &value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(error) if skippable(error) => {}
            Err(error) => {
                return Err(Error::io("set the extended attributes of", to.path())(
                    error,
                ));
            }
        }
    }
    Ok(())
}

fn skippable(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [
        Errno::NOTSUP,
        Errno::PERM,
        Errno::NODATA,
        Errno::INVAL,
        Errno::ACCESS,
    ]
    .contains(&error)
}
