//! Looking at a directory tree one name at a time, from the directory's descriptor.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::MAX_DEPTH;

/// The most bytes that the kernel takes for one attribute's value, and for the list of names.
const MAX_ATTRIBUTE: usize = 64 << 10;

/// Opens the root of a tree.
pub(super) fn open_root(path: &std::path::Path) -> io::Result<OwnedFd> {
    open(CWD, path)
}

/// Opens a directory, but not what a symbolic link points to.
pub(super) fn open<P: rustix::path::Arg>(parent: BorrowedFd<'_>, name: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// What stands under a name, links not followed.
pub(super) fn stat(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The names in a directory, sorted by their bytes.
pub(super) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Refuses to go deeper than what can be walked.
pub(super) fn deeper(depth: usize) -> io::Result<usize> {
    if depth < MAX_DEPTH {
        return Ok(depth + 1);
    }
    Err(io::Error::other(format!(
        "directories lie more than {MAX_DEPTH} deep in each other"
    )))
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether it is how an overlay's directory says that a name is gone.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// A path to a name in an open directory, for the calls on attributes, which take no descriptor of
/// a directory. Only its last part is a name of the tree, and the calls used do not follow it.
pub(super) fn by_descriptor(directory: impl AsFd, name: &[u8]) -> Vec<u8> {
    let number = directory.as_fd().as_raw_fd();
    let mut path = format!("/proc/thread-self/fd/{number}/").into_bytes();
    path.extend_from_slice(name);
    path
}

/// Space for attributes, used again for each file.
pub(super) struct Attributes {
    list: Vec<u8>,
    value: Vec<u8>,
}

impl Attributes {
    pub(super) fn new() -> Self {
        Self {
            list: vec![0; MAX_ATTRIBUTE],
            value: vec![0; MAX_ATTRIBUTE],
        }
    }

    /// The names and values of those attributes that `wanted` says, sorted by name.
    pub(super) fn read(
        &mut self,
        directory: impl AsFd,
        name: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let path = by_descriptor(directory, name);
        let size = match rustix::fs::llistxattr(&path, self.list.as_mut_slice()) {
            Ok(size) => size,
            Err(Errno::NOTSUP) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for attribute in self.list[..size].split(|b| *b == 0) {
            if !attribute.is_empty() && wanted(attribute) {
                let value = self.value.as_mut_slice();
                let size = rustix::fs::lgetxattr(&path, attribute, &mut *value)?;
                found.push((attribute.to_vec(), self.value[..size].to_vec()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}
