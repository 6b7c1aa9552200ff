use super::super::args::PruneArgs;
use super::super::console::Console;
use super::super::settings::Settings;
use super::super::{Ending, Environment, places};
use crate::model::Diagnostics;
use crate::publish::{Journal, Releases};
use crate::report::count;

pub(in super::super) fn run(
    args: &PruneArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let place = places::target(settings)?;
    // Nobody publishes from here meanwhile, on images that are about to go.
    let _journal = Journal::open(&settings.cache_dir()?.join("publish"), &place)?;
    let pusher = places::pusher(&place, environment, None)?;
    let releases = Releases {
        pusher: &pusher,
        place: &place,
    };
    let surplus = releases.surplus(args.keep.get())?;
    let lines = surplus
        .releases
        .iter()
        .map(|id| format!("release {id}\n"))
        .chain(surplus.manifests.iter().map(|m| format!("{m}\n")));
    console.result(&lines.collect::<String>())?;
    let found = format!(
        "{} and {} in {place}",
        count(surplus.releases.len(), "release"),
        count(surplus.manifests.len(), "manifest")
    );
    if args.dry_run {
        console.say(&format!("{found} would be removed"));
        return Ok(Ending::Good);
    }
    releases.remove(&surplus)?;
    console.say(&format!("{found} removed"));
    Ok(Ending::Good)
}
