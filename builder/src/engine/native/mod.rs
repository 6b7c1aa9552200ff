//! An engine in the program itself: it needs a Linux kernel, and nothing else.
//!
//! | folder | owns |
//! |---|---|
//! | `store` | what is kept: blobs, unpacked layers, images, the step cache, locks |
//! | `step` | one step in namespaces of its own: the helper process, its mounts, copying |
//! | `build` | from a Dockerfile to an image: instructions, keys, history |
//!
//! What is asked of it is done on threads of its own, one for each request, since a helper ends
//! with the thread that started it; a dropped future ends the helper and the thread.

mod build;
mod export;
mod remote;
mod run;
mod step;
mod store;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    BuildEvent, BuildRequest, Credentials, Destination, Engine, Error, Info, Leftover, Limits,
    RunRequest, RunResult, StoredImage, Visitor,
};
use crate::model::{Digest, ImageId, Platform, Reference};
use crate::oci::compress::Compression;
use crate::oci::spec::ImageConfig;
use crate::registry::{self, Keychain, Pusher, Repository};
use build::{Packers, Shared};
use step::{Cancel, Launcher};
use store::Store;

/// Lives the life of a helper, if `name`, what this process was started as, is a helper's, and
/// returns its exit status. To be called before anything else in `main`: the process must be of
/// one thread.
pub fn helper_main(name: &std::ffi::OsStr) -> Option<i32> {
    (name == step::HELPER).then(step::main)
}

/// How the engine is to work.
#[derive(Clone)]
pub struct Options {
    /// Where images are kept; made if missing.
    pub store: PathBuf,
    /// This program, which is started anew for each step and calls [`helper_main`].
    pub program: PathBuf,
    /// Seconds since 1970 that no time in an image is later than.
    pub clamp: i64,
    /// How layers are compressed.
    pub compression: Compression,
    /// Name servers for steps, in the format of resolv.conf(5).
    pub resolv_conf: String,
    /// Proxy variables for steps.
    pub proxies: Vec<(String, String)>,
    /// Files that hold secrets, by the ids that `RUN --mount=type=secret` knows them by.
    pub secrets: BTreeMap<String, PathBuf>,
    /// How registries are spoken to.
    pub registry: registry::Options,
    /// Credentials for registries that base images come from.
    pub keychain: Arc<dyn Keychain>,
}

/// The native engine.
pub struct Native {
    shared: Shared,
    client: registry::Client,
    pusher: Arc<Pusher>,
    keychain: Arc<dyn Keychain>,
    /// How many threads are at work.
    working: Arc<watch::Sender<usize>>,
}

impl Native {
    /// Opens the engine on its store.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn open(options: Options) -> Result<Self, Error> {
        let user_marks = crate::sys::inside_user_namespace();
        let store = Arc::new(Store::open(&options.store, user_marks)?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let created = time(options.clamp);
        let client = registry::Client::new(options.registry);
        Ok(Self {
            pusher: Arc::new(Pusher::new(client.clone())),
            client,
            keychain: options.keychain,
            shared: Shared {
                store,
                packers: Arc::new(Packers::new(cores)),
                launcher: Launcher::new(options.program),
                clamp: options.clamp,
                created,
                compression: options.compression,
                resolv_conf: options.resolv_conf,
                proxies: options.proxies,
                secrets: options.secrets,
                platform: Platform::host(),
            },
            working: Arc::new(watch::channel(0).0),
        })
    }

    /// Does something on a thread of its own. When the future is dropped, what goes on is ended.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &Cancel) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        /// Ends the work of a future that nobody waits for.
        struct Dropped(Arc<Cancel>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.cancel();
            }
        }
        /// Counts a thread as long as it lives.
        struct Working(Arc<watch::Sender<usize>>);
        impl Drop for Working {
            fn drop(&mut self) {
                self.0.send_modify(|count| *count -= 1);
            }
        }
        let cancel = Arc::new(Cancel::default());
        let _dropped = Dropped(cancel.clone());
        let (sender, receiver) = oneshot::channel();
        self.working.send_modify(|count| *count += 1);
        let working = Working(self.working.clone());
        let shared = self.shared.clone();
        let thread = move || {
            let result = work(&shared, &cancel);
            // All that it held is given back before anybody learns that it is done.
            drop((shared, working));
            let _ = sender.send(result);
        };
        let started = std::thread::Builder::new()
            .name("build".to_owned())
            .spawn(thread);
        let wrong = |what: String| Error::Engine { message: what };
        started.map_err(|e| wrong(format!("no thread can be started: {e}")))?;
        receiver
            .await
            .unwrap_or_else(|_| Err(wrong("a thread of the engine ended early".to_owned())))
    }
}

/// Seconds since 1970 as RFC 3339 has them.
fn time(seconds: i64) -> String {
    let age = Duration::from_secs(seconds.unsigned_abs());
    // Of the formats that it writes, this library's are all of this one's parts.
    let text = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + age);
    text.to_string()
}

#[async_trait]
impl Engine for Native {
    async fn info(&self) -> Result<Info, Error> {
        Ok(Info {
            name: "native engine".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: self.shared.store.folder().display().to_string(),
            builder: "native".to_owned(),
            platform: self.shared.platform.clone(),
        })
    }

    async fn images(&self, label: &str) -> Result<Vec<StoredImage>, Error> {
        let label = label.to_owned();
        self.work(move |shared, _| shared.store.stored(&label))
            .await
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &(dyn Fn(BuildEvent) + Send + Sync),
    ) -> Result<ImageId, Error> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let request = request.clone();
        let (client, keychain) = (self.client.clone(), self.keychain.clone());
        let mut building = std::pin::pin!(self.work(move |shared, cancel| {
            let mut tell = |event| drop(sender.send(event));
            let login = |repository: &Repository| {
                let found = keychain.credentials_for(repository);
                found.map_err(|problem| Error::Unauthorized {
                    registry: repository.registry().to_owned(),
                    message: problem.message().to_owned(),
                })
            };
            let pull = |reference: &str, platform: &Platform| {
                remote::pull_base(shared, &client, reference, platform, &login, cancel)
            };
            build::build(shared, &request, cancel, &pull, &mut tell)
        }));
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = receiver.recv() => events(event),
                result = &mut building => break result,
            }
        };
        while let Ok(event) = receiver.try_recv() {
            events(event);
        }
        result
    }

    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        let (image, reference) = (image.clone(), reference.clone());
        self.work(move |shared, _| shared.store.tag(&image, &reference))
            .await
    }

    async fn untag(&self, reference: &Reference) -> Result<(), Error> {
        let reference = reference.clone();
        self.work(move |shared, _| shared.store.untag(&reference))
            .await
    }

    async fn push(
        &self,
        image: &ImageId,
        references: &[Reference],
        credentials: Option<&Credentials>,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Digest, Error> {
        for reference in references {
            self.client.log_in(&Repository::of(reference), credentials);
        }
        let (image, references) = (image.clone(), references.to_vec());
        let pusher = self.pusher.clone();
        let (sender, mut receiver) = watch::channel((0, 0));
        let mut pushing = std::pin::pin!(self.work(move |shared, cancel| {
            let moved = |done, all| {
                let _ = sender.send((done, all));
            };
            remote::push(&shared.store, &pusher, &image, &references, cancel, &moved)
        }));
        loop {
            tokio::select! {
                biased;
                result = &mut pushing => return result,
                Ok(()) = receiver.changed() => {
                    let (done, all) = *receiver.borrow_and_update();
                    progress(done, all);
                }
            }
        }
    }

    async fn pull(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        name: &Reference,
    ) -> Result<ImageId, Error> {
        let (from, name, client) = (reference.clone(), name.clone(), self.client.clone());
        let credentials = credentials.cloned();
        self.work(move |shared, cancel| {
            let login = |_: &Repository| Ok(credentials.clone());
            let platform = &shared.platform;
            remote::pull(shared, &client, &from, &name, platform, &login, cancel)
                .map(|image| image.id())
        })
        .await
    }

    async fn export(
        &self,
        images: &[(ImageId, Vec<Reference>)],
        destination: &Destination,
    ) -> Result<(), Error> {
        let (images, destination) = (images.to_vec(), destination.clone());
        self.work(move |shared, _| export::export(&shared.store, &images, &destination))
            .await
    }

    async fn run(&self, request: &RunRequest) -> Result<RunResult, Error> {
        let request = request.clone();
        self.work(move |shared, cancel| run::run(shared, &request, cancel))
            .await
    }

    async fn walk(&self, image: &ImageId, visitor: Arc<dyn Visitor>) -> Result<ImageConfig, Error> {
        let image = image.clone();
        self.work(move |shared, cancel| walk::walk(&shared.store, &image, &*visitor, cancel))
            .await
    }

    /// None: nothing that an interrupted run leaves outlives the opening of the store.
    async fn leftovers(&self, _: &str) -> Result<Vec<Leftover>, Error> {
        Ok(Vec::new())
    }

    async fn remove(&self, _: &Leftover) -> Result<(), Error> {
        Ok(())
    }

    async fn clean(&self, limits: &Limits, dry_run: bool) -> Result<Vec<Leftover>, Error> {
        let limits = *limits;
        self.work(move |shared, _| shared.store.clean(&limits, dry_run))
            .await
    }

    async fn settle(&self) {
        let mut working = self.working.subscribe();
        let _ = working.wait_for(|count| *count == 0).await;
    }
}
