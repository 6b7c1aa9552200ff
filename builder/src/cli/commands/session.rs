//! What the commands that speak to an engine share.

use tokio_util::sync::CancellationToken;

use super::super::Environment;
use super::super::console::Console;
use super::super::engine::connect;
use super::super::fleet::{Fleet, Naming};
use super::super::lock::{self, Lock};
use super::super::mirrors;
use super::super::settings::Settings;
use super::super::toolchain;
use crate::context::Fetcher;
use crate::debian::Mirrors;
use crate::engine::{Engine, Info, StoredImage};
use crate::graph::Selection;
use crate::model::{Diagnostic, Diagnostics, ImageId, ImageName, Reference};
use crate::plan::{self, FINGERPRINT_LABEL, Facts, Plan, Records};
use crate::report::{Failure, ImageReport, Status};

/// An engine that answers, and what is at hand for working with it.
pub(super) struct Session {
    pub(super) engine: Box<dyn Engine>,
    pub(super) info: Info,
    pub(super) records: Records,
    _lock: Lock,
}

impl Session {
    pub(super) async fn open(
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, Diagnostics> {
        let lock = lock::shared(settings.cache_dir()?)?;
        let engine = connect(settings, environment).await?;
        let info = engine.info().await.map_err(|e| e.diagnostic())?;
        Ok(Self {
            engine,
            info,
            records: Records::new(settings.cache_dir()?.join("inputs")),
            _lock: lock,
        })
    }

    /// "Docker Engine 20.10.24 (BuildKit) at unix:///run/docker.sock".
    pub(super) fn engine_line(&self) -> String {
        let Info {
            name,
            version,
            builder,
            address,
            ..
        } = &self.info;
        format!("{name} {version} ({builder}) at {address}")
    }

    pub(super) async fn stored(&self) -> Result<Vec<StoredImage>, Diagnostics> {
        let images = self.engine.images(FINGERPRINT_LABEL).await;
        Ok(images.map_err(|e| e.diagnostic())?)
    }

    pub(super) async fn plan(
        &self,
        fleet: &Fleet,
        selection: &Selection,
        rebuild: bool,
    ) -> Result<Plan, Diagnostics> {
        let stored = self.stored().await?;
        Plan::new(
            &fleet.graph,
            selection,
            &Facts {
                fingerprints: &fleet.fingerprints,
                stored: &stored,
                records: &self.records,
                rebuild,
            },
        )
    }

    /// The chosen images as the engine has them, each current, and with `naming` tagged with all its
    /// references.
    pub(super) async fn built(
        &self,
        settings: &Settings,
        fleet: &Fleet,
        selection: &Selection,
        naming: Option<&Naming>,
    ) -> Result<Vec<(ImageName, ImageId, Vec<Reference>)>, Diagnostics> {
        let stored = self.stored().await?;
        let mut problems = Diagnostics::default();
        let mut all = Vec::new();
        for node in fleet
            .graph
            .nodes()
            .filter(|n| selection.chosen().contains(n.image()))
        {
            let image = node.image();
            let Some(known) = fleet.fingerprints.get(image) else {
                continue;
            };
            let internal = plan::engine_reference(image, &known.fingerprint);
            match stored.iter().find(|s| s.references.contains(&internal)) {
                None => problems.push(
                    Diagnostic::environment(format!(
                        "`{image}` is not built as it is now defined"
                    ))
                    .hint("run `kolla build` with the same patterns first; `kolla plan --why` says what changed"),
                ),
                Some(found) => {
                    let references =
                        naming.map(|n| n.references(settings, image)).unwrap_or_default();
                    for reference in &references {
                        if !found.references.contains(reference) {
                            let tagged = self.engine.tag(&found.id, reference).await;
                            problems.take(tagged.map_err(|e| e.diagnostic()));
                        }
                    }
                    all.push((image.clone(), found.id.clone(), references));
                }
            }
        }
        problems.or_ok(all)
    }
}

pub(super) fn fetcher(
    settings: &Settings,
    environment: &Environment,
) -> Result<Fetcher, Diagnostic> {
    Ok(Fetcher::new(
        settings.cache_dir()?.join("sources"),
        settings
            .mirror
            .clone()
            .map(Mirrors::Named)
            .or_else(mirrors::of_machine),
        toolchain::of_machine(environment, settings.cache_dir()?),
        settings.platform.clone(),
        std::time::SystemTime::now(),
    ))
}

/// A token that fires at Ctrl-C or SIGTERM; a second one ends the program at once.
pub(super) fn cancel_on_signal(console: &Console) -> CancellationToken {
    let token = CancellationToken::new();
    let quiet = console.quiet;
    let cancel = token.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        for turn in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if turn > 0 {
                std::process::exit(130);
            }
            cancel.cancel();
            if !quiet {
                anstream::eprintln!("stopping; once more to stop at once");
            }
        }
    });
    token
}

/// The part of an image's report that says why it is not done.
pub(super) fn failure(problem: &Diagnostic) -> Failure {
    Failure {
        class: problem.class(),
        message: problem.message().to_owned(),
        hints: problem.hints().to_vec(),
        blocked_by: None,
    }
}

/// How a command ends whose images ended so.
pub(super) fn ending(images: &[ImageReport], cancelled: bool) -> super::super::Ending {
    use super::super::Ending;
    if cancelled {
        return Ending::Interrupted;
    }
    // A broken environment explains everything else, so its status is the one to give.
    let worst = images
        .iter()
        .filter_map(|i| i.failure.as_ref().filter(|f| f.blocked_by.is_none()))
        .map(|f| f.class)
        .max_by_key(|class| super::super::exit_status(*class));
    match worst {
        Some(class) => Ending::Failed(class),
        None if images.iter().any(|i| i.status == Status::Cancelled) => Ending::Interrupted,
        None => Ending::Good,
    }
}

/// Reports of images that were built before, to be filled in by what is done with them now.
pub(super) fn reports(
    fleet: &Fleet,
    built: Vec<(ImageName, ImageId, Vec<Reference>)>,
    status: Status,
) -> Vec<ImageReport> {
    built
        .into_iter()
        .filter_map(|(image, id, tags)| {
            let definition = fleet.graph.node(&image)?.rendered().definition();
            Some(ImageReport {
                service: definition.service().clone(),
                status,
                reason: String::new(),
                seconds: None,
                size: None,
                id: Some(id),
                fingerprint: fleet.fingerprints.get(&image)?.fingerprint.clone(),
                tags,
                pushed: Vec::new(),
                failure: None,
                log: None,
                image,
            })
        })
        .collect()
}

/// A commit's tag on what is not in the commit misleads most where others pull releases from.
pub(super) fn warn_of_dirty(settings: &Settings, naming: &Naming, console: &Console) {
    if naming.is_dirty() && settings.namespace == settings.release_namespace {
        console.warn(
            &Diagnostic::definition(format!(
                "images of files that are in no commit go to the release namespace `{}`",
                settings.namespace
            ))
            .hint("commit them first, or name another --namespace or --tag"),
        );
    }
}
