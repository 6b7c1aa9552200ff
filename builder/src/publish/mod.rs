//! Sending images to a registry, and looking what is there.
//!
//! Owns the order, the credentials' way and the retries of pushing. An image is sent after its
//! parents, so that the layers they share are mounted there instead of sent again.

mod search;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use search::{Found, search};

use crate::engine::Engine;
use crate::event::{Activity, Ending, Event, Sink};
use crate::graph::ImageGraph;
use crate::model::{Diagnostic, Digest, ImageName, Reference};
use crate::registry::Credentials;
use crate::schedule::{self, Job, Outcome, RetryPolicy, retrying};

/// What Docker's configuration calls the registry of references that name none.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Where credentials for a registry come from.
pub trait Keychain: Send + Sync {
    /// The credentials for a registry's address; none where it is used without any. Docker's own
    /// registry is asked for by its historical name, `https://index.docker.io/v1/`.
    ///
    /// # Errors
    /// When a configuration is unreadable or a helper fails; never with a secret in the message.
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, Diagnostic>;
}

/// An image to send and all that it is to be called.
#[derive(Debug, Clone)]
pub struct PushItem {
    /// The image.
    pub image: ImageName,
    /// Its references in the engine, all of one registry and one repository.
    pub references: Vec<Reference>,
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
        let mut all = Vec::new();
        for reference in &item.references {
            let address = reference
                .registry()
                .map_or(DOCKER_HUB, |registry| registry.as_str());
            let credentials = self.keychain.credentials(address)?;
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
                Ok(self
                    .engine
                    .push(reference, credentials.as_ref(), &progress)
                    .await?)
            })
            .await?;
            all.push(Pushed {
                reference: reference.clone(),
                digest,
            });
        }
        Ok(all)
    }

    fn finished(&self, image: &ImageName, ending: Ending) {
        self.sink.emit(Event::Finished {
            image: image.clone(),
            activity: Activity::Push,
            ending,
        });
    }
}
