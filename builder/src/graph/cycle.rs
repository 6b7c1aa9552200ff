//! Cycles as a person reads them: a path of images, each edge with its file and line.

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use super::Node;
use crate::model::{Diagnostic, Diagnostics, Location};

/// One problem for every group of images that stand on each other.
pub(super) fn describe(graph: &DiGraph<Node, Location>) -> Diagnostics {
    tarjan_scc(graph)
        .into_iter()
        .filter_map(|group| {
            let start = group.iter().copied().min_by_key(|i| graph[*i].image())?;
            let path = path_back_to(graph, start, &group)?;
            Some(describe_one(graph, &path))
        })
        .collect()
}

/// The shortest way from an image over its parents back to itself, the first image at both ends;
/// none where there is no such way.
fn path_back_to(
    graph: &DiGraph<Node, Location>,
    start: NodeIndex,
    group: &[NodeIndex],
) -> Option<Vec<NodeIndex>> {
    let mut came_from = std::collections::HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for edge in graph.edges_directed(at, Direction::Incoming) {
            let parent = edge.source();
            if parent == start {
                let mut path = vec![start, at];
                let mut back = at;
                while back != start {
                    back = *came_from.get(&back)?;
                    path.push(back);
                }
                path.reverse();
                return Some(path);
            }
            if group.contains(&parent) && !came_from.contains_key(&parent) {
                came_from.insert(parent, at);
                queue.push_back(parent);
            }
        }
    }
    None
}

fn describe_one(graph: &DiGraph<Node, Location>, path: &[NodeIndex]) -> Diagnostic {
    let names: Vec<&str> = path.iter().map(|i| graph[*i].image().as_str()).collect();
    let mut problem = Diagnostic::definition(format!(
        "these images stand on each other: {}",
        names.join(" -> ")
    ))
    .hint("an image cannot be made from itself: take one of these edges out");
    for pair in path.windows(2) {
        let (child, parent) = (pair[0], pair[1]);
        if let Some(edge) = graph.find_edge(parent, child) {
            let note = format!(
                "`{}` is made from `{}` here",
                graph[child].image(),
                graph[parent].image()
            );
            problem = problem.note_at(note, graph[edge].clone());
        }
    }
    problem
}
