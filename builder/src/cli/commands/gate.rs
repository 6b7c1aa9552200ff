use std::path::Path;
use std::time::{Instant, SystemTime};

use super::super::args::{GateArgs, GlobalArgs, TableFormat};
use super::super::console::Console;
use super::super::durations::Durations;
use super::super::fleet::{self, Fleet, Naming};
use super::super::keychain::DockerKeychain;
use super::super::logs::Logs;
use super::super::page::Page;
use super::super::places;
use super::super::progress;
use super::super::settings::Settings;
use super::super::since::{self, Since};
use super::super::timing::Timing;
use super::super::{Ending, Environment, Invocation, diagnostics};
use super::session::{self, Session};
use super::{archives, build};
use crate::event::{Activity, Tee};
use crate::gate::{self, Baseline, Baselines, Checked, Flakes, Gate};
use crate::graph::Selection;
use crate::model::{Class, Diagnostic, Diagnostics, ImageName, Location, Source};
use crate::plan::{Plan, PlannedImage};
use crate::publish::Releases;
use crate::report::{self, Failure, GateReport, GateStatus, GatedImage, Summary};
use crate::schedule::{Built, Outcome};

pub(in super::super) async fn run(
    args: &GateArgs,
    global: &GlobalArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let begun = Instant::now();
    let baselines = match &args.baseline {
        Some(file) => read_baseline(file)?,
        None => published(settings, environment)?,
    };
    let page = Page::begin(&args.html, begun)?;
    let cancel = session::cancel_on_signal(console);
    // Dropped, it takes its temporary files away.
    let chosen = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Ending::Interrupted),
        chosen = choose(args, global, settings, environment) => chosen?,
    };
    let Chosen {
        fleet,
        selection,
        since,
    } = chosen;
    let naming = Naming::new(settings)?;
    let session = Session::open(settings, environment).await?;
    let plan = session.plan(&fleet, &selection, false, invocation).await?;
    let logs = Logs::new(settings.cache_dir()?, SystemTime::now());
    let timing = Timing::default();
    let flakes = Flakes::default();
    let durations = Durations::load(settings.cache_dir()?);
    let to_build = plan.to_build().cloned();
    let fetcher = archives::fetcher(&fleet, to_build, invocation, &cancel).await?;
    let (outcomes, checked, unused) = {
        let progress = progress::sink(console, selection.chosen().len() + plan.builds());
        let sinks = Tee(vec![&*progress, &logs, &timing, &flakes, &page]);
        let gate = Gate::new(
            &*session.engine,
            &fleet.graph,
            selection.chosen(),
            &baselines,
            today(),
            settings.retry,
            &sinks,
        );
        let keychain = DockerKeychain::new(environment);
        let builder = session.builder(&fleet, &fetcher, &keychain, Some(&gate), settings, &sinks);
        let tags = |image: &ImageName| naming.references(settings, image);
        let outcomes = builder
            .run(&plan, tags, |image| durations.of(image), &cancel)
            .await;
        (outcomes, gate.checked(), gate.unused_waivers())
    };
    // Containers of cancelled tests are on their way out; they should be gone when we are.
    session.engine.settle().await;
    let mut images = Vec::new();
    for (planned, outcome) in plan.images().iter().zip(&outcomes) {
        let chosen = selection.chosen().contains(&planned.image);
        // An ancestor that nobody asked about matters where it failed.
        if chosen || matches!(outcome, Outcome::Failed(_)) {
            let checked = checked.get(&planned.image);
            images.push(gated(planned, outcome, checked, &plan, &fleet, &timing));
        }
    }
    let report = GateReport {
        schema: 1,
        command: "gate",
        ok: images.iter().all(|i| i.status == GateStatus::Passed) && !cancel.is_cancelled(),
        engine: session.engine_line(),
        seconds: begun.elapsed().as_secs_f64(),
        since,
        images,
        flakes: flakes.all(),
        warnings: unused.iter().map(ToString::to_string).collect(),
    };
    match args.format {
        TableFormat::Table => {
            if !report.images.is_empty() {
                console.result(&report.table(console.width()))?;
                console.say("");
            }
            console.say(&report.line());
        }
        TableFormat::Json => console.result(&json(&report)?)?,
    }
    tell(&report, &plan, &outcomes, &logs, console);
    for warning in &unused {
        console.warn(warning);
    }
    write_reports(args, &report, settings)?;
    if let Some(file) = &args.write_baseline {
        let passed = checked.values().filter(|c| c.failed().is_empty());
        let published = passed.map(|checked| {
            let baseline = Baseline {
                size: Some(checked.inventory.size),
                packages: Some(checked.inventory.packages.clone()),
            };
            (checked.image.clone(), baseline)
        });
        let document = gate::baseline_document(&published.collect());
        write(file, &format!("{document:#}\n"))?;
    }
    let images = build::reports(&plan, &outcomes, settings, &naming, &timing, &logs);
    let summary = Summary {
        schema: 1,
        command: "gate",
        ok: report.ok,
        engine: report.engine.clone(),
        seconds: report.seconds,
        images,
    };
    let ending = ending(&report, cancel.is_cancelled());
    page.end(&fleet.graph, &summary, &checked, ending, console)
}

/// What is to be checked.
struct Chosen {
    fleet: Fleet,
    selection: Selection,
    since: Option<String>,
}

async fn choose(
    args: &GateArgs,
    global: &GlobalArgs,
    settings: &Settings,
    environment: &Environment,
) -> Result<Chosen, Diagnostics> {
    let patterns = &args.patterns.patterns;
    let Some(revision) = &args.since else {
        let fleet = fleet::load(settings)?;
        let selection = fleet::select(&fleet.graph, patterns)?;
        return Ok(Chosen {
            fleet,
            selection,
            since: None,
        });
    };
    let since = Since::new(revision, args.merge_base);
    let compared = since::load(&since, global, settings, environment).await?;
    let comparison = compared.comparison(patterns)?;
    let affected = comparison.affected().iter();
    let names: Vec<ImageName> = affected.map(|affected| affected.image.clone()).collect();
    Ok(Chosen {
        selection: Selection::of(&compared.fleet.graph, names),
        fleet: compared.fleet,
        since: Some(revision.clone()),
    })
}

/// The day it is, in UTC, as waivers have theirs.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take(10).collect()
}

fn read_baseline(file: &Path) -> Result<Baselines, Diagnostic> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Diagnostic::definition(format!("cannot read the baseline: {error}"))
            .at(Location::file(file))
            .hint("without --baseline images are not compared with anything published")
    })?;
    gate::parse_baseline(&Source::new(file, text))
}

/// What the first current release has that is found where published images are looked for.
fn published(settings: &Settings, environment: &Environment) -> Result<Baselines, Diagnostics> {
    for place in &settings.places {
        let pusher = places::pusher(place, environment, None)?;
        let releases = Releases {
            pusher: &pusher,
            place,
        };
        let release = releases.current().map_err(|problem| {
            problem.hint("--baseline names a file to compare with, --local compares with nothing")
        })?;
        let Some(release) = release else {
            continue;
        };
        let images = release.images().map(|(image, released)| {
            let content = released.content.as_ref();
            let baseline = Baseline {
                size: content.map(|content| content.size),
                packages: content.map(|content| content.packages.clone()),
            };
            (image, baseline)
        });
        return Ok(images.collect());
    }
    Ok(Baselines::new())
}

fn gated(
    planned: &PlannedImage,
    outcome: &Outcome<Built>,
    checked: Option<&Checked>,
    plan: &Plan,
    fleet: &Fleet,
    timing: &Timing,
) -> GatedImage {
    let image = &planned.image;
    let refused = checked.is_some_and(|checked| !checked.failed().is_empty());
    let (status, failure) = match outcome {
        Outcome::Done(_) => (GateStatus::Passed, None),
        Outcome::Failed(_) if refused => (GateStatus::Failed, None),
        Outcome::Failed(problem) => (GateStatus::Broken, Some(session::failure(problem))),
        Outcome::Blocked { by } => {
            let by = plan.images()[*by].image.clone();
            let failure = Failure {
                class: Class::Build,
                message: format!("`{by}`, which it is made from, failed"),
                hints: Vec::new(),
                blocked_by: Some(by),
            };
            (GateStatus::Blocked, Some(failure))
        }
        Outcome::Cancelled => (GateStatus::Cancelled, None),
    };
    let spent = [Activity::Build, Activity::Test].map(|activity| timing.seconds(image, activity));
    let dockerfile = fleet.graph.node(image).map(|node| {
        let path = node.rendered().definition().dockerfile().path();
        path.display().to_string()
    });
    GatedImage {
        image: image.clone(),
        service: planned.service.clone(),
        status,
        reason: report::reason(&planned.action),
        seconds: spent.into_iter().flatten().reduce(|a, b| a + b),
        id: outcome.done().and_then(|built| built.id.clone()),
        fingerprint: planned.fingerprint.clone(),
        size: checked.map(|c| c.inventory.size),
        published_size: checked.and_then(|c| c.published_size),
        packages: checked.map(|c| c.inventory.packages.len()),
        checks: checked.map(|c| c.verdicts.clone()).unwrap_or_default(),
        changes: checked.and_then(|c| c.changes.clone()),
        failure,
        dockerfile: dockerfile.unwrap_or_default(),
    }
}

/// Says in the end what failed and what to do.
fn tell(
    report: &GateReport,
    plan: &Plan,
    outcomes: &[Outcome<Built>],
    logs: &Logs,
    console: &Console,
) {
    for image in &report.images {
        for (check, finding) in image.failing() {
            let message = format!("{}: {check}: {}", image.image, finding.message);
            let mut problem = Diagnostic::new(Class::Build, message);
            if let Some(location) = &finding.location {
                problem = problem.at(location.clone());
            }
            problem = finding
                .notes
                .iter()
                .cloned()
                .fold(problem, Diagnostic::note);
            problem = problem.maybe_hint(finding.hint.clone());
            console.error_text(&format!("\n{}", diagnostics::render(&problem, false)));
        }
        let position = plan.images().iter().position(|p| p.image == image.image);
        if image.status == GateStatus::Broken
            && let Some(Outcome::Failed(problem)) = position.and_then(|i| outcomes.get(i))
        {
            build::failed(&image.image, problem, logs, console);
        }
    }
}

fn json(report: &GateReport) -> Result<String, Diagnostic> {
    let text = serde_json::to_string_pretty(report);
    let text = text.map_err(|e| Diagnostic::new(Class::Internal, e.to_string()))?;
    Ok(format!("{text}\n"))
}

fn write_reports(
    args: &GateArgs,
    report: &GateReport,
    settings: &Settings,
) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    if let Some(file) = &args.junit {
        let text = report::junit(report);
        let text = text.map_err(|e| Diagnostic::new(Class::Internal, e.to_string()));
        problems.take(text.and_then(|text| write(file, &text)));
    }
    if let Some(file) = &args.sarif {
        let document = report::sarif(report, &settings.root);
        problems.take(write(file, &format!("{document:#}\n")));
    }
    if let Some(file) = &args.markdown {
        problems.take(write(file, &report::markdown(report)));
    }
    problems.or_ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Diagnostic> {
    std::fs::write(file, text).map_err(|error| {
        Diagnostic::environment(format!("cannot write {}: {error}", file.display()))
    })
}

/// A broken environment explains everything else, so its status is the one to give.
fn ending(report: &GateReport, cancelled: bool) -> Ending {
    if cancelled {
        return Ending::Interrupted;
    }
    let failures = report.images.iter().filter_map(|image| match image.status {
        GateStatus::Failed => Some(Class::Build),
        GateStatus::Broken => image.failure.as_ref().map(|failure| failure.class),
        _ => None,
    });
    match failures.max_by_key(|class| super::super::exit_status(*class)) {
        Some(class) => Ending::Failed(class),
        None if report
            .images
            .iter()
            .any(|i| i.status == GateStatus::Cancelled) =>
        {
            Ending::Interrupted
        }
        None => Ending::Good,
    }
}
