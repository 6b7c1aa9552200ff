//! Builds share the cache; cleaning wants it alone.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::model::Diagnostic;

/// Held while a command works; the system takes it away with the process, however that ends.
pub(super) struct Lock {
    _file: File,
}

fn open(cache: &Path) -> Result<File, Diagnostic> {
    std::fs::create_dir_all(cache)
        .and_then(|()| {
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(cache.join("lock"))
        })
        .map_err(|e| {
            Diagnostic::environment(format!("cannot use the cache {}: {e}", cache.display()))
                .hint("name another folder with --cache-dir")
        })
}

/// For commands that build, push or test: any number of them at once.
pub(super) fn shared(cache: &Path) -> Result<Lock, Diagnostic> {
    let file = open(cache)?;
    file.lock_shared()
        .map_err(|e| Diagnostic::environment(format!("cannot lock {}: {e}", cache.display())))?;
    Ok(Lock { _file: file })
}

/// For cleaning: fails while any other command works.
pub(super) fn exclusive(cache: &Path) -> Result<Lock, Diagnostic> {
    let file = open(cache)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Diagnostic::environment(
            "another kolla is at work with this cache",
        )
        .hint("what it has in hand looks like leftovers: run `kolla clean` when it has ended")),
        Err(TryLockError::Error(e)) => Err(Diagnostic::environment(format!(
            "cannot lock {}: {e}",
            cache.display()
        ))),
    }
}
