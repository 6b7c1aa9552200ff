//! What has to be done for each image, and why.
//!
//! Owns fingerprints and the comparison of what they say with what an engine holds, and with what they
//! were. Changes nothing anywhere: the same inputs and the same engine give the same plan.

mod compare;
mod fingerprint;
mod published;
mod records;
mod shards;
mod why;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use compare::{Affected, Comparison};
pub use fingerprint::{Fingerprinted, Inputs, fingerprints};
pub use published::{Published, look_up};
pub use records::Records;
pub use shards::shards;
pub use why::{Change, changes};

use crate::engine::StoredImage;
use crate::graph::{ImageGraph, Selection};
use crate::model::{
    Diagnostic, Diagnostics, Fingerprint, ImageId, ImageName, Reference, ServiceName,
};

/// The label that carries an image's fingerprint.
pub const FINGERPRINT_LABEL: &str = "org.openstack.kolla.fingerprint";
/// The label that carries an image's name.
pub const IMAGE_LABEL: &str = "org.openstack.kolla.image";

/// The reference under which an engine holds the image of a fingerprint, whatever else it is
/// tagged as: children are built from it, and it is what a later plan looks for.
///
/// A label alone would not do: an image that somebody builds from one of ours inherits its labels.
/// The host cannot exist (RFC 2606), so a missing image is never looked for on the network.
pub fn engine_reference(image: &ImageName, fingerprint: &Fingerprint) -> Reference {
    Reference::internal(image, fingerprint)
}

/// What is to be done for the images of a selection.
#[derive(Debug)]
pub struct Plan {
    images: Vec<PlannedImage>,
}

/// One image of a plan.
#[derive(Debug)]
pub struct PlannedImage {
    /// The image.
    pub image: ImageName,
    /// Its service.
    pub service: ServiceName,
    /// What it is made of, as one value.
    pub fingerprint: Fingerprint,
    /// What is to be done.
    pub action: Action,
    /// The images of the fleet that it is made from.
    pub parents: Vec<ImageName>,
}

/// What is to be done for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Build it.
    Build(Reason),
    /// Take what the engine has.
    Reuse(ImageId),
    /// Take what a registry has.
    ReusePublished {
        /// Where, by its digest.
        at: Reference,
        /// Whether the engine needs it, since something that is built is made from it.
        fetch: bool,
    },
    /// Nothing: it was not asked for, and nothing that is built needs it.
    Skip,
}

impl Action {
    /// "build", "reuse", "skip".
    pub fn word(&self) -> &'static str {
        match self {
            Self::Build(_) => "build",
            Self::Reuse(_) | Self::ReusePublished { .. } => "reuse",
            Self::Skip => "skip",
        }
    }
}

/// Why an image has to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It was built before on this machine, or is published, from other inputs.
    Changed(Vec<Change>),
    /// It was built before from the same inputs, but the engine does not have it.
    Gone,
    /// Nothing is known of an earlier build.
    New,
    /// The user wants it built anew.
    Forced,
}

/// What a plan is made from, besides the graph.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Fingerprints of every image of the graph.
    pub fingerprints: &'a BTreeMap<ImageName, Fingerprinted>,
    /// The images that the engine holds, as it lists them by [`FINGERPRINT_LABEL`].
    pub stored: &'a [StoredImage],
    /// The images that registries hold, of those that the engine does not.
    pub published: &'a BTreeMap<ImageName, Reference>,
    /// Inputs of earlier builds.
    pub records: &'a Records,
    /// Inputs of published images, for those that were never built here.
    pub elsewhere: &'a BTreeMap<ImageName, Inputs>,
    /// Build the chosen images even where the engine has them.
    pub rebuild: bool,
}

impl Plan {
    /// Decides for every image of the selection.
    ///
    /// # Errors
    /// When an image is to be built on a parent that is neither there nor selected.
    pub fn new(
        graph: &ImageGraph,
        selection: &Selection,
        facts: &Facts<'_>,
    ) -> Result<Self, Diagnostics> {
        let held = held(facts.stored);
        let mut to_build: BTreeSet<&ImageName> = BTreeSet::new();
        let mut images = Vec::new();
        // Children before parents: whether a parent is needed is known once its children are.
        let nodes: Vec<_> = graph
            .nodes()
            .filter(|n| selection.contains(n.image()))
            .collect();
        for node in nodes.iter().rev() {
            let image = node.image();
            let Some(known) = facts.fingerprints.get(image) else {
                continue;
            };
            let chosen = selection.chosen().contains(image);
            let needed = graph.children(image).iter().any(|c| to_build.contains(c));
            let wanted = chosen || needed;
            let stored = held.get(&engine_reference(image, &known.fingerprint).to_string());
            let published = facts.published.get(image);
            let there = stored.is_some() || published.is_some();
            let action = match (stored, published) {
                _ if !wanted => Action::Skip,
                _ if there && facts.rebuild && chosen => Action::Build(Reason::Forced),
                (Some(stored), _) => Action::Reuse(stored.id.clone()),
                (None, Some(at)) => Action::ReusePublished {
                    at: at.clone(),
                    fetch: needed,
                },
                (None, None) => Action::Build(reason(image, known, &held, facts)),
            };
            if matches!(action, Action::Build(_)) {
                to_build.insert(image);
            }
            images.push(PlannedImage {
                image: image.clone(),
                service: node.rendered().definition().service().clone(),
                fingerprint: known.fingerprint.clone(),
                action,
                parents: graph.parents(image).into_iter().cloned().collect(),
            });
        }
        images.reverse();
        let mut problems = Diagnostics::default();
        for planned in images
            .iter()
            .filter(|i| matches!(i.action, Action::Build(_)))
        {
            for parent in &planned.parents {
                let Some(known) = facts.fingerprints.get(parent) else {
                    continue;
                };
                let there =
                    held.contains_key(&engine_reference(parent, &known.fingerprint).to_string());
                if !there && !selection.contains(parent) {
                    problems.push(
                        Diagnostic::definition(format!(
                            "`{}` is made from `{parent}`, which the engine does not have as it is now",
                            planned.image
                        ))
                        .hint("leave --no-parents out, or build the parent first"),
                    );
                }
            }
        }
        problems.or_ok(Self { images })
    }

    /// The images of a selection that the engine does not hold, and the fingerprints by which
    /// registries may know them.
    pub fn not_held<'a>(
        selection: &Selection,
        fingerprints: &'a BTreeMap<ImageName, Fingerprinted>,
        stored: &[StoredImage],
    ) -> Vec<(&'a ImageName, &'a Fingerprint)> {
        let held = held(stored);
        let wanted = fingerprints.iter().filter(|(image, known)| {
            let reference = engine_reference(image, &known.fingerprint).to_string();
            selection.contains(image) && !held.contains_key(&reference)
        });
        wanted
            .map(|(image, known)| (image, &known.fingerprint))
            .collect()
    }

    /// The images, parents before children.
    pub fn images(&self) -> &[PlannedImage] {
        &self.images
    }

    /// How many images have to be built.
    pub fn builds(&self) -> usize {
        self.to_build().count()
    }

    /// The images that have to be built.
    pub fn to_build(&self) -> impl Iterator<Item = &ImageName> {
        let built = |i: &&PlannedImage| matches!(i.action, Action::Build(_));
        self.images.iter().filter(built).map(|i| &i.image)
    }
}

/// The engine's images by each of their references that is one of ours and that their own label
/// confirms.
fn held(stored: &[StoredImage]) -> HashMap<String, &StoredImage> {
    let mut held = HashMap::new();
    for image in stored {
        let Some(label) = image.labels.get(FINGERPRINT_LABEL) else {
            continue;
        };
        for reference in &image.references {
            if reference.is_internal()
                && reference
                    .tag()
                    .is_some_and(|t| t.as_str() == format!("fp-{label}"))
            {
                held.insert(reference.to_string(), image);
            }
        }
    }
    held
}

fn reason(
    image: &ImageName,
    known: &Fingerprinted,
    held: &HashMap<String, &StoredImage>,
    facts: &Facts<'_>,
) -> Reason {
    let records = facts.records;
    if records.load(image, &known.fingerprint).is_some() {
        return Reason::Gone;
    }
    let newest = held
        .values()
        .filter(|stored| {
            stored
                .labels
                .get(IMAGE_LABEL)
                .is_some_and(|l| l == image.as_str())
        })
        .max_by_key(|stored| stored.created)
        .and_then(|stored| Fingerprint::parse(stored.labels.get(FINGERPRINT_LABEL)?).ok());
    let before = newest
        .and_then(|fingerprint| records.load(image, &fingerprint))
        .or_else(|| records.newest(image))
        .or_else(|| facts.elsewhere.get(image).cloned());
    match before {
        Some(before) => Reason::Changed(changes(&before, &known.inputs)),
        None => Reason::New,
    }
}
