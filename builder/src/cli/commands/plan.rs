use super::super::args::{PlanArgs, TableFormat};
use super::super::fleet::{self, Naming};
use super::super::{Ending, Invocation};
use super::archives;
use super::session::{self, Session};
use crate::graph::{Selection, SelectionOptions};
use crate::model::Diagnostics;
use crate::report;

pub(in super::super) async fn run(
    args: &PlanArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let fleet = fleet::load(settings)?;
    let options = SelectionOptions {
        no_parents: args.selection.no_parents,
        with_children: args.selection.with_children,
    };
    let selection = Selection::new(&fleet.graph, &args.selection.patterns.patterns, options)?;
    let session = Session::open(settings, environment).await?;
    let plan = session
        .plan(&fleet, &selection, args.rebuild, invocation)
        .await?;
    if settings.locked {
        let to_build = plan.to_build().cloned();
        let cancel = session::cancel_on_signal(console);
        archives::fetcher(&fleet, to_build, invocation, &cancel).await?;
    }
    match args.format {
        TableFormat::Table => {
            console.result(&report::plan_table(&plan, args.why, console.width()))?;
            console.say(&format!(
                "\n{} of {} to build",
                plan.builds(),
                plan.images().len()
            ));
        }
        TableFormat::Json => {
            let naming = Naming::new(settings)?;
            let tags = |image: &_| naming.references(settings, image);
            console.result(&format!("{:#}\n", report::plan_json(&plan, tags)))?;
        }
    }
    Ok(Ending::Good)
}
