//! What a crate's `Cargo.toml` says, and what of the workspace's counts for it.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::is_name;
use super::place::Place;
use crate::model::Diagnostic;

/// The tables of dependencies of a package or of one of its targets.
const DEPENDENCIES: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// A crate's `Cargo.toml`, which names a package.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) name: String,
    table: Table,
}

impl Manifest {
    pub(super) fn read(place: &Place) -> Result<Self, Diagnostic> {
        let (source, table) = place.toml(&place.folder.join("Cargo.toml"))?;
        let name = table
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str);
        let Some(name) = name else {
            return Err(Diagnostic::definition("this Cargo.toml names no package")
                .at(source.line(1))
                .hint(
                    "`path` is the folder of one crate; that of a workspace alone has no program",
                ));
        };
        if !is_name(name) {
            return Err(Diagnostic::definition(format!(
                "`{}` is no package name",
                name.escape_debug()
            ))
            .at(source.line(1))
            .hint("letters, digits, `-` and `_`"));
        }
        Ok(Self {
            name: name.to_owned(),
            table,
        })
    }

    /// The version, unless it is the workspace's.
    pub(super) fn version(&self) -> Option<&str> {
        self.table.get("package")?.get("version")?.as_str()
    }

    /// The names of its programs: those that `[[bin]]` declares, and those that cargo finds in `src`,
    /// among `files`.
    pub(super) fn programs(&self, place: &Place, files: &BTreeMap<String, String>) -> Vec<String> {
        let declared = self.table.get("bin").and_then(Value::as_array);
        let declared: Vec<(&str, Option<&str>)> = declared
            .into_iter()
            .flatten()
            .filter_map(|bin| {
                let path = bin.get("path").and_then(Value::as_str);
                Some((bin.get("name")?.as_str()?, path))
            })
            .collect();
        let mut names: BTreeSet<&str> = declared.iter().map(|(name, _)| *name).collect();
        let automatic = self
            .table
            .get("package")
            .and_then(|package| package.get("autobins"))
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let taken = |path: &str| declared.iter().any(|(_, of)| *of == Some(path));
        let prefix = format!("{}/", place.path);
        let own = files.keys().filter_map(|path| path.strip_prefix(&prefix));
        for path in own.filter(|path| automatic && !taken(path)) {
            if path == "src/main.rs" {
                names.insert(&self.name);
            }
            let Some(rest) = path.strip_prefix("src/bin/") else {
                continue;
            };
            match rest.split_once('/') {
                None => names.extend(rest.strip_suffix(".rs")),
                Some((folder, "main.rs")) => {
                    names.insert(folder);
                }
                Some(_) => {}
            }
        }
        let good = names.into_iter().filter(|name| is_name(name));
        good.map(str::to_owned).collect()
    }

    /// The values of the workspace's `Cargo.toml` that count for this crate: what it inherits, the
    /// profile, and what decides how features are resolved. Nothing where the crate's own is all.
    pub(super) fn inherited(&self, place: &Place) -> Result<BTreeMap<String, String>, Diagnostic> {
        if place.workspace == place.folder {
            return Ok(BTreeMap::new());
        }
        let file = place.workspace.join("Cargo.toml");
        if !file.is_file() {
            return Err(Diagnostic::definition(format!(
                "`{}` has a Cargo.lock but no Cargo.toml",
                place.shown(&place.workspace).display()
            ))
            .hint("the nearest Cargo.lock at or above a crate is the workspace's"));
        }
        let (_, workspace) = place.toml(&file)?;
        let mut wanted: BTreeSet<Vec<&str>> = BTreeSet::from([
            vec!["profile", "release"],
            vec!["workspace", "resolver"],
            vec!["package", "resolver"],
            vec!["package", "edition"],
        ]);
        if let Some(Value::Table(package)) = self.table.get("package") {
            let inherited = package.iter().filter(|(_, value)| is_inherited(value));
            wanted.extend(inherited.map(|(key, _)| vec!["workspace", "package", key.as_str()]));
        }
        for dependencies in self.dependency_tables() {
            let inherited = dependencies.iter().filter(|(_, value)| is_inherited(value));
            wanted
                .extend(inherited.map(|(key, _)| vec!["workspace", "dependencies", key.as_str()]));
        }
        let found = wanted.into_iter().filter_map(|path| {
            let mut keys = path.iter();
            let first = workspace.get(*keys.next()?)?;
            let value = keys.try_fold(first, |value, key| value.get(*key))?;
            Some((path.join("."), serde_json::to_string(value).ok()?))
        });
        Ok(found.collect())
    }

    fn dependency_tables(&self) -> impl Iterator<Item = &Table> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(|all| all.values());
        let tables = targets.filter_map(Value::as_table).chain([&self.table]);
        tables
            .flat_map(|table| DEPENDENCIES.iter().filter_map(|name| table.get(*name)))
            .filter_map(Value::as_table)
    }
}

/// Whether a value is `{ workspace = true }`, with or without more.
fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}
