//! Locks between processes, and between the threads of one.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A lock on a file, held until it is dropped; the system lets go of it when the process ends.
#[derive(Debug)]
pub(in super::super) struct Lock(File);

impl Lock {
    /// Waits until nobody holds it exclusively.
    pub(in super::super) fn shared(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// Waits until nobody else holds it.
    pub(in super::super) fn exclusive(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockOperation::LockExclusive)
    }

    /// Takes it unless somebody holds it.
    pub(in super::super) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        match Self::take(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(e) if Errno::from_io_error(&e) == Some(Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes a shared lock exclusive, unless others hold it as well.
    pub(super) fn upgrade(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => {
                // The system lets go of a lock that it could not change.
                flock(&self.0, FlockOperation::LockShared)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes it shared again.
    pub(super) fn downgrade(&self) -> io::Result<()> {
        Ok(flock(&self.0, FlockOperation::LockShared)?)
    }

    fn take(path: &Path, how: FlockOperation) -> io::Result<Self> {
        loop {
            let mut options = File::options();
            let file = options.create(true).truncate(false).read(true).write(true);
            let file = file.open(path)?;
            flock(&file, how)?;
            // Somebody may have removed the file meanwhile, and others have made another.
            let (held, there) = (rustix::fs::fstat(&file)?, rustix::fs::stat(path));
            if there.is_ok_and(|there| there.st_ino == held.st_ino) {
                return Ok(Self(file));
            }
        }
    }
}
