use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::fetch::Fetch;
use super::queue::{self, Job, Outcome};
use super::retry::{Failure, RetryPolicy, retrying};
use crate::context::{Assembly, Fetcher};
use crate::engine::{BuildEvent, BuildRequest, Engine};
use crate::event::{Activity, Ending, Event, Sink};
use crate::graph::ImageGraph;
use crate::model::secret::masked;
use crate::model::{Diagnostic, Fingerprint, ImageId, ImageName, Platform, Reference};
use crate::plan::{
    Action, FINGERPRINT_LABEL, Fingerprinted, IMAGE_LABEL, Plan, PlannedImage, Reason, Records,
    engine_reference,
};
use crate::registry::Keychain;

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Images built at once.
    pub jobs: usize,
    /// What is built for.
    pub platform: Platform,
    /// What is tried again.
    pub retry: RetryPolicy,
}

/// Carries out plans on an engine.
pub struct Builder<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// The fleet.
    pub graph: &'a ImageGraph,
    /// The files of every image.
    pub assemblies: &'a BTreeMap<ImageName, Assembly>,
    /// The fingerprint of every image.
    pub fingerprints: &'a BTreeMap<ImageName, Fingerprinted>,
    /// Where credentials for published images come from.
    pub keychain: &'a dyn Keychain,
    /// Where sources come from.
    pub fetcher: &'a Fetcher,
    /// Where inputs are kept for the next plan.
    pub records: &'a Records,
    /// Who is told.
    pub sink: &'a dyn Sink,
    /// Who looks at images before anything is made from them.
    pub inspector: Option<&'a dyn Inspector>,
    /// How.
    pub options: BuildOptions,
}

/// Looks at images once the engine has them, whether they were built now or before.
#[async_trait(?Send)]
pub trait Inspector: Sync {
    /// Whether it looks at this image, which then has to be in the engine.
    fn wants(&self, image: &ImageName) -> bool;

    /// Refuses an image by an error: it is not tagged then, and what is made from it is not built.
    async fn inspect(&self, image: &ImageName, id: &ImageId) -> Result<(), Diagnostic>;
}

/// An image that a plan is done with.
#[derive(Debug, Clone)]
pub struct Built {
    /// The engine's name for it; none for one that was skipped or stayed in its registry.
    pub id: Option<ImageId>,
}

impl Builder<'_> {
    /// Builds what has to be built and tags everything that is not skipped with what `tags` gives
    /// for it. The outcomes are in the order of the plan's images.
    ///
    /// `weight` says how long an image is expected to take, in any unit.
    pub async fn run(
        &self,
        plan: &Plan,
        tags: impl Fn(&ImageName) -> Vec<Reference>,
        weight: impl Fn(&ImageName) -> u64,
        cancel: &CancellationToken,
    ) -> Vec<Outcome<Built>> {
        let images = plan.images();
        let position: BTreeMap<&ImageName, usize> = images
            .iter()
            .enumerate()
            .map(|(i, p)| (&p.image, i))
            .collect();
        let remaining = self.graph.remaining(weight);
        let jobs: Vec<Job> = images
            .iter()
            .map(|planned| Job {
                needs: planned
                    .parents
                    .iter()
                    .filter_map(|p| position.get(p).copied())
                    .collect(),
                weight: remaining.get(&planned.image).copied().unwrap_or(0),
            })
            .collect();
        let outcomes = queue::run(&jobs, self.options.jobs, cancel, |i| {
            let planned = &images[i];
            let tags = tags(&planned.image);
            async move { self.one(planned, &tags).await }
        })
        .await;
        for (planned, outcome) in images.iter().zip(&outcomes) {
            let ending = match outcome {
                Outcome::Blocked { by } => Ending::Blocked {
                    by: images[*by].image.clone(),
                },
                Outcome::Cancelled if matches!(planned.action, Action::Build(_)) => {
                    Ending::Cancelled
                }
                _ => continue,
            };
            self.finished(&planned.image, ending);
        }
        outcomes
    }

    async fn one(&self, planned: &PlannedImage, tags: &[Reference]) -> Result<Built, Diagnostic> {
        let id = match &planned.action {
            Action::Skip => return Ok(Built { id: None }),
            Action::Reuse(id) => id.clone(),
            Action::ReusePublished { fetch: false, .. } if !self.inspects(&planned.image) => {
                return Ok(Built { id: None });
            }
            Action::ReusePublished { at, .. } => {
                let fetch = Fetch {
                    engine: self.engine,
                    keychain: self.keychain,
                    retry: self.options.retry,
                    sink: self.sink,
                };
                fetch.run(&planned.image, &planned.fingerprint, at).await?
            }
            Action::Build(reason) => {
                let built = self.build(planned, matches!(reason, Reason::Forced)).await;
                let ending = Ending::of(&built);
                self.finished(&planned.image, ending);
                built?
            }
        };
        if let Some(inspector) = self.inspector.filter(|i| i.wants(&planned.image)) {
            inspector.inspect(&planned.image, &id).await?;
        }
        for reference in tags {
            self.engine
                .tag(&id, reference)
                .await
                .map_err(|error| error.diagnostic())?;
            self.sink.emit(Event::Tagged {
                image: planned.image.clone(),
                reference: reference.clone(),
            });
        }
        Ok(Built { id: Some(id) })
    }

    fn inspects(&self, image: &ImageName) -> bool {
        let inspector = self.inspector;
        inspector.is_some_and(|inspector| inspector.wants(image))
    }

    async fn build(&self, planned: &PlannedImage, forced: bool) -> Result<ImageId, Diagnostic> {
        let image = &planned.image;
        retrying(&self.options.retry, image, self.sink, async |attempt| {
            self.sink.emit(Event::Started {
                image: image.clone(),
                activity: Activity::Build,
                attempt,
            });
            let request = self.request(planned, forced).await?;
            let built = self
                .engine
                .build(&request, &|event| self.progress(image, event))
                .await;
            built.map_err(Failure::from)
        })
        .await
        .inspect(|id| {
            // Without its record the image is as good; only later commands know less.
            let Some(known) = self.fingerprints.get(image) else {
                return;
            };
            let kept = self
                .records
                .store(image, &known.fingerprint, &known.inputs)
                .and_then(|()| self.records.made(id));
            if let Err(error) = kept {
                let problem = format!("cannot keep a record of `{image}`: {error}");
                self.sink
                    .emit(Event::Warning(Arc::new(Diagnostic::environment(problem))));
            }
        })
    }

    async fn request(
        &self,
        planned: &PlannedImage,
        forced: bool,
    ) -> Result<BuildRequest, Diagnostic> {
        let image = &planned.image;
        let missing = || {
            Diagnostic::new(
                crate::model::Class::Internal,
                format!("`{image}` is not in the graph"),
            )
        };
        let node = self.graph.node(image).ok_or_else(missing)?;
        let assembly = self.assemblies.get(image).ok_or_else(missing)?;
        let context = complete(
            image,
            assembly,
            &self.dockerfile(image),
            self.fetcher,
            forced,
            self.sink,
        )
        .await?;
        Ok(BuildRequest {
            context: Arc::new(context),
            args: node.rendered().definition().args().clone(),
            labels: labels(image, &planned.fingerprint),
            platform: self.options.platform.clone(),
            reference: engine_reference(image, &planned.fingerprint),
            cache: !forced,
        })
    }

    /// An instruction with parents by name again, as the Dockerfile's author wrote it.
    fn by_name(&self, image: &ImageName, instruction: String) -> String {
        self.graph
            .parents(image)
            .into_iter()
            .fold(instruction, |text, parent| {
                match self.fingerprints.get(parent) {
                    Some(known) => {
                        let sent = engine_reference(parent, &known.fingerprint).to_string();
                        text.replace(&sent, parent.as_str())
                    }
                    None => text,
                }
            })
    }

    fn dockerfile(&self, image: &ImageName) -> String {
        sent_dockerfile(self.graph, self.fingerprints, image)
    }

    fn progress(&self, image: &ImageName, event: BuildEvent) {
        self.sink.emit(match event {
            BuildEvent::Step {
                number,
                total,
                instruction,
            } => Event::Step {
                image: image.clone(),
                number,
                total,
                instruction: masked(&self.by_name(image, instruction)),
            },
            BuildEvent::Log(line) => Event::Log {
                image: image.clone(),
                line,
            },
        });
    }

    fn finished(&self, image: &ImageName, ending: Ending) {
        self.sink.emit(Event::Finished {
            image: image.clone(),
            activity: Activity::Build,
            ending,
        });
    }
}

/// The labels that an image gets whatever its Dockerfile says: by them it is known again.
pub fn labels(image: &ImageName, fingerprint: &Fingerprint) -> BTreeMap<String, String> {
    BTreeMap::from([
        (FINGERPRINT_LABEL.to_owned(), fingerprint.to_string()),
        (IMAGE_LABEL.to_owned(), image.to_string()),
    ])
}

/// The Dockerfile as an engine gets it: parents by the reference of their fingerprint.
pub fn sent_dockerfile(
    graph: &ImageGraph,
    fingerprints: &BTreeMap<ImageName, Fingerprinted>,
    image: &ImageName,
) -> String {
    let Some(node) = graph.node(image) else {
        return String::new();
    };
    node.dockerfile_with(|parent| match fingerprints.get(parent) {
        Some(known) => engine_reference(parent, &known.fingerprint).to_string(),
        None => parent.to_string(),
    })
}

/// Fetches what a context lacks, `anew` as [`Fetcher::fetch`] has it, and makes it whole.
///
/// # Errors
/// As [`Fetcher::fetch`]; and environment where the cache lost a file meanwhile.
pub async fn complete(
    image: &ImageName,
    assembly: &Assembly,
    dockerfile: &str,
    fetcher: &Fetcher,
    anew: bool,
    sink: &dyn Sink,
) -> Result<crate::context::BuildContext, Diagnostic> {
    let mut fetched = Vec::new();
    for source in assembly.sources() {
        fetched.push(fetcher.fetch(image, source, anew, sink).await?);
    }
    assembly
        .complete(dockerfile, &fetched)
        .map_err(|e| Diagnostic::environment(format!("cannot read a fetched source: {e}")))
}
