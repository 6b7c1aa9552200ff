//! Unpacking the archives that `ADD` names. What an archive says is only ever done below the root
//! file system that the process is confined to.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use tar::EntryType;

use super::spec::Failure;
use super::transfer::{Rules, cannot_write, finish, make_plain};
use super::tree::{Found, clean};
use crate::sys::{Ended, Forked, die_with_parent, exit, fork, wait};

/// Unpacks a file into a folder if it is an archive, compressed or not; tells whether it was.
pub(super) fn archive(found: &Found, into: &Path, rules: &Rules) -> Result<bool, Failure> {
    if FileType::from_raw_mode(found.stat.st_mode) != FileType::RegularFile {
        return Ok(false);
    }
    let wrong =
        |e: io::Error| Failure::asked(format!("cannot unpack {}: {e}", found.path.display()));
    let open = || -> io::Result<File> {
        let mut file = File::from(found.file.try_clone()?);
        file.rewind()?;
        Ok(file)
    };
    if !is_archive(open().map_err(wrong)?) {
        return Ok(false);
    }
    make_plain(into, rules)?;
    confined(into, || {
        let stream = decompress(open().map_err(wrong)?).map_err(wrong)?;
        let mut folders = HashMap::new();
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries().map_err(wrong)? {
            let mut entry = entry.map_err(wrong)?;
            unpack_entry(&mut entry, rules, &mut folders)?;
        }
        // Last, since what is put into a folder changes its time.
        for (folder, (uid, gid, mode, time)) in folders {
            finish(&folder, uid, gid, Some(mode), time)?;
        }
        Ok(())
    })?;
    Ok(true)
}

/// Does something in a process to which a folder is the root: not even the links that an archive
/// brings along lead out of the folder.
fn confined(folder: &Path, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::system("cannot start unpacking", &e);
    let (mut answer, mut answering) = io::pipe().map_err(failed)?;
    match fork().map_err(failed)? {
        Forked::Child => {
            let entered = die_with_parent()
                .and_then(|()| Ok(rustix::process::chroot(folder)?))
                .and_then(|()| Ok(rustix::process::chdir("/")?));
            let done = entered.map_err(failed).and_then(|()| work());
            if let Err(failure) = &done {
                let text = serde_json::to_vec(failure).unwrap_or_default();
                let _ = answering.write_all(&text);
            }
            exit(i32::from(done.is_err()))
        }
        Forked::Parent(pid) => {
            drop(answering);
            let mut text = Vec::new();
            answer.read_to_end(&mut text).map_err(failed)?;
            match wait(pid).map_err(failed)? {
                Ended::Exited(0) => Ok(()),
                _ => Err(serde_json::from_slice(&text)
                    .unwrap_or_else(|_| Failure::asked("unpacking an archive was cut off"))),
            }
        }
    }
}

/// Whether the beginning of a file is that of an archive.
fn is_archive(file: File) -> bool {
    let mut header = [0; 512];
    let Ok(mut stream) = decompress(file) else {
        return false;
    };
    if stream.read_exact(&mut header).is_err() {
        return false;
    }
    let header = tar::Header::from_byte_slice(&header);
    let sum: u32 = header
        .as_bytes()
        .iter()
        .enumerate()
        .map(|(at, b)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(*b)
            }
        })
        .sum();
    header.cksum().is_ok_and(|stored| stored == sum) && sum != 256
}

/// The content of a file, decompressed by what its first bytes say.
fn decompress(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 6];
    let count = read_some(&mut file, &mut magic)?;
    file.rewind()?;
    let file = BufReader::with_capacity(256 * 1024, file);
    Ok(match &magic[..count] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(lzma_rust2::XzReader::new(file, true)),
        _ => Box::new(file),
    })
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

type Folders = HashMap<PathBuf, (u32, u32, u32, i64)>;

fn unpack_entry(
    entry: &mut tar::Entry<'_, impl Read>,
    rules: &Rules,
    folders: &mut Folders,
) -> Result<(), Failure> {
    let malformed = |e: io::Error| Failure::asked(format!("a broken archive: {e}"));
    let kind = entry.header().entry_type();
    if matches!(kind, EntryType::XGlobalHeader) {
        return Ok(());
    }
    let path = entry.path().map_err(malformed)?.into_owned();
    if path
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        return Err(Failure::asked(format!(
            "cannot unpack {}: it leads out of the archive",
            path.display()
        )));
    }
    let into = Path::new("/");
    let target = into.join(clean(&path));
    let (header, raw) = (entry.header(), entry.header().as_old());
    let (uid, gid) = match rules.owner() {
        Some(owner) => owner,
        None => (
            number(field(&raw.uid, header.uid()).map_err(malformed)?, "owner")?,
            number(field(&raw.gid, header.gid()).map_err(malformed)?, "group")?,
        ),
    };
    let mode = field(&raw.mode, header.mode()).map_err(malformed)? & 0o7777;
    let time = field(&raw.mtime, header.mtime()).map_err(malformed)?;
    let time = i64::try_from(time).unwrap_or(0);
    let there = std::fs::symlink_metadata(&target).ok();
    // What an archive says of its own root is not for the folder that it is unpacked in.
    if target == into {
        return Ok(());
    }
    if let Some(above) = target.parent() {
        make_plain(above, rules)?;
    }
    let is_folder = there.as_ref().is_some_and(std::fs::Metadata::is_dir);
    if there.is_some() && !(is_folder && kind.is_dir()) {
        let removed = if is_folder {
            std::fs::remove_dir_all(&target)
        } else {
            std::fs::remove_file(&target)
        };
        removed.map_err(|e| cannot_write(&target, &e))?;
    }
    let wrong = |e: io::Error| cannot_write(&target, &e);
    match kind {
        EntryType::Directory => {
            if !is_folder {
                let made = std::fs::DirBuilder::new().mode(0o700).create(&target);
                made.map_err(wrong)?;
            }
            attributes(entry, &target)?;
            folders.insert(target, (uid, gid, mode, time));
            return Ok(());
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut options = std::fs::OpenOptions::new();
            let file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&target);
            io::copy(entry, &mut file.map_err(wrong)?).map_err(wrong)?;
        }
        EntryType::Link => {
            let link = link_name(entry)?;
            let original = into.join(clean(&link));
            std::fs::hard_link(&original, &target).map_err(wrong)?;
            if original.is_symlink() {
                return Ok(());
            }
        }
        EntryType::Symlink => {
            std::os::unix::fs::symlink(link_name(entry)?, &target).map_err(wrong)?;
            return finish(&target, uid, gid, None, time);
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            let number = |part: io::Result<Option<u32>>| part.ok().flatten().unwrap_or(0);
            let header = entry.header();
            let device =
                rustix::fs::makedev(number(header.device_major()), number(header.device_minor()));
            let kind = match kind {
                EntryType::Char => FileType::CharacterDevice,
                EntryType::Block => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            rustix::fs::mknodat(CWD, &target, kind, Mode::from_raw_mode(mode), device)
                .map_err(|e| wrong(e.into()))?;
        }
        other => {
            return Err(Failure::asked(format!(
                "cannot unpack {}: entries of type {:?} are not known",
                path.display(),
                char::from(other.as_byte())
            )));
        }
    }
    finish(&target, uid, gid, Some(mode), time)?;
    attributes(entry, &target)
}

/// A field in which nothing is written is zero, as for Go's `archive/tar`.
fn field<T: Default>(raw: &[u8], value: io::Result<T>) -> io::Result<T> {
    let blank = raw.iter().all(|byte| matches!(byte, b' ' | 0));
    if blank { Ok(T::default()) } else { value }
}

fn link_name(entry: &tar::Entry<'_, impl Read>) -> Result<PathBuf, Failure> {
    match entry.link_name() {
        Ok(Some(name)) => Ok(name.into_owned()),
        _ => Err(Failure::asked("a broken archive: a link to nothing")),
    }
}

fn number(number: u64, what: &str) -> Result<u32, Failure> {
    u32::try_from(number)
        .map_err(|_| Failure::asked(format!("a broken archive: {number} is no {what}")))
}

/// The extended attributes that an archive has for an entry; those that this system does not let
/// one set are left out, as Docker does.
fn attributes(entry: &mut tar::Entry<'_, impl Read>, target: &Path) -> Result<(), Failure> {
    let malformed = |e: io::Error| Failure::asked(format!("a broken archive: {e}"));
    let Some(records) = entry.pax_extensions().map_err(malformed)? else {
        return Ok(());
    };
    for record in records {
        let record = record.map_err(malformed)?;
        let name = record
            .key()
            .ok()
            .and_then(|k| k.strip_prefix("SCHILY.xattr."));
        if let Some(name) = name.filter(|n| !n.contains("overlay.")) {
            let flags = XattrFlags::empty();
            let _ = rustix::fs::lsetxattr(target, name, record.value_bytes(), flags);
        }
    }
    Ok(())
}
