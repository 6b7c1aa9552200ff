use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::super::args::{ExportPlanArgs, PlanFormat, TagsFor};
use super::super::fleet::{self, Fleet, Naming};
use super::super::settings::Settings;
use super::super::{Ending, Invocation, published};
use super::archives;
use super::render::write_contexts;
use super::session::{self, Session};
use crate::graph::{Selection, SelectionOptions};
use crate::model::{Diagnostic, Diagnostics, ImageName, Location, Reference, Tag};
use crate::plan::{Action, Facts, Plan, PlannedImage, Records, engine_reference};
use crate::report::{BAKE_FILE, BakeImage, BakeParent, bake_file, count};
use crate::schedule;

/// The folder of the contexts, beside the file.
const CONTEXTS: &str = "contexts";

pub(in super::super) async fn run(
    args: &ExportPlanArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let fleet = fleet::load(settings)?;
    let options = SelectionOptions {
        no_parents: args.selection.no_parents,
        with_children: args.selection.with_children,
    };
    let selection = Selection::new(&fleet.graph, &args.selection.patterns.patterns, options)?;
    let naming = Naming::new(settings)?;
    let tags_for = args.tags_for.unwrap_or(match settings.registry {
        Some(_) => TagsFor::Registry,
        None => TagsFor::Engine,
    });
    let plan = match tags_for {
        TagsFor::Engine => {
            let session = Session::open(settings, environment).await?;
            session.plan(&fleet, &selection, false, invocation).await?
        }
        // What this machine's engine holds is of no use to a builder that pushes.
        TagsFor::Registry => Plan::new(
            &fleet.graph,
            &selection,
            &Facts {
                fingerprints: &fleet.fingerprints,
                stored: &[],
                published: &published::look_up(
                    &Plan::not_held(&selection, &fleet.fingerprints, &[]),
                    invocation,
                )?,
                records: &Records::new(settings.cache_dir()?.join("inputs")),
                elsewhere: &BTreeMap::new(),
                rebuild: false,
            },
        )?,
    };
    let to_build: Vec<&PlannedImage> = plan
        .images()
        .iter()
        .filter(|planned| matches!(planned.action, Action::Build(_)))
        .collect();
    let published: BTreeMap<&ImageName, &Reference> = plan
        .images()
        .iter()
        .filter_map(|planned| match &planned.action {
            Action::ReusePublished { at, .. } => Some((&planned.image, at)),
            _ => None,
        })
        .collect();
    let names: BTreeSet<ImageName> = to_build.iter().map(|p| p.image.clone()).collect();
    let mut images = Vec::new();
    for planned in &to_build {
        let mut tags = naming.references(settings, &planned.image);
        tags.insert(0, known_by(planned, settings, tags_for));
        images.extend(bake_image(
            planned, &fleet, settings, &names, &published, tags,
        ));
    }

    let file = args.output.join(BAKE_FILE);
    let contexts = args.output.join(CONTEXTS);
    let write = |problem: std::io::Error| {
        Diagnostic::environment(format!("cannot write: {problem}")).at(Location::file(&file))
    };
    // What an earlier export left there is not part of this one.
    if file.exists() && contexts.exists() {
        fs::remove_dir_all(&contexts).map_err(write)?;
    }
    fs::create_dir_all(&contexts).map_err(write)?;
    let PlanFormat::Bake = args.format;
    let text = format!("{:#}\n", bake_file(&images));
    let cancel = session::cancel_on_signal(console);
    let fetcher = archives::fetcher(&fleet, names.clone(), invocation, &cancel).await?;
    let fetcher = Some(&fetcher);
    let written = write_contexts(&fleet, &names, &contexts, fetcher, invocation, &cancel);
    if written.await? != Ending::Good {
        return Ok(Ending::Interrupted);
    }
    // Last, so that a file that is there is whole.
    fs::write(&file, text).map_err(write)?;
    console.say(&format!(
        "{} of {} to build, in {}",
        images.len(),
        count(plan.images().len(), "image"),
        file.display()
    ));
    Ok(Ending::Good)
}

/// The name by which the image is found again: the engine's own, or a tag beside the others in the
/// registry.
fn known_by(planned: &PlannedImage, settings: &Settings, tags_for: TagsFor) -> Reference {
    match tags_for {
        TagsFor::Engine => engine_reference(&planned.image, &planned.fingerprint),
        TagsFor::Registry => Reference::of_image(
            settings.registry.as_ref(),
            &settings.namespace,
            &planned.image,
            &Tag::of_fingerprint(&planned.fingerprint),
        ),
    }
}

fn bake_image(
    planned: &PlannedImage,
    fleet: &Fleet,
    settings: &Settings,
    built: &BTreeSet<ImageName>,
    published: &BTreeMap<&ImageName, &Reference>,
    tags: Vec<Reference>,
) -> Option<BakeImage> {
    let image = &planned.image;
    let parents = planned
        .parents
        .iter()
        .filter_map(|parent| {
            let known = fleet.fingerprints.get(parent)?;
            let reference = engine_reference(parent, &known.fingerprint);
            let place = match published.get(parent) {
                _ if built.contains(parent) => BakeParent::Target(parent.clone()),
                Some(at) => BakeParent::Published((*at).clone()),
                None => BakeParent::Engine,
            };
            Some((reference, place))
        })
        .collect();
    Some(BakeImage {
        image: image.clone(),
        service: planned.service.clone(),
        context: format!("{CONTEXTS}/{image}"),
        parents,
        args: fleet
            .graph
            .node(image)?
            .rendered()
            .definition()
            .args()
            .clone(),
        labels: schedule::labels(image, &planned.fingerprint),
        platform: settings.platform.clone(),
        tags,
    })
}
