//! Images are sent after their parents, so that the layers they share are mounted there instead of
//! sent again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::{self, Engine};
use crate::event::{Activity, Ending, Event, Sink};
use crate::graph::ImageGraph;
use crate::model::{Class, Diagnostic, Digest, ImageId, ImageName, Reference};
use crate::registry::{self, Credentials, Keychain, Repository};
use crate::schedule::{self, Job, Outcome, RetryPolicy, retrying};

/// An image to send and all that it is to be called.
#[derive(Debug, Clone)]
pub struct PushItem {
    /// The image.
    pub image: ImageName,
    /// Where it is.
    pub from: Holder,
    /// What it is to be called, all of one registry and one repository.
    pub references: Vec<Reference>,
}

/// Who has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The engine.
    Engine(ImageId),
    /// A registry, under this digest.
    Registry(Reference),
}

/// A reference that was sent, and the digest that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// What was sent.
    pub reference: Reference,
    /// The manifest's digest.
    pub digest: Digest,
}

/// Sends images to a registry.
pub struct Pusher<'a> {
    /// The engine that has them.
    pub engine: &'a dyn Engine,
    /// What brings images from one repository to another.
    pub registry: Arc<registry::Pusher>,
    /// The fleet.
    pub graph: &'a ImageGraph,
    /// Where credentials come from.
    pub keychain: &'a dyn Keychain,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// Images sent at once.
    pub jobs: usize,
    /// Who is told.
    pub sink: &'a dyn Sink,
}

impl Pusher<'_> {
    /// Sends images and says how each ended, in the order of `items`.
    pub async fn run(
        &self,
        items: &[PushItem],
        cancel: &CancellationToken,
    ) -> Vec<Outcome<Vec<Pushed>>> {
        let position: BTreeMap<&ImageName, usize> = items
            .iter()
            .enumerate()
            .map(|(i, item)| (&item.image, i))
            .collect();
        let remaining = self.graph.remaining(|_| 1);
        let jobs: Vec<Job> = items
            .iter()
            .map(|item| Job {
                needs: self
                    .graph
                    .parents(&item.image)
                    .into_iter()
                    .filter_map(|parent| position.get(parent).copied())
                    .collect(),
                weight: remaining.get(&item.image).copied().unwrap_or(0),
            })
            .collect();
        let outcomes = schedule::run(&jobs, self.jobs, cancel, async |i| {
            let item = &items[i];
            let sent = self.one(item).await;
            let ending = match &sent {
                Ok(pushed) => Ending::Done {
                    pushed: pushed
                        .first()
                        .map(|p| (p.reference.clone(), p.digest.clone())),
                },
                Err(problem) => Ending::Failed {
                    class: problem.class(),
                    problem: Arc::new(problem.clone()),
                },
            };
            self.finished(&item.image, ending);
            sent
        })
        .await;
        for (item, outcome) in items.iter().zip(&outcomes) {
            let ending = match outcome {
                Outcome::Blocked { by } => Ending::Blocked {
                    by: items[*by].image.clone(),
                },
                Outcome::Cancelled => Ending::Cancelled,
                _ => continue,
            };
            self.finished(&item.image, ending);
        }
        outcomes
    }

    async fn one(&self, item: &PushItem) -> Result<Vec<Pushed>, Diagnostic> {
        let Some(first) = item.references.first() else {
            return Ok(Vec::new());
        };
        let repository = Repository::of(first);
        let credentials = self.keychain.credentials_for(&repository)?;
        let digest = retrying(&self.retry, &item.image, self.sink, async |attempt| {
            self.sink.emit(Event::Started {
                image: item.image.clone(),
                activity: Activity::Push,
                attempt,
            });
            let progress = |done, total| {
                self.sink.emit(Event::Progress {
                    image: item.image.clone(),
                    done,
                    total,
                });
            };
            Ok(match &item.from {
                Holder::Engine(id) => {
                    self.engine
                        .push(id, &item.references, credentials.as_ref(), &progress)
                        .await?
                }
                Holder::Registry(from) => {
                    self.copy(from, &repository, &item.references, credentials.as_ref())
                        .await?
                }
            })
        })
        .await?;
        let pushed = item.references.iter().map(|reference| Pushed {
            reference: reference.clone(),
            digest: digest.clone(),
        });
        Ok(pushed.collect())
    }

    async fn copy(
        &self,
        from: &Reference,
        to: &Repository,
        references: &[Reference],
        credentials: Option<&Credentials>,
    ) -> Result<Digest, schedule::Failure> {
        let source = Repository::of(from);
        let client = self.registry.client();
        client.log_in(&source, self.keychain.credentials_for(&source)?.as_ref());
        client.log_in(to, credentials);
        let (from, to, registry) = (from.clone(), to.clone(), self.registry.clone());
        let tags: Vec<_> = references.iter().filter_map(|r| r.tag().cloned()).collect();
        let copied =
            tokio::task::spawn_blocking(move || registry.copy(&from, &to, &tags, &|_, _| {})).await;
        let copied = copied.map_err(|_| {
            Diagnostic::new(Class::Internal, "a thread that copied an image ended early")
        })?;
        Ok(copied.map_err(|error| engine::Error::from(&error))?)
    }

    fn finished(&self, image: &ImageName, ending: Ending) {
        self.sink.emit(Event::Finished {
            image: image.clone(),
            activity: Activity::Push,
            ending,
        });
    }
}
