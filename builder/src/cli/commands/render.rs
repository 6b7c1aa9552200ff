use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::super::args::RenderArgs;
use super::super::fleet::{self, Fleet};
use super::super::logs::Logs;
use super::super::progress;
use super::super::{Ending, Invocation};
use super::session;
use crate::archive::{Body, Entry, EntryKind};
use crate::context::Fetcher;
use crate::event::Tee;
use crate::model::{Diagnostic, Diagnostics, ImageName, Location};
use crate::report::count;
use crate::schedule;

pub(in super::super) async fn run(
    args: &RenderArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let fleet = fleet::load(invocation.settings)?;
    let selection = fleet::select(&fleet.graph, &args.patterns.patterns)?;
    let chosen = selection.chosen();
    let cancel = session::cancel_on_signal(invocation.console);
    let fetcher = session::fetcher(invocation.settings, invocation.environment)?;
    let fetcher = Some(&fetcher).filter(|_| !args.no_sources);
    let written = write_contexts(&fleet, chosen, &args.output, fetcher, invocation, &cancel);
    if written.await? == Ending::Good {
        invocation.console.say(&format!(
            "{} in {}",
            count(chosen.len(), "context"),
            args.output.display()
        ));
        return Ok(Ending::Good);
    }
    Ok(Ending::Interrupted)
}

/// Writes the contexts of images, each to a folder of its name in `output`; without a fetcher, without
/// their sources.
pub(super) async fn write_contexts(
    fleet: &Fleet,
    images: &BTreeSet<ImageName>,
    output: &Path,
    fetcher: Option<&Fetcher>,
    invocation: Invocation<'_>,
    cancel: &CancellationToken,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings, console, ..
    } = invocation;
    let progress = progress::sink(console, 0);
    let logs = Logs::new(settings.cache_dir()?, std::time::SystemTime::now());
    let sink = Tee(vec![&*progress, &logs]);
    for image in images {
        if cancel.is_cancelled() {
            return Ok(Ending::Interrupted);
        }
        let Some(assembly) = fleet.assemblies.get(image) else {
            continue;
        };
        let dockerfile = schedule::sent_dockerfile(&fleet.graph, &fleet.fingerprints, image);
        let context = if let Some(fetcher) = fetcher {
            let completed = schedule::complete(image, assembly, &dockerfile, fetcher, false, &sink);
            // Dropped, what fetches ends its tools.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(Ending::Interrupted),
                context = completed => context.inspect_err(|_| {
                    console.error_text(&logs.end(image));
                })?,
            }
        } else {
            assembly.complete(&dockerfile, &[]).map_err(|e| {
                Diagnostic::environment(format!("cannot read a file of the context: {e}"))
            })?
        };
        let folder = output.join(image.as_str());
        // What an earlier rendering left there is not part of this one.
        let cleared = if folder.join(crate::context::DOCKERFILE).exists() {
            fs::remove_dir_all(&folder)
        } else {
            Ok(())
        };
        cleared
            .and_then(|()| fs::create_dir_all(&folder))
            .and_then(|()| {
                context
                    .entries()
                    .iter()
                    .try_for_each(|entry| write(&folder, entry))
            })
            .map_err(|e| {
                Diagnostic::environment(format!("cannot write: {e}")).at(Location::file(&folder))
            })?;
    }
    Ok(Ending::Good)
}

fn write(folder: &Path, entry: &Entry) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(&entry.path);
    match &entry.kind {
        EntryKind::Directory => fs::create_dir_all(path),
        EntryKind::Symlink(target) => std::os::unix::fs::symlink(target, path),
        EntryKind::File { executable, body } => {
            match body {
                Body::Text(text) => fs::write(&path, text.as_bytes())?,
                Body::Disk { path: from, .. } => {
                    fs::copy(from, &path)?;
                }
            }
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        }
    }
}
