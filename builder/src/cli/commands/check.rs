use super::super::Ending;
use super::super::console::Console;
use super::super::fleet;
use super::super::settings::Settings;
use crate::model::Diagnostics;
use crate::report::count;

pub(in super::super) fn run(settings: &Settings, console: &Console) -> Result<Ending, Diagnostics> {
    let fleet = fleet::load(settings)?;
    let services: std::collections::BTreeSet<_> = fleet
        .graph
        .nodes()
        .map(|n| n.rendered().definition().service())
        .collect();
    console.say(&format!(
        "{} of {}: no mistake found",
        count(fleet.graph.len(), "image"),
        count(services.len(), "service")
    ));
    Ok(Ending::Good)
}
