use super::super::Ending;
use super::super::args::{ListArgs, ListFormat};
use super::super::console::Console;
use super::super::fleet;
use super::super::settings::Settings;
use crate::model::Diagnostics;
use crate::report;

pub(in super::super) fn run(
    args: &ListArgs,
    settings: &Settings,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let graph = fleet::graph(settings)?;
    let selection = fleet::select(&graph, &args.patterns.patterns)?;
    console.result(&match args.format {
        ListFormat::Table => report::fleet_table(&graph, &selection, console.width()),
        ListFormat::Names => report::fleet_names(&graph, &selection),
        ListFormat::Json => format!("{:#}\n", report::fleet_json(&graph, &selection)),
    })?;
    Ok(Ending::Good)
}
