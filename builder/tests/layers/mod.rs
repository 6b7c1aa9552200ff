//! Trees and archives to test layers and images with.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use kolla::oci::layer::{Applied, ApplyOptions, OverlayAttributes, WriteOptions, apply, write};

/// 2020-01-01.
pub(crate) const CLAMP: i64 = 1_577_836_800;

/// Whether this is run as root, who alone may set owners and make devices.
pub(crate) fn root_only() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("only root can make devices and set owners");
    }
    root
}

/// Says why a test is left out; in continuous integration nothing may be.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var("CI").is_err(), "{reason}");
    eprintln!("skipped: {reason}");
}

pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("LC_ALL", "C");
    command
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn options() -> WriteOptions {
    WriteOptions {
        clamp: CLAMP,
        overlay: OverlayAttributes::Trusted,
        root_entry: false,
    }
}

pub(crate) fn tar_with(root: &Path, options: &WriteOptions) -> Vec<u8> {
    let mut tar = Vec::new();
    let written = write(root, options, &mut tar).unwrap();
    assert_eq!(written.size, tar.len() as u64);
    tar
}

pub(crate) fn tar_of(root: &Path) -> Vec<u8> {
    tar_with(root, &options())
}

pub(crate) fn unpack(tar: &[u8], target: &Path) -> io::Result<Applied> {
    let options = ApplyOptions {
        diff_id: true,
        max_size: 1 << 30,
        ..ApplyOptions::new(OverlayAttributes::Trusted)
    };
    apply(&mut &*tar, target, &options)
}

pub(crate) fn blob(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

pub(crate) fn set_attribute(path: &Path, name: &str, value: &str) {
    rustix::fs::lsetxattr(
        path,
        name,
        value.as_bytes(),
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
}

pub(crate) fn attribute(path: &Path, name: &str) -> Option<String> {
    let mut value = vec![0; 1000];
    let size = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
    Some(String::from_utf8_lossy(&value[..size]).into_owned())
}

/// A device; 0/0 of characters is a whiteout.
pub(crate) fn node(path: &Path, kind: rustix::fs::FileType, major: u32, minor: u32) {
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    let device = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, device).unwrap();
}

fn touch(path: &Path, time: &str) {
    run(tool("touch").args(["-h", "-d", time]).arg(path));
}

/// Everything that can be in an upper directory, once.
pub(crate) fn rich_tree(root: &Path) {
    use rustix::fs::FileType;
    let at = |path: &str| root.join(path);
    fs::create_dir_all(at("usr/share/doc")).unwrap();
    fs::create_dir(at("usr-merge")).unwrap();
    fs::create_dir(at("opaque")).unwrap();
    fs::write(at("opaque/new"), "new").unwrap();
    set_attribute(&at("opaque"), "trusted.overlay.opaque", "y");
    set_attribute(&at("usr"), "trusted.overlay.origin", "handle");
    node(&at("gone"), FileType::CharacterDevice, 0, 0);
    node(&at("null"), FileType::CharacterDevice, 1, 3);
    node(&at("disk"), FileType::BlockDevice, 259, 70_000);
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, 0o622.into(), 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    assert!(fs::metadata(at("socket")).unwrap().file_type().is_socket());
    fs::write(at("usr/empty"), "").unwrap();
    fs::write(at("usr/block"), noise(512)).unwrap();
    fs::write(at("usr/file"), noise(100_001)).unwrap();
    fs::hard_link(at("usr/file"), at("usr-merge/second")).unwrap();
    fs::hard_link(at("usr/file"), at("a-first")).unwrap();
    symlink("usr/share", at("share")).unwrap();
    symlink("/nowhere/../é", at("broken")).unwrap();
    fs::hard_link(at("broken"), at("broken-too")).unwrap();
    chown(at("usr/empty"), Some(1000), Some(4_000_000)).unwrap();
    std::os::unix::fs::lchown(at("share"), Some(7), Some(8)).unwrap();
    for (path, mode) in [
        ("usr/empty", 0o4755),
        ("usr/block", 0o2000),
        ("usr/share", 0o1777),
    ] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(3_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"later", 2_500_000).unwrap();
    set_attribute(&at("usr/block"), "user.note", "some\nlines=");
    set_attribute(&at("usr/share"), "user.b", "");
    set_attribute(&at("usr/share"), "user.a", "1");
    // cap_net_bind_service=ep, as a file system stores it (linux/capability.h, version 2).
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(at("usr/file"), "security.capability", capability, flags).unwrap();
    fs::write(at(&format!("usr/{}", "long-".repeat(45))), "long").unwrap();
    fs::write(at("usr/é"), "accent").unwrap();
    let raw = std::os::unix::ffi::OsStrExt::from_bytes(b"not-utf8-\xff");
    fs::write(root.join::<&std::ffi::OsStr>(raw), "bytes").unwrap();
    touch(&at("usr/empty"), "@-5.25");
    touch(&at("share"), "@1000000000.75");
    touch(&at("usr/block"), "@4000000000");
    touch(&at("usr/share/doc"), "@86400.5");
    assert_eq!(fs::metadata(at("usr/empty")).unwrap().mtime(), -6);
}

/// Bytes that do not compress.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut random = Random::new(size as u64);
    (0..size).map(|_| random.below(256) as u8).collect()
}

/// The same numbers for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2_862_933_555_777_941_757) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn name(&mut self) -> String {
        let letters = ["a", "b", "-", ".", "Z", "é", " ", "~", "0", "\n"];
        let length = if self.below(12) == 0 {
            80 + self.below(40)
        } else {
            1 + self.below(8)
        };
        let name: String = (0..length)
            .map(|_| letters[self.below(10) as usize])
            .collect();
        format!("n{name}")
    }

    /// Fills a directory.
    pub(crate) fn tree(&mut self, root: &Path, count: usize) {
        let mut folders = vec![root.to_path_buf()];
        let mut files: Vec<std::path::PathBuf> = Vec::new();
        for _ in 0..count {
            let folder = folders[self.below(folders.len() as u64) as usize].clone();
            let path = folder.join(self.name());
            if path.symlink_metadata().is_ok() || path.as_os_str().len() > 3000 {
                continue;
            }
            match self.below(10) {
                0..=2 => {
                    fs::create_dir(&path).unwrap();
                    folders.push(path.clone());
                }
                3 => symlink(self.name().repeat(1 + self.below(12) as usize), &path).unwrap(),
                4 if !files.is_empty() => {
                    let first = files[self.below(files.len() as u64) as usize].clone();
                    fs::hard_link(first, &path).unwrap();
                }
                5 => node(
                    &path,
                    rustix::fs::FileType::CharacterDevice,
                    5,
                    self.below(300) as u32,
                ),
                _ => {
                    let size = self.below(3000) as usize;
                    fs::write(&path, noise(size)).unwrap();
                    files.push(path.clone());
                    if self.below(4) == 0 {
                        set_attribute(&path, "user.x", &"v".repeat(self.below(500) as usize));
                    }
                }
            }
            let owner = |n: u64| Some(if n == 0 { 3_000_000_000 } else { n as u32 });
            let (uid, gid) = (owner(self.below(5)), owner(self.below(5)));
            std::os::unix::fs::lchown(&path, uid, gid).unwrap();
            if !path.is_symlink() {
                let mode = 0o600 | self.below(0o10000) as u32;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            let time = rustix::fs::Timespec {
                tv_sec: self.below(3_000_000_000) as i64 - 1_000_000_000,
                tv_nsec: self.below(1_000_000_000) as i64,
            };
            let times = rustix::fs::Timestamps {
                last_access: time,
                last_modification: time,
            };
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, &path, &times, flags).unwrap();
        }
    }
}

/// An archive of entries (path, type flag, link, content), whose headers say no more than that.
pub(crate) fn archive(entries: &[(&str, u8, &str, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, link, content) in entries {
        entry(&mut tar, path, *kind, link, content.as_bytes());
    }
    tar.extend([0; 1024]);
    tar
}

/// Adds an entry with nothing of its path or link checked.
pub(crate) fn entry(tar: &mut Vec<u8>, path: &str, kind: u8, link: &str, content: &[u8]) {
    entry_with(tar, path, kind, link, content, &|_| {});
}

pub(crate) fn entry_with(
    tar: &mut Vec<u8>,
    path: &str,
    kind: u8,
    link: &str,
    content: &[u8],
    change: &dyn Fn(&mut [u8; 512]),
) {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(content.len() as u64);
    header.set_entry_type(tar::EntryType::new(kind));
    let bytes = header.as_mut_bytes();
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
    change(bytes);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// One record of a PAX header.
pub(crate) fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (1..)
        .find(|n: &usize| *n == rest + n.to_string().len())
        .unwrap();
    format!("{length} {key}={value}\n")
}
