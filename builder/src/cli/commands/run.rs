use super::super::args::RunArgs;
use super::super::fleet;
use super::super::{Ending, Invocation};
use super::session::{self, Session};
use crate::engine::RunRequest;
use crate::model::{Diagnostic, Diagnostics};

pub(in super::super) async fn run(
    args: &RunArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let fleet = fleet::load(settings)?;
    let selection = fleet::select(&fleet.graph, std::slice::from_ref(&args.image))?;
    let session = Session::open(settings, environment).await?;
    let built = session
        .at_hand(&fleet, &selection, None, invocation)
        .await?;
    let [(_, id)] = built.as_slice() else {
        let count = built.len();
        return Err(Diagnostic::definition(format!(
            "`{}` names {count} images, and one can be run",
            args.image
        ))
        .into());
    };
    let cancel = session::cancel_on_signal(console);
    let request = RunRequest {
        image: id.clone(),
        command: args.command.clone(),
        network: !args.no_network,
    };
    let ended = tokio::select! {
        ended = session.engine.run(&request) => Some(ended),
        () = cancel.cancelled() => None,
    };
    session.engine.settle().await;
    let Some(ended) = ended else {
        return Ok(Ending::Interrupted);
    };
    let ended = ended.map_err(|e| e.diagnostic())?;
    console.result(&ended.output)?;
    Ok(Ending::Status(u8::try_from(ended.status).unwrap_or(1)))
}
