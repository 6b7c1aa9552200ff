use std::collections::BTreeMap;

use crate::context::{Assembly, FileInput};
use crate::graph::ImageGraph;
use crate::model::{Digest, Fingerprint, ImageName, Platform};

/// Raised whenever the same inputs should no longer count as the same image.
const SCHEME: u32 = 1;

/// Everything that an image is made of. Holds no time, tag, namespace, registry, host or path.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inputs {
    pub(super) scheme: u32,
    pub(super) platform: String,
    /// The rendered Dockerfile with parents written by name.
    pub(super) dockerfile: String,
    pub(super) args: BTreeMap<String, String>,
    pub(super) files: BTreeMap<String, FileInput>,
    /// Parents in the fleet and their fingerprints.
    pub(super) parents: BTreeMap<String, String>,
}

impl Inputs {
    /// SHA-256 over the inputs as JSON: keys are sorted and every value is delimited, so two
    /// different sets of inputs are two different texts.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(Digest::of(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// An image's fingerprint and what it was made from.
#[derive(Debug, Clone)]
pub struct Fingerprinted {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// What it is over.
    pub inputs: Inputs,
}

/// Computes the fingerprint of every image, parents first.
pub fn fingerprints(
    graph: &ImageGraph,
    assemblies: &BTreeMap<ImageName, Assembly>,
    platform: &Platform,
) -> BTreeMap<ImageName, Fingerprinted> {
    let mut done: BTreeMap<ImageName, Fingerprinted> = BTreeMap::new();
    for node in graph.nodes() {
        let parents = graph
            .parents(node.image())
            .into_iter()
            .filter_map(|parent| {
                Some((
                    parent.to_string(),
                    done.get(parent)?.fingerprint.to_string(),
                ))
            })
            .collect();
        let inputs = Inputs {
            scheme: SCHEME,
            platform: platform.to_string(),
            dockerfile: node.dockerfile_with(ToString::to_string),
            args: node.rendered().definition().args().clone(),
            files: assemblies
                .get(node.image())
                .map(Assembly::inputs)
                .unwrap_or_default(),
            parents,
        };
        done.insert(
            node.image().clone(),
            Fingerprinted {
                fingerprint: inputs.fingerprint(),
                inputs,
            },
        );
    }
    done
}
