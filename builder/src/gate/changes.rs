//! How the packages of an image differ from those of the published one.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use debversion::Version;
use serde::Serialize;

use crate::catalog::Movement;
use crate::inventory::{Package, PackageKind};

/// One package that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PackageChange {
    /// What it belongs to.
    pub kind: PackageKind,
    /// Its name.
    pub name: String,
    /// How it changed.
    pub change: Movement,
    /// The published version.
    pub from: Option<String>,
    /// The version now.
    pub to: Option<String>,
}

impl PackageChange {
    /// "libc6 2.41-12 -> 2.41-11".
    pub fn describe(&self) -> String {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => format!("{} {from} -> {to}", self.name),
            (Some(version), None) | (None, Some(version)) => format!("{} {version}", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

type Versions<'a> = BTreeMap<(PackageKind, &'a str), &'a str>;

/// By kind and name the version; the latest, where several folders have a package.
fn versions(packages: &[Package]) -> Versions<'_> {
    let mut versions = Versions::new();
    for package in packages {
        let version = package.version.as_str();
        let latest = versions
            .entry((package.kind, package.name.as_str()))
            .or_insert(version);
        if compare(package.kind, latest, version) == Ordering::Less {
            *latest = version;
        }
    }
    versions
}

/// What changed, sorted.
pub fn changes(published: &[Package], now: &[Package]) -> Vec<PackageChange> {
    let (before, after) = (versions(published), versions(now));
    let mut changes = Vec::new();
    let mut add = |key: (PackageKind, &str), change, from: Option<&str>, to: Option<&str>| {
        changes.push(PackageChange {
            kind: key.0,
            name: key.1.to_owned(),
            change,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        });
    };
    for (key, to) in &after {
        match before.get(key) {
            None => add(*key, Movement::Added, None, Some(to)),
            Some(from) => match compare(key.0, from, to) {
                Ordering::Less => add(*key, Movement::Upgraded, Some(from), Some(to)),
                Ordering::Greater => add(*key, Movement::Downgraded, Some(from), Some(to)),
                Ordering::Equal => {}
            },
        }
    }
    for (key, from) in &before {
        if !after.contains_key(key) {
            add(*key, Movement::Removed, Some(from), None);
        }
    }
    changes.sort();
    changes
}

/// Compares versions as their tools do. Python's are turned into such as dpkg orders in the same way:
/// what comes before a release (PEP 440's `.dev`, `a`, `b`, `rc`) gets dpkg's mark for that.
fn compare(kind: PackageKind, one: &str, other: &str) -> Ordering {
    let parsed = |text: &str| match kind {
        PackageKind::Deb => text.parse::<Version>(),
        PackageKind::Python => early(text).parse(),
    };
    match (parsed(one), parsed(other)) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ => one.cmp(other),
    }
}

fn early(version: &str) -> String {
    let version = version.to_lowercase().replace('!', ":").replace('-', ".");
    let mut text = String::new();
    let mut rest = version.as_str();
    while let Some(c) = rest.chars().next() {
        let mark = [".dev", ".rc", "rc", ".a", "a", ".b", "b"];
        let after_digit = text.ends_with(|c: char| c.is_ascii_digit());
        match mark.iter().find(|mark| rest.starts_with(**mark)) {
            Some(mark) if after_digit => {
                text.push('~');
                text.push_str(mark.trim_start_matches('.'));
                rest = &rest[mark.len()..];
            }
            _ => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(kind: PackageKind, name: &str, version: &str) -> Package {
        Package {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            source: None,
            licence: None,
            homepage: None,
            folder: None,
        }
    }

    #[test]
    fn packages_come_go_and_move() {
        use PackageKind::{Deb, Python};
        let before = [
            package(Deb, "a", "1.0-1"),
            package(Deb, "b", "1:2.0-1"),
            package(Deb, "c", "1.0~rc1-1"),
            package(Deb, "same", "1"),
            package(Python, "a", "1.0"),
            package(Python, "p", "1.0rc1"),
        ];
        let after = [
            package(Deb, "b", "3.0-1"),
            package(Deb, "c", "1.0-1"),
            package(Deb, "d", "1"),
            package(Deb, "same", "1"),
            package(Python, "a", "1.0.dev3"),
            package(Python, "p", "1.0"),
        ];
        let shown: Vec<_> = changes(&before, &after)
            .iter()
            .map(|c| format!("{} {}: {}", c.kind, c.change.name(), c.describe()))
            .collect();
        assert_eq!(
            shown,
            [
                "deb removed: a 1.0-1",
                "deb downgraded: b 1:2.0-1 -> 3.0-1",
                "deb upgraded: c 1.0~rc1-1 -> 1.0-1",
                "deb added: d 1",
                "python downgraded: a 1.0 -> 1.0.dev3",
                "python upgraded: p 1.0rc1 -> 1.0",
            ]
        );
        assert_eq!(changes(&after, &after), []);
    }
}
