//! Archives that are not in the state that kolla.lock pins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::Invocation;
use super::super::fleet::Fleet;
use super::session;
use crate::catalog::{LOCK, Origin};
use crate::context::Fetcher;
use crate::graph::Selection;
use crate::model::{Class, Diagnostic, Diagnostics, ImageName};
use crate::pins::{self, Archive, Move, Pinned, Suites};

/// How long an archive is waited for where it may be as it likes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What fetches sources, for making images from nothing but what kolla.lock pins.
///
/// # Errors
/// An archive that is in another state: with --locked for all that is made from it, whose own steps take
/// packages from there too. Without, a root file system of that archive cannot be made, for it would
/// be known by pins that it does not hold to; of other images it is a warning.
pub(super) async fn fetcher(
    fleet: &Fleet,
    images: impl IntoIterator<Item = ImageName>,
    invocation: Invocation<'_>,
    cancel: &CancellationToken,
) -> Result<Fetcher, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let fetcher = session::fetcher(settings, environment)?;
    let selection = Selection::of(&fleet.graph, images);
    for (suite, archive) in fleet.graph.needs_of(&selection).archives {
        let Some(pinned) = fleet.pins.archives.get(&suite) else {
            continue;
        };
        let now = match state(&fetcher, &archive, settings.locked, cancel).await {
            Ok(now) => now,
            Err(problem) if settings.locked || problem.class() == Class::Interrupted => {
                return Err(problem.into());
            }
            // Whatever needs the archive says so itself.
            Err(_) => continue,
        };
        let Some(problem) = drifted(&suite, &pins::drift(&suite, pinned, &now)) else {
            continue;
        };
        let problem = problem.hint("`kolla lock --update` moves on to the state of now");
        let mut made = selection.chosen().iter();
        if settings.locked || made.any(|i| is_made_from(fleet, i, &suite)) {
            return Err(problem.into());
        }
        console.warn(&problem.hint("packages come from there as it is now; --locked refuses that"));
    }
    Ok(fetcher)
}

async fn state(
    fetcher: &Fetcher,
    archive: &Archive,
    locked: bool,
    cancel: &CancellationToken,
) -> Result<Suites, Diagnostic> {
    let stop = Arc::new(AtomicBool::new(false));
    let (fetcher, bootstrap, stopping) = (
        fetcher.clone(),
        archive.bootstrap.clone(),
        Arc::clone(&stop),
    );
    let asked = tokio::task::spawn_blocking(move || fetcher.archive_state(&bootstrap, stopping));
    let stopped = |class, why: &str| {
        stop.store(true, Ordering::Relaxed);
        Err(Diagnostic::new(class, why))
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => stopped(Class::Interrupted, "stopped"),
        () = tokio::time::sleep(PATIENCE), if !locked => stopped(Class::Transient, "no answer"),
        now = asked => now.unwrap_or_else(|e| Err(Diagnostic::new(Class::Internal, e.to_string()))),
    }
}

/// Whether an image begins with a root file system of this archive.
fn is_made_from(fleet: &Fleet, image: &ImageName, suite: &str) -> bool {
    let sources = fleet.assemblies.get(image).into_iter();
    let mut origins = sources.flat_map(|a| a.sources()).map(|s| &s.origin);
    origins.any(|origin| matches!(origin, Origin::Bootstrap(b) if b.suite == suite))
}

fn drifted(suite: &str, moves: &[Move]) -> Option<Diagnostic> {
    if moves.is_empty() {
        return None;
    }
    let problem = format!(
        "the archive of {suite} is not in the state that {} pins",
        LOCK
    );
    let date = |pinned: &Option<Pinned>| pinned.as_ref().and_then(|p| p.date.clone());
    let told = moves
        .iter()
        .map(|m| match (date(&m.before), date(&m.after)) {
            (Some(before), Some(after)) => format!("{} is of {after}, pinned is {before}", m.name),
            (None, _) => format!("{} is not pinned", m.name),
            (_, None) => format!(
                "{} is pinned, and no mirror of this machine is for it",
                m.name
            ),
        });
    Some(told.fold(Diagnostic::environment(problem), Diagnostic::note))
}
