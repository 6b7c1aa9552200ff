//! Taking away what is of no more use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::super::{Error, Leftover, Limits};
use super::{Layer, Store, remove_tree};
use crate::model::Digest;

/// A step that was done once.
struct Step {
    path: PathBuf,
    layer: Layer,
    used: SystemTime,
}

/// What is to stay.
#[derive(Default)]
struct Kept {
    snapshots: BTreeSet<String>,
    layers: BTreeSet<Digest>,
    blobs: BTreeSet<Digest>,
    /// Bytes, packed and unpacked.
    size: u64,
}

impl Kept {
    fn layer(&mut self, layer: &Layer) {
        if self.snapshots.insert(layer.snapshot.clone()) {
            self.size += layer.size;
        }
        if self.blobs.insert(layer.blob.digest.clone()) {
            self.size += layer.blob.size;
        }
        self.layers.insert(layer.diff_id.clone());
    }
}

impl Store {
    /// Takes away steps that were not used for as long as the limits say, then the longest unused
    /// until no more is left than they say, and all that neither a step nor an image needs. What
    /// an image needs stays, however much it is.
    pub(in super::super) fn clean(
        &self,
        limits: &Limits,
        dry_run: bool,
    ) -> Result<Vec<Leftover>, Error> {
        // Nothing may be under way here or elsewhere: what a build has made so far is in no record.
        let alone = self
            .in_use
            .upgrade()
            .map_err(|e| self.error(&self.folder, &e))?;
        if !alone {
            return Err(Error::InUse {
                what: format!("the store {}", self.folder.display()),
                message: "another kolla works with it".to_owned(),
            });
        }
        let cleaned = self.sweep_unused(limits, dry_run);
        let _ = self.in_use.downgrade();
        cleaned
    }

    /// Takes away what a crashed process made and did not come to record, unless others are at
    /// work: it is in nobody's way.
    pub(super) fn repair(&self) -> Result<(), Error> {
        let alone = self
            .in_use
            .upgrade()
            .map_err(|e| self.error(&self.folder, &e))?;
        if alone {
            let limits = Limits {
                now: SystemTime::UNIX_EPOCH,
                unused_for: None,
                size: None,
            };
            let swept = self.sweep_unused(&limits, false);
            let _ = self.in_use.downgrade();
            swept?;
        }
        Ok(())
    }

    fn sweep_unused(&self, limits: &Limits, dry_run: bool) -> Result<Vec<Leftover>, Error> {
        let mut kept = Kept::default();
        for (image, _) in self.images()? {
            kept.blobs.insert(image.descriptor.digest.clone());
            kept.blobs.insert(image.manifest.config.digest.clone());
            kept.blobs
                .extend(image.manifest.layers.iter().map(|l| l.digest.clone()));
            for layer in self.layers_of(&image).into_iter().flatten() {
                kept.layer(&layer);
            }
        }
        let mut found = Vec::new();
        let mut steps = self.steps();
        // The longest unused last.
        steps.sort_by_key(|step| std::cmp::Reverse(step.used));
        for step in steps {
            let idle = limits
                .now
                .duration_since(step.used)
                .unwrap_or(Duration::ZERO);
            let old = limits.unused_for.is_some_and(|limit| idle > limit);
            let mut with = kept.size;
            if !kept.snapshots.contains(&step.layer.snapshot) {
                with += step.layer.size + step.layer.blob.size;
            }
            let much = limits.size.is_some_and(|limit| with > limit);
            if old || much {
                found.push((step.path, "step", 0));
            } else {
                kept.layer(&step.layer);
            }
        }
        let sized = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        for (folder, kind) in [("layers", "layer"), ("origins", "origin")] {
            for (name, path) in entries(&self.folder.join(folder)) {
                if Digest::parse(&name).map_or(true, |digest| !kept.layers.contains(&digest)) {
                    found.push((path, kind, 0));
                }
            }
        }
        for (name, path) in entries(&self.folder.join("blobs/sha256")) {
            if Digest::parse(&name).map_or(true, |digest| !kept.blobs.contains(&digest)) {
                let size = sized(&path);
                found.push((path, "blob", size));
            }
        }
        for (name, path) in entries(&self.snapshots()) {
            if name != super::EMPTY && !kept.snapshots.contains(&name) {
                let size = size_of(&path);
                found.push((path, "snapshot", size));
            }
        }
        for (_, path) in entries(&self.folder.join("locks")) {
            found.push((path, "lock", 0));
        }
        if limits.unused_for.is_some() || limits.size.is_some() {
            for (_, path) in entries(&self.folder.join("caches")) {
                let size = size_of(&path);
                let used = std::fs::metadata(&path).and_then(|m| m.modified());
                let idle = used
                    .ok()
                    .and_then(|used| limits.now.duration_since(used).ok());
                let old = idle
                    .zip(limits.unused_for)
                    .is_some_and(|(idle, limit)| idle > limit);
                if old {
                    found.push((path, "cache", size));
                }
            }
        }
        if !dry_run {
            // Records first: what they name must not be gone while they are there.
            for (path, ..) in &found {
                remove_tree_or_file(path);
            }
        }
        Ok(summary(&found))
    }

    fn steps(&self) -> Vec<Step> {
        let read = |path: PathBuf| {
            let layer = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            let used = std::fs::metadata(&path).and_then(|m| m.modified()).ok()?;
            Some(Step { path, layer, used })
        };
        let all = entries(&self.folder.join("steps")).into_iter();
        all.filter_map(|(_, path)| read(path)).collect()
    }
}

/// One line for each kind of thing.
fn summary(found: &[(PathBuf, &'static str, u64)]) -> Vec<Leftover> {
    let mut kinds: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for (_, kind, size) in found.iter().filter(|(_, kind, _)| *kind != "lock") {
        let entry = kinds.entry(kind).or_default();
        entry.0 += 1;
        entry.1 += size;
    }
    let rows = kinds.into_iter().map(|(kind, (count, size))| Leftover {
        kind,
        id: String::new(),
        description: format!("{count} in the native engine's store"),
        size,
    });
    rows.collect()
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .collect();
    all.sort();
    all
}

fn size_of(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !found.is_dir() {
        return found.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry.path())).sum()
}

fn remove_tree_or_file(path: &Path) {
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        remove_tree(path);
    } else {
        let _ = std::fs::remove_file(path);
    }
}
