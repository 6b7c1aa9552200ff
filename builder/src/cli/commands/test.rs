use std::sync::Arc;
use std::time::Instant;

use super::super::args::TestArgs;
use super::super::fleet;
use super::super::progress;
use super::super::timing::Timing;
use super::super::{Ending, Invocation, diagnostics};
use super::build;
use super::session::{self, BuiltImage, Session};
use crate::engine::Engine;
use crate::event::{Activity, Ending as Ended, Event, Sink, Tee};
use crate::gate::smoke_test;
use crate::model::{Class, Diagnostic, Diagnostics, ImageId, ImageName};
use crate::report::{Status, Summary};
use crate::schedule::{self, Job, Outcome};

pub(in super::super) async fn run(
    args: &TestArgs,
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
    let session = Session::open(settings, environment).await?;
    let built = session
        .at_hand(&fleet, &selection, None, invocation)
        .await?;
    let cancel = session::cancel_on_signal(console);
    let smoke = |image: &ImageName| {
        let node = fleet.graph.node(image);
        node.map(|n| n.rendered().definition().smoke().to_vec())
            .unwrap_or_default()
    };
    let built: Vec<_> = built
        .into_iter()
        .filter(|(built, _)| !smoke(&built.image).is_empty())
        .collect();
    let timing = Timing::default();
    let jobs = vec![Job::default(); built.len()];
    let outcomes = {
        let progress = progress::sink(console, built.len());
        let sinks = Tee(vec![&*progress, &timing]);
        let work = async |i: usize| {
            let (BuiltImage { image, .. }, id) = &built[i];
            one(&*session.engine, image, id, smoke(image), &sinks).await
        };
        schedule::run(&jobs, settings.jobs, &cancel, work).await
    };
    // Containers of cancelled tests are on their way out; they should be gone when we are.
    session.engine.settle().await;
    let built = built.into_iter().map(|(built, _)| built).collect();
    let mut images = session::reports(&fleet, built, Status::Tested);
    for (report, outcome) in images.iter_mut().zip(&outcomes) {
        report.seconds = timing.seconds(&report.image, Activity::Test);
        match outcome {
            Outcome::Done(()) => {}
            Outcome::Failed(problem) => {
                console.error_text(&format!("\n{}", diagnostics::render(problem, false)));
                report.status = Status::Failed;
                report.failure = Some(session::failure(problem));
            }
            Outcome::Blocked { .. } | Outcome::Cancelled => report.status = Status::Cancelled,
        }
    }
    let summary = Summary {
        schema: 1,
        command: "test",
        ok: images.iter().all(|i| i.status == Status::Tested),
        engine: session.engine_line(),
        seconds: begun.elapsed().as_secs_f64(),
        images,
    };
    build::finish(&summary, args.format, console)?;
    Ok(session::ending(&summary.images, cancel.is_cancelled()))
}

async fn one(
    engine: &dyn Engine,
    image: &ImageName,
    id: &ImageId,
    command: Vec<String>,
    sink: &dyn Sink,
) -> Result<(), Diagnostic> {
    let activity = Activity::Test;
    sink.emit(Event::Started {
        image: image.clone(),
        activity,
        attempt: 1,
    });
    let result = match smoke_test(engine, id, &command).await {
        Err(error) => Err(error.diagnostic()),
        Ok(None) => Ok(()),
        Ok(Some(failure)) => {
            let message = format!("the smoke test of `{image}` {}", failure.message);
            let problem = Diagnostic::new(Class::Build, message);
            Err(failure.output.into_iter().fold(problem, Diagnostic::note))
        }
    };
    let ending = match &result {
        Ok(()) => Ended::Done { pushed: None },
        Err(problem) => Ended::Failed {
            class: problem.class(),
            problem: Arc::new(problem.clone()),
        },
    };
    sink.emit(Event::Finished {
        image: image.clone(),
        activity,
        ending,
    });
    result
}
