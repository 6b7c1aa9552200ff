//! The file tree that is worked on, and how a path in it becomes a file.
//!
//! The superuser works here in directories that belong to a service's user, who can lay a link at
//! any moment. So no path is handed to the kernel whole: it is walked name by name, each directory
//! held open, and a link is followed only where it belongs to somebody who need not lay traps: the
//! superuser, this process's own user, or whoever owns the configuration. What is found is a
//! [`Place`], a name in an open directory, and nothing done to one follows a link.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// As many links as the kernel follows in a path.
const MAX_LINKS: u32 = 40;

/// A tree with `/` somewhere: in tests, in a temporary directory.
#[derive(Debug)]
pub(crate) struct Root {
    base: OwnedFd,
    host: PathBuf,
    trusted: Vec<u32>,
}

/// What becomes of a link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

impl Root {
    /// The tree whose `/` is `host`.
    pub(crate) fn new(host: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let base =
            rustix::fs::openat(CWD, host, flags, Mode::empty()).map_err(Error::io("open", host))?;
        let own = rustix::process::geteuid().as_raw();
        Ok(Self {
            base,
            host: host.to_owned(),
            trusted: vec![0, own],
        })
    }

    /// Follows the links of this user too.
    pub(crate) fn trust(&mut self, user: u32) {
        self.trusted.push(user);
    }

    /// Where the kernel finds `path`, for programs of the image.
    pub(crate) fn host_path(&self, path: &Path) -> PathBuf {
        let path = path.strip_prefix("/").unwrap_or(path);
        self.host.join(path)
    }

    /// The place that `path` leads to; there need not be anything.
    pub(crate) fn follow(&self, path: &Path) -> Result<Place> {
        self.walk(path, Last::Follow)
    }

    /// The place that `path` names, where the last name may be that of a link.
    pub(crate) fn name(&self, path: &Path) -> Result<Place> {
        self.walk(path, Last::Keep)
    }

    fn walk(&self, path: &Path, last: Last) -> Result<Place> {
        let base = || self.base.try_clone().map_err(Error::io("open", path));
        let mut above: Vec<OwnedFd> = vec![base()?];
        let mut names: VecDeque<OsString> = names(path).collect();
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            if name == ".." {
                if above.len() > 1 {
                    above.pop();
                }
                continue;
            }
            let at_end = names.is_empty();
            let Some(dir) = above.last() else { break };
            let place = Place {
                dir: dir.try_clone().map_err(Error::io("open", path))?,
                name,
                path: path.to_owned(),
            };
            if at_end && last == Last::Keep {
                return Ok(place);
            }
            let Some(node) = place.node()? else {
                if at_end {
                    return Ok(place);
                }
                return Err(Error::io("find", path)(Errno::NOENT));
            };
            match node.kind() {
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::io("find", path)(Errno::LOOP));
                    }
                    let owner = node.owner().0;
                    if !self.trusted.contains(&owner) {
                        let link = path.to_owned();
                        return Err(Error::Link { link, owner });
                    }
                    let target = place.link_target()?;
                    if target.is_absolute() {
                        above.truncate(1);
                    }
                    for name in self::names(&target).rev() {
                        names.push_front(name);
                    }
                }
                FileType::Directory if !at_end => above.push(node.fd),
                _ if at_end => return Ok(place),
                _ => return Err(Error::io("find", path)(Errno::NOTDIR)),
            }
        }
        // The path ended in `/`, or in a `..` that led here.
        let dir = above.pop().map_or_else(base, Ok)?;
        Ok(Place {
            dir,
            name: OsString::from("."),
            path: path.to_owned(),
        })
    }

    /// Makes the directories that are missing on the way to `path` and `path` itself; the answer
    /// names those that were made, outermost first.
    pub(crate) fn make_dirs(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut made = Vec::new();
        let mut so_far = PathBuf::from("/");
        for name in names(path) {
            so_far.push(name);
            let place = self.follow(&so_far)?;
            match place.node()? {
                None => {
                    place.make_dir(0o755)?;
                    made.push(so_far.clone());
                }
                Some(node) if node.is_dir() => {}
                Some(node) => return Err(node.unexpected("a directory")),
            }
        }
        Ok(made)
    }

    /// The directories that [`Root::make_dirs`] would make.
    pub(crate) fn missing_dirs(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut so_far = PathBuf::from("/");
        let mut missing = Vec::new();
        for name in names(path) {
            so_far.push(name);
            if !missing.is_empty() || self.follow(&so_far)?.node()?.is_none() {
                missing.push(so_far.clone());
            }
        }
        Ok(missing)
    }

    /// The bytes of a file, at most `limit` of them.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.follow(path) {
            Ok(place) => place.read(limit),
            Err(Error::Io { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

/// A name in a directory that is held open, whether or not there is anything of that name.
#[derive(Debug)]
pub(crate) struct Place {
    dir: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Place {
    /// The path that led here, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A place beside this one, under another name.
    pub(crate) fn beside(&self, prefix: &str, suffix: &str) -> Result<Self> {
        let mut name = OsString::from(prefix);
        name.push(&self.name);
        name.push(suffix);
        Ok(Self {
            dir: self
                .dir
                .try_clone()
                .map_err(Error::io("open", &self.path))?,
            path: self.path.with_file_name(&name),
            name,
        })
    }

    /// What is here, itself and not what a link points to.
    pub(crate) fn node(&self) -> Result<Option<Node>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::io("open", &self.path)(error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(Error::io("look at", &self.path))?;
        Ok(Some(Node {
            fd,
            stat,
            path: self.path.clone(),
        }))
    }

    /// The directory here.
    pub(crate) fn directory(&self) -> Result<Node> {
        let node = self.required()?;
        if node.is_dir() {
            Ok(node)
        } else {
            Err(node.unexpected("a directory"))
        }
    }

    /// What is here, which is asked for.
    pub(crate) fn required(&self) -> Result<Node> {
        self.node()?
            .ok_or_else(|| Error::io("find", &self.path)(Errno::NOENT))
    }

    pub(crate) fn link_target(&self) -> Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.dir, &self.name, Vec::new())
            .map_err(Error::io("read the link", &self.path))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Opens a regular file to read it. Never waits for the other end of a pipe.
    pub(crate) fn open(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let node = self.required()?;
        if node.kind() != FileType::RegularFile {
            return Err(node.unexpected("a regular file"));
        }
        let fd = rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty())
            .map_err(Error::io("read", &self.path))?;
        let stat = rustix::fs::fstat(&fd).map_err(Error::io("look at", &self.path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(node.unexpected("a regular file"));
        }
        Ok(File::from(fd))
    }

    /// The bytes of the file here, at most `limit` of them; nothing where there is no file.
    pub(crate) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.node()?.is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = self.open()?.take(limit + 1).read_to_end(&mut bytes);
        let read = read.map_err(Error::io("read", &self.path))?;
        if read as u64 > limit {
            return Err(Error::io("read", &self.path)(Errno::FBIG));
        }
        Ok(Some(bytes))
    }

    /// A new file for writing, which only its owner can read.
    pub(crate) fn create(&self) -> Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, &self.name, flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .map_err(Error::io("create", &self.path))
    }

    /// A new directory, which is nobody else's even where others may rename it away.
    pub(crate) fn make_dir(&self, mode: u32) -> Result<Node> {
        rustix::fs::mkdirat(&self.dir, &self.name, Mode::from_raw_mode(0o700))
            .map_err(Error::io("create", &self.path))?;
        let node = self.required()?;
        let own = rustix::process::geteuid().as_raw();
        if !node.is_dir() || node.owner().0 != own {
            return Err(node.unexpected("the directory that was just created"));
        }
        // Not left to the umask.
        node.set_mode(mode)?;
        Ok(node)
    }

    /// Whose the directory is that the name is in.
    pub(crate) fn dir_owner(&self) -> Result<u32> {
        let stat = rustix::fs::fstat(&self.dir).map_err(Error::io("look at", &self.path))?;
        Ok(stat.st_uid)
    }

    pub(crate) fn make_link(&self, target: &Path) -> Result<()> {
        rustix::fs::symlinkat(target, &self.dir, &self.name)
            .map_err(Error::io("create the link", &self.path))
    }

    /// Takes the place of whatever is at `other`, a directory apart.
    pub(crate) fn rename_to(&self, other: &Self) -> Result<()> {
        rustix::fs::renameat(&self.dir, &self.name, &other.dir, &other.name)
            .map_err(Error::io("put in place", &other.path))
    }

    /// Removes what is here with all that is below it, but no mount and nothing behind a link.
    pub(crate) fn remove(&self) -> Result<()> {
        let Some(node) = self.node()? else {
            return Ok(());
        };
        let mut flags = AtFlags::empty();
        if node.is_dir() {
            let above = rustix::fs::fstat(&self.dir).map_err(Error::io("look at", &self.path))?;
            if above.st_dev != node.stat.st_dev {
                let found = "a mounted file system";
                let expected = "a directory that can be replaced (`merge` puts files into one)";
                return Err(node.kind_error(found, expected));
            }
            for child in node.children()? {
                child.remove()?;
            }
            flags = AtFlags::REMOVEDIR;
        }
        rustix::fs::unlinkat(&self.dir, &self.name, flags).map_err(Error::io("remove", &self.path))
    }

    /// Removes an empty directory; a full one stays.
    pub(crate) fn remove_if_empty(&self) {
        // Whatever the reason: it is only tidier without.
        let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR);
    }
}

/// A file of any kind, held so that nobody can put another in its place.
#[derive(Debug)]
pub(crate) struct Node {
    fd: OwnedFd,
    stat: Stat,
    path: PathBuf,
}

impl Node {
    /// An open file, under the name it was opened by.
    pub(crate) fn of(file: &File, path: &Path) -> Result<Self> {
        let failed = || Error::io("look at", path);
        let fd = OwnedFd::from(file.try_clone().map_err(Error::io("look at", path))?);
        let stat = rustix::fs::fstat(&fd).map_err(failed())?;
        let path = path.to_owned();
        Ok(Self { fd, stat, path })
    }

    /// A name in this directory.
    pub(crate) fn child(&self, name: &OsStr) -> Result<Place> {
        Ok(Place {
            dir: self.fd.try_clone().map_err(Error::io("open", &self.path))?,
            path: self.path.join(name),
            name: name.to_owned(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    /// User and group.
    pub(crate) fn owner(&self) -> (u32, u32) {
        (self.stat.st_uid, self.stat.st_gid)
    }

    /// The twelve bits of the permissions.
    pub(crate) fn mode(&self) -> u32 {
        self.stat.st_mode & 0o7777
    }

    /// How many names a file has.
    pub(crate) fn names(&self) -> u64 {
        // The type differs between architectures.
        #[allow(clippy::useless_conversion)]
        u64::from(self.stat.st_nlink)
    }

    pub(crate) fn stat(&self) -> &Stat {
        &self.stat
    }

    /// What is in a directory, by name.
    pub(crate) fn children(&self) -> Result<Vec<Place>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |error: Errno| Error::io("list", &self.path)(error);
        let fd = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(failed)? {
            let name = OsString::from_vec(entry.map_err(failed)?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        names.iter().map(|name| self.child(name)).collect()
    }

    pub(crate) fn set_owner(&self, (user, group): (u32, u32)) -> Result<()> {
        let user = Some(Uid::from_raw(user));
        let group = Some(Gid::from_raw(group));
        rustix::fs::chownat(&self.fd, "", user, group, AtFlags::EMPTY_PATH)
            .map_err(Error::io("change the owner of", &self.path))
    }

    /// Not for links, which have none.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<()> {
        if self.is_link() {
            return Ok(());
        }
        // The kernel takes no such handle for this, but its name below /proc, which leads to the
        // very file.
        rustix::fs::chmod(self.proc_name(), Mode::from_raw_mode(mode))
            .map_err(Error::io("change the permissions of", &self.path))
    }

    pub(crate) fn proc_name(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// The error for a file of the wrong kind.
    pub(crate) fn unexpected(&self, expected: &'static str) -> Error {
        let found = match self.kind() {
            FileType::RegularFile => "a regular file",
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            _ => "a device",
        };
        self.kind_error(found, expected)
    }

    fn kind_error(&self, found: &'static str, expected: &'static str) -> Error {
        Error::Kind {
            path: self.path.clone(),
            found,
            expected,
        }
    }
}

/// The last name of a path.
pub(crate) fn last_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_else(|| OsStr::new(""))
}
