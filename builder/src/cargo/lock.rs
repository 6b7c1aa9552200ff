//! What of `Cargo.lock` counts for one package.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::manifest::Manifest;
use super::place::Place;
use crate::model::{Diagnostic, Source};

#[derive(Debug, Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<Spanned<Locked>>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The packages that a crate needs, at any distance, by name: version, origin and checksum.
///
/// # Errors
/// A definition error in `Cargo.lock`: it does not know the crate, is not whole, or has a dependency
/// by path, whose files nobody would look at.
pub(super) fn dependencies(
    place: &Place,
    manifest: &Manifest,
) -> Result<BTreeMap<String, Vec<String>>, Diagnostic> {
    let source = place.text(&place.workspace.join("Cargo.lock"))?;
    closure(&source, &manifest.name, manifest.version())
}

fn closure(
    source: &Source,
    name: &str,
    version: Option<&str>,
) -> Result<BTreeMap<String, Vec<String>>, Diagnostic> {
    let lock: LockFile = toml::from_str(source.text()).map_err(|error| {
        Diagnostic::definition(error.message().trim_end().replace('\n', ": "))
            .at(source.location(error.span().unwrap_or(0..0)))
            .hint("`cargo generate-lockfile` writes it anew")
    })?;
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, package) in lock.package.iter().enumerate() {
        by_name
            .entry(&package.get_ref().name)
            .or_default()
            .push(number);
    }
    let of = |number: usize| lock.package[number].get_ref();
    let named = |name: &str| by_name.get(name).into_iter().flatten().copied();
    let own: Vec<usize> = named(name)
        .filter(|number| of(*number).source.is_none())
        .filter(|number| version.is_none_or(|version| of(*number).version == version))
        .collect();
    let [own] = own.as_slice() else {
        return Err(Diagnostic::definition(format!(
            "this Cargo.lock does not have the package `{name}` as its Cargo.toml does"
        ))
        .at(source.line(1))
        .hint("`cargo update --workspace` in that folder writes what is missing: commit it"));
    };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::from([*own]);
    let mut queue = vec![*own];
    while let Some(number) = queue.pop() {
        let here = || source.location(first_line(source, lock.package[number].span()));
        let package = of(number);
        if number != *own {
            if package.source.is_none() {
                return Err(Diagnostic::definition(format!(
                    "the crate `{name}` depends on `{}`, which is a crate by path",
                    package.name
                ))
                .at(here())
                .hint("its files would not count for the image: move its code into the crate"));
            }
            let mut words = vec![package.version.as_str()];
            words.extend(package.source.as_deref());
            words.extend(package.checksum.as_deref());
            let all = found.entry(package.name.clone()).or_default();
            all.push(words.join(" "));
            all.sort();
        }
        for dependency in &package.dependencies {
            let mut words = dependency.splitn(3, ' ');
            let wanted = words.next().unwrap_or_default();
            let (version, origin) = (words.next(), words.next());
            let origin = origin.map(|text| text.trim_matches(['(', ')']));
            let matching: Vec<usize> = named(wanted)
                .filter(|number| version.is_none_or(|version| of(*number).version == version))
                .filter(|number| origin.is_none_or(|at| of(*number).source.as_deref() == Some(at)))
                .collect();
            let [only] = matching.as_slice() else {
                return Err(Diagnostic::definition(format!(
                    "this Cargo.lock has no package `{}`, which `{}` depends on",
                    dependency.escape_debug(),
                    package.name
                ))
                .at(here())
                .hint("`cargo generate-lockfile` writes it anew"));
            };
            if seen.insert(*only) {
                queue.push(*only);
            }
        }
    }
    Ok(found)
}

/// A package's table by its first line.
fn first_line(source: &Source, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let text = source.text().get(span.clone()).unwrap_or_default();
    let length = text.find('\n').unwrap_or(text.len());
    span.start..span.start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "start"
version = "0.1.0"
dependencies = ["a 1.0.0", "b"]

[[package]]
name = "a"
version = "1.0.0"
source = "registry+x"
checksum = "aa"

[[package]]
name = "a"
version = "2.0.0"
source = "registry+x"
checksum = "bb"

[[package]]
name = "b"
version = "3.0.0"
source = "git+y#1"
dependencies = ["a 2.0.0 (registry+x)", "start"]

[[package]]
name = "other"
version = "1.0.0"
source = "registry+x"
checksum = "cc"
"#;

    fn of(text: &str) -> Result<BTreeMap<String, Vec<String>>, Diagnostic> {
        closure(&Source::new("Cargo.lock", text), "start", Some("0.1.0"))
    }

    #[test]
    fn only_what_is_needed_counts() -> Result<(), Diagnostic> {
        let found = of(LOCK)?;
        let text: Vec<String> = found
            .iter()
            .map(|(n, all)| format!("{n}: {all:?}"))
            .collect();
        assert_eq!(
            text,
            [
                r#"a: ["1.0.0 registry+x aa", "2.0.0 registry+x bb"]"#,
                r#"b: ["3.0.0 git+y#1"]"#
            ]
        );
        assert_eq!(of(&LOCK.replace("\"cc\"", "\"dd\""))?, found);
        assert_ne!(of(&LOCK.replace("\"bb\"", "\"dd\""))?, found);
        assert_ne!(of(&LOCK.replace("y#1", "y#2"))?, found);
        Ok(())
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let told = |text: &str| of(text).map_err(|problem| problem.to_string());
        assert_eq!(
            told(&LOCK.replace("source = \"git+y#1\"\n", "")).unwrap_err(),
            "Cargo.lock:21:1: the crate `start` depends on `b`, which is a crate by path"
        );
        assert_eq!(
            told(&LOCK.replace("\"b\"]", "\"x\"]")).unwrap_err(),
            "Cargo.lock:4:1: this Cargo.lock has no package `x`, which `start` depends on"
        );
        assert!(told(&LOCK.replace("0.1.0", "0.2.0")).is_err());
        assert!(told("package = 1").is_err());
    }
}
