use serde_json::json;

use super::table::table;
use crate::graph::{ImageGraph, Node, Parent, Selection};

fn nodes<'g>(graph: &'g ImageGraph, selection: &Selection) -> Vec<&'g Node> {
    graph
        .nodes()
        .filter(|n| selection.chosen().contains(n.image()))
        .collect()
}

/// What an image is made from, fleet and external, each once.
pub(super) fn made_from(node: &Node) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for used in node.uses() {
        let name = match &used.target {
            Parent::Fleet(name) => name.to_string(),
            Parent::External(reference) => reference.to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The selected images as a table: image, service, what it is made from, what it is.
pub fn fleet_table(graph: &ImageGraph, selection: &Selection, width: Option<u16>) -> String {
    let rows = nodes(graph, selection)
        .into_iter()
        .map(|node| {
            let definition = node.rendered().definition();
            vec![
                node.image().to_string(),
                definition.service().to_string(),
                made_from(node).join(" "),
                definition.description().to_owned(),
            ]
        })
        .collect();
    table(width, &["IMAGE", "SERVICE", "FROM", "DESCRIPTION"], rows)
}

/// The selected images by name, one a line, parents first.
pub fn fleet_names(graph: &ImageGraph, selection: &Selection) -> String {
    nodes(graph, selection)
        .into_iter()
        .map(|node| format!("{}\n", node.image()))
        .collect()
}

/// The selected images as JSON; `docs/json.md` describes it.
pub fn fleet_json(graph: &ImageGraph, selection: &Selection) -> serde_json::Value {
    let images: Vec<_> = nodes(graph, selection)
        .into_iter()
        .map(|node| {
            let definition = node.rendered().definition();
            json!({
                "image": node.image(),
                "service": definition.service(),
                "description": definition.description(),
                "from": made_from(node),
                "parents": graph.parents(node.image()),
                "packages": definition.packages(),
                "smoke": definition.smoke(),
                "folder": definition.folder(),
            })
        })
        .collect();
    json!({ "schema": 1, "images": images })
}
