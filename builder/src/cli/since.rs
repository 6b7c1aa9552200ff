//! The fleet as it was at a revision, beside what it is in the work tree.
//!
//! Both are loaded by this program with the same flags and variables. What the repository holds comes
//! from each of the two: definitions, templates, kolla.toml, overlays, overrides, crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::Environment;
use super::args::GlobalArgs;
use super::fleet::{self, Fleet};
use super::git::{Checkout, Commit, Repository};
use super::settings::Settings;
use crate::catalog;
use crate::graph::ImageGraph;
use crate::model::{Class, Diagnostic, Diagnostics, ImageName, Location};
use crate::plan::{Comparison, Fingerprinted};

/// What the work tree is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    revision: String,
    merge_base: bool,
}

impl Since {
    /// `REV...` is the commit where REV and HEAD parted, as `--merge-base` says too.
    pub(super) fn new(revision: &str, merge_base: bool) -> Self {
        let base = revision.strip_suffix("...");
        Self {
            revision: base.unwrap_or(revision).to_owned(),
            merge_base: merge_base || base.is_some(),
        }
    }

    /// The revision as it was given.
    pub(super) fn revision(&self) -> &str {
        &self.revision
    }
}

/// A fleet now and what it was.
pub(super) struct Compared {
    pub(super) fleet: Fleet,
    /// What it is compared with.
    pub(super) commit: Commit,
    /// None where the folder of the fleet was not there yet.
    before: Option<Fleet>,
}

/// Loads both states of the fleet. The older one is written to a temporary folder, which is gone when
/// this returns, and when it is dropped before.
pub(super) async fn load(
    since: &Since,
    args: &GlobalArgs,
    settings: &Settings,
    environment: &Environment,
) -> Result<Compared, Diagnostics> {
    let now = in_thread(settings.clone());
    let (now, before) = tokio::join!(now, load_before(since, args, settings, environment));
    let fleet = now?;
    let (commit, before) = before?;
    Ok(Compared {
        fleet,
        commit,
        before,
    })
}

impl Compared {
    /// The images that match, as they are or as they were, and what of them is another.
    pub(super) fn comparison(&self, patterns: &[String]) -> Result<Comparison, Diagnostics> {
        let none = BTreeMap::new();
        let before: &BTreeMap<ImageName, Fingerprinted> = self
            .before
            .as_ref()
            .map_or(&none, |fleet| &fleet.fingerprints);
        let mut chosen = BTreeSet::new();
        let graphs = || {
            [Some(&self.fleet), self.before.as_ref()]
                .into_iter()
                .flatten()
        };
        if patterns.is_empty() {
            let images = |graph: &ImageGraph| graph.nodes().map(|n| n.image().clone()).collect();
            chosen.extend(graphs().flat_map(|fleet| -> Vec<ImageName> { images(&fleet.graph) }));
        }
        let mut problems = Diagnostics::default();
        for pattern in patterns {
            // One of an image that is no more is none of a mistake.
            let matched = graphs().map(|f| fleet::select(&f.graph, std::slice::from_ref(pattern)));
            let (good, bad): (Vec<_>, Vec<_>) = matched.partition(Result::is_ok);
            chosen.extend(
                good.iter()
                    .flatten()
                    .flat_map(|s| s.chosen().iter().cloned()),
            );
            if good.is_empty() {
                problems.extend(bad.into_iter().find_map(Result::err).unwrap_or_default());
            }
        }
        let now = &self.fleet.fingerprints;
        problems.or_ok(Comparison::new(&self.fleet.graph, now, before, &chosen))
    }
}

async fn in_thread(settings: Settings) -> Result<Fleet, Diagnostics> {
    tokio::task::spawn_blocking(move || fleet::load(&settings))
        .await
        .unwrap_or_else(|e| Err(Diagnostic::new(Class::Internal, e.to_string()).into()))
}

async fn load_before(
    since: &Since,
    args: &GlobalArgs,
    settings: &Settings,
    environment: &Environment,
) -> Result<(Commit, Option<Fleet>), Diagnostics> {
    let repository = Repository::of(&settings.root).await?;
    let commit = if since.merge_base {
        repository.common_ancestor(&since.revision).await?
    } else {
        repository.commit(&since.revision).await?
    };
    let mut scratch = scratch(environment);
    let last = scratch.pop().unwrap_or_else(std::env::temp_dir);
    for folder in scratch {
        let written = written(
            since,
            args,
            settings,
            environment,
            &repository,
            &commit,
            &folder,
        );
        match written.await {
            // It may not fit there.
            Err(problems) if problems.iter().any(|p| p.class() == Class::Environment) => {}
            other => return Ok((commit, other?)),
        }
    }
    let written = written(
        since,
        args,
        settings,
        environment,
        &repository,
        &commit,
        &last,
    );
    Ok((commit.clone(), written.await?))
}

/// Where the older state may be written, the best place first: many small files take a disk that is
/// busy a while, and memory next to nothing.
fn scratch(environment: &Environment) -> Vec<PathBuf> {
    const MEMORY: &str = "/dev/shm";
    const TMPFS: u64 = 0x0102_1994;
    const ENOUGH: u64 = 32 << 20;
    let usual = std::env::temp_dir();
    if environment.get("TMPDIR").is_some() {
        return vec![usual];
    }
    let is_enough = rustix::fs::statfs(MEMORY).is_ok_and(|found| {
        let free = found
            .f_bavail
            .saturating_mul(u64::try_from(found.f_bsize).unwrap_or(0));
        u64::try_from(found.f_type) == Ok(TMPFS) && free >= ENOUGH
    });
    let memory = is_enough.then(|| PathBuf::from(MEMORY));
    memory.into_iter().chain([usual]).collect()
}

/// Writes the older state below `folder`, loads it, and takes the files away. None where the fleet's
/// folder was not there.
async fn written(
    since: &Since,
    args: &GlobalArgs,
    settings: &Settings,
    environment: &Environment,
    repository: &Repository,
    commit: &Commit,
    folder: &Path,
) -> Result<Option<Fleet>, Diagnostics> {
    let temporary = tempfile::Builder::new()
        .prefix("kolla-since-")
        .tempdir_in(folder)
        .map_err(|e| Diagnostic::environment(format!("cannot make a temporary folder: {e}")))?;
    let mut before = Before {
        checkout: Checkout::new(repository, commit, temporary.path()).await?,
        repository,
    };
    if !before.checkout.has(&repository.prefix) {
        return Ok(None);
    }
    let loaded = before.load(args, environment).await;
    let root = before.checkout.path(&repository.prefix);
    let top = before.checkout.folder().to_path_buf();
    let placed = |problem: Diagnostic| {
        let problem = problem
            .moved(&root, &settings.root)
            .moved(&top, &repository.top)
            .note(format!(
                "in the fleet as it was at `{}`, commit {}",
                since.revision.escape_debug(),
                commit.short()
            ));
        match problem.class() {
            Class::Definition => problem.hint("--since can name another revision"),
            _ => problem,
        }
    };
    match loaded {
        Ok(fleet) => Ok(Some(fleet)),
        Err(problems) => Err(problems.into_iter().map(placed).collect()),
    }
}

/// A fleet of the past, as far as it is written out.
struct Before<'r> {
    repository: &'r Repository,
    checkout: Checkout<'r>,
}

/// Where a path of the settings leads.
enum Placed {
    /// In the repository, below its top; and whether it was the older kolla.toml that named it.
    Inside(PathBuf, bool),
    Outside(PathBuf),
}

impl Before<'_> {
    async fn load(
        &mut self,
        args: &GlobalArgs,
        environment: &Environment,
    ) -> Result<Fleet, Diagnostics> {
        let prefix = self.repository.prefix.clone();
        let mut wanted: Vec<PathBuf> = prefix
            .ancestors()
            .flat_map(|folder| ["Cargo.toml", "Cargo.lock"].map(|name| folder.join(name)))
            .collect();
        let has_services = self.checkout.has(&prefix.join("services"));
        if has_services {
            let parts = ["services", "templates", "kolla.toml", catalog::LOCK];
            wanted.extend(parts.map(|part| prefix.join(part)));
        } else {
            wanted.push(prefix.clone());
        }
        let mut args = GlobalArgs {
            root: Some(self.checkout.path(&prefix)),
            // What has been committed is judged by what it was then.
            locked: false,
            ..args.clone()
        };
        let variable = environment.get("KOLLA_CONFIG_FILE").map(PathBuf::from);
        args.config = args.config.or(variable);
        if let Some(config) = &args.config
            && let Placed::Inside(path, _) = self.placed(config)
        {
            if !self.checkout.has(&path) {
                return Err(Diagnostic::definition("this file was not there")
                    .at(Location::file(config))
                    .hint("--config names a file of the repository, which is read from both revisions; a file elsewhere counts for both")
                    .into());
            }
            wanted.push(path.clone());
            args.config = Some(self.checkout.path(&path));
        }
        self.checkout.take(&wanted).await?;
        let mut settings = Settings::resolve(&args, environment)?;
        settings.overrides = self.there(settings.overrides).await?;
        settings.custom.overlays = self.there(settings.custom.overlays).await?;
        if has_services {
            let root = self.checkout.path(&prefix);
            let trees = settings.custom.overlays.iter().chain([&root]);
            let crates = trees
                .flat_map(|tree| crates(tree))
                .map(|path| prefix.join(path));
            let crates: Vec<PathBuf> = crates.collect();
            self.checkout.take(&crates).await?;
        }
        in_thread(settings).await
    }

    /// Overlays and overrides as they were; those that only a flag names and that were not there are
    /// left out.
    async fn there(&mut self, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Diagnostic> {
        let mut found = Vec::new();
        let mut wanted = Vec::new();
        for path in paths {
            match self.placed(&path) {
                Placed::Outside(path) => found.push(path),
                Placed::Inside(below, own) => {
                    if own || self.checkout.has(&below) {
                        found.push(self.checkout.path(&below));
                        wanted.push(below);
                    }
                }
            }
        }
        self.checkout.take(&wanted).await?;
        Ok(found)
    }

    fn placed(&self, path: &Path) -> Placed {
        if let Ok(below) = path.strip_prefix(self.checkout.folder()) {
            return match normal(below) {
                Some(below) => Placed::Inside(below, true),
                None => Placed::Outside(self.repository.top.join(below)),
            };
        }
        let real = path.canonicalize().ok();
        let below =
            real.and_then(|real| Some(real.strip_prefix(&self.repository.top).ok()?.into()));
        match below {
            Some(below) => Placed::Inside(below, false),
            None => Placed::Outside(path.to_path_buf()),
        }
    }
}

/// A relative path without `.` and `..`; none where it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir if plain.pop() => {}
            Component::ParentDir => return None,
            _ => {}
        }
    }
    Some(plain)
}

/// The folders of all crates that the definitions of a tree name.
fn crates(tree: &Path) -> Vec<String> {
    let services = std::fs::read_dir(tree.join("services"));
    let services = services.into_iter().flatten().filter_map(Result::ok);
    let definitions = services
        .filter_map(|service| std::fs::read_to_string(service.path().join("service.toml")).ok());
    definitions
        .flat_map(|text| catalog::crates(&text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_dots_mean_the_common_ancestor() {
        assert_eq!(Since::new("main...", false), Since::new("main", true));
        assert_ne!(Since::new("main", false), Since::new("main", true));
    }

    #[test]
    fn a_path_that_leads_out_is_told() {
        assert_eq!(normal(Path::new("a/../b/./c")), Some("b/c".into()));
        assert_eq!(normal(Path::new("a/../../b")), None);
    }
}
