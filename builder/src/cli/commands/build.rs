use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::super::args::{BuildArgs, TableFormat};
use super::super::console::Console;
use super::super::durations::Durations;
use super::super::fleet::{self, Fleet, Naming};
use super::super::keychain::DockerKeychain;
use super::super::logs::Logs;
use super::super::page::Page;
use super::super::progress;
use super::super::settings::Settings;
use super::super::timing::Timing;
use super::super::{Ending, Invocation};
use super::archives;
use super::session::{self, Session};
use crate::event::{Activity, Sink, Tee};
use crate::graph::{Selection, SelectionOptions};
use crate::model::{Diagnostic, Diagnostics, ImageName, Reference, Tag};
use crate::plan::{Action, Plan};
use crate::publish::{Holder, PushItem, Pushed, Pusher};
use crate::report::{Failure, ImageReport, Status, Summary};
use crate::schedule::{Built, Outcome};

pub(in super::super) async fn run(
    args: &BuildArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let begun = Instant::now();
    let fleet = fleet::load(settings)?;
    let options = SelectionOptions {
        no_parents: args.selection.no_parents,
        with_children: args.selection.with_children,
    };
    let selection = Selection::new(&fleet.graph, &args.selection.patterns.patterns, options)?;
    let naming = Naming::new(settings)?;
    let session = Session::open(settings, environment).await?;
    let plan = session
        .plan(&fleet, &selection, args.rebuild, invocation)
        .await?;
    let cancel = session::cancel_on_signal(console);
    let logs = Logs::new(settings.cache_dir()?, std::time::SystemTime::now());
    let timing = Timing::default();
    let durations = Durations::load(settings.cache_dir()?);
    let page = Page::begin(&args.html, begun)?;

    let to_build = plan.to_build().cloned();
    let fetcher = archives::fetcher(&fleet, to_build, invocation, &cancel).await?;
    let outcomes = {
        let progress = progress::sink(console, plan.builds());
        let sinks = Tee(vec![&*progress, &logs, &timing, &page]);
        let keychain = DockerKeychain::new(environment);
        let builder = session.builder(&fleet, &fetcher, &keychain, None, settings, &sinks);
        let tags = |image: &ImageName| naming.references(settings, image);
        builder
            .run(&plan, tags, |image| durations.of(image), &cancel)
            .await
    };
    durations.store(
        plan.images()
            .iter()
            .zip(&outcomes)
            .filter_map(|(planned, outcome)| {
                outcome.done()?;
                Some((
                    planned.image.clone(),
                    timing.seconds(&planned.image, Activity::Build)?,
                ))
            }),
    );

    let mut images = reports(&plan, &outcomes, settings, &naming, &timing, &logs);
    let mut ok = images.iter().all(|i| i.failure.is_none()) && !cancel.is_cancelled();
    if args.push && ok {
        session::warn_of_dirty(settings, &naming, console);
        let items = items(&plan, &images, &selection);
        push(
            &mut images,
            items,
            &fleet,
            &session,
            invocation,
            &page,
            &cancel,
        )
        .await;
        ok = images.iter().all(|i| i.failure.is_none()) && !cancel.is_cancelled();
    } else if args.push {
        console.say("\nnothing was pushed: not everything was built");
    }
    add_sizes(&mut images, &session).await;
    let summary = Summary {
        schema: 1,
        command: "build",
        ok,
        engine: session.engine_line(),
        seconds: begun.elapsed().as_secs_f64(),
        images,
    };
    finish(&summary, args.format, console)?;
    failures(&plan, &outcomes, &logs, console);
    let ending = session::ending(&summary.images, cancel.is_cancelled());
    page.end(&fleet.graph, &summary, &BTreeMap::new(), ending, console)
}

/// The table or the JSON on standard output, and the line that says it all.
pub(super) fn finish(
    summary: &Summary,
    format: TableFormat,
    console: &Console,
) -> Result<(), Diagnostics> {
    match format {
        TableFormat::Table => {
            console.result(&summary.table(console.width()))?;
            console.say(&format!("\n{}", summary.line()));
        }
        TableFormat::Json => {
            let text = serde_json::to_string_pretty(summary).map_err(|e| {
                crate::model::Diagnostic::new(crate::model::Class::Internal, e.to_string())
            })?;
            console.result(&format!("{text}\n"))?;
        }
    }
    Ok(())
}

/// What became of each image of a plan.
pub(super) fn reports(
    plan: &Plan,
    outcomes: &[Outcome<Built>],
    settings: &Settings,
    naming: &Naming,
    timing: &Timing,
    logs: &Logs,
) -> Vec<ImageReport> {
    let mut reports = Vec::new();
    for (planned, outcome) in plan.images().iter().zip(outcomes) {
        let (status, failure) = match outcome {
            Outcome::Done(_) => match planned.action {
                Action::Build(_) => (Status::Built, None),
                Action::Reuse(_) | Action::ReusePublished { .. } => (Status::Reused, None),
                Action::Skip => (Status::Skipped, None),
            },
            Outcome::Failed(problem) => (Status::Failed, Some(session::failure(problem))),
            Outcome::Blocked { by } => {
                let by = plan.images()[*by].image.clone();
                let failure = Failure {
                    class: crate::model::Class::Build,
                    message: format!("`{by}`, which it is made from, failed"),
                    hints: Vec::new(),
                    blocked_by: Some(by),
                };
                (Status::Blocked, Some(failure))
            }
            Outcome::Cancelled => (Status::Cancelled, None),
        };
        let tagged = matches!(status, Status::Built | Status::Reused);
        reports.push(ImageReport {
            image: planned.image.clone(),
            service: planned.service.clone(),
            status,
            reason: crate::report::reason(&planned.action),
            seconds: timing.seconds(&planned.image, Activity::Build),
            size: None,
            id: outcome.done().and_then(|built| built.id.clone()),
            fingerprint: planned.fingerprint.clone(),
            tags: if tagged {
                naming.references(settings, &planned.image)
            } else {
                Vec::new()
            },
            pushed: Vec::new(),
            failure,
            log: logs.path(&planned.image),
        });
    }
    reports
}

async fn add_sizes(images: &mut [ImageReport], session: &Session) {
    // A table without sizes is better than none when the engine has gone away meanwhile.
    let Ok(stored) = session.stored().await else {
        return;
    };
    let sizes: HashMap<_, _> = stored.iter().map(|s| (&s.id, s.size)).collect();
    for image in images {
        image.size = image.id.as_ref().and_then(|id| sizes.get(id).copied());
    }
}

/// The chosen images of a plan that is done, wherever they are.
fn items(plan: &Plan, images: &[ImageReport], selection: &Selection) -> Vec<PushItem> {
    let chosen = plan.images().iter().zip(images);
    let chosen = chosen.filter(|(planned, _)| selection.chosen().contains(&planned.image));
    let items = chosen.filter_map(|(planned, report)| {
        let from = match &planned.action {
            Action::ReusePublished { at, .. } => Holder::Registry(at.clone()),
            _ => Holder::Engine(report.id.clone()?),
        };
        Some(PushItem {
            image: planned.image.clone(),
            from,
            references: report.tags.clone(),
        })
    });
    items.collect()
}

/// Pushes images, and writes what came of it into their reports. In the registry each gets the tag of
/// its fingerprint too, by which other machines find it.
pub(super) async fn push(
    images: &mut [ImageReport],
    mut items: Vec<PushItem>,
    fleet: &Fleet,
    session: &Session,
    invocation: Invocation<'_>,
    sink: &dyn Sink,
    cancel: &tokio_util::sync::CancellationToken,
) {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    for item in &mut items {
        if let Some(known) = fleet.fingerprints.get(&item.image) {
            let tag = Tag::of_fingerprint(&known.fingerprint);
            let (registry, namespace) = (settings.registry.as_ref(), &settings.namespace);
            let found_by = Reference::of_image(registry, namespace, &item.image, &tag);
            item.references.push(found_by);
        }
    }
    let outcomes = {
        let progress = progress::sink(console, items.len());
        let sinks = Tee(vec![&*progress, sink]);
        let pusher = Pusher {
            engine: &*session.engine,
            registry: session.registry.clone(),
            graph: &fleet.graph,
            keychain: &DockerKeychain::new(environment),
            retry: settings.retry,
            // Pushing waits more than it works.
            jobs: settings.jobs.max(4),
            sink: &sinks,
        };
        pusher.run(&items, cancel).await
    };
    for (item, outcome) in items.iter().zip(outcomes) {
        let Some(report) = images.iter_mut().find(|i| i.image == item.image) else {
            continue;
        };
        match outcome {
            Outcome::Done(pushed) => {
                let for_people =
                    |p: &Pushed| !p.reference.tag().is_some_and(Tag::is_of_fingerprint);
                report.pushed = pushed.into_iter().filter(for_people).collect();
            }
            Outcome::Failed(problem) => {
                console.error_text(&format!(
                    "\n{}",
                    super::super::diagnostics::render(&problem, false)
                ));
                report.status = Status::Failed;
                report.failure = Some(session::failure(&problem));
            }
            Outcome::Blocked { by } => {
                report.status = Status::Blocked;
                report.failure = Some(Failure {
                    class: crate::model::Class::Environment,
                    message: format!("`{}` could not be pushed", items[by].image),
                    hints: Vec::new(),
                    blocked_by: Some(items[by].image.clone()),
                });
            }
            Outcome::Cancelled => report.status = Status::Cancelled,
        }
    }
}

/// Says in the end what failed: the image, its step, the last lines of its log, and what to do.
fn failures(plan: &Plan, outcomes: &[Outcome<Built>], logs: &Logs, console: &Console) {
    for (planned, outcome) in plan.images().iter().zip(outcomes) {
        if let Outcome::Failed(problem) = outcome {
            failed(&planned.image, problem, logs, console);
        }
    }
}

/// The same for one image.
pub(super) fn failed(image: &ImageName, problem: &Diagnostic, logs: &Logs, console: &Console) {
    let mut text = format!("\n{}", logs.end(image));
    let mut problem = problem.in_image(image);
    if let Some(log) = logs.path(image) {
        problem = problem.note(format!("the whole log: {}", log.display()));
    }
    text.push_str(&super::super::diagnostics::render(&problem, false));
    console.error_text(&text);
}
