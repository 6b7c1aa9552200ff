use super::super::args::{ReleasesArgs, TableFormat};
use super::super::console::Console;
use super::super::settings::Settings;
use super::super::{Ending, Environment, places};
use crate::model::Diagnostics;
use crate::publish::{self, Releases};
use crate::report;

pub(in super::super) fn run(
    args: &ReleasesArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let place = match &args.of {
        None => places::target(settings)?,
        Some(text) => places::named(text, settings)?,
    };
    let pusher = places::pusher(&place, environment, None)?;
    let releases = Releases {
        pusher: &pusher,
        place: &place,
    };
    let json = args.format == TableFormat::Json;
    if let [old, new] = args.compare.as_slice() {
        let (old, new) = (releases.read(old)?, releases.read(new)?);
        let found = publish::differences(&old, &new);
        if json {
            let value = report::differences_json(&old, &new, &found);
            console.result(&format!("{value:#}\n"))?;
        } else {
            console.result(&report::differences_table(&found, console.width()))?;
            console.say(&format!(
                "\n{} differ from {} to {}",
                report::count(found.len(), "image"),
                old.id,
                new.id
            ));
        }
        return Ok(Ending::Good);
    }
    let (all, current) = releases.list()?;
    if json {
        let value = report::releases_json(&place.to_string(), &all, current.as_deref());
        console.result(&format!("{value:#}\n"))?;
    } else {
        if !all.is_empty() {
            console.result(&report::releases_table(
                &all,
                current.as_deref(),
                console.width(),
            ))?;
            console.say("");
        }
        console.say(&format!(
            "{} in {place}",
            report::count(all.len(), "release")
        ));
    }
    Ok(Ending::Good)
}
