//! Carrying out one entry of a layer's tar in its target.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::apply::{Applied, ApplyOptions, LeftOut, Refused};
use super::number::{bad, cut_off};
use super::read::{Kind, Member, Reader};
use super::sparse::Map;
use super::target::{Before, Place, Target, c_string, parts};
use super::{OPAQUE, WHITEOUT, WHITEOUT_META, normalise, travels, tree};

/// The most things left out that are kept by name.
const MAX_LEFT_OUT: usize = 100;

pub(super) struct Extract<'a> {
    pub(super) target: Target,
    pub(super) options: &'a ApplyOptions,
    pub(super) applied: Applied,
    pub(super) buffer: Vec<u8>,
}

impl Extract<'_> {
    pub(super) fn entry<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut Reader<R>,
    ) -> io::Result<()> {
        self.applied.entries += 1;
        if self.applied.entries > self.options.max_entries {
            return Err(bad(format!(
                "the layer has more than {} entries, which is what is allowed",
                self.options.max_entries
            )));
        }
        let parts = parts(&member.path)?;
        let Some((name, folders)) = parts.split_last() else {
            return self.root(member);
        };
        if name.len() > 255 {
            return Err(bad("a name has more than 255 bytes"));
        }
        if name.starts_with(WHITEOUT) {
            return self.whiteout(name, folders);
        }
        if let Kind::Character(0, 0) = member.kind {
            // In an overlay's directory that is what a whiteout is.
            return self.gone(name, folders);
        }
        let parent = self.target.directory(folders, true)?;
        match &member.kind {
            Kind::Directory => self.directory(&parent, name, member),
            Kind::File(size, map) => self.file(&parent, name, member, *size, map.as_ref(), tar),
            Kind::HardLink(path) => self.link(&parent, name, path),
            Kind::Symlink(text) => {
                if text.is_empty() {
                    return Err(bad("a symbolic link has no text"));
                }
                self.target.clear(&parent, name, false)?;
                rustix::fs::symlinkat(text.as_slice(), &parent.fd, *name)?;
                self.metadata(&parent, name, member)
            }
            Kind::Fifo => self.node(&parent, name, member, FileType::Fifo, (0, 0)),
            Kind::Character(major, minor) => self.node(
                &parent,
                name,
                member,
                FileType::CharacterDevice,
                (*major, *minor),
            ),
            Kind::Block(major, minor) => self.node(
                &parent,
                name,
                member,
                FileType::BlockDevice,
                (*major, *minor),
            ),
        }
    }

    /// An entry for the root of the layer.
    fn root(&mut self, member: &Member) -> io::Result<()> {
        if !matches!(member.kind, Kind::Directory) {
            return Err(bad("an entry for the root is not a directory"));
        }
        let root = self.target.root();
        self.applied.root_entry = true;
        self.metadata(&root, b".", member)?;
        self.target.time(Vec::new(), member.mtime);
        Ok(())
    }

    fn whiteout(&mut self, name: &[u8], folders: &[&[u8]]) -> io::Result<()> {
        if name == OPAQUE {
            let place = self.target.directory(folders, true)?;
            self.applied.opaque_root |= place.path.is_empty();
            return self.target.hide(&place);
        }
        if name.starts_with(WHITEOUT_META) {
            // What aufs kept for itself.
            return Ok(());
        }
        match &name[WHITEOUT.len()..] {
            b"" | b"." | b".." => Err(bad("a whiteout names no file")),
            gone => self.gone(gone, folders),
        }
    }

    /// Removes what the layers beneath have under a name. What this layer itself has there stays,
    /// whichever came first (image-spec, `layer.md`, "Whiteouts").
    fn gone(&mut self, name: &[u8], folders: &[&[u8]]) -> io::Result<()> {
        let parent = self.target.directory(folders, true)?;
        let Some(stat) = self.target.look(&parent, name)? else {
            let mode = Mode::empty();
            return Ok(rustix::fs::mknodat(
                &parent.fd,
                name,
                FileType::CharacterDevice,
                mode,
                0,
            )?);
        };
        if tree::kind(&stat) == FileType::Directory {
            let whole: Vec<_> = folders.iter().copied().chain([name]).collect();
            let place = self.target.directory(&whole, false)?;
            self.target.hide(&place)?;
        }
        Ok(())
    }

    fn directory(&mut self, parent: &Place, name: &[u8], member: &Member) -> io::Result<()> {
        let before = self.target.clear(parent, name, true)?;
        if before != Before::Directory {
            rustix::fs::mkdirat(&parent.fd, name, Mode::from_raw_mode(0o700))?;
        }
        if before == Before::Whiteout {
            // What stood beneath was removed before this came.
            let fd = tree::open(std::os::fd::AsFd::as_fd(&*parent.fd), name)?;
            self.target.hide(&Place {
                path: parent.child(name),
                fd: std::rc::Rc::new(fd),
            })?;
        }
        self.metadata(parent, name, member)?;
        self.target.time(parent.child(name), member.mtime);
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        parent: &Place,
        name: &[u8],
        member: &Member,
        size: u64,
        map: Option<&Map>,
        tar: &mut Reader<R>,
    ) -> io::Result<()> {
        self.applied.size = self.applied.size.saturating_add(size);
        if self.applied.size > self.options.max_size {
            return Err(bad(format!(
                "the layer's files have more than {} bytes, which is what is allowed",
                self.options.max_size
            )));
        }
        self.target.clear(parent, name, false)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let mut file = File::from(rustix::fs::openat(&parent.fd, name, flags, mode)?);
        let mut content = tar.content();
        match map {
            None => self.copy(&mut content, &mut file, size)?,
            Some(map) => {
                for (offset, length) in &map.parts {
                    file.seek(SeekFrom::Start(*offset))?;
                    self.copy(&mut content, &mut file, *length)?;
                }
                file.set_len(size)?;
            }
        }
        drop(file);
        self.metadata(parent, name, member)
    }

    fn copy(&mut self, from: &mut impl Read, to: &mut File, mut left: u64) -> io::Result<()> {
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let count = from.read(&mut self.buffer[..most])?;
            if count == 0 {
                return Err(cut_off());
            }
            to.write_all(&self.buffer[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    /// A further name of a file that came before. The link's last part is not followed.
    fn link(&mut self, parent: &Place, name: &[u8], path: &[u8]) -> io::Result<()> {
        let missing = || bad("a hard link names a file that this layer does not have");
        let parts = parts(path)?;
        let Some((first, folders)) = parts.split_last() else {
            return Err(missing());
        };
        let source = match self.target.directory(folders, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            other => other?,
        };
        let stat = self.target.look(&source, first)?.ok_or_else(missing)?;
        if tree::is_whiteout(&stat) || tree::kind(&stat) == FileType::Directory {
            return Err(missing());
        }
        if let Some(old) = self.target.look(parent, name)?
            && (old.st_dev, old.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        if self.target.clear(parent, name, false)? == Before::Nothing {
            // A directory that made way may have been where the file was.
            self.target.look(&source, first)?.ok_or_else(missing)?;
        }
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(
            &source.fd, *first, &parent.fd, name, flags,
        )?)
    }

    fn node(
        &mut self,
        parent: &Place,
        name: &[u8],
        member: &Member,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> io::Result<()> {
        self.target.clear(parent, name, false)?;
        let device = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(&parent.fd, name, kind, Mode::from_raw_mode(0o600), device) {
            Ok(()) => self.metadata(parent, name, member),
            Err(error @ Errno::PERM) if kind != FileType::Fifo => {
                self.refused(member, "a device", error)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Owner, attributes, mode and time, in the order in which none undoes another: a new owner
    /// takes away set-user-id and capabilities.
    fn metadata(&mut self, parent: &Place, name: &[u8], member: &Member) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&parent.fd, name, Some(uid), Some(gid), flags)?;
        let symlink = matches!(member.kind, Kind::Symlink(_));
        if !symlink {
            // This call follows links; the name was made just now, and is none.
            let mode = Mode::from_raw_mode(member.mode);
            rustix::fs::chmodat(&parent.fd, name, mode, AtFlags::empty())?;
        }
        for (attribute, value) in member.attributes.iter().filter(|(name, _)| travels(name)) {
            let path = tree::by_descriptor(&*parent.fd, name);
            let attribute = c_string(attribute)?;
            match rustix::fs::lsetxattr(&path, &*attribute, value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(error @ (Errno::NOTSUP | Errno::PERM)) => {
                    let what = format!("the attribute {}", attribute.to_string_lossy());
                    self.refused(member, &what, error)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !matches!(member.kind, Kind::Directory) {
            let times = normalise::times(member.mtime);
            rustix::fs::utimensat(&parent.fd, name, &times, flags)?;
        }
        Ok(())
    }

    /// Something that the system does not let this user make.
    fn refused(&mut self, member: &Member, what: &str, error: Errno) -> io::Result<()> {
        let error = io::Error::from(error);
        if self.options.refused == Refused::Fail {
            return Err(io::Error::new(
                error.kind(),
                format!("cannot make {what}: {error}"),
            ));
        }
        self.applied.left_out_count += 1;
        if self.applied.left_out.len() < MAX_LEFT_OUT {
            self.applied.left_out.push(LeftOut {
                path: String::from_utf8_lossy(&member.path).into_owned(),
                reason: format!("cannot make {what}: {error}"),
            });
        }
        Ok(())
    }
}
