//! What the network could change under the images, held still: `kolla.lock`.
//!
//! Owns the file, what a fleet needs in it, how it moves on, and what of it no longer holds. A
//! distribution's archive is pinned by the signed InRelease of each of its suites, an image from
//! outside the fleet by its digest. Downloads and commits are not here: their definitions name
//! what must arrive. Asks the network only through [`Network`].

mod file;
mod moves;
mod needs;

use std::collections::BTreeMap;

pub use file::{read, turn, write};
pub use moves::{Move, Network, Patterns, Pinned, drift, moved};
pub use needs::{Archive, Needs};

use crate::debian::SuiteState;
use crate::model::{Digest, Reference};

/// What is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// By the suite that a root file system is bootstrapped from: each suite that packages come from.
    pub archives: BTreeMap<String, Suites>,
    /// Images from outside the fleet, as Dockerfiles name them.
    pub images: BTreeMap<Reference, Digest>,
}

/// Suites of an archive by name, each in one state.
pub type Suites = BTreeMap<String, SuiteState>;

impl Pins {
    /// The digest of each suite's InRelease; none for an archive that is not pinned.
    pub fn archive(&self, suite: &str) -> BTreeMap<String, Digest> {
        let suites = self.archives.get(suite).into_iter().flatten();
        suites
            .map(|(name, state)| (name.clone(), state.inrelease.clone()))
            .collect()
    }
}
