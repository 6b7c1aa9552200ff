mod prepare;

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::args::{PublishArgs, TableFormat};
use super::super::console::Console;
use super::super::fleet::{self, Fleet, Naming};
use super::super::page::Page;
use super::super::places::{self, problem};
use super::super::{Ending, Invocation};
use super::session;
use crate::model::{Diagnostic, Diagnostics, Digest};
use crate::publish::{self, Journal, Move, Release, Released, Releases};
use crate::registry::Client;
use crate::report::{self, Summary};
use prepare::Work;

pub(in super::super) async fn run(
    args: &PublishArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let begun = Instant::now();
    let place = places::target(settings)?;
    let journal = Journal::open(&settings.cache_dir()?.join("publish"), &place)?;
    let unfinished = journal.unfinished()?;
    let registry = places::pusher(&place, environment, None)?;
    let client = registry.client().clone();
    let releases = Releases {
        pusher: &registry,
        place: &place,
    };
    let page = Page::begin(&args.html, begun)?;
    let mut run = None;
    let release = match unfinished {
        Some(release) if args.resume => {
            console.say(&format!("release {}: going on with its tags", release.id));
            release
        }
        Some(release) => {
            return Err(Diagnostic::definition(format!(
                "the tags of release {} in {place} are half moved",
                release.id
            ))
            .hint("`kolla publish --resume` moves the rest, `kolla rollback` moves them back")
            .into());
        }
        None => {
            let fleet = fleet::load(settings)?;
            let naming = Naming::new(settings)?;
            session::warn_of_dirty(settings, &naming, console);
            let work = Work {
                fleet: &fleet,
                place: &place,
                releases,
                page: &page,
                invocation,
            };
            let Some((release, mut summary)) = work.prepare(args, &naming).await? else {
                return Ok(Ending::Interrupted);
            };
            summary.seconds = begun.elapsed().as_secs_f64();
            if release.images().all(|(_, one)| unchanged(one)) {
                console.say(&format!(
                    "nothing to publish: {} in {place} has all of it, under these tags",
                    report::count(release.images.len(), "image")
                ));
                return end(page, Some((fleet, summary)), console);
            }
            let inputs = fleet.fingerprints.iter();
            let inputs = inputs.filter(|(image, _)| release.images.contains_key(image.as_str()));
            let inputs = inputs.map(|(image, known)| (image.as_str(), &known.inputs));
            releases.keep(&release, &inputs.collect())?;
            journal.begin(&place, &release)?;
            run = Some((fleet, summary));
            release
        }
    };
    finish(&client, &journal, releases, &release, console)?;
    if let Some(path) = &args.output {
        std::fs::write(path, release.to_json()).map_err(|e| {
            Diagnostic::environment(format!("cannot write the release: {e}"))
                .at(crate::model::Location::file(path))
        })?;
    }
    match args.format {
        TableFormat::Table => {
            console.result(&report::release_table(&release, console.width()))?;
            console.say(&format!(
                "\nrelease {} in {place}: {} published in {}",
                release.id,
                report::count(release.images.len(), "image"),
                report::human_seconds(begun.elapsed().as_secs_f64())
            ));
        }
        TableFormat::Json => console.result(&release.to_json())?,
    }
    end(page, run, console)
}

/// Writes the page, where one was asked for; going on with tags leaves nothing to show.
fn end(
    page: Page,
    run: Option<(Fleet, Summary)>,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    match run {
        Some((fleet, summary)) => {
            let (graph, none) = (&fleet.graph, BTreeMap::new());
            page.end(graph, &summary, &none, Ending::Good, console)
        }
        None => Ok(Ending::Good),
    }
}

fn unchanged(released: &Released) -> bool {
    let is = |before: &Option<Digest>| before.as_ref() == Some(&released.digest);
    released.before.values().all(is)
}

/// Moves the tags of a release that is kept, and notes that.
fn finish(
    client: &Client,
    journal: &Journal,
    releases: Releases<'_>,
    release: &Release,
    console: &Console,
) -> Result<(), Diagnostics> {
    let tags = release.tags();
    let moves: Vec<Move> = release
        .images()
        .flat_map(|(image, one)| {
            tags.iter().map(move |tag| Move {
                reference: releases.place.reference(&image, tag),
                to: Some(one.digest.clone()),
            })
        })
        .collect();
    console.say(&format!("moving {} ...", report::count(moves.len(), "tag")));
    publish::move_tags(client, &moves).map_err(|error| {
        problem(&error)
            .note("some of the release's tags may have moved, and others not")
            .hint("`kolla publish --resume` moves the rest, `kolla rollback` moves them back")
    })?;
    releases.make_current(&release.id)?;
    journal.end()?;
    Ok(())
}
