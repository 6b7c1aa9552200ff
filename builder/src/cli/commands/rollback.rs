use super::super::args::RollbackArgs;
use super::super::console::Console;
use super::super::places::{self, problem};
use super::super::settings::Settings;
use super::super::{Ending, Environment};
use crate::model::{Diagnostic, Diagnostics, Reference};
use crate::publish::{self, Journal, Move, Moved, Releases};
use crate::report::count;

pub(in super::super) fn run(
    _: &RollbackArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let place = places::target(settings)?;
    let journal = Journal::open(&settings.cache_dir()?.join("publish"), &place)?;
    let pusher = places::pusher(&place, environment, None)?;
    let releases = Releases {
        pusher: &pusher,
        place: &place,
    };
    let unfinished = journal.unfinished()?;
    let was_unfinished = unfinished.is_some();
    let Some(release) = unfinished.map_or_else(|| releases.current(), |r| Ok(Some(r)))? else {
        return Err(
            Diagnostic::definition(format!("there is no release in {place} to take back"))
                .hint("`kolla releases` lists those of a namespace")
                .into(),
        );
    };
    let all: Vec<(Reference, _, _)> = release
        .images()
        .flat_map(|(image, one)| {
            let place = &place;
            release.tags().into_iter().map(move |tag| {
                let before = one.before.get(tag.as_str()).cloned().flatten();
                (place.reference(&image, &tag), one.digest.clone(), before)
            })
        })
        .collect();
    let references: Vec<Reference> = all
        .iter()
        .map(|(reference, ..)| reference.clone())
        .collect();
    let now = publish::current(pusher.client(), &references).map_err(|error| problem(&error))?;
    let mut moves = Vec::new();
    for ((reference, released, before), now) in all.into_iter().zip(now) {
        if now == before {
            continue;
        }
        // A tag that somebody moved on since is theirs.
        if now.as_ref() != Some(&released) {
            console.warn(&Diagnostic::definition(format!(
                "{reference} is left as it is: release {} did not put it there",
                release.id
            )));
            continue;
        }
        moves.push(Move {
            reference,
            to: before,
        });
    }
    let moved = publish::move_tags(pusher.client(), &moves).map_err(|error| {
        problem(&error)
            .note("some tags may have been moved back, and others not")
            .hint("run `kolla rollback` again: what is back is left alone")
    })?;
    for (one, _) in moves.iter().zip(&moved).filter(|(_, m)| **m == Moved::Kept) {
        console.warn(
            &Diagnostic::environment(format!(
                "{} stays: it was new, and this registry takes no tags away",
                one.reference
            ))
            .hint("remove it in the registry's own way"),
        );
    }
    match &release.previous {
        Some(previous) => releases.make_current(previous)?,
        // It took nobody's place, so that no other is current now.
        None if was_unfinished => {}
        None => releases.forget_current()?,
    }
    journal.end()?;
    let back = moved.iter().filter(|m| **m == Moved::Done).count();
    console.say(&format!(
        "release {} in {place} is taken back: {} moved, {}",
        release.id,
        count(back, "tag"),
        match &release.previous {
            Some(previous) => format!("{previous} is current"),
            None => "there is none before it".to_owned(),
        }
    ));
    Ok(Ending::Good)
}
