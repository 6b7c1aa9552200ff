//! The build context, unpacked where steps can read it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::super::super::{Context, Error};
use super::super::step::{Found, Root};
use crate::model::Digest;
use crate::oci::hash::Hashing;

/// The Dockerfile's name in a context.
const DOCKERFILE: &str = "Dockerfile";

/// A Dockerfile is read into memory; larger ones are refused.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// A context on disk, and the digests of what is in it.
pub(super) struct Unpacked {
    folder: PathBuf,
    root: OwnedFd,
    /// By path: what it is, its permissions, and the digest of its content or the text of a link.
    entries: BTreeMap<PathBuf, String>,
}

impl Unpacked {
    /// Unpacks a context into an empty folder and returns it with its Dockerfile.
    pub(super) fn new(context: &dyn Context, folder: PathBuf) -> Result<(Self, String), Error> {
        let wrong = |e: io::Error| context_error(&folder, &e);
        std::fs::create_dir(&folder).map_err(wrong)?;
        let root: OwnedFd = File::open(&folder).map_err(wrong)?.into();
        let mut unpacked = Self {
            folder: folder.clone(),
            root,
            entries: BTreeMap::new(),
        };
        let mut archive = tar::Archive::new(context.open().map_err(wrong)?);
        for entry in archive.entries().map_err(wrong)? {
            unpacked.take(&mut entry.map_err(wrong)?).map_err(wrong)?;
        }
        // The rest of the stream: a reader may only then find that it was cut short.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(wrong)?;
        // As a link it could show what is in any file of the host.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&unpacked.root, DOCKERFILE, flags, Mode::empty());
        let mut text = String::new();
        File::from(file.map_err(|e| wrong(e.into()))?)
            .take(MAX_DOCKERFILE)
            .read_to_string(&mut text)
            .map_err(wrong)?;
        Ok((unpacked, text))
    }

    fn take(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
        let path: PathBuf = entry
            .path()?
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        if entry
            .path()?
            .components()
            .any(|part| part == std::path::Component::ParentDir)
        {
            return Err(io::Error::other(format!(
                "`{}` leads out of the context",
                path.display()
            )));
        }
        let Some(name) = path.file_name() else {
            return Ok(());
        };
        let above = self.folder_at(path.parent().unwrap_or(Path::new("")))?;
        let mode = entry.header().mode()? & 0o7777;
        let kind = entry.header().entry_type();
        let told = if kind.is_dir() {
            match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            format!("d{mode:o}")
        } else if kind.is_file() {
            let file = create(&above, name, mode)?;
            let mut file = Hashing::new(file);
            io::copy(entry, &mut file)?;
            let (file, digest, _) = file.finish();
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
            format!("f{mode:o} {digest}")
        } else if kind.is_symlink() {
            let link = entry.link_name_bytes().unwrap_or_default();
            rustix::fs::symlinkat(OsStr::from_bytes(&link), &above, name)?;
            format!("l{}", Digest::of(&link))
        } else {
            return Err(io::Error::other(format!(
                "`{}` is neither a file, a folder nor a link",
                path.display()
            )));
        };
        // Times show in images, so they are no matter of when the context was unpacked.
        let time = rustix::fs::Timespec {
            tv_sec: i64::try_from(entry.header().mtime()?).unwrap_or(0),
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(&above, name, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        self.entries.insert(path, told);
        Ok(())
    }

    /// Opens a folder of the context, making it where it is missing, and following no link.
    fn folder_at(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = self.root.try_clone()?;
        for part in path {
            match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = rustix::fs::openat2(
                &at,
                part,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
            )?;
        }
        Ok(at)
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a source names in it, as text that changes whenever what would be copied does.
    pub(super) fn digest(&self, source: &str, glob: bool) -> Result<String, Error> {
        let found = Root::new(self.root.as_fd()).deep().find(source, glob);
        let found = found.map_err(|failure| Error::Refused {
            message: failure.message,
        })?;
        let mut text = String::new();
        for Found { path, .. } in &found {
            // What a link on the way leads to has its own name, by which it is known here.
            let real = self.real(path);
            text.push_str(&format!("{}\0", path.display()));
            let below = self.entries.range(real.clone()..);
            for (name, told) in below.take_while(|(name, _)| name.starts_with(&real)) {
                let name = name.strip_prefix(&real).unwrap_or(name);
                text.push_str(&format!("{}\0{told}\0", name.display()));
            }
        }
        Ok(Digest::of(text).hex())
    }

    fn real(&self, path: &Path) -> PathBuf {
        let whole = self.folder.join(path);
        let real = whole.canonicalize().ok();
        let inside = real.and_then(|real| {
            let folder = self.folder.canonicalize().ok()?;
            real.strip_prefix(folder).map(Path::to_path_buf).ok()
        });
        // A link that is absolute, or leads above the context, is resolved in it all the same, and
        // where it then ends is not known: the whole context stands for it.
        inside.unwrap_or_default()
    }
}

fn create(above: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(
        above,
        name,
        flags,
        Mode::from_raw_mode(mode & 0o777),
    )?))
}

fn context_error(folder: &Path, error: &io::Error) -> Error {
    if super::super::store::full(error) {
        return Error::DiskFull {
            message: format!("{}: {error}", folder.display()),
        };
    }
    Error::Context {
        message: error.to_string(),
    }
}
