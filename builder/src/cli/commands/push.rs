use std::time::Instant;

use super::super::args::PushArgs;
use super::super::fleet::{self, Naming};
use super::super::{Ending, Invocation};
use super::build;
use super::session::{self, Session};
use crate::event::Tee;
use crate::model::Diagnostics;
use crate::publish::PushItem;
use crate::report::{ImageReport, Status, Summary};

pub(in super::super) async fn run(
    args: &PushArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let begun = Instant::now();
    let fleet = fleet::load(settings)?;
    let selection = fleet::select(&fleet.graph, &args.patterns.patterns)?;
    let naming = Naming::new(settings)?;
    let session = Session::open(settings, environment).await?;
    let built = session
        .built(&fleet, &selection, Some(&naming), invocation)
        .await?;
    session::warn_of_dirty(settings, &naming, console);
    let cancel = session::cancel_on_signal(console);
    let items = built.iter().map(|built| PushItem {
        image: built.image.clone(),
        from: built.from.clone(),
        references: built.references.clone(),
    });
    let items = items.collect();
    let mut images = session::reports(&fleet, built, Status::Pushed);
    build::push(
        &mut images,
        items,
        &fleet,
        &session,
        invocation,
        &Tee(Vec::new()),
        &cancel,
    )
    .await;
    let summary = Summary {
        schema: 1,
        command: "push",
        ok: images
            .iter()
            .all(|i: &ImageReport| i.status == Status::Pushed),
        engine: session.engine_line(),
        seconds: begun.elapsed().as_secs_f64(),
        images,
    };
    build::finish(&summary, args.format, console)?;
    Ok(session::ending(&summary.images, cancel.is_cancelled()))
}
