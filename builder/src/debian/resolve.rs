//! Which packages make a root file system: those wanted, and all that they depend on.
//!
//! Follows apt where the archive leaves a choice: the newest version of a package is the only one
//! looked at, what is chosen already satisfies before anything new is chosen, and of alternatives
//! the first that can be had is taken. The same indices always give the same choice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use debian_control::lossy::Relation;

use super::index::{Index, IndexError, Package};
use super::relation::{excludes, satisfies};
use super::variant::Variant;

/// How many choices between alternatives are tried before giving up.
const MAX_TRIES: u32 = 500;

/// Stands in for /usr being merged already, which `usrmerge` would do to a running system.
const IS_MERGED: (&str, &str) = ("usrmerge", "usr-is-merged");

/// Why there is no set of packages.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the archive has no package `{name}`")]
    Unknown {
        name: String,
        /// Names that are nearly the same.
        near: Option<String>,
    },
    #[error("nothing in the archive satisfies `{relation}`{found}")]
    Unsatisfied {
        relation: String,
        /// "; there is libc6 2.41", or nothing.
        found: String,
        chain: String,
    },
    #[error("`{package}` and `{other}` cannot be installed together")]
    Conflict {
        package: String,
        other: String,
        /// Which of them says so, and how.
        relation: String,
        chain: String,
    },
    #[error("the archive's architecture of `{name}` is `{found}`, expected `{expected}` or `all`")]
    Architecture {
        name: String,
        found: String,
        expected: String,
    },
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// A set of packages in which every dependency is satisfied.
#[derive(Debug)]
pub(super) struct Resolution {
    /// By name.
    pub(super) packages: BTreeMap<String, Arc<Package>>,
    /// Those that nobody asked for by name, priority or being essential, nor any essential package.
    pub(super) automatic: BTreeSet<String>,
}

/// The packages of a variant and those of `include`, for a machine of Debian's `architecture`.
pub(super) fn resolve(
    index: &Index,
    architecture: &str,
    variant: Variant,
    include: &[String],
) -> Result<Resolution, ResolveError> {
    let mut state = State {
        index,
        architecture,
        tries: 0,
        chosen: BTreeMap::new(),
    };
    for name in index.essential() {
        state.want(name, "essential")?;
    }
    state.close()?;
    let base: BTreeSet<String> = state.chosen.keys().cloned().collect();
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    for name in index.of_priority(variant.priorities()) {
        wanted.insert(name, variant.as_str());
    }
    if variant.has_apt() {
        wanted.insert("apt", variant.as_str());
    }
    for name in include {
        wanted.insert(name, "include");
    }
    for (name, why) in &wanted {
        state.want(name, why)?;
    }
    state.close()?;
    let automatic = state.chosen.keys();
    let automatic = automatic
        .filter(|name| !base.contains(*name) && !wanted.contains_key(name.as_str()))
        .cloned()
        .collect();
    let packages = state.chosen.into_iter();
    Ok(Resolution {
        packages: packages.map(|(name, c)| (name, c.package)).collect(),
        automatic,
    })
}

#[derive(Clone)]
struct Chosen {
    package: Arc<Package>,
    /// The package that depends on it, or why it was asked for.
    by: Result<String, String>,
    /// Whether its dependencies were looked at.
    followed: bool,
}

#[derive(Clone)]
struct State<'a> {
    index: &'a Index,
    architecture: &'a str,
    tries: u32,
    chosen: BTreeMap<String, Chosen>,
}

impl State<'_> {
    fn want(&mut self, name: &str, why: &str) -> Result<(), ResolveError> {
        if self.index.package(name).is_none() {
            return Err(ResolveError::Unknown {
                name: name.to_owned(),
                near: crate::model::nearest(name, self.index.names()).map(str::to_owned),
            });
        }
        self.choose(name, Err(why.to_owned()))
    }

    fn package(&self, name: &str) -> Result<Option<Arc<Package>>, ResolveError> {
        if let Some(chosen) = self.chosen.get(name) {
            return Ok(Some(Arc::clone(&chosen.package)));
        }
        let package = self.index.package(name).transpose()?;
        Ok(package.map(Arc::new))
    }

    fn choose(&mut self, name: &str, by: Result<String, String>) -> Result<(), ResolveError> {
        if self.chosen.contains_key(name) {
            return Ok(());
        }
        let Some(package) = self.package(name)? else {
            return Ok(());
        };
        if package.architecture != self.architecture && package.architecture != "all" {
            return Err(ResolveError::Architecture {
                name: name.to_owned(),
                found: package.architecture.clone(),
                expected: self.architecture.to_owned(),
            });
        }
        let chosen = Chosen {
            package: Arc::clone(&package),
            by,
            followed: false,
        };
        let conflict = self.chosen.values().find_map(|other| {
            let relation = excludes(&package, &other.package)
                .map(|r| format!("`{name}` says so: {r}"))
                .or_else(|| {
                    excludes(&other.package, &package)
                        .map(|r| format!("`{}` says so: {r}", other.package.name))
                })?;
            Some((other.package.name.clone(), relation))
        });
        self.chosen.insert(name.to_owned(), chosen);
        match conflict {
            None => Ok(()),
            Some((other, relation)) => Err(ResolveError::Conflict {
                package: name.to_owned(),
                relation,
                chain: format!("{}; {}", self.chain(name), self.chain(&other)),
                other,
            }),
        }
    }

    /// Chooses until every dependency of the chosen is satisfied.
    fn close(&mut self) -> Result<(), ResolveError> {
        self.close_with(VecDeque::new())
    }

    fn follow(
        &mut self,
        name: &str,
        open: &mut VecDeque<(String, Vec<Relation>)>,
    ) -> Result<(), ResolveError> {
        let Some(chosen) = self.chosen.get_mut(name) else {
            return Ok(());
        };
        chosen.followed = true;
        let package = Arc::clone(&chosen.package);
        for relations in package.pre_depends.0.iter().chain(&package.depends.0) {
            if self.satisfied(relations) {
                continue;
            }
            match self.candidates(relations)?.as_slice() {
                [] => return Err(self.unsatisfied(name, relations)),
                [only] => self.choose(only, Ok(name.to_owned()))?,
                _ => open.push_back((name.to_owned(), relations.clone())),
            }
        }
        Ok(())
    }

    /// Goes on with each candidate in turn until one leads to the end.
    fn try_each(
        &mut self,
        name: &str,
        relations: &[Relation],
        open: VecDeque<(String, Vec<Relation>)>,
    ) -> Result<(), ResolveError> {
        let mut first = None;
        for candidate in self.candidates(relations)? {
            if self.tries >= MAX_TRIES {
                break;
            }
            self.tries += 1;
            let mut attempt = self.clone();
            let result = attempt
                .choose(&candidate, Ok(name.to_owned()))
                .and_then(|()| attempt.close_with(open.clone()));
            match result {
                Ok(()) => {
                    *self = attempt;
                    return Ok(());
                }
                Err(error) => {
                    self.tries = attempt.tries;
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| self.unsatisfied(name, relations)))
    }

    /// `open` are the dependencies that leave a choice. They wait until nothing else is to be done:
    /// by then many are satisfied by what had to be chosen anyway.
    fn close_with(
        &mut self,
        mut open: VecDeque<(String, Vec<Relation>)>,
    ) -> Result<(), ResolveError> {
        loop {
            let next = self.chosen.iter().find(|(_, c)| !c.followed);
            if let Some((name, _)) = next {
                let name = name.clone();
                self.follow(&name, &mut open)?;
                continue;
            }
            let Some((name, relations)) = open.pop_front() else {
                return Ok(());
            };
            if !self.satisfied(&relations) {
                return self.try_each(&name, &relations, open);
            }
        }
    }

    fn satisfied(&self, relations: &[Relation]) -> bool {
        let all = || self.chosen.values();
        relations
            .iter()
            .any(|r| all().any(|c| satisfies(&c.package, r, self.architecture)))
    }

    /// The packages that satisfy one of the alternatives, best first.
    fn candidates(&self, relations: &[Relation]) -> Result<Vec<String>, ResolveError> {
        let mut found: Vec<String> = Vec::new();
        for relation in relations {
            let mut these = Vec::new();
            for name in self.index.providers(&relation.name) {
                if let Some(package) = self.package(name)?
                    && *name != relation.name
                    && satisfies(&package, relation, self.architecture)
                {
                    these.push((rank(&package), name.clone()));
                }
            }
            these.sort();
            if let Some(package) = self.package(&relation.name)?
                && satisfies(&package, relation, self.architecture)
            {
                these.insert(0, (0, relation.name.clone()));
            }
            for (_, name) in these {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        if found.iter().any(|name| name == IS_MERGED.1) {
            found.retain(|name| name != IS_MERGED.0);
        }
        Ok(found)
    }

    fn unsatisfied(&self, name: &str, relations: &[Relation]) -> ResolveError {
        let words: Vec<String> = relations.iter().map(ToString::to_string).collect();
        let found: Vec<String> = relations
            .iter()
            .filter_map(|r| self.package(&r.name).ok()?)
            .map(|p| format!("{} {}", p.name, p.version))
            .collect();
        ResolveError::Unsatisfied {
            relation: words.join(" | "),
            found: match found.is_empty() {
                true => String::new(),
                false => format!("; there is {}", found.join(", ")),
            },
            chain: self.chain(name),
        }
    }

    /// "apt depends on libc6, and is there for: minbase", from the package outwards.
    fn chain(&self, name: &str) -> String {
        let mut words = vec![format!("`{name}`")];
        let mut at = name;
        while let Some(chosen) = self.chosen.get(at) {
            match &chosen.by {
                Ok(parent) => {
                    words.push(format!("needed by `{parent}`"));
                    at = parent;
                }
                Err(why) => {
                    words.push(format!("wanted as {why}"));
                    break;
                }
            }
        }
        words.join(", ")
    }
}

/// Providers of the more important kind first, as apt scores them.
fn rank(package: &Package) -> usize {
    let order = ["required", "important", "standard", "optional"];
    let place = order.iter().position(|p| *p == package.priority);
    if package.essential {
        0
    } else {
        1 + place.unwrap_or(order.len())
    }
}

#[cfg(test)]
#[path = "tests/resolve.rs"]
mod tests;
