//! Copying files into the root file system, as BuildKit's file operations do
//! (`solver/llbsolver/file` and `fsutil/copy`). Runs confined to it: paths written to are plain
//! ones, and what is read is reached through opened trees alone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags};

use super::identity::Accounts;
use super::spec::{self, Failure, Owner, Transfer};
use super::tree::{Found, Root, names};
use super::unpack;
use crate::context::Ignore;
use crate::dockerfile::FileMode;
use crate::model::Source;

/// How many links a path may go through.
const MAX_LINKS: usize = 40;

/// How deep folders may lie in each other.
const MAX_DEPTH: usize = 1000;

/// What is done to everything that is copied.
pub(super) struct Rules {
    owner: Option<(u32, u32)>,
    mode: Option<FileMode>,
    excludes: Ignore,
    /// Files with several names, as they were copied under the first.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Rules {
    pub(super) fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }
}

/// Carries out `COPY` or `ADD`; the trees are those of its sources.
pub(super) fn run(copy: &Transfer, trees: &[OwnedFd]) -> Result<(), Failure> {
    let accounts = Accounts::read(Path::new("/"));
    let owner = copy.owner.as_ref().map(|o| accounts.owner(o));
    let mode = copy.mode.as_deref().map(|text| {
        FileMode::parse(text).ok_or_else(|| Failure::asked(format!("`{text}` is no mode")))
    });
    let mut rules = Rules {
        owner,
        mode: mode.transpose()?,
        excludes: Ignore::parse(&Source::new("--exclude", copy.excludes.join("\n")))
            .map_err(|problem| Failure::asked(format!("--exclude: {}", problem.message())))?,
        links: HashMap::new(),
    };
    let mut sources = Vec::new();
    for (source, tree) in copy.sources.iter().zip(trees) {
        let mut root = Root::new(tree.as_fd());
        if copy.parents {
            root = root.deep();
        }
        let found = root.find(&source.path, source.glob)?;
        sources.push((source, found));
    }
    for (source, found) in &sources {
        for one in found {
            rules.links.clear();
            place(copy, source, one, &mut rules)?;
        }
    }
    Ok(())
}

fn place(
    copy: &Transfer,
    source: &spec::Source,
    found: &Found,
    rules: &mut Rules,
) -> Result<(), Failure> {
    let base = follow(Path::new(&copy.destination))?;
    if copy.parents {
        let below = pivot(&source.path, &found.path);
        let target = base.join(&below);
        if rules.left_out(&below) {
            return Ok(());
        }
        // The folders on the way keep what they are in the source.
        make_owned(&base, rules)?;
        let above = below.parent().unwrap_or(Path::new(""));
        make_owned(&base.join(above), rules)?;
        return copy_found(found, &target, &below, rules);
    }
    if source.unpack && unpack::archive(found, &base, rules)? {
        return Ok(());
    }
    if found.is_folder() {
        // `--chmod` is for what is in it.
        make_plain(&base, rules)?;
        return copy_contents(found.file.as_fd(), &base, Path::new(""), rules, 0);
    }
    let into = copy.destination.ends_with('/') || base.is_dir();
    let name = found.path.file_name().unwrap_or(OsStr::new(""));
    if rules.left_out(Path::new(name)) {
        return Ok(());
    }
    let target = if into { base.join(name) } else { base };
    if let Some(above) = target.parent() {
        make_owned(above, rules)?;
    }
    copy_found(found, &target, Path::new(name), rules)
}

/// What of a path `--parents` makes below the destination: that behind `/./`, or all of it.
fn pivot(written: &str, found: &Path) -> PathBuf {
    let skipped = match written.find("/./") {
        Some(at) => super::tree::clean(Path::new(&written[..at]))
            .components()
            .count(),
        None => 0,
    };
    found.components().skip(skipped).collect()
}

impl Rules {
    fn left_out(&self, path: &Path) -> bool {
        self.excludes.excludes(&path.to_string_lossy())
    }
}

fn copy_found(found: &Found, target: &Path, name: &Path, rules: &mut Rules) -> Result<(), Failure> {
    if found.is_folder() {
        copy_folder(found.file.as_fd(), &found.stat, target, name, rules, 0)
    } else {
        copy_node(Node::Opened(found.file.as_fd()), &found.stat, target, rules)
    }
}

fn copy_contents(
    folder: BorrowedFd<'_>,
    target: &Path,
    path: &Path,
    rules: &mut Rules,
    depth: usize,
) -> Result<(), Failure> {
    let wrong = |e: rustix::io::Errno| {
        Failure::system(format!("cannot read {}", path.display()), &e.into())
    };
    if depth > MAX_DEPTH {
        return Err(Failure::asked(format!(
            "{} is nested too deep",
            path.display()
        )));
    }
    for name in names(folder).map_err(wrong)? {
        let below = path.join(&name);
        let stat = rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode).is_dir();
        let left_out = rules.left_out(&below);
        if left_out && !(is_folder && rules.excludes.has_exceptions()) {
            continue;
        }
        if is_folder {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner = rustix::fs::openat(folder, &name, flags, Mode::empty()).map_err(wrong)?;
            let target = target.join(&name);
            copy_folder(inner.as_fd(), &stat, &target, &below, rules, depth + 1)?;
        } else {
            copy_node(
                Node::Named(folder, &name),
                &stat,
                &target.join(&name),
                rules,
            )?;
        }
    }
    Ok(())
}

fn copy_folder(
    folder: BorrowedFd<'_>,
    stat: &Stat,
    target: &Path,
    path: &Path,
    rules: &mut Rules,
    depth: usize,
) -> Result<(), Failure> {
    match std::fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() => {}
        Ok(_) => {
            return Err(Failure::asked(format!(
                "cannot put a folder in the place of {}, which is none",
                target.display()
            )));
        }
        Err(_) => {
            let mut builder = std::fs::DirBuilder::new();
            builder
                .mode(0o700)
                .create(target)
                .map_err(|e| cannot_write(target, &e))?;
        }
    }
    copy_contents(folder, target, path, rules, depth)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(readable) = rustix::fs::openat(folder, ".", flags, Mode::empty()) {
        copy_attributes(readable.as_fd(), target)?;
    }
    settle(target, stat, rules)
}

/// How a source that is no folder is reached.
enum Node<'a> {
    /// Opened as a path.
    Opened(BorrowedFd<'a>),
    /// By its name in a folder.
    Named(BorrowedFd<'a>, &'a OsStr),
}

impl Node<'_> {
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match self {
            // Opened for reading when it was found.
            Self::Opened(fd) => {
                let file = File::from(fd.try_clone_to_owned()?);
                io::Seek::rewind(&mut &file)?;
                Ok(file)
            }
            Self::Named(folder, name) => {
                let opened = rustix::fs::openat(folder, *name, flags, Mode::empty())?;
                Ok(File::from(opened))
            }
        }
    }

    fn link(&self) -> io::Result<std::ffi::CString> {
        Ok(match self {
            Self::Opened(fd) => rustix::fs::readlinkat(fd, "", Vec::new())?,
            Self::Named(folder, name) => rustix::fs::readlinkat(folder, *name, Vec::new())?,
        })
    }
}

fn copy_node(node: Node<'_>, stat: &Stat, target: &Path, rules: &mut Rules) -> Result<(), Failure> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Socket {
        return Ok(());
    }
    clear(target)?;
    let key = (stat.st_dev, stat.st_ino);
    if stat.st_nlink > 1 {
        if let Some(first) = rules.links.get(&key) {
            return std::fs::hard_link(first, target).map_err(|e| cannot_write(target, &e));
        }
        rules.links.insert(key, target.to_path_buf());
    }
    let cannot_read = |e: io::Error| {
        Failure::system(format!("cannot read what becomes {}", target.display()), &e)
    };
    match kind {
        FileType::RegularFile => {
            let from = node.open().map_err(cannot_read)?;
            copy_file(&from, stat, target)?;
            copy_attributes(from.as_fd(), target)?;
        }
        FileType::Symlink => {
            let link = node.link().map_err(cannot_read)?;
            rustix::fs::symlink(&link, target).map_err(|e| cannot_write(target, &e.into()))?;
        }
        _ => {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            rustix::fs::mknodat(CWD, target, kind, mode, stat.st_rdev)
                .map_err(|e| cannot_write(target, &e.into()))?;
        }
    }
    settle(target, stat, rules)
}

fn copy_file(from: &File, stat: &Stat, target: &Path) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let to = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target);
    let mut to = to.map_err(|e| cannot_write(target, &e))?;
    let sparse =
        u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < u64::try_from(stat.st_size).unwrap_or(0);
    let mut from = from;
    let copied = if sparse {
        copy_sparse(from, &to)
    } else {
        io::copy(&mut from, &mut to).map(drop)
    };
    copied.map_err(|e| cannot_write(target, &e))
}

/// Copies the parts that hold data, and leaves holes where holes are.
fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    use rustix::fs::SeekFrom;
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data behind this place.
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        rustix::fs::seek(from, SeekFrom::Start(start))?;
        rustix::fs::seek(to, SeekFrom::Start(start))?;
        io::copy(&mut io::Read::take(from, end - start), &mut &*to)?;
        at = end;
        if at >= size {
            return Ok(());
        }
    }
}

fn copy_attributes(from: BorrowedFd<'_>, target: &Path) -> Result<(), Failure> {
    let mut list = vec![0; 64 * 1024];
    let Ok(length) = rustix::fs::flistxattr(from, &mut list[..]) else {
        return Ok(());
    };
    for name in list[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        if let Ok(length) = rustix::fs::fgetxattr(from, name, &mut value[..]) {
            // Labels of a security module are the host's affair.
            match rustix::fs::lsetxattr(target, name, &value[..length], XattrFlags::empty()) {
                Err(e) if !name.starts_with("security.selinux") => {
                    return Err(Failure::system(
                        format!("cannot set {name} on {}", target.display()),
                        &e.into(),
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Gives what was copied its owner, permissions and times, in this order: a new owner takes setuid
/// away, and all of them set the time.
fn settle(target: &Path, stat: &Stat, rules: &Rules) -> Result<(), Failure> {
    let (uid, gid) = rules.owner.unwrap_or((stat.st_uid, stat.st_gid));
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut mode = stat.st_mode & 0o7777;
    if let Some(rule) = &rules.mode {
        mode = rule.apply(mode, kind.is_dir());
    }
    finish(
        target,
        uid,
        gid,
        (kind != FileType::Symlink).then_some(mode),
        stat.st_mtime,
    )
}

/// Sets owner, permissions and the time, of a link itself.
pub(super) fn finish(
    target: &Path,
    uid: u32,
    gid: u32,
    mode: Option<u32>,
    seconds: i64,
) -> Result<(), Failure> {
    use rustix::fs::{Gid, Uid};
    let wrong = |e: rustix::io::Errno| cannot_write(target, &e.into());
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let attributes = read_capabilities(target);
    rustix::fs::chownat(CWD, target, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(wrong)?;
    if let Some(value) = attributes {
        rustix::fs::lsetxattr(target, "security.capability", &value, XattrFlags::empty())
            .map_err(wrong)?;
    }
    if let Some(mode) = mode {
        rustix::fs::chmodat(CWD, target, Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(wrong)?;
    }
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)
}

/// The capabilities of a file, which a new owner would take away.
fn read_capabilities(target: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(target, "security.capability", &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Takes away what is in the place of a file. A folder stays, and is an error.
pub(super) fn clear(target: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() => Err(Failure::asked(format!(
            "cannot put a file in the place of the folder {}",
            target.display()
        ))),
        Ok(_) => std::fs::remove_file(target).map_err(|e| cannot_write(target, &e)),
        Err(_) => Ok(()),
    }
}

pub(super) fn cannot_write(target: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("cannot write {}", target.display()), error)
}

/// Where a path leads: its last part followed while it is a link. What it leads to need not exist.
pub(super) fn follow(path: &Path) -> Result<PathBuf, Failure> {
    let mut at: PathBuf = path.components().collect();
    for _ in 0..MAX_LINKS {
        let Ok(link) = std::fs::read_link(&at) else {
            return Ok(at);
        };
        at = match at.parent() {
            Some(above) => above.join(link),
            None => link,
        };
    }
    Err(Failure::asked(format!(
        "{} is a link to itself",
        path.display()
    )))
}

/// Makes a folder and those above it, as far as they are missing, for an owner.
pub(super) fn make_folder(path: &str, owner: Option<&Owner>) -> Result<(), Failure> {
    let owner = owner.map(|owner| Accounts::read(Path::new("/")).owner(owner));
    make(Path::new(path), owner, 0o755)
}

/// The same for a folder that something is copied to.
pub(super) fn make_owned(path: &Path, rules: &Rules) -> Result<(), Failure> {
    let mode = rules
        .mode
        .as_ref()
        .map_or(0o755, |mode| mode.apply(0o755, true));
    make(path, rules.owner, mode)
}

/// The same for a folder that others are copied to, or an archive is unpacked in.
pub(super) fn make_plain(path: &Path, rules: &Rules) -> Result<(), Failure> {
    make(path, rules.owner, 0o755)
}

fn make(path: &Path, owner: Option<(u32, u32)>, mode: u32) -> Result<(), Failure> {
    let mut at = PathBuf::from("/");
    for part in path.components().skip(1) {
        if part == std::path::Component::ParentDir {
            at.pop();
            continue;
        }
        at = follow(&at.join(part))?;
        match std::fs::metadata(&at) {
            Ok(there) if there.is_dir() => continue,
            Ok(_) => {
                return Err(Failure::asked(format!(
                    "cannot make the folder {}: {} is a file",
                    path.display(),
                    at.display()
                )));
            }
            Err(_) => {}
        }
        // A link may lead to where several folders are missing.
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(0o755).recursive(true).create(&at);
        made.map_err(|e| cannot_write(&at, &e))?;
        if mode != 0o755 {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&at, std::fs::Permissions::from_mode(mode))
                .map_err(|e| cannot_write(&at, &e))?;
        }
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::lchown(&at, Some(uid), Some(gid))
                .map_err(|e| cannot_write(&at, &e))?;
        }
    }
    Ok(())
}
