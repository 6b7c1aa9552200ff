use super::super::Ending;
use super::super::args::{GraphArgs, GraphFormatArg};
use super::super::console::Console;
use super::super::fleet;
use super::super::settings::Settings;
use crate::graph::{Selection, SelectionOptions};
use crate::model::Diagnostics;
use crate::report::{GraphFormat, graph_text};

pub(in super::super) fn run(
    args: &GraphArgs,
    settings: &Settings,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let graph = fleet::graph(settings)?;
    let options = SelectionOptions {
        no_parents: args.selection.no_parents,
        with_children: args.selection.with_children,
    };
    let selection = Selection::new(&graph, &args.selection.patterns.patterns, options)?;
    let format = match args.format {
        GraphFormatArg::Tree => GraphFormat::Tree,
        GraphFormatArg::Dot => GraphFormat::Dot,
        GraphFormatArg::Mermaid => GraphFormat::Mermaid,
        GraphFormatArg::Json => GraphFormat::Json,
    };
    console.result(&graph_text(&graph, &selection, format))?;
    Ok(Ending::Good)
}
