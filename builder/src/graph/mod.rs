//! Which image stands on which, read from the rendered Dockerfiles.
//!
//! Owns the graph, its order, cycles, selection and critical path. A parent is whatever a FROM, a
//! COPY --from or a RUN --mount names that is an image of the fleet; anything else is external.

mod cycle;
mod resolve;
mod select;

use std::collections::BTreeMap;
use std::ops::Range;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;
use rayon::prelude::*;

pub use select::{Selection, SelectionOptions};

use crate::catalog::Origin;
use crate::dockerfile::{self, Dockerfile};
use crate::model::did_you_mean;
use crate::model::{Diagnostic, Diagnostics, ImageName, Location, Namespace, Platform, Reference};
use crate::pins::{Archive, Needs, Pins};
use crate::render::Rendered;
use resolve::Target;

/// An image of the fleet with what its Dockerfile says.
#[derive(Debug)]
pub struct Node {
    rendered: Rendered,
    dockerfile: Dockerfile,
    uses: Vec<Use>,
}

impl Node {
    /// The image.
    pub fn image(&self) -> &ImageName {
        self.rendered.image()
    }

    /// What it was rendered to.
    pub fn rendered(&self) -> &Rendered {
        &self.rendered
    }

    /// Its Dockerfile, parsed.
    pub fn dockerfile(&self) -> &Dockerfile {
        &self.dockerfile
    }

    /// The images it is made from, fleet and external, in the order they are written.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The Dockerfile with every image of the fleet written as `reference` says, and every other that is
    /// pinned by its digest.
    pub fn dockerfile_with(&self, reference: impl Fn(&ImageName) -> String) -> String {
        let edits: Vec<(Range<usize>, String)> = self
            .uses
            .iter()
            .filter_map(|u| match &u.target {
                Parent::Fleet(name) => Some((u.span.clone(), reference(name))),
                Parent::External(_) => Some((u.span.clone(), u.pinned.as_ref()?.to_string())),
            })
            .collect();
        dockerfile::substitute(self.rendered.dockerfile().text(), &edits)
    }
}

/// One place where a Dockerfile names an image.
#[derive(Debug, Clone)]
pub struct Use {
    /// What is named.
    pub target: Parent,
    /// The same by its digest, for an image from outside that is pinned.
    pub pinned: Option<Reference>,
    /// Where, in the rendered text.
    pub span: Range<usize>,
    /// The same as a place to show.
    pub location: Location,
}

/// An image that another is made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parent {
    /// An image of this fleet.
    Fleet(ImageName),
    /// Any other, as it is written.
    External(Reference),
}

/// The fleet as a graph: an edge leads from a parent to the image made from it.
#[derive(Debug)]
pub struct ImageGraph {
    graph: DiGraph<Node, Location>,
    index: BTreeMap<ImageName, NodeIndex>,
    order: Vec<NodeIndex>,
}

impl ImageGraph {
    /// Reads the parents of every image.
    ///
    /// `namespace` is the one that the fleet is published in: `FROM kollaglue/base:1` is `base` of
    /// this fleet there, whatever namespace is built for. Images from outside are those that `pins` say.
    ///
    /// # Errors
    /// All problems at once: Dockerfiles that cannot be parsed, parents that are missing, build
    /// arguments that no ARG declares, cycles.
    pub fn new(
        rendered: Vec<Rendered>,
        namespace: &Namespace,
        platform: &Platform,
        pins: &Pins,
    ) -> Result<Self, Diagnostics> {
        let names: Vec<ImageName> = rendered.iter().map(|r| r.image().clone()).collect();
        let fleet = resolve::Fleet::new(&names, namespace);
        let nodes: Vec<Result<Node, Diagnostics>> = rendered
            .into_par_iter()
            .map(|rendered| node(rendered, &fleet, platform, pins))
            .collect();
        let mut problems = Diagnostics::default();
        let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len());
        let mut index = BTreeMap::new();
        for node in nodes {
            if let Some(node) = problems.take(node) {
                let name = node.image().clone();
                index.insert(name, graph.add_node(node));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for child in graph.node_indices() {
            let edges: BTreeMap<NodeIndex, Location> = graph[child]
                .uses
                .iter()
                .rev()
                .filter_map(|u| match &u.target {
                    Parent::Fleet(name) => Some((*index.get(name)?, u.location.clone())),
                    Parent::External(_) => None,
                })
                .collect();
            for (parent, location) in edges {
                graph.add_edge(parent, child, location);
            }
        }
        match petgraph::algo::toposort(&graph, None) {
            Ok(_) => {}
            Err(_) => return Err(cycle::describe(&graph)),
        }
        let order = stable_order(&graph);
        Ok(Self {
            graph,
            index,
            order,
        })
    }

    /// The images, parents before children, and by name where the order is free.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().map(|i| &self.graph[*i])
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// One image.
    pub fn node(&self, image: &ImageName) -> Option<&Node> {
        self.index.get(image).map(|i| &self.graph[*i])
    }

    /// The images of the fleet that this one is made from, by name.
    pub fn parents(&self, image: &ImageName) -> Vec<&ImageName> {
        self.neighbours(image, Direction::Incoming)
    }

    /// The images of the fleet made from this one, by name.
    pub fn children(&self, image: &ImageName) -> Vec<&ImageName> {
        self.neighbours(image, Direction::Outgoing)
    }

    /// What the network could change under the images, each at the first place that names it.
    pub fn needs(&self) -> Needs {
        needs(self.nodes())
    }

    /// The same under the images of a selection, and all that these are made from.
    pub fn needs_of(&self, selection: &Selection) -> Needs {
        needs(self.nodes().filter(|n| selection.contains(n.image())))
    }

    /// For each image, how much work stands on it in the longest chain: its own weight and that of
    /// the heaviest path below it. What has most of it should start first.
    pub fn remaining(&self, weight: impl Fn(&ImageName) -> u64) -> BTreeMap<ImageName, u64> {
        let mut remaining: BTreeMap<ImageName, u64> = BTreeMap::new();
        for i in self.order.iter().rev() {
            let name = self.graph[*i].image();
            let below = self
                .graph
                .edges_directed(*i, Direction::Outgoing)
                .filter_map(|edge| remaining.get(self.graph[edge.target()].image()))
                .max()
                .copied()
                .unwrap_or(0);
            remaining.insert(name.clone(), weight(name) + below);
        }
        remaining
    }

    fn neighbours(&self, image: &ImageName, direction: Direction) -> Vec<&ImageName> {
        let Some(index) = self.index.get(image) else {
            return Vec::new();
        };
        let mut names: Vec<&ImageName> = self
            .graph
            .neighbors_directed(*index, direction)
            .map(|i| self.graph[i].image())
            .collect();
        names.sort_unstable();
        names
    }
}

/// Kahn's algorithm with a heap: the only topological order in which free choices go by name.
fn stable_order(graph: &DiGraph<Node, Location>) -> Vec<NodeIndex> {
    use std::cmp::Reverse;
    let mut missing: Vec<usize> = graph
        .node_indices()
        .map(|i| graph.edges_directed(i, Direction::Incoming).count())
        .collect();
    let mut ready: std::collections::BinaryHeap<_> = graph
        .node_indices()
        .filter(|i| missing[i.index()] == 0)
        .map(|i| Reverse((graph[i].image(), i)))
        .collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(Reverse((_, i))) = ready.pop() {
        order.push(i);
        for child in graph.neighbors_directed(i, Direction::Outgoing) {
            missing[child.index()] -= 1;
            if missing[child.index()] == 0 {
                ready.push(Reverse((graph[child].image(), child)));
            }
        }
    }
    order
}

fn needs<'g>(nodes: impl Iterator<Item = &'g Node>) -> Needs {
    let mut needs = Needs::default();
    for node in nodes {
        for source in node.rendered.sources() {
            if let Origin::Bootstrap(bootstrap) = &source.origin {
                let archive = || Archive {
                    bootstrap: bootstrap.clone(),
                    declared: source.declared.clone(),
                };
                let suite = bootstrap.suite.clone();
                needs.archives.entry(suite).or_insert_with(archive);
            }
        }
        needs.unsaid.extend(node.dockerfile.unsaid_sources());
        for used in &node.uses {
            if let Parent::External(image) = &used.target
                && image.digest().is_none()
            {
                let place = needs.images.entry(image.clone());
                place.or_insert_with(|| used.location.clone());
            }
        }
    }
    needs
}

fn node(
    rendered: Rendered,
    fleet: &resolve::Fleet,
    platform: &Platform,
    pins: &Pins,
) -> Result<Node, Diagnostics> {
    let source = rendered.dockerfile();
    let dockerfile = dockerfile::parse(source)?;
    let mut problems = Diagnostics::default();
    let declared = dockerfile.declared_args();
    for name in rendered.definition().args().keys() {
        if !declared.contains(name.as_str()) && !dockerfile::is_predefined_arg(name) {
            problems.push(
                Diagnostic::definition(format!(
                    "the build argument `{name}` of `{}` is declared by no ARG",
                    rendered.image()
                ))
                .at(Location::file(source.path()))
                .hint(format!(
                    "add `ARG {name}` to its Dockerfile, or take the argument out of `args`"
                ))
                .maybe_hint(did_you_mean(name, declared.iter().map(AsRef::as_ref))),
            );
        }
    }
    let mut args = platform_args(platform);
    args.extend(rendered.definition().args().clone());
    let mut uses = Vec::new();
    for image_use in problems
        .take(dockerfile.image_uses(&args))
        .into_iter()
        .flatten()
    {
        let mut pinned = None;
        let target = match fleet.resolve(&image_use.image) {
            Ok(Target::Fleet(name)) => Parent::Fleet(name),
            Ok(Target::External(reference)) => {
                let digest = pins.images.get(&reference);
                pinned = digest.map(|digest| reference.at_digest(digest.clone()));
                Parent::External(reference)
            }
            Err(problem) => {
                problems.push(problem.at(image_use.location()));
                continue;
            }
        };
        uses.push(Use {
            target,
            pinned,
            location: image_use.location(),
            span: image_use.span,
        });
    }
    problems.or_ok(Node {
        rendered,
        dockerfile,
        uses,
    })
}

/// The arguments that BuildKit predefines in the global scope.
fn platform_args(platform: &Platform) -> BTreeMap<String, String> {
    ["TARGET", "BUILD"]
        .into_iter()
        .flat_map(|side| {
            [
                (format!("{side}PLATFORM"), platform.to_string()),
                (format!("{side}OS"), "linux".to_owned()),
                (format!("{side}ARCH"), platform.architecture().to_owned()),
            ]
        })
        .collect()
}
