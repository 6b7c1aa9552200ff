//! The files of a fleet as one tree: the fleet's own, shadowed by those of overlays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::definition::FileKind;
use crate::model::{Diagnostic, Diagnostics, Location, did_you_mean};

/// How deep folders may be nested: more is a loop of bind mounts or a mistake.
const MAX_DEPTH: usize = 64;

/// What was found at a path of the tree.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) disk: PathBuf,
    pub(super) kind: FileKind,
}

/// The file of the pins, in the fleet's folder.
pub const LOCK: &str = "kolla.lock";

/// Paths relative to the root of the fleet, with `/` between parts.
pub(super) type Tree = BTreeMap<String, Found>;

/// Reads everything below `root/top` for each `top`; one that is missing is left out.
pub(super) fn read(root: &Path, tops: &[&str]) -> Result<Tree, Diagnostics> {
    let mut tree = Tree::new();
    let mut problems = Diagnostics::default();
    for top in tops {
        let disk = root.join(top);
        if disk.is_dir() {
            match walk(&disk, top, 0, &|_| true) {
                Ok(found) => tree.extend(found),
                Err(found) => problems.extend(found),
            }
        }
    }
    problems.or_ok(tree)
}

/// Reads everything below a folder but git's own data, which in a second work tree is a file, and the
/// pins of the fleet, which say what images are made from and are no part of any.
pub(super) fn read_plain(root: &Path) -> Result<Tree, Diagnostics> {
    let found = walk(root, "", 0, &|name| name != ".git")?;
    Ok(found.into_iter().filter(|(path, _)| path != LOCK).collect())
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    enter: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<(String, Found)>, Diagnostics> {
    let io = |path: &Path, error: &std::io::Error| {
        Diagnostics::from(
            Diagnostic::environment(format!("cannot read: {error}")).at(Location::file(path)),
        )
    };
    if depth > MAX_DEPTH {
        return Err(Diagnostic::definition(format!(
            "folders are nested more than {MAX_DEPTH} deep"
        ))
        .at(Location::file(folder))
        .into());
    }
    let entries: Vec<std::fs::DirEntry> = std::fs::read_dir(folder)
        .and_then(Iterator::collect)
        .map_err(|e| io(folder, &e))?;
    let parts: Vec<Result<Vec<(String, Found)>, Diagnostics>> = entries
        .par_iter()
        .map(|entry| {
            let disk = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(Diagnostic::definition("a file name that is not UTF-8")
                    .at(Location::file(&disk))
                    .hint("rename it: names in an image are text here")
                    .into());
            };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            if !enter(name) {
                return Ok(Vec::new());
            }
            let file_type = entry.file_type().map_err(|e| io(&disk, &e))?;
            let kind = if file_type.is_symlink() {
                FileKind::Symlink {
                    target: std::fs::read_link(&disk).map_err(|e| io(&disk, &e))?,
                }
            } else if file_type.is_dir() {
                let mut below = walk(&disk, &path, depth + 1, enter)?;
                below.push((
                    path,
                    Found {
                        disk,
                        kind: FileKind::Directory,
                    },
                ));
                return Ok(below);
            } else if file_type.is_file() {
                FileKind::File {
                    executable: executable(entry).map_err(|e| io(&disk, &e))?,
                }
            } else {
                FileKind::Special
            };
            Ok(vec![(path, Found { disk, kind })])
        })
        .collect();
    let mut all = Vec::new();
    let mut problems = Diagnostics::default();
    for part in parts {
        if let Some(found) = problems.take(part) {
            all.extend(found);
        }
    }
    problems.or_ok(all)
}

fn executable(entry: &std::fs::DirEntry) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(entry.metadata()?.permissions().mode() & 0o100 != 0)
}

/// Lays an overlay over the tree. Each of its files must shadow one that is there, so that a slip
/// in a name is found; only a service that the overlay alone defines, with its `service.toml`, is
/// new. Without `tops` the overlay is of a tree of plain Dockerfiles.
pub(super) fn overlay(tree: &mut Tree, root: &Path, tops: &[&str]) -> Result<(), Diagnostics> {
    if !root.is_dir() {
        return Err(Diagnostic::definition("the overlay is not a directory")
            .at(Location::file(root))
            .hint("an overlay is a folder with files at the same paths as in the tree")
            .into());
    }
    let over = if tops.is_empty() {
        read_plain(root)?
    } else {
        read(root, tops)?
    };
    let mut problems = Diagnostics::default();
    if over.is_empty() {
        problems.push(
            Diagnostic::definition("the overlay shadows nothing")
                .at(Location::file(root))
                .hint("put files at the same paths as in the tree"),
        );
    }
    let known: std::collections::BTreeSet<String> = tree
        .keys()
        .filter(|path| path.ends_with("/service.toml"))
        .cloned()
        .collect();
    let new_service = |path: &str| {
        path.strip_prefix("services/")
            .and_then(|rest| rest.split('/').next())
            .map(|service| format!("services/{service}/service.toml"))
            .is_some_and(|definition| {
                over.contains_key(&definition) && !known.contains(&definition)
            })
    };
    let mut shadowed = Vec::new();
    for (path, found) in &over {
        if found.kind == FileKind::Directory {
            if new_service(path) {
                shadowed.push((path.clone(), found.clone()));
            }
        } else if new_service(path) || tree.contains_key(path) {
            shadowed.push((path.clone(), found.clone()));
        } else {
            problems.push(
                Diagnostic::definition(format!("`{path}` shadows nothing: there is no such file"))
                    .at(Location::file(&found.disk))
                    .maybe_hint(nearest_path(path, tree)),
            );
        }
    }
    tree.extend(shadowed);
    problems.or_ok(())
}

/// Compares file names within the nearest folder that exists, not whole paths: it is quicker, and
/// a long common folder would make everything look near.
fn nearest_path(path: &str, tree: &Tree) -> Option<String> {
    let mut known = String::new();
    for part in path.split('/') {
        let next = if known.is_empty() {
            part.to_owned()
        } else {
            format!("{known}/{part}")
        };
        if !tree
            .keys()
            .any(|p| *p == next || p.starts_with(&format!("{next}/")))
        {
            let prefix = format!("{known}/");
            let siblings = tree
                .keys()
                .filter_map(|p| p.strip_prefix(&prefix))
                .filter_map(|rest| rest.split('/').next());
            return did_you_mean(part, siblings).map(|hint| format!("in {prefix}: {hint}"));
        }
        known = next;
    }
    None
}
