//! The entries of a package's archive, each checked before anybody acts on it.

use std::io::{self, Read};

use tar::EntryType;

/// The longest path or link, in bytes, as Linux has it.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;
/// More entries than that are no package's.
const MAX_ENTRIES: usize = 1_000_000;

/// One entry of a package's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative, without `.` and `..`; empty for the root itself.
    pub(super) path: String,
    pub(super) kind: MemberKind,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds since 1970.
    pub(super) mtime: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MemberKind {
    Directory,
    /// Bytes follow.
    File,
    /// A link's text, which is never followed outside the root file system that is made.
    Symlink(String),
    /// Another path of the same archive, in the form of [`Member::path`].
    Hardlink(String),
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Hands each entry of a tar to `take`, files with their bytes. Knows what deb(5) allows: ustar and
/// GNU's long names; device nodes, pipes and everything else are errors.
pub(super) fn each(
    tar: impl Read,
    mut take: impl FnMut(Member, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    let (mut long_path, mut long_link) = (None, None);
    // Raw, so that the crate does not keep names of any length for us.
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        if number >= MAX_ENTRIES {
            return Err(wrong(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind == EntryType::GNULongName {
            long_path = Some(long(&mut entry)?);
            continue;
        }
        if kind == EntryType::GNULongLink {
            long_link = Some(long(&mut entry)?);
            continue;
        }
        let own = entry.path_bytes().into_owned();
        let path = normal(&long_path.take().unwrap_or(own))?;
        let link = long_link
            .take()
            .or_else(|| entry.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = || link.ok_or_else(|| wrong(format!("the link `{path}` leads nowhere")));
        let kind = match kind {
            EntryType::Directory => MemberKind::Directory,
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Symlink => MemberKind::Symlink(symlink(&path, link()?)?),
            EntryType::Link => {
                let target = link()?;
                if target.starts_with(b"/") {
                    return Err(wrong(format!("the hard link `{path}` is absolute")));
                }
                MemberKind::Hardlink(normal(&target)?)
            }
            other => {
                return Err(wrong(format!(
                    "`{path}` is of a kind that a package may not have ({:?})",
                    char::from(other.as_byte())
                )));
            }
        };
        if path.is_empty() && kind != MemberKind::Directory {
            return Err(wrong("the root is not a directory"));
        }
        let header = entry.header();
        let member = Member {
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            mtime: header.mtime()?,
            path,
            kind,
        };
        take(member, &mut entry)?;
    }
    Ok(())
}

fn long(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_PATH as u64 + 2).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.len() > MAX_PATH {
        return Err(wrong(format!("a path is longer than {MAX_PATH} bytes")));
    }
    Ok(bytes)
}

/// File names of packages are UTF-8 (Debian Policy, section 10.10), and dpkg keeps them in lists by
/// line.
fn text(bytes: &[u8]) -> io::Result<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= MAX_PATH && !text.contains(['\n', '\0']) => Ok(text),
        _ => Err(wrong(format!(
            "`{}` cannot be the name of a file",
            bytes.escape_ascii()
        ))),
    }
}

/// "./usr//bin/" is "usr/bin".
fn normal(bytes: &[u8]) -> io::Result<String> {
    let text = text(bytes)?;
    let mut path = String::with_capacity(text.len());
    for part in text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." || part.len() > MAX_NAME {
            return Err(wrong(format!(
                "the path `{}` is not allowed",
                text.escape_debug()
            )));
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    Ok(path)
}

fn symlink(path: &str, target: Vec<u8>) -> io::Result<String> {
    match text(&target)? {
        "" => Err(wrong(format!("the link `{path}` leads nowhere"))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A header that the tar crate would not make, and a body.
    fn raw(path: &[u8], kind: u8, link: &[u8], body: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(EntryType::new(kind));
        header.set_size(body.len() as u64);
        header.set_mode(0o104_755);
        header.set_uid(0);
        header.set_gid(42);
        header.set_mtime(7);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(Member, Vec<u8>)>> {
        let mut found = Vec::new();
        each(bytes, |member, body| {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)?;
            found.push((member, bytes));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn entries_are_read_with_names_of_any_form() {
        let long_name = format!("./{}/end", "d".repeat(200));
        let mut bytes = raw(b"./", b'5', b"", b"");
        bytes.extend(raw(
            b"././@LongLink",
            b'L',
            b"",
            format!("{long_name}\0").as_bytes(),
        ));
        bytes.extend(raw(b"cut off", b'0', b"", b"hello"));
        bytes.extend(raw(b"usr//bin/./x", b'1', b"./usr/bin/y", b""));
        bytes.extend(raw(b"lib/l", b'2', b"/etc/../x", b""));
        let found = read(&bytes).unwrap();
        let paths: Vec<&str> = found.iter().map(|(m, _)| m.path.as_str()).collect();
        assert_eq!(paths, ["", &long_name[2..], "usr/bin/x", "lib/l"]);
        assert_eq!(found[1].1, b"hello");
        assert_eq!(found[2].0.kind, MemberKind::Hardlink("usr/bin/y".into()));
        assert_eq!(found[3].0.kind, MemberKind::Symlink("/etc/../x".into()));
        let one = &found[1].0;
        assert_eq!((one.mode, one.uid, one.gid, one.mtime), (0o4755, 0, 42, 7));
    }

    #[test]
    fn hostile_entries_are_errors() {
        let name = "n".repeat(300);
        let cases: [(&[u8], u8, &[u8]); 10] = [
            (b"../etc/passwd", b'0', b""),
            (b"/usr/../../x", b'0', b""),
            (b"x", b'1', b"/etc/passwd"),
            (b"x", b'1', b"../y"),
            (b"x", b'2', b""),
            (b"dev/sda", b'4', b""),
            (b"dev/tty", b'3', b""),
            (b"pipe", b'6', b""),
            (b"a\nb", b'0', b""),
            (b"./", b'0', b""),
        ];
        for (path, kind, link) in cases {
            let read = read(&raw(path, kind, link, b""));
            assert!(read.is_err(), "{} {kind}", path.escape_ascii());
        }
        let not_utf8 = read(&raw(b"a\xff", b'0', b"", b""));
        assert!(
            not_utf8
                .unwrap_err()
                .to_string()
                .contains("cannot be the name")
        );
        for long in [name, "d/".repeat(3000)] {
            let mut bytes = raw(b"././@LongLink", b'L', b"", long.as_bytes());
            bytes.extend(raw(b"x", b'0', b"", b""));
            assert!(read(&bytes).is_err(), "{} bytes", long.len());
        }
        let pax = raw(b"x", b'x', b"", b"11 path=../x\n");
        assert!(read(&pax).is_err());
    }
}
