//! From settings to everything that is known of a fleet before an engine is asked.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::settings::Settings;
use crate::catalog::{self, Catalog};
use crate::context::Assembly;
use crate::graph::{ImageGraph, Selection};
use crate::model::{Diagnostic, Diagnostics, ImageName, Location, Reference, Source, Tag};
use crate::pins::{self, Pins};
use crate::plan::{self, Fingerprinted};
use crate::render;

/// A fleet, rendered, parsed and validated.
pub(super) struct Fleet {
    pub(super) pins: Pins,
    pub(super) graph: ImageGraph,
    pub(super) assemblies: BTreeMap<ImageName, Assembly>,
    pub(super) fingerprints: BTreeMap<ImageName, Fingerprinted>,
}

/// Reads and renders the fleet and orders it.
pub(super) fn graph(settings: &Settings) -> Result<ImageGraph, Diagnostics> {
    graph_pinned(settings, &pins(settings)?)
}

fn graph_pinned(settings: &Settings, pins: &Pins) -> Result<ImageGraph, Diagnostics> {
    let catalog = Catalog::load(&settings.root, &settings.custom)?;
    let options = render::Options {
        overrides: overrides(settings)?,
        base_image: settings.base_image.clone(),
        platform: settings.platform.clone(),
    };
    let rendered = render::render(&catalog, &options)?;
    let graph = ImageGraph::new(
        rendered,
        &settings.release_namespace,
        &settings.platform,
        pins,
    )?;
    if settings.locked {
        graph.needs().covered_by(pins)?;
    }
    Ok(graph)
}

/// What kolla.lock says, where there is one.
fn pins(settings: &Settings) -> Result<Pins, Diagnostics> {
    match pins::read(&settings.root)? {
        Some(pins) => Ok(pins),
        None if settings.locked => Err(Diagnostic::definition(format!(
            "--locked needs {}, and there is none",
            settings.root.join(catalog::LOCK).display()
        ))
        .hint("run `kolla lock`, and commit the file that it writes")
        .into()),
        None => Ok(Pins::default()),
    }
}

/// All of it: what [`graph`] gives, the files of every context, and the fingerprints.
pub(super) fn load(settings: &Settings) -> Result<Fleet, Diagnostics> {
    load_pinned(settings, pins(settings)?)
}

/// The same with other pins than those of kolla.lock.
pub(super) fn load_pinned(settings: &Settings, pins: Pins) -> Result<Fleet, Diagnostics> {
    let graph = graph_pinned(settings, &pins)?;
    let nodes: Vec<_> = graph.nodes().collect();
    let assembled: Vec<_> = nodes
        .par_iter()
        .map(|node| (node.image().clone(), Assembly::new(node, &pins)))
        .collect();
    let mut problems = Diagnostics::default();
    let mut assemblies = BTreeMap::new();
    for (image, assembly) in assembled {
        if let Some(assembly) = problems.take(assembly) {
            assemblies.insert(image, assembly);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let fingerprints = plan::fingerprints(&graph, &assemblies, &settings.platform);
    Ok(Fleet {
        pins,
        graph,
        assemblies,
        fingerprints,
    })
}

fn overrides(settings: &Settings) -> Result<Vec<render::Override>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut found = Vec::new();
    for path in &settings.overrides {
        match std::fs::read_to_string(path) {
            Ok(text) => found.push(render::Override(Source::new(path.clone(), text))),
            Err(error) => problems.push(
                Diagnostic::definition(format!("cannot read the override: {error}"))
                    .at(Location::file(path))
                    .hint("--override and `overrides` name files with `{% extends \"IMAGE\" %}` and blocks"),
            ),
        }
    }
    problems.or_ok(found)
}

/// How images of this run are tagged.
pub(super) struct Naming {
    pub(super) tags: Vec<Tag>,
}

impl Naming {
    /// The tags given, else the commit. `latest` in the namespace that others pull releases from
    /// has to be asked for.
    pub(super) fn new(settings: &Settings) -> Result<Self, Diagnostics> {
        let tags = if settings.tags.is_empty() {
            vec![super::version::commit_tag(&settings.root)?]
        } else {
            settings.tags.clone()
        };
        let released = settings.namespace == settings.release_namespace;
        if released && !settings.release && tags.iter().any(Tag::is_latest) {
            return Err(Diagnostic::definition(format!(
                "the tag `latest` in the release namespace `{}` needs --release",
                settings.namespace
            ))
            .hint("that tag is what people get who name none: give --release if that is meant, or another --tag or --namespace")
            .into());
        }
        Ok(Self { tags })
    }

    /// Whether the tag says that files differ from the commit.
    pub(super) fn is_dirty(&self) -> bool {
        self.tags.iter().any(|tag| tag.as_str().ends_with("-dirty"))
    }

    /// Everything that an image is to be called.
    pub(super) fn references(&self, settings: &Settings, image: &ImageName) -> Vec<Reference> {
        self.tags
            .iter()
            .map(|tag| {
                Reference::of_image(settings.registry.as_ref(), &settings.namespace, image, tag)
            })
            .collect()
    }
}

/// The selection of plain patterns, without growing it.
pub(super) fn select(graph: &ImageGraph, patterns: &[String]) -> Result<Selection, Diagnostics> {
    Selection::new(graph, patterns, crate::graph::SelectionOptions::default())
}
