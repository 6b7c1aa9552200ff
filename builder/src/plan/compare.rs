use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Fingerprinted, changes};
use crate::graph::ImageGraph;
use crate::model::{Fingerprint, ImageName, ServiceName};

/// Two states of a fleet: whose images are others now than they were.
#[derive(Debug)]
pub struct Comparison {
    affected: Vec<Affected>,
    removed: Vec<ImageName>,
}

/// An image that is new or another.
#[derive(Debug)]
pub struct Affected {
    /// The image.
    pub image: ImageName,
    /// Its service.
    pub service: ServiceName,
    /// What it is made of now, as one value.
    pub fingerprint: Fingerprint,
    /// What it was made of; none where it was not there.
    pub before: Option<Fingerprint>,
    /// Every input that differs, the causes nearest to the image first; empty where it was not there.
    pub changes: Vec<Change>,
    /// The affected images that it is made from.
    pub parents: Vec<ImageName>,
}

impl Comparison {
    /// Compares the images of `chosen` as they are now in `graph` with what they were. Those that are
    /// no more count where `chosen` has their names.
    pub fn new(
        graph: &ImageGraph,
        now: &BTreeMap<ImageName, Fingerprinted>,
        before: &BTreeMap<ImageName, Fingerprinted>,
        chosen: &BTreeSet<ImageName>,
    ) -> Self {
        let mut affected: Vec<Affected> = Vec::new();
        let mut others: BTreeSet<&ImageName> = BTreeSet::new();
        for node in graph.nodes() {
            let image = node.image();
            let Some(known) = now.get(image).filter(|_| chosen.contains(image)) else {
                continue;
            };
            let was = before.get(image);
            if was.is_some_and(|was| was.fingerprint == known.fingerprint) {
                continue;
            }
            let parents = graph.parents(image).into_iter();
            affected.push(Affected {
                image: image.clone(),
                service: node.rendered().definition().service().clone(),
                fingerprint: known.fingerprint.clone(),
                before: was.map(|was| was.fingerprint.clone()),
                changes: was
                    .map(|was| changes(&was.inputs, &known.inputs))
                    .unwrap_or_default(),
                parents: parents.filter(|p| others.contains(p)).cloned().collect(),
            });
            others.insert(image);
        }
        let gone = |image: &&ImageName| chosen.contains(*image) && !now.contains_key(*image);
        Self {
            affected,
            removed: before.keys().filter(gone).cloned().collect(),
        }
    }

    /// The images that are new or others, parents before children.
    pub fn affected(&self) -> &[Affected] {
        &self.affected
    }

    /// The images that are no more, by name.
    pub fn removed(&self) -> &[ImageName] {
        &self.removed
    }
}
