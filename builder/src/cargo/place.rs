//! Where a crate is, and that it is nowhere else.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::model::{Diagnostic, Location, Source};

/// The largest `Cargo.toml` or `Cargo.lock` taken, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// A crate's folder, below the fleet's root, and the folder with its `Cargo.lock`. All paths are
/// absolute and without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The crate's folder.
    pub(super) folder: PathBuf,
    /// The same below the fleet's root, with `/` between parts.
    pub(super) path: String,
    /// The folder of the nearest `Cargo.lock`: the crate's own or the workspace's.
    pub(super) workspace: PathBuf,
    /// The root as the user names it, for what is shown.
    root: PathBuf,
    real_root: PathBuf,
    /// What no file may be outside of: the repository, or the root where there is none.
    repository: PathBuf,
}

impl Place {
    pub(super) fn find(root: &Path, path: &str) -> Result<Self, Diagnostic> {
        let relative = Path::new(path);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
            && relative.components().next().is_some();
        if !inside {
            return Err(
                Diagnostic::definition("a crate is a folder below the fleet's root").hint(
                    "its path without a leading `/`, and without `.` and `..`, such as \"start\"",
                ),
            );
        }
        let shown = root.join(relative);
        let unreadable = |error: std::io::Error| {
            Diagnostic::definition(format!("cannot read `{}`: {error}", shown.display()))
        };
        let real_root = root.canonicalize().map_err(unreadable)?;
        let Ok(folder) = shown.canonicalize() else {
            return Err(
                Diagnostic::definition(format!("there is no `{}`", shown.display()))
                    .hint("`path` is relative to the fleet's root, the folder with `services/`"),
            );
        };
        let below = folder.strip_prefix(&real_root).ok();
        let Some(below) = below.filter(|below| !below.as_os_str().is_empty()) else {
            return Err(Diagnostic::definition(
                "this path leads out of the fleet's root over a symbolic link",
            )
            .hint("a crate is a folder of the fleet's own repository"));
        };
        let Some(below) = below.to_str() else {
            return Err(Diagnostic::definition("a file name that is not UTF-8"));
        };
        if !folder.join("Cargo.toml").is_file() {
            return Err(
                Diagnostic::definition(format!("`{}` has no Cargo.toml", shown.display()))
                    .hint("`path` is the folder of a crate"),
            );
        }
        let repository = real_root
            .ancestors()
            .find(|folder| folder.join(".git").exists())
            .unwrap_or(&real_root)
            .to_path_buf();
        let workspace = folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&repository))
            .find(|folder| folder.join("Cargo.lock").is_file());
        let Some(workspace) = workspace else {
            return Err(Diagnostic::definition(format!(
                "`{}` has no Cargo.lock, and no folder above it in the repository has one",
                shown.display()
            ))
            .hint("`cargo generate-lockfile` writes it: commit it"));
        };
        Ok(Self {
            workspace: workspace.to_path_buf(),
            path: below.to_owned(),
            folder,
            root: root.to_path_buf(),
            real_root,
            repository,
        })
    }

    /// A path of the machine as the user would type it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.real_root) {
            Ok(below) => self.root.join(below),
            Err(_) => path.to_path_buf(),
        }
    }

    /// A text of the repository, to which no link may lead from outside or the other way.
    pub(super) fn text(&self, path: &Path) -> Result<Source, Diagnostic> {
        let shown = self.shown(path);
        let at = |problem: Diagnostic| problem.at(Location::file(&shown));
        let io = |e: std::io::Error| at(Diagnostic::environment(format!("cannot read: {e}")));
        let real = path.canonicalize().map_err(io)?;
        if !real.starts_with(&self.repository) {
            return Err(at(Diagnostic::definition(
                "this file is elsewhere, over a symbolic link that leads out of the repository",
            )
            .hint("put the file itself there")));
        }
        if !real.is_file() {
            return Err(at(Diagnostic::definition("this is not a file")));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&real)
            .and_then(|file| file.take(MAX_TEXT + 1).read_to_end(&mut bytes))
            .map_err(io)?;
        if bytes.len() as u64 > MAX_TEXT {
            return Err(at(Diagnostic::definition(format!(
                "this file is larger than {MAX_TEXT} bytes"
            ))));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(shown, text)),
            Err(_) => Err(at(Diagnostic::definition("this file is not UTF-8 text"))),
        }
    }

    /// A file of the repository read as TOML.
    pub(super) fn toml(&self, path: &Path) -> Result<(Source, toml::Table), Diagnostic> {
        let source = self.text(path)?;
        let table = toml::from_str(source.text()).map_err(|error| {
            Diagnostic::definition(error.message().trim_end().replace('\n', ": "))
                .at(source.location(error.span().unwrap_or(0..0)))
        })?;
        Ok((source, table))
    }
}
