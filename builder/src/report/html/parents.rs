use std::collections::BTreeMap;

use crate::graph::{ImageGraph, Node, Parent};
use crate::model::ImageName;

/// Which image of a fleet is made from which others of it.
#[derive(Debug, Clone, Default)]
pub struct Parents(BTreeMap<ImageName, Made>);

/// What one image is made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    /// What its last stage begins with: all layers of that are layers of this.
    pub(super) base: Option<ImageName>,
    pub(super) all: Vec<ImageName>,
}

impl Parents {
    /// Those of a graph.
    pub fn of(graph: &ImageGraph) -> Self {
        let made = |node: &Node| Made {
            base: base(node).cloned(),
            all: graph.parents(node.image()).into_iter().cloned().collect(),
        };
        Self(
            graph
                .nodes()
                .map(|node| (node.image().clone(), made(node)))
                .collect(),
        )
    }

    pub(super) fn get(&self, image: &ImageName) -> Option<&Made> {
        self.0.get(image)
    }

    #[cfg(test)]
    pub(super) fn add(&mut self, image: ImageName, base: Option<ImageName>, all: Vec<ImageName>) {
        self.0.insert(image, Made { base, all });
    }
}

fn base(node: &Node) -> Option<&ImageName> {
    let stages = node.dockerfile().stages();
    let mut index = stages.len().checked_sub(1)?;
    loop {
        let from = &stages.get(index)?.from.image;
        let mut uses = node.uses().iter();
        match uses.find(|used| used.span == from.span) {
            Some(used) => match &used.target {
                Parent::Fleet(name) => return Some(name),
                Parent::External(_) => return None,
            },
            // A stage above, or nothing.
            None => {
                index = node
                    .dockerfile()
                    .stage(&from.text)
                    .filter(|above| *above < index)?;
            }
        }
    }
}
