use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat, Timespec, Timestamps, UTIME_OMIT};

use super::tree;
use crate::oci::error::at;

/// Gives every file, directory and link of a tree the time that its layer's tar gives it: whole
/// seconds, and nothing later than `clamp` (seconds since 1970). The directory is then what
/// applying the tar would give.
///
/// # Errors
/// Those of the files.
pub fn normalise(root: &Path, clamp: i64) -> io::Result<()> {
    let directory = tree::open_root(root).map_err(|e| at(root, e))?;
    let mut path = Vec::new();
    all(directory.as_fd(), clamp, &mut path)
        .map_err(|e| at(&root.join(OsStr::from_bytes(&path)), e))
}

fn all(directory: BorrowedFd<'_>, clamp: i64, path: &mut Vec<u8>) -> io::Result<()> {
    if let Some(times) = change(&rustix::fs::fstat(directory)?, clamp) {
        rustix::fs::futimens(directory, &times)?;
    }
    walk(directory, clamp, path, 0)
}

/// The times to set, where they are not right.
fn change(stat: &Stat, clamp: i64) -> Option<Timestamps> {
    (stat.st_mtime > clamp || stat.st_mtime_nsec != 0).then(|| times(stat.st_mtime.min(clamp)))
}

/// A time of modification; that of access stays as it is.
pub(super) fn times(seconds: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        },
    }
}

fn walk(directory: BorrowedFd<'_>, clamp: i64, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
    let depth = tree::deeper(depth)?;
    let length = path.len();
    for name in tree::names(directory)? {
        path.extend_from_slice(name.to_bytes());
        let stat = tree::stat(directory, &name)?;
        if !tree::is_whiteout(&stat)
            && let Some(times) = change(&stat, clamp)
        {
            rustix::fs::utimensat(directory, &*name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if tree::kind(&stat) == FileType::Directory {
            path.push(b'/');
            let inner = tree::open(directory, &*name)?;
            walk(inner.as_fd(), clamp, path, depth)?;
        }
        path.truncate(length);
    }
    Ok(())
}
