use std::path::PathBuf;

use super::super::args::ExportArgs;
use super::super::engine;
use super::super::fleet::{self, Naming};
use super::super::{Ending, Invocation};
use super::session::Session;
use crate::engine::Destination;
use crate::model::{Diagnostic, Diagnostics};

/// What `--to` says.
enum To {
    File(Destination),
    Docker,
}

pub(in super::super) async fn run(
    args: &ExportArgs,
    invocation: Invocation<'_>,
) -> Result<Ending, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    let to = parse(&args.to)?;
    let fleet = fleet::load(settings)?;
    let selection = fleet::select(&fleet.graph, &args.patterns)?;
    let naming = Naming::new(settings)?;
    let session = Session::open(settings, environment).await?;
    let built = session
        .at_hand(&fleet, &selection, Some(&naming), invocation)
        .await?;
    let images: Vec<_> = built
        .into_iter()
        .map(|(built, id)| (id, built.references))
        .collect();
    match &to {
        To::File(destination) => {
            let exported = session.engine.export(&images, destination).await;
            exported.map_err(|e| e.diagnostic())?;
        }
        To::Docker => {
            let docker = engine::docker(settings, environment).await?;
            let folder = tempfile::tempdir_in(settings.cache_dir()?)
                .map_err(|e| Diagnostic::environment(format!("cannot write to the cache: {e}")))?;
            let archive = folder.path().join("images.tar");
            let destination = Destination::Archive(archive.clone());
            let exported = session.engine.export(&images, &destination).await;
            exported.map_err(|e| e.diagnostic())?;
            docker.load(&archive).await.map_err(|e| e.diagnostic())?;
        }
    }
    for (_, names) in &images {
        for name in names {
            console.say(&format!("{name} -> {}", args.to));
        }
    }
    Ok(Ending::Good)
}

fn parse(text: &str) -> Result<To, Diagnostic> {
    match text.split_once(':') {
        Some(("oci", folder)) if !folder.is_empty() => {
            Ok(To::File(Destination::Layout(PathBuf::from(folder))))
        }
        Some(("docker-archive", file)) if !file.is_empty() => {
            Ok(To::File(Destination::Archive(PathBuf::from(file))))
        }
        None if text == "docker" => Ok(To::Docker),
        _ => Err(Diagnostic::definition(format!(
            "`{}` is nowhere to export to",
            text.escape_debug()
        ))
        .hint("it is oci:DIR, docker-archive:FILE or docker")),
    }
}
