use std::fmt::Write as _;

use serde_json::json;

use crate::graph::{ImageGraph, Parent, Selection};
use crate::model::ImageName;

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// Indented names, for a terminal.
    Tree,
    /// Graphviz.
    Dot,
    /// Mermaid, for Markdown pages.
    Mermaid,
    /// Nodes and edges.
    Json,
}

/// The graph of a selection, its ancestors included.
pub fn graph_text(graph: &ImageGraph, selection: &Selection, format: GraphFormat) -> String {
    let images: Vec<&ImageName> = graph
        .nodes()
        .map(|n| n.image())
        .filter(|image| selection.contains(image))
        .collect();
    let edges: Vec<(&ImageName, &ImageName)> = images
        .iter()
        .flat_map(|child| {
            graph
                .parents(child)
                .into_iter()
                .map(move |parent| (parent, *child))
        })
        .filter(|(parent, _)| selection.contains(parent))
        .collect();
    match format {
        GraphFormat::Tree => tree(graph, selection, &images),
        GraphFormat::Dot => {
            let mut text =
                String::from("digraph fleet {\n  rankdir = LR;\n  node [shape = box];\n");
            for image in &images {
                let _ = writeln!(text, "  \"{image}\";");
            }
            for (parent, child) in &edges {
                let _ = writeln!(text, "  \"{parent}\" -> \"{child}\";");
            }
            text + "}\n"
        }
        GraphFormat::Mermaid => {
            let id = |name: &ImageName| images.iter().position(|i| *i == name).unwrap_or_default();
            let mut text = String::from("graph LR\n");
            for (i, image) in images.iter().enumerate() {
                let _ = writeln!(text, "  i{i}[\"{image}\"]");
            }
            for (parent, child) in &edges {
                let _ = writeln!(text, "  i{} --> i{}", id(parent), id(child));
            }
            text
        }
        GraphFormat::Json => {
            let edges: Vec<_> = edges
                .iter()
                .map(|(parent, child)| json!({ "parent": parent, "child": child }))
                .collect();
            let value = json!({ "schema": 1, "images": images, "edges": edges });
            format!("{value:#}\n")
        }
    }
}

/// An image with several parents stands below the first of them and is only named below the others.
fn tree(graph: &ImageGraph, selection: &Selection, images: &[&ImageName]) -> String {
    let mut text = String::new();
    let first_parent = |image: &ImageName| {
        let node = graph.node(image)?;
        node.uses().iter().find_map(|used| match &used.target {
            Parent::Fleet(name) if selection.contains(name) => Some(name.clone()),
            _ => None,
        })
    };
    for image in images.iter().filter(|image| first_parent(image).is_none()) {
        let external: Vec<String> = graph
            .node(image)
            .map(super::fleet::made_from)
            .unwrap_or_default();
        let from = if external.is_empty() {
            String::new()
        } else {
            format!("  (from {})", external.join(", "))
        };
        let _ = writeln!(text, "{image}{from}");
        branch(graph, selection, image, &first_parent, "", &mut text);
    }
    text
}

fn branch(
    graph: &ImageGraph,
    selection: &Selection,
    image: &ImageName,
    first_parent: &impl Fn(&ImageName) -> Option<ImageName>,
    indent: &str,
    text: &mut String,
) {
    let children: Vec<&ImageName> = graph
        .children(image)
        .into_iter()
        .filter(|child| selection.contains(child))
        .collect();
    for (i, child) in children.iter().enumerate() {
        let last = i + 1 == children.len();
        let own = first_parent(child).as_ref() == Some(image);
        let mark = if own { "" } else { " (also)" };
        let _ = writeln!(
            text,
            "{indent}{}{child}{mark}",
            if last { "`-- " } else { "|-- " }
        );
        if own {
            let deeper = format!("{indent}{}", if last { "    " } else { "|   " });
            branch(graph, selection, child, first_parent, &deeper, text);
        }
    }
}
