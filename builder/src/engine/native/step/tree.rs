//! Reading a tree that may be anybody's: no path and no link leads out of it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::spec::Failure;

/// How many folders a pattern may go down.
const MAX_DEPTH: usize = 1000;

/// What a source names.
#[derive(Debug)]
pub(in super::super) struct Found {
    /// Its path in the tree, relative; empty for the tree itself.
    pub(in super::super) path: PathBuf,
    /// Opened, links followed: a regular file for reading, anything else as a path only.
    pub(in super::super) file: OwnedFd,
    /// What it is.
    pub(in super::super) stat: Stat,
}

impl Found {
    /// Whether it is a folder.
    pub(in super::super) fn is_folder(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode).is_dir()
    }
}

/// A tree's root.
pub(in super::super) struct Root<'a> {
    folder: BorrowedFd<'a>,
    /// Whether `**` in a pattern stands for any number of folders.
    deep: bool,
}

impl<'a> Root<'a> {
    /// Takes an opened folder as the root that everything stays in.
    pub(in super::super) fn new(folder: BorrowedFd<'a>) -> Self {
        Self {
            folder,
            deep: false,
        }
    }

    /// The same, where `**` in a pattern stands for any number of folders, as with `--parents`.
    pub(in super::super) fn deep(mut self) -> Self {
        self.deep = true;
        self
    }

    /// Opens a path for reference, following links within the tree.
    pub(in super::super) fn open_path(&self, path: &str) -> Result<OwnedFd, Failure> {
        self.open(Path::new(path)).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => Failure::asked(format!("there is no `{path}`")),
            error => Failure::system(format!("cannot open {path}"), &error.into()),
        })
    }

    fn open(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open_as(path, OFlags::PATH)
    }

    fn open_as(&self, path: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = clean(path);
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &path
        };
        loop {
            let flags = how | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(self.folder, path, flags, Mode::empty(), resolve) {
                // Something was renamed meanwhile; it says nothing about this path.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    /// What a source names: one file, or with `glob` any number of them in the order of their
    /// names.
    ///
    /// # Errors
    /// When there is nothing of that name; of a pattern that nothing matches, nothing.
    pub(in super::super) fn find(&self, path: &str, glob: bool) -> Result<Vec<Found>, Failure> {
        let clean = clean(Path::new(path));
        let parts: Vec<&OsStr> = clean.iter().collect();
        if !glob || !parts.iter().any(|part| is_pattern(part)) {
            let unescaped: PathBuf = if glob {
                parts.iter().map(|part| unescape(part)).collect()
            } else {
                clean.clone()
            };
            let file = self.open_path(&unescaped.to_string_lossy())?;
            return Ok(vec![self.found(unescaped, file)?]);
        }
        if let Some(part) = parts.iter().find(|part| !is_valid(part.as_bytes())) {
            return Err(Failure::asked(format!(
                "`{}` is no pattern",
                part.display()
            )));
        }
        let mut found = Vec::new();
        self.walk(PathBuf::new(), &parts, 0, &mut found)?;
        Ok(found)
    }

    fn found(&self, path: PathBuf, file: OwnedFd) -> Result<Found, Failure> {
        let wrong =
            |e: Errno| Failure::system(format!("cannot look at {}", path.display()), &e.into());
        let stat = rustix::fs::fstat(&file).map_err(wrong)?;
        let file = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.open_as(&path, OFlags::RDONLY).map_err(wrong)?,
            _ => file,
        };
        Ok(Found { path, file, stat })
    }

    fn walk(
        &self,
        at: PathBuf,
        parts: &[&OsStr],
        depth: usize,
        all: &mut Vec<Found>,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::asked(format!(
                "{} is nested too deep",
                at.display()
            )));
        }
        let Some((part, rest)) = parts.split_first() else {
            if let Ok(file) = self.open(&at) {
                all.push(self.found(at, file)?);
            }
            return Ok(());
        };
        if !is_pattern(part) {
            return self.walk(at.join(unescape(part)), rest, depth + 1, all);
        }
        let Ok(folder) = self.open(&at) else {
            return Ok(());
        };
        if self.deep && part.as_bytes() == b"**" {
            // Any number of folders, none included.
            self.walk(at.clone(), rest, depth + 1, all)?;
            for name in names(folder.as_fd()).unwrap_or_default() {
                let stat = rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW);
                let is_folder = |stat: &Stat| FileType::from_raw_mode(stat.st_mode).is_dir();
                if stat.as_ref().is_ok_and(is_folder) {
                    self.walk(at.join(name), parts, depth + 1, all)?;
                }
            }
            return Ok(());
        }
        for name in names(folder.as_fd()).unwrap_or_default() {
            if matches(part.as_bytes(), name.as_bytes()) {
                self.walk(at.join(name), rest, depth + 1, all)?;
            }
        }
        Ok(())
    }
}

/// The names in a folder, sorted.
pub(super) fn names(folder: BorrowedFd<'_>) -> rustix::io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A path without `.`, `..` and doubled slashes, relative to the root.
pub(in super::super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(part) => clean.push(part),
            std::path::Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

fn is_pattern(part: &OsStr) -> bool {
    let mut escaped = false;
    part.as_bytes().iter().any(|b| {
        let special = !escaped && matches!(b, b'*' | b'?' | b'[');
        escaped = !escaped && *b == b'\\';
        special
    })
}

/// Whether a pattern's classes end and its escapes have something behind them.
fn is_valid(pattern: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'\\', rest @ ..] => !rest.is_empty() && is_valid(&rest[1..]),
        [b'[', rest @ ..] => class(rest, 'x').is_some_and(|(_, rest)| is_valid(rest)),
        [_, rest @ ..] => is_valid(rest),
    }
}

fn unescape(part: &OsStr) -> OsString {
    let mut out = Vec::new();
    let mut bytes = part.as_bytes().iter();
    while let Some(b) = bytes.next() {
        out.push(if *b == b'\\' {
            *bytes.next().unwrap_or(b)
        } else {
            *b
        });
    }
    OsString::from(OsStr::from_bytes(&out))
}

/// Whether a name matches a pattern, by the rules of Go's `filepath.Match` for one element. A
/// malformed pattern matches nothing.
///
/// Only the last `*` that was met takes more when what follows it does not fit, so that no pattern
/// of somebody takes more steps than its length times the name's.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match pattern.split_first() {
            None if name.is_empty() => return true,
            None => {}
            Some((b'*', rest)) => {
                pattern = rest;
                last_star = Some((pattern, name));
                continue;
            }
            Some((first, rest)) => {
                if let Some(tails) = step(*first, rest, name) {
                    (pattern, name) = tails;
                    continue;
                }
            }
        }
        let Some((after, [_, shorter @ ..])) = last_star else {
            return false;
        };
        last_star = Some((after, shorter));
        (pattern, name) = (after, shorter);
    }
}

/// What is left of a pattern and a name once the pattern's first part, which is no `*`, has taken
/// what it matches; nothing if it matches nothing.
fn step<'a>(first: u8, rest: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    match first {
        b'?' => character(name).map(|(_, tail)| (rest, tail)),
        b'[' => {
            let (c, tail) = character(name)?;
            let (inside, rest) = class(rest, c)?;
            inside.then_some((rest, tail))
        }
        b'\\' => {
            let (escaped, rest) = rest.split_first()?;
            name.strip_prefix(&[*escaped]).map(|tail| (rest, tail))
        }
        plain => name.strip_prefix(&[plain]).map(|tail| (rest, tail)),
    }
}

/// The first character of a name; a byte that is no UTF-8 stands for itself.
fn character(name: &[u8]) -> Option<(char, &[u8])> {
    let first = *name.first()?;
    let length = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let whole = name
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match whole.and_then(|text| text.chars().next()) {
        Some(c) => Some((c, &name[length..])),
        None => Some((char::from(first), &name[1..])),
    }
}

/// Whether a character is in a class, and what follows the class; nothing if it never ends.
fn class(mut pattern: &[u8], c: char) -> Option<(bool, &[u8])> {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut inside = false;
    let mut first = true;
    loop {
        if pattern.first() == Some(&b']') && !first {
            return Some((inside != negated, &pattern[1..]));
        }
        first = false;
        let (low, rest) = one(pattern)?;
        pattern = rest;
        let mut high = low;
        if pattern.first() == Some(&b'-') {
            let (end, rest) = one(&pattern[1..])?;
            high = end;
            pattern = rest;
        }
        inside |= (low..=high).contains(&c);
    }
}

fn one(pattern: &[u8]) -> Option<(char, &[u8])> {
    match pattern.first()? {
        b'\\' => character(&pattern[1..]),
        b'-' | b']' => None,
        _ => character(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        // From the tests of Go's path/filepath.
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a\u{263a}b", true),
            ("a[^a]b", "a\u{263a}b", true),
            ("a???b", "a\u{263a}b", false),
            ("[a-\u{3b6}]*", "\u{3b1}", true),
            ("*[a-\u{3b6}]", "A", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("[", "a", false),
            ("a[", "a", false),
            ("*x", "xxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzxx", true),
            ("*ab*ab", "abab", true),
            ("*ab*abc", "ababab", false),
            ("*", "", true),
            ("**", "", true),
            ("a*", "", false),
            ("*\\", "a", false),
            ("a*[", "ab", false),
            ("*\u{263a}*?", "x\u{263a}y", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn many_stars_come_to_an_end() {
        let name = "a".repeat(255);
        let stars = "a*".repeat(120);
        for (pattern, expected) in [
            (format!("{stars}b"), false),
            (format!("*{stars}a"), true),
            ("*".repeat(4_000), true),
            ("*".repeat(4_000) + "b", false),
            ("*[a-c]".repeat(255), true),
            ("*?".repeat(256), false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn links_and_dots_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        std::fs::write(folder.path().join("inside/file"), "own").unwrap();
        std::os::unix::fs::symlink("/inside", folder.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../etc", folder.path().join("out")).unwrap();
        let fd = std::fs::File::open(folder.path()).unwrap();
        let root = Root::new(fd.as_fd());
        for path in [
            "absolute/file",
            "../../inside/file",
            "inside/./file",
            "/inside//file",
        ] {
            assert_eq!(root.find(path, false).unwrap().len(), 1, "{path}");
        }
        for path in ["out/passwd", "out", "missing"] {
            assert!(root.find(path, false).unwrap_err().asked_wrong, "{path}");
        }
        let all = root.find("*/f?le", true).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].path, Path::new("absolute/file"));
        assert!(root.find("x*", true).unwrap().is_empty());
        assert!(
            root.find("[x", true)
                .unwrap_err()
                .message
                .contains("no pattern")
        );
        let deep: Vec<_> = Root::new(fd.as_fd()).deep().find("**/file", true).unwrap();
        assert_eq!(deep.len(), 1);
    }
}
