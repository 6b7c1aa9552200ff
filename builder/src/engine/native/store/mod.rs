//! What the native engine keeps: an OCI image layout (`oci-layout`, `index.json`, `blobs/`), and
//! beside it what makes building from it fast.
//!
//! | folder | holds |
//! |---|---|
//! | `blobs/sha256` | manifests, configurations and compressed layers, by their digest |
//! | `snapshots` | layers unpacked, each a folder that overlayfs can lay over others |
//! | `layers` | for the digest of each unpacked layer, its snapshot and its blob |
//! | `steps` | for the key of each step done, the layer that it made |
//! | `caches` | the folders of `RUN --mount=type=cache` |
//! | `origins` | for the digest of each unpacked layer, repositories that have its blob |
//! | `locks` | files that are locked while a step of that key runs |
//! | `tmp` | what is not finished: a folder for each process, locked while it lives |
//!
//! Nothing is changed once it has its name, and everything gets its name by one rename, so a crash
//! leaves nothing but a folder in `tmp`, which the next process that opens the store takes away.
//! Any number of processes may use a store at once; [`Store::clean`] waits for none, and refuses.

mod clean;
mod images;
mod layers;
mod lock;
mod origins;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

pub(super) use images::Image;
pub(super) use layers::{Key, Layer};
pub(super) use lock::Lock;

use super::super::Error;
use crate::oci::layer::OverlayAttributes;

const FOLDERS: [&str; 8] = [
    "blobs/sha256",
    "caches",
    "layers",
    "locks",
    "origins",
    "snapshots/empty",
    "steps",
    "tmp",
];

/// The snapshot of a layer that has nothing in it.
pub(super) const EMPTY: &str = "empty";

/// With fewer bytes left a disk is as good as full.
const LEAST: u64 = 1 << 20;

/// A store that is open.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// This process's folder in `tmp`.
    scratch: PathBuf,
    next: AtomicU64,
    images: Mutex<images::Known>,
    index: Mutex<Option<images::LastIndex>>,
    /// Whether we are root of a user namespace only, so that some attributes are not ours to set.
    pub(super) user_marks: bool,
    in_use: Lock,
    _alive: Lock,
}

/// A folder for something unfinished, which goes away with this.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_tree(&self.0);
    }
}

impl Store {
    /// Opens a store, making it if there is none, and takes away what crashed processes left.
    pub(super) fn open(folder: &Path, user_marks: bool) -> Result<Self, Error> {
        let unusable = |error: io::Error| unusable(folder, &error);
        for name in FOLDERS {
            std::fs::create_dir_all(folder.join(name)).map_err(unusable)?;
        }
        let folder = folder.canonicalize().map_err(unusable)?;
        // What is in it has owners and setuid bits of an image's choice.
        use std::os::unix::fs::PermissionsExt as _;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, private).map_err(unusable)?;
        let in_use = Lock::shared(&folder.join("lock")).map_err(unusable)?;
        let crashed = sweep(&folder.join("tmp"));
        let (scratch, alive) = own_folder(&folder.join("tmp")).map_err(unusable)?;
        let store = Self {
            folder,
            scratch,
            next: AtomicU64::new(0),
            images: Mutex::default(),
            index: Mutex::default(),
            user_marks,
            in_use,
            _alive: alive,
        };
        store.begin_layout()?;
        if crashed {
            store.repair()?;
        }
        Ok(store)
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that layers' names are relative to.
    pub(super) fn snapshots(&self) -> PathBuf {
        self.folder.join("snapshots")
    }

    /// Whose attributes overlayfs marks layers with.
    pub(super) fn overlay(&self) -> OverlayAttributes {
        if self.user_marks {
            OverlayAttributes::User
        } else {
            OverlayAttributes::Trusted
        }
    }

    /// A new folder for something unfinished.
    pub(super) fn scratch(&self) -> Result<Scratch, Error> {
        let path = self.new_name();
        std::fs::create_dir(&path).map_err(|e| self.error(&path, &e))?;
        Ok(Scratch(path))
    }

    fn new_name(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.scratch.join(number.to_string())
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let partial = self.new_name();
        let written =
            std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
        written.map_err(|e| {
            let _ = std::fs::remove_file(&partial);
            self.error(path, &e)
        })
    }

    /// That next to no space is left, if so: a command may fail of it and keep that to itself.
    pub(super) fn says_full(&self) -> Option<String> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        (free < LEAST).then(|| format!("{}: {free} bytes are left", self.folder.display()))
    }

    /// What went wrong at a path of the store.
    pub(super) fn error(&self, path: &Path, error: &io::Error) -> Error {
        store_error(&self.folder, path, error)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        remove_tree(&self.scratch);
        let _ = std::fs::remove_file(lock_of(&self.scratch));
    }
}

pub(super) fn store_error(folder: &Path, path: &Path, error: &io::Error) -> Error {
    if full(error) {
        return Error::DiskFull {
            message: format!("{}: {error}", path.display()),
        };
    }
    match Errno::from_io_error(error) {
        Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => unusable(folder, error),
        _ => Error::Engine {
            message: format!("{}: {error}", path.display()),
        },
    }
}

/// Whether no space is left, or no more may be taken.
pub(super) fn full(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::DQUOT)
    ) || error.kind() == io::ErrorKind::StorageFull
}

fn unusable(folder: &Path, error: &io::Error) -> Error {
    if full(error) {
        return Error::DiskFull {
            message: format!("{}: {error}", folder.display()),
        };
    }
    Error::Store {
        folder: folder.to_path_buf(),
        reason: error.to_string(),
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// Makes this process's folder, and locks the file beside it that says so.
fn own_folder(tmp: &Path) -> io::Result<(PathBuf, Lock)> {
    loop {
        let folder = tmp.join(format!("{:016x}", rand::random::<u64>()));
        // The lock first: a folder without one that is held is taken away by others.
        let lock = Lock::exclusive(&lock_of(&folder))?;
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok((folder, lock)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Takes away the folders of processes that are no more, and tells whether there were any.
fn sweep(tmp: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(tmp) else {
        return false;
    };
    let mut any = false;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some() {
            continue;
        }
        // Held as long as it is being removed, so that two do not get in each other's way.
        if let Ok(Some(_dead)) = Lock::try_exclusive(&lock_of(&path)) {
            remove_tree(&path);
            let _ = std::fs::remove_file(lock_of(&path));
            any = true;
        }
    }
    any
}

/// Removes a folder with all that is in it, whatever permissions it has. What cannot be removed
/// stays for the next one who tries.
pub(super) fn remove_tree(path: &Path) {
    if std::fs::remove_dir_all(path).is_ok() || std::fs::symlink_metadata(path).is_err() {
        return;
    }
    // overlayfs leaves folders of mode 0 in its work folder, which only root may enter.
    open_up(path);
    let _ = std::fs::remove_dir_all(path);
}

fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    if !is_folder {
        return;
    }
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}
