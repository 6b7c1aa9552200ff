//! From one state of the network to the next.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};

use super::{Archive, Needs, Pins, Suites};
use crate::model::{Diagnostic, Diagnostics, Digest, Reference, did_you_mean};

/// What the network has at the moment.
pub trait Network {
    /// The suites of an archive.
    ///
    /// # Errors
    /// Where the archive cannot be reached or trusted.
    fn archive(&self, archive: &Archive) -> Result<Suites, Diagnostic>;

    /// The digest that an image's name stands for.
    ///
    /// # Errors
    /// Where its registry cannot be reached, or has no such image.
    fn image(&self, image: &Reference) -> Result<Digest, Diagnostic>;
}

/// A pin that is another than before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Move {
    /// A suite of an archive, or an image as it is named.
    pub name: String,
    /// What it was pinned to; none for a new one.
    pub before: Option<Pinned>,
    /// What it is pinned to; none for one that nothing needs any more.
    pub after: Option<Pinned>,
}

/// A digest, and for an archive the date of that state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pinned {
    /// Of the InRelease, or of the image.
    pub digest: Digest,
    /// As the archive says.
    pub date: Option<String>,
}

/// Which pins are to move on.
#[derive(Debug, Clone)]
pub struct Patterns(Vec<GlobMatcher>);

impl Patterns {
    /// Globs over names of suites and images; without any, all move on.
    ///
    /// # Errors
    /// A pattern that is not a glob.
    pub fn new(patterns: &[String]) -> Result<Self, Diagnostics> {
        let all = [String::from("*")];
        let patterns = if patterns.is_empty() { &all } else { patterns };
        let mut problems = Diagnostics::default();
        let mut globs = Vec::new();
        for pattern in patterns {
            let glob = Glob::new(pattern).map_err(|e| {
                Diagnostic::definition(format!("`{pattern}` is not a pattern: {}", e.kind()))
                    .hint("a pattern is the name of a suite or an image with `*`, `?`, `[...]` and `{a,b}`")
            });
            globs.extend(problems.take(glob).map(|glob| glob.compile_matcher()));
        }
        problems.or_ok(Self(globs))
    }

    fn match_any(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.is_match(name))
    }

    /// # Errors
    /// A pattern that matches none of the names.
    fn all_match(&self, names: &BTreeSet<String>) -> Result<(), Diagnostics> {
        let mut problems = Diagnostics::default();
        for glob in &self.0 {
            let pattern = glob.glob().glob();
            if pattern != "*" && !names.iter().any(|name| glob.is_match(name)) {
                let names = names.iter().map(String::as_str);
                let pinned = || {
                    format!(
                        "pinned are {}",
                        names.clone().collect::<Vec<_>>().join(", ")
                    )
                };
                problems.push(
                    Diagnostic::definition(format!("nothing that is pinned matches `{pattern}`"))
                        .hint(did_you_mean(pattern, names.clone()).unwrap_or_else(pinned)),
                );
            }
        }
        problems.or_ok(())
    }
}

/// Everything that is needed, pinned: as before, and as the network has it now where it was not pinned
/// or is to move on. What nothing needs any more is dropped.
///
/// # Errors
/// Where the network does not say what it has, and for patterns that match nothing.
pub fn moved(
    before: &Pins,
    needs: &Needs,
    update: Option<&Patterns>,
    network: &dyn Network,
) -> Result<Pins, Diagnostics> {
    let moves_on = |name: &str| update.is_some_and(|patterns| patterns.match_any(name));
    let mut problems = Diagnostics::default();
    let mut after = Pins::default();
    for (suite, archive) in &needs.archives {
        let known = before.archives.get(suite).cloned().unwrap_or_default();
        // Asked in any case: a suite may have come that has no pin yet.
        let placed = |p: Diagnostic| p.at(archive.declared.clone());
        let Some(mut suites) = problems.take(network.archive(archive).map_err(placed)) else {
            continue;
        };
        for (name, state) in known {
            // One that this machine has no mirror for is still somebody's.
            if !suites.contains_key(&name) || !moves_on(&name) {
                suites.insert(name, state);
            }
        }
        after.archives.insert(suite.clone(), suites);
    }
    for (image, location) in &needs.images {
        let known = before.images.get(image);
        let digest = match known.filter(|_| !moves_on(&image.to_string())) {
            Some(known) => Ok(known.clone()),
            None => network.image(image).map_err(|p| p.at(location.clone())),
        };
        if let Some(digest) = problems.take(digest) {
            after.images.insert(image.clone(), digest);
        }
    }
    if let Some(patterns) = update {
        let names = flat(before).into_keys().chain(flat(&after).into_keys());
        problems.take(patterns.all_match(&names.collect()));
    }
    problems.or_ok(after)
}

/// Pins by what they are called.
fn flat(pins: &Pins) -> BTreeMap<String, Pinned> {
    let suites = pins.archives.values().flatten().map(|(name, state)| {
        let pinned = Pinned {
            digest: state.inrelease.clone(),
            date: Some(state.date.clone()),
        };
        (name.clone(), pinned)
    });
    let images = pins.images.iter().map(|(image, digest)| {
        let pinned = Pinned {
            digest: digest.clone(),
            date: None,
        };
        (image.to_string(), pinned)
    });
    suites.chain(images).collect()
}

impl Move {
    /// What differs from one state to another, by name.
    pub fn between(before: &Pins, after: &Pins) -> Vec<Self> {
        let (mut before, mut after) = (flat(before), flat(after));
        let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
        let moves = names.into_iter().map(|name| Self {
            before: before.remove(&name),
            after: after.remove(&name),
            name,
        });
        moves.filter(|m| m.before != m.after).collect()
    }
}

/// The suites of an archive that are not in the state that they are pinned to, or not pinned at all.
pub fn drift(suite: &str, pinned: &Suites, now: &Suites) -> Vec<Move> {
    let of = |suites: &Suites| Pins {
        archives: BTreeMap::from([(suite.to_owned(), suites.clone())]),
        ..Pins::default()
    };
    Move::between(&of(pinned), &of(now))
}

#[cfg(test)]
#[path = "tests/moves.rs"]
mod tests;
