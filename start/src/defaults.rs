//! What the image had where the configuration is put, kept so that it comes back.
//!
//! Below `/etc/kolla/defaults` is a copy of everything that was replaced, and `state`, in upstream's
//! format, says what was: `dest` is its copy, or null where nothing was there. Whenever the set of
//! replaced paths changes, all of them become what they were, and the new set is saved from there,
//! so that nothing of an older configuration is ever taken for the image's own. The copies are for
//! the superuser alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::copy::{Copier, Links, Properties};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::root::Root;
use crate::write;

/// Where the copies are.
const DEFAULTS: &str = "/etc/kolla/defaults";
const STATE: &str = "/etc/kolla/defaults/state";
const MAX_STATE: u64 = 64 << 20;

/// One replaced path.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Saved {
    source: String,
    preserve_properties: bool,
    dest: Option<String>,
    /// The directories that were created for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    created: Vec<String>,
}

type State = BTreeMap<String, Saved>;

/// The paths that the last configuration replaced, with what was there.
#[derive(Debug)]
pub(crate) struct Defaults {
    state: State,
}

impl Defaults {
    pub(crate) fn load(root: &Root) -> Result<Self> {
        Ok(Self { state: load(root)? })
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.state.keys().map(Path::new)
    }

    fn same_paths(&self, paths: &BTreeSet<PathBuf>) -> bool {
        self.state.len() == paths.len() && self.paths().all(|path| paths.contains(path))
    }

    /// Whether the image has something at `path` that is no directory.
    pub(crate) fn no_directory(&self, root: &Root, path: &Path) -> Result<bool> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let place = match self.state.get(&*path.to_string_lossy()) {
            Some(saved) if saved.dest.is_none() => return Ok(false),
            Some(_) => root.name(&copy_of(path))?,
            None if !root.missing_dirs(parent)?.is_empty() => return Ok(false),
            None => root.follow(path)?,
        };
        Ok(place.node()?.is_some_and(|node| !node.is_dir()))
    }
}

/// Brings back what `paths` no longer has, and saves what they will replace.
///
/// An interruption leaves a state that is true: everything replaced and all of it saved, or nothing
/// replaced.
pub(crate) fn prepare(
    root: &Root,
    log: &mut Log<'_>,
    old: &Defaults,
    paths: &BTreeSet<PathBuf>,
) -> Result<()> {
    if old.same_paths(paths) {
        return Ok(());
    }
    if !old.state.is_empty() {
        for (path, saved) in &old.state {
            restore(root, Path::new(path), saved)?;
            if !paths.contains(Path::new(path)) {
                log.say(format_args!("{path} is as the image has it again"));
            }
        }
        store(root, &State::new())?;
        forget(root)?;
    }
    let mut new = State::new();
    for path in paths {
        let name = path.to_str().ok_or_else(|| Error::Kind {
            path: path.clone(),
            found: "a name that is not UTF-8",
            expected: "one that can be written down",
        })?;
        new.insert(name.to_owned(), save(root, path, name)?);
    }
    store(root, &new)
}

fn load(root: &Root) -> Result<State> {
    let Some(text) = root.read(Path::new(STATE), MAX_STATE)? else {
        return Ok(State::new());
    };
    let broken = || Error::Kind {
        path: PathBuf::from(STATE),
        found: "not what this program writes",
        expected: "the saved state (start from a new container)",
    };
    let state: State = serde_json::from_slice(&text).map_err(|_| broken())?;
    let absolute = state.keys().all(|path| Path::new(path).is_absolute());
    if absolute { Ok(state) } else { Err(broken()) }
}

fn store(root: &Root, state: &State) -> Result<()> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, indent);
    state
        .serialize(&mut writer)
        .map_err(|error| Error::io::<std::io::Error>("write", Path::new(STATE))(error.into()))?;
    own_dir(root)?;
    write::file(root, Path::new(STATE), &text, 0o644)
}

fn own_dir(root: &Root) -> Result<()> {
    let path = Path::new(DEFAULTS);
    let made = root.make_dirs(path)?;
    if made.last().is_some_and(|last| last == path) {
        root.follow(path)?.directory()?.set_mode(0o700)?;
    }
    Ok(())
}

fn copy_of(path: &Path) -> PathBuf {
    Path::new(DEFAULTS).join(path.strip_prefix("/").unwrap_or(path))
}

fn copier(root: &Root) -> Copier<'_> {
    Copier {
        root,
        properties: Properties::Preserve,
        links: Links::Keep,
    }
}

fn save(root: &Root, path: &Path, name: &str) -> Result<Saved> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let created = root.missing_dirs(parent)?;
    let there = created.is_empty() && root.name(path)?.node()?.is_some();
    let copy = copy_of(path);
    if there {
        own_dir(root)?;
        if let Some(parent) = copy.parent() {
            root.make_dirs(parent)?;
        }
        copier(root).replace(path, &copy)?;
    }
    Ok(Saved {
        source: name.to_owned(),
        preserve_properties: true,
        dest: there.then(|| copy.to_string_lossy().into_owned()),
        created: created
            .iter()
            .map(|dir| dir.to_string_lossy().into_owned())
            .collect(),
    })
}

/// Both upstream and this program name the copy by the path, whatever `source` and `dest` say:
/// upstream swaps the two whenever it restores one.
fn restore(root: &Root, path: &Path, saved: &Saved) -> Result<()> {
    if saved.dest.is_some() {
        if let Some(parent) = path.parent() {
            root.make_dirs(parent)?;
        }
        return copier(root).replace(&copy_of(path), path);
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    if root.missing_dirs(parent)?.is_empty() {
        root.name(path)?.remove()?;
    }
    for dir in saved.created.iter().rev() {
        if let Ok(place) = root.name(Path::new(dir)) {
            place.remove_if_empty();
        }
    }
    Ok(())
}

/// Takes away all copies.
fn forget(root: &Root) -> Result<()> {
    for place in root.follow(Path::new(DEFAULTS))?.required()?.children()? {
        if place.path() != Path::new(STATE) {
            place.remove()?;
        }
    }
    Ok(())
}
