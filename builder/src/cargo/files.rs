//! A crate's own files as inputs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::place::Place;
use crate::archive::{digest_of, leads_out};
use crate::model::{Diagnostic, Location};

/// How deep folders may be nested, and how many files there may be: more is a mistake.
const MAX_DEPTH: usize = 64;
const MAX_FILES: usize = 20_000;

/// What lies beside `Cargo.toml` and makes no program: what cargo builds for its own tests, what it leaves,
/// and the page for people.
const NOT_COMPILED: [&str; 5] = ["target", "tests", "benches", "examples", "README.md"];

/// Whether a path below a crate's folder is one of its inputs.
pub(super) fn counts(path: &Path) -> bool {
    let mut names = path.iter();
    let first = names.next().and_then(|name| name.to_str());
    !first.is_some_and(|name| NOT_COMPILED.contains(&name)) && path.iter().all(|n| n != ".git")
}

/// Every file of a crate by its path below the fleet's root: `file` or `executable` and its digest,
/// or `link` and its text.
pub(super) fn read(place: &Place) -> Result<BTreeMap<String, String>, Diagnostic> {
    let mut found = BTreeMap::new();
    walk(place, &place.folder, "", 0, &mut found)?;
    Ok(found
        .into_iter()
        .map(|(path, what)| (format!("{}/{path}", place.path), what))
        .collect())
}

fn walk(
    place: &Place,
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, String>,
) -> Result<(), Diagnostic> {
    let at = |problem: Diagnostic, path: &Path| problem.at(Location::file(place.shown(path)));
    let io = |path: &Path, error: &std::io::Error| {
        at(
            Diagnostic::environment(format!("cannot read: {error}")),
            path,
        )
    };
    if depth > MAX_DEPTH || found.len() > MAX_FILES {
        return Err(at(
            Diagnostic::definition(format!(
                "a crate has at most {MAX_FILES} files, nested at most {MAX_DEPTH} deep"
            )),
            folder,
        ));
    }
    for entry in std::fs::read_dir(folder).map_err(|e| io(folder, &e))? {
        let entry = entry.map_err(|e| io(folder, &e))?;
        let disk = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(at(
                Diagnostic::definition("a file name that is not UTF-8").hint("rename it"),
                &disk,
            ));
        };
        let path = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        };
        if !counts(Path::new(&path)) {
            continue;
        }
        let metadata = std::fs::symlink_metadata(&disk).map_err(|e| io(&disk, &e))?;
        if metadata.is_dir() {
            walk(place, &disk, &path, depth + 1, found)?;
            continue;
        }
        let what = if metadata.is_symlink() {
            let target = std::fs::read_link(&disk).map_err(|e| io(&disk, &e))?;
            if leads_out(&path, &target) {
                return Err(at(
                    Diagnostic::definition(format!(
                        "the symbolic link `{path}` -> `{}` leads out of the crate",
                        target.display()
                    ))
                    .hint("copy the file into the crate"),
                    &disk,
                ));
            }
            format!("link {}", target.display())
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            let (_, digest) = digest_of(&disk).map_err(|e| io(&disk, &e))?;
            format!(
                "{} {digest}",
                if executable { "executable" } else { "file" }
            )
        } else {
            return Err(at(
                Diagnostic::definition("a socket, a pipe or a device is no part of a crate")
                    .hint("remove it"),
                &disk,
            ));
        };
        found.insert(path, what);
    }
    Ok(())
}
