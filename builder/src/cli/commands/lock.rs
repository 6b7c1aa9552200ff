use super::super::args::{LockArgs, TableFormat};
use super::super::fleet;
use super::super::network::Network;
use super::super::{Ending, Invocation};
use super::session;
use crate::catalog::LOCK;
use crate::model::{Diagnostic, Diagnostics};
use crate::pins::{self, Move, Patterns};
use crate::plan::Comparison;
use crate::report;

pub(in super::super) fn run(
    args: &LockArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    if settings.locked {
        return Err(Diagnostic::definition(
            "--locked is for commands that leave kolla.lock as it is",
        )
        .into());
    }
    if let Some(origin) = &settings.own_base_image {
        let problem =
            "kolla.lock pins what the fleet's files name, and this base image is not theirs";
        return Err(origin
            .blame(Diagnostic::definition(problem))
            .hint("leave it out, or set `base_image` in the fleet's kolla.toml")
            .into());
    }
    // Nobody else writes the file between reading and writing it.
    let _turn = pins::turn(&settings.root)?;
    let update = args.update.as_deref().map(Patterns::new).transpose()?;
    let before = fleet::load(settings)?;
    let fetcher = session::fetcher(settings, environment)?;
    let network = Network::new(&fetcher, invocation)?;
    let needs = before.graph.needs();
    let pins = pins::moved(&before.pins, &needs, update.as_ref(), &network)?;
    let moves = Move::between(&before.pins, &pins);
    let after = fleet::load_pinned(settings, pins)?;
    if after.pins != before.pins || !settings.root.join(LOCK).exists() {
        pins::write(&settings.root, &after.pins)?;
    }
    let all = fleet::select(&after.graph, &[])?;
    let comparison = Comparison::new(
        &after.graph,
        &after.fingerprints,
        &before.fingerprints,
        all.chosen(),
    );
    let affected: Vec<_> = comparison.affected().iter().map(|a| &a.image).collect();
    match args.format {
        TableFormat::Table => {
            if !moves.is_empty() {
                console.result(&report::moves_table(&moves, console.width()))?;
                console.say("");
            }
            let pinned = after.pins.archives.values().flatten().count() + after.pins.images.len();
            console.say(&report::moves_line(
                &moves,
                pinned,
                affected.len(),
                after.graph.len(),
            ));
        }
        TableFormat::Json => {
            console.result(&format!("{:#}\n", report::moves_json(&moves, &affected)))?;
        }
    }
    Ok(Ending::Good)
}
