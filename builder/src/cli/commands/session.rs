//! What the commands that speak to an engine share.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::cache_lock::{self, Lock};
use super::super::console::Console;
use super::super::engine::{connect, noting_uploads};
use super::super::fleet::{Fleet, Naming};
use super::super::keychain::DockerKeychain;
use super::super::mirrors;
use super::super::settings::Settings;
use super::super::toolchain;
use super::super::{Environment, Invocation};
use super::super::{progress, published};
use crate::context::Fetcher;
use crate::debian::Mirrors;
use crate::engine::{Engine, Info, StoredImage};
use crate::event::Sink;
use crate::graph::Selection;
use crate::model::{Diagnostic, Diagnostics, Fingerprint, ImageId, ImageName, Reference};
use crate::plan::{self, FINGERPRINT_LABEL, Facts, Plan, Records};
use crate::publish::Holder;
use crate::registry;
use crate::report::{Failure, ImageReport, Status};
use crate::schedule::{BuildOptions, Builder, Fetch, Inspector};

/// An engine that answers, and what is at hand for working with it.
pub(super) struct Session {
    pub(super) engine: Box<dyn Engine>,
    pub(super) info: Info,
    pub(super) records: Records,
    /// Brings images from one repository to another.
    pub(super) registry: Arc<registry::Pusher>,
    _lock: Lock,
}

impl Session {
    pub(super) async fn open(
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, Diagnostics> {
        let lock = cache_lock::shared(settings.cache_dir()?)?;
        let engine = connect(settings, environment).await?;
        let info = engine.info().await.map_err(|e| e.diagnostic())?;
        Ok(Self {
            engine,
            info,
            records: Records::new(settings.cache_dir()?.join("inputs")),
            registry: Arc::new(registry::Pusher::new(registry::Client::new(
                noting_uploads(settings, environment)?,
            ))),
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
        invocation: Invocation<'_>,
    ) -> Result<Plan, Diagnostics> {
        let stored = self.stored().await?;
        let wanted = Plan::not_held(selection, &fleet.fingerprints, &stored);
        let published = published::look_up(&wanted, invocation)?;
        let unknown = wanted.iter().any(|(image, _)| {
            !published.contains_key(*image) && self.records.newest(image).is_none()
        });
        let elsewhere = match unknown {
            true => published::inputs(invocation),
            false => BTreeMap::new(),
        };
        Plan::new(
            &fleet.graph,
            selection,
            &Facts {
                fingerprints: &fleet.fingerprints,
                stored: &stored,
                published: &published,
                records: &self.records,
                elsewhere: &elsewhere,
                rebuild,
            },
        )
    }

    /// What builds the images of a fleet.
    pub(super) fn builder<'a>(
        &'a self,
        fleet: &'a Fleet,
        fetcher: &'a Fetcher,
        keychain: &'a DockerKeychain,
        inspector: Option<&'a dyn Inspector>,
        settings: &Settings,
        sink: &'a dyn Sink,
    ) -> Builder<'a> {
        Builder {
            engine: &*self.engine,
            graph: &fleet.graph,
            assemblies: &fleet.assemblies,
            fingerprints: &fleet.fingerprints,
            keychain,
            fetcher,
            records: &self.records,
            sink,
            inspector,
            options: BuildOptions {
                jobs: settings.jobs,
                platform: settings.platform.clone(),
                retry: settings.retry,
            },
        }
    }

    /// The chosen images, each current, wherever it is: in the engine, where it gets the names that
    /// `naming` gives it, or published.
    pub(super) async fn built(
        &self,
        fleet: &Fleet,
        selection: &Selection,
        naming: Option<&Naming>,
        invocation: Invocation<'_>,
    ) -> Result<Vec<BuiltImage>, Diagnostics> {
        let stored = self.stored().await?;
        let chosen = selection.chosen();
        let wanted: Vec<_> = Plan::not_held(selection, &fleet.fingerprints, &stored)
            .into_iter()
            .filter(|(image, _)| chosen.contains(*image))
            .collect();
        let mut published = published::look_up(&wanted, invocation)?;
        let mut problems = Diagnostics::default();
        let mut all = Vec::new();
        for node in fleet.graph.nodes().filter(|n| chosen.contains(n.image())) {
            let image = node.image();
            let Some(known) = fleet.fingerprints.get(image) else {
                continue;
            };
            let references = naming
                .map(|n| n.references(invocation.settings, image))
                .unwrap_or_default();
            let internal = plan::engine_reference(image, &known.fingerprint);
            let from = match stored.iter().find(|s| s.references.contains(&internal)) {
                Some(found) => {
                    for reference in &references {
                        if !found.references.contains(reference) {
                            let tagged = self.engine.tag(&found.id, reference).await;
                            problems.take(tagged.map_err(|e| e.diagnostic()));
                        }
                    }
                    Holder::Engine(found.id.clone())
                }
                None => match published.remove(image) {
                    Some(at) => Holder::Registry(at),
                    None => {
                        problems.push(
                            Diagnostic::environment(format!(
                                "`{image}` is not built as it is now defined"
                            ))
                            .hint("run `kolla build` with the same patterns first; `kolla plan --why` says what changed"),
                        );
                        continue;
                    }
                },
            };
            all.push(BuiltImage {
                image: image.clone(),
                fingerprint: known.fingerprint.clone(),
                from,
                references,
            });
        }
        problems.or_ok(all)
    }

    /// The same, fetched where they are published only.
    pub(super) async fn at_hand(
        &self,
        fleet: &Fleet,
        selection: &Selection,
        naming: Option<&Naming>,
        invocation: Invocation<'_>,
    ) -> Result<Vec<(BuiltImage, ImageId)>, Diagnostics> {
        let built = self.built(fleet, selection, naming, invocation).await?;
        let progress = progress::sink(invocation.console, built.len());
        let fetch = Fetch {
            engine: &*self.engine,
            keychain: &DockerKeychain::new(invocation.environment),
            retry: invocation.settings.retry,
            sink: &*progress,
        };
        let mut all = Vec::new();
        for built in built {
            let id = match &built.from {
                Holder::Engine(id) => id.clone(),
                Holder::Registry(at) => {
                    let id = fetch.run(&built.image, &built.fingerprint, at).await?;
                    for reference in &built.references {
                        let tagged = self.engine.tag(&id, reference).await;
                        tagged.map_err(|e| e.diagnostic())?;
                    }
                    id
                }
            };
            all.push((built, id));
        }
        Ok(all)
    }
}

/// An image that needs no building.
pub(super) struct BuiltImage {
    pub(super) image: ImageName,
    pub(super) fingerprint: Fingerprint,
    pub(super) from: Holder,
    /// What it is to be called.
    pub(super) references: Vec<Reference>,
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
pub(super) fn reports(fleet: &Fleet, built: Vec<BuiltImage>, status: Status) -> Vec<ImageReport> {
    built
        .into_iter()
        .filter_map(|built| {
            let definition = fleet.graph.node(&built.image)?.rendered().definition();
            Some(ImageReport {
                service: definition.service().clone(),
                status,
                reason: String::new(),
                seconds: None,
                size: None,
                id: match built.from {
                    Holder::Engine(id) => Some(id),
                    Holder::Registry(_) => None,
                },
                fingerprint: built.fingerprint,
                tags: built.references,
                pushed: Vec::new(),
                failure: None,
                log: None,
                image: built.image,
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
