//! Files that somebody else may have put there.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::oci::Error;

/// Opens a plain file for reading; no link is followed, and no pipe waited for.
pub(in crate::oci) fn open_regular(path: &Path) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| Error::io(path)(e.into()))
        .map(File::from)?;
    let metadata = file.metadata().map_err(Error::io(path))?;
    if !metadata.is_file() {
        return Err(Error::invalid(
            path.display().to_string(),
            "a plain file was expected",
        ));
    }
    Ok(file)
}

/// Reads a plain file of at most `limit` bytes.
pub(in crate::oci) fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = open_regular(path)?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    if bytes.len() > limit {
        return Err(Error::invalid(
            path.display().to_string(),
            format!("it has more than {limit} bytes, which is what is read"),
        ));
    }
    Ok(bytes)
}

/// Puts a file in the place of another, whole.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let mut file = temporary(folder).map_err(Error::io(folder))?;
    file.write_all(bytes).map_err(Error::io(&path))?;
    file.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
    Ok(())
}

/// A file with a name of its own, which goes away unless it is given another.
pub(super) fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".incoming-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
}
