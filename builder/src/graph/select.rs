//! Which images a command is about.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::ImageGraph;
use crate::model::{Diagnostic, Diagnostics, ImageName, did_you_mean};

/// How a selection grows from what its patterns match.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelectionOptions {
    /// Leave the ancestors out.
    pub no_parents: bool,
    /// Take everything made from the matches as well.
    pub with_children: bool,
}

/// The images that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    chosen: BTreeSet<ImageName>,
    needed: BTreeSet<ImageName>,
}

impl Selection {
    /// Matches patterns: globs over image names, and `@NAME` for a service. No pattern at all
    /// selects everything.
    ///
    /// # Errors
    /// A pattern that is not a glob or that matches nothing, with the nearest name.
    pub fn new(
        graph: &ImageGraph,
        patterns: &[String],
        options: SelectionOptions,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::default();
        let mut chosen = BTreeSet::new();
        if patterns.is_empty() {
            chosen.extend(graph.nodes().map(|n| n.image().clone()));
        }
        for pattern in patterns {
            if let Some(matches) = problems.take(matches(graph, pattern)) {
                chosen.extend(matches);
            }
        }
        if options.with_children {
            chosen = closure(chosen, |image| graph.children(image));
        }
        let needed = if options.no_parents {
            BTreeSet::new()
        } else {
            let all = closure(chosen.clone(), |image| graph.parents(image));
            all.difference(&chosen).cloned().collect()
        };
        problems.or_ok(Self { chosen, needed })
    }

    /// These images and no others, with the ancestors that they need.
    pub fn of(graph: &ImageGraph, images: impl IntoIterator<Item = ImageName>) -> Self {
        let chosen: BTreeSet<ImageName> = images.into_iter().collect();
        let all = closure(chosen.clone(), |image| graph.parents(image));
        let needed = all.difference(&chosen).cloned().collect();
        Self { chosen, needed }
    }

    /// What the patterns match, with children where those were asked for.
    pub fn chosen(&self) -> &BTreeSet<ImageName> {
        &self.chosen
    }

    /// Ancestors of the chosen that are not chosen themselves.
    pub fn needed(&self) -> &BTreeSet<ImageName> {
        &self.needed
    }

    /// Whether an image is chosen or needed.
    pub fn contains(&self, image: &ImageName) -> bool {
        self.chosen.contains(image) || self.needed.contains(image)
    }
}

fn matches(graph: &ImageGraph, pattern: &str) -> Result<Vec<ImageName>, Diagnostic> {
    if let Some(service) = pattern.strip_prefix('@') {
        let of_service = |n: &&super::Node| n.rendered().definition().service().as_str() == service;
        let found: Vec<_> = graph
            .nodes()
            .filter(of_service)
            .map(|n| n.image().clone())
            .collect();
        if found.is_empty() {
            let services = graph
                .nodes()
                .map(|n| n.rendered().definition().service().as_str());
            return Err(
                Diagnostic::definition(format!("there is no service `{service}`"))
                    .maybe_hint(did_you_mean(service, services))
                    .hint("`kolla list` shows the services and their images"),
            );
        }
        return Ok(found);
    }
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| {
            Diagnostic::definition(format!("`{pattern}` is not a pattern: {}", error.kind())).hint(
                "a pattern is an image's name with `*`, `?`, `[...]` and `{a,b}`, or @SERVICE",
            )
        })?
        .compile_matcher();
    let found: Vec<_> = graph
        .nodes()
        .filter(|n| glob.is_match(n.image().as_str()))
        .map(|n| n.image().clone())
        .collect();
    if found.is_empty() {
        let names = graph.nodes().map(|n| n.image().as_str());
        let mut problem = Diagnostic::definition(format!("no image matches `{pattern}`"))
            .maybe_hint(did_you_mean(pattern, names));
        let is_service = graph
            .nodes()
            .any(|n| n.rendered().definition().service().as_str() == pattern);
        if is_service {
            problem = problem.hint(format!("`@{pattern}` selects the images of that service"));
        }
        return Err(problem.hint("`kolla list` shows the images"));
    }
    Ok(found)
}

fn closure<'g>(
    start: BTreeSet<ImageName>,
    next: impl Fn(&ImageName) -> Vec<&'g ImageName>,
) -> BTreeSet<ImageName> {
    let mut all = start;
    let mut queue: Vec<ImageName> = all.iter().cloned().collect();
    while let Some(image) = queue.pop() {
        for name in next(&image) {
            if all.insert(name.clone()) {
                queue.push(name.clone());
            }
        }
    }
    all
}
