//! What packages an archive has, from its Packages indices.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read as _};

use deb822_fast::borrowed::{BorrowedParagraph, BorrowedParser};
use debian_control::lossy::Relations;
use debversion::Version;

use crate::model::Digest;

/// The largest paragraph taken, in bytes. The longest of Debian's has some 100 kB.
const MAX_PARAGRAPH: u64 = 4 << 20;
/// More packages than that are no distribution's.
const MAX_PACKAGES: usize = 1_000_000;

/// Why an index is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("cannot read it: {0}")]
    Read(#[from] std::io::Error),
    #[error("{0}")]
    Malformed(String),
}

/// One package as an index describes it, its fields still text: only few of many are looked into.
#[derive(Debug, Clone, Default)]
struct Record {
    archive: usize,
    version: String,
    architecture: String,
    multi_arch: String,
    essential: bool,
    priority: String,
    filename: String,
    size: String,
    sha256: String,
    pre_depends: String,
    depends: String,
    provides: String,
    conflicts: String,
    breaks: String,
    replaces: String,
}

/// A package with its relations.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: String,
    /// Which archive has it, as numbered by who reads the indices.
    pub(super) archive: usize,
    pub(super) version: Version,
    pub(super) architecture: String,
    /// `same`, `foreign`, `allowed`, or nothing.
    pub(super) multi_arch: String,
    pub(super) essential: bool,
    pub(super) priority: String,
    /// Below the archive's root.
    pub(super) filename: String,
    pub(super) size: u64,
    pub(super) sha256: Digest,
    pub(super) pre_depends: Relations,
    pub(super) depends: Relations,
    pub(super) provides: Relations,
    pub(super) conflicts: Relations,
    pub(super) breaks: Relations,
    pub(super) replaces: Relations,
}

/// All packages of some indices, the newest version of each.
#[derive(Debug, Default)]
pub(super) struct Index {
    records: BTreeMap<String, Record>,
    providers: HashMap<String, Vec<String>>,
}

impl Index {
    /// Adds what an index lists. Of equal versions the one read first stays.
    pub(super) fn read(&mut self, reader: impl BufRead, archive: usize) -> Result<(), IndexError> {
        let malformed = |why: String| IndexError::Malformed(why);
        each_paragraph(reader, |paragraph| {
            let one = |name| {
                paragraph
                    .get_single(name)
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            };
            // Relations may be folded over several lines.
            let folded = |name| paragraph.get(name).unwrap_or_default().join(" ");
            let name = one("Package");
            if !is_name(&name) {
                return Err(malformed(format!(
                    "`{}` is not a package name",
                    name.escape_debug()
                )));
            }
            let record = Record {
                archive,
                version: one("Version"),
                architecture: one("Architecture"),
                multi_arch: one("Multi-Arch"),
                essential: one("Essential") == "yes",
                priority: one("Priority"),
                filename: one("Filename"),
                size: one("Size"),
                sha256: one("SHA256"),
                pre_depends: folded("Pre-Depends"),
                depends: folded("Depends"),
                provides: folded("Provides"),
                conflicts: folded("Conflicts"),
                breaks: folded("Breaks"),
                replaces: folded("Replaces"),
            };
            if let Some(known) = self.records.get(&name) {
                let older = version(&known.version)
                    .and_then(|known| Ok(known < version(&record.version)?))
                    .map_err(|why| malformed(format!("`{name}`: {why}")))?;
                if !older {
                    return Ok(());
                }
            }
            self.records.insert(name, record);
            if self.records.len() > MAX_PACKAGES {
                return Err(malformed(format!("more than {MAX_PACKAGES} packages")));
            }
            Ok(())
        })?;
        self.providers.clear();
        for (name, record) in &self.records {
            for provided in record.provides.split(',') {
                let end = provided
                    .trim_start()
                    .split(|c: char| c.is_whitespace() || c == '(' || c == ':');
                let provided = end.into_iter().next().unwrap_or_default();
                if !provided.is_empty() {
                    let list = self.providers.entry(provided.to_owned()).or_default();
                    list.push(name.clone());
                }
            }
        }
        Ok(())
    }

    /// The newest version of a package, if there is one.
    pub(super) fn package(&self, name: &str) -> Option<Result<Package, IndexError>> {
        let record = self.records.get(name)?;
        Some(record.package(name).map_err(|why| {
            IndexError::Malformed(format!("the package `{name}` is not described well: {why}"))
        }))
    }

    /// The names of the packages that provide a name, sorted.
    pub(super) fn providers(&self, name: &str) -> &[String] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// The names of essential packages, sorted.
    pub(super) fn essential(&self) -> impl Iterator<Item = &str> {
        let essential = self.records.iter().filter(|(_, record)| record.essential);
        essential.map(|(name, _)| name.as_str())
    }

    /// The names of packages with one of these priorities, sorted.
    pub(super) fn of_priority<'a>(
        &'a self,
        priorities: &'a [&str],
    ) -> impl Iterator<Item = &'a str> {
        let of = |record: &Record| priorities.contains(&record.priority.as_str());
        let found = self.records.iter().filter(move |(_, record)| of(record));
        found.map(|(name, _)| name.as_str())
    }
}

impl Record {
    fn package(&self, name: &str) -> Result<Package, String> {
        let relations = |text: &str| text.parse::<Relations>();
        Ok(Package {
            name: name.to_owned(),
            archive: self.archive,
            version: version(&self.version)?,
            architecture: self.architecture.clone(),
            multi_arch: self.multi_arch.clone(),
            essential: self.essential,
            priority: self.priority.clone(),
            filename: filename(&self.filename)?,
            size: self.size.parse().map_err(|_| "`Size` is not a number")?,
            sha256: Digest::parse(&self.sha256).map_err(|e| e.message().to_owned())?,
            pre_depends: relations(&self.pre_depends)?,
            depends: relations(&self.depends)?,
            provides: relations(&self.provides)?,
            conflicts: relations(&self.conflicts)?,
            breaks: relations(&self.breaks)?,
            replaces: relations(&self.replaces)?,
        })
    }
}

fn version(text: &str) -> Result<Version, String> {
    text.parse()
        .map_err(|_| format!("`{}` is not a version", text.escape_debug()))
}

/// A package's name (Debian Policy, section 5.6.1; dpkg also takes one letter), which also becomes a
/// part of file names.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    text.len() <= 200
        && text.bytes().all(allowed)
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A path below the archive's root that can stand in a URL as it is.
fn filename(text: &str) -> Result<String, String> {
    let good = text
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/+-._~%:=,@".contains(&b));
    match good {
        true => Ok(text.replace('%', "%25")),
        false => Err(format!(
            "`{}` is not a path in the archive",
            text.escape_debug()
        )),
    }
}

/// Goes through the paragraphs of a file, one at a time in memory.
fn each_paragraph(
    mut reader: impl BufRead,
    mut take: impl FnMut(&BorrowedParagraph<'_>) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let mut text = String::new();
    loop {
        let before = text.len();
        let limit = MAX_PARAGRAPH.saturating_sub(before as u64);
        let count = reader.by_ref().take(limit).read_line(&mut text)?;
        if count == 0 && limit == 0 {
            return Err(IndexError::Malformed(format!(
                "a paragraph is longer than {MAX_PARAGRAPH} bytes"
            )));
        }
        if count > 0 && !text[before..].trim().is_empty() {
            continue;
        }
        let paragraphs = BorrowedParser::new(&text)
            .parse_all()
            .map_err(|e| IndexError::Malformed(e.to_string()))?;
        for paragraph in &paragraphs {
            take(paragraph)?;
        }
        if count == 0 {
            return Ok(());
        }
        text.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ONE: &str = "Package: one\nVersion: 1.0\nArchitecture: all\nFilename: pool/o/one_1.0_all.deb\n\
        Size: 5\nSHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
        Depends: a (>= 1),\n b:any | c\nProvides: virtual (= 2), other\nDescription: x\n .\n y\n";

    #[test]
    fn the_newest_version_counts_whichever_is_read_first() {
        let newer = ONE.replace("1.0", "1:0.5");
        for texts in [[ONE, &newer], [&newer, ONE]] {
            let mut index = Index::default();
            for (archive, text) in texts.iter().enumerate() {
                index.read(text.as_bytes(), archive).unwrap();
            }
            let package = index.package("one").unwrap().unwrap();
            assert_eq!(package.version.to_string(), "1:0.5");
            assert_eq!(texts[package.archive], newer);
            assert_eq!(index.providers("virtual"), ["one"]);
            assert_eq!(package.depends.0[1].len(), 2);
        }
    }

    #[test]
    fn hostile_indices_are_errors() {
        for (old, new) in [
            ("Package: one", "Package: ../one"),
            ("Package: one", "Package: "),
            ("Architecture: all", " :"),
        ] {
            let text = ONE.replace(old, new);
            let read = Index::default().read(text.as_bytes(), 0);
            assert!(new == " :" || read.is_err(), "{new}");
        }
        for (old, new) in [
            ("pool/o", "pool/../.."),
            ("pool/o", "/etc"),
            ("pool/o", "a b"),
            ("Size: 5", "Size: -5"),
            ("SHA256: e3", "SHA256: "),
            ("Version: 1.0", "Version: 1 0"),
            ("a (>= 1)", "a (>= 1"),
            ("a (>= 1)", "a (~~ 1)"),
        ] {
            let text = ONE.replace(old, new);
            let mut index = Index::default();
            index.read(text.as_bytes(), 0).unwrap();
            assert!(index.package("one").unwrap().is_err(), "{new}");
        }
        let long = format!("Package: one\nDescription: {}", "x".repeat(5 << 20));
        let error = Index::default().read(long.as_bytes(), 0).unwrap_err();
        assert!(error.to_string().contains("longer"), "{error}");
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        // Debian Policy, section 5.6.12; and each pair as `dpkg --compare-versions` has it.
        for (older, newer) in [
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+b1"),
            ("1.9", "1.10"),
            ("9", "1:0"),
            ("1.0a", "1.0+"),
            ("1.0-1~deb13u1", "1.0-1"),
            ("2.41-12", "2.41-12+deb13u1"),
            ("1.0.", "1.0.a"),
        ] {
            assert!(
                version(older).unwrap() < version(newer).unwrap(),
                "{older} {newer}"
            );
        }
        for (one, other) in [("1.0", "0:1.0"), ("1.01", "1.1"), ("1.0-0", "1.0")] {
            assert!(
                version(one).unwrap() == version(other).unwrap(),
                "{one} {other}"
            );
        }
    }
}
