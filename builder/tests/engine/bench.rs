//! An engine under test, and running behaviours on all of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use kolla::engine::docker::{Address, Docker};
use kolla::engine::native::Native;
use kolla::engine::{BuildEvent, BuildRequest, Context, Engine, Error};
use kolla::model::{ImageId, Platform, Reference};

use crate::backstage::{Backstage, OfDocker, OfNative, certificates};
use crate::fixtures::{Archive, archive, options, rootfs, setting};

/// A label of all images that are built here.
pub(crate) const LABEL: &str = "org.openstack.kolla.test";

/// A busybox.
pub(crate) const BASE: &str = "kolla-suite/base:x";

/// One engine under test.
pub(crate) struct Bench {
    /// As `KOLLA_TEST_ENGINES` has it.
    pub(crate) name: String,
    /// The engine.
    pub(crate) engine: Box<dyn Engine>,
    /// What is behind it.
    pub(crate) backstage: Box<dyn Backstage>,
}

/// A reference that is one.
pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

impl Bench {
    /// Opens an engine.
    pub(crate) async fn open(name: &str, address: &str) -> Self {
        let (engine, backstage): (Box<dyn Engine>, Box<dyn Backstage>) =
            if name.starts_with("native") {
                std::fs::create_dir_all(address).unwrap();
                let store = tempfile::tempdir_in(address).unwrap();
                let native = Native::open(options(store.path())).unwrap();
                (Box::new(native), Box::new(OfNative(store)))
            } else {
                let address = Address::parse(address, certificates().as_deref()).unwrap();
                let mut docker = Docker::connect(&address).await.unwrap();
                if name.starts_with("classic") {
                    docker = docker.without_buildkit();
                }
                (Box::new(docker), Box::new(OfDocker(address)))
            };
        Self {
            name: name.to_owned(),
            engine,
            backstage,
        }
    }

    /// Whether a behaviour is no matter of this engine, which is said with its reason.
    pub(crate) fn skips(&self, engine: &str, behaviour: &str, reason: &str) -> bool {
        let skipped = self.name.starts_with(engine);
        if skipped {
            eprintln!("skipped: {behaviour} on {}: {reason}", self.name);
        }
        skipped
    }

    /// A request to build a context.
    pub(crate) fn request(&self, context: Arc<dyn Context>, reference_text: &str) -> BuildRequest {
        BuildRequest {
            context,
            args: BTreeMap::new(),
            labels: BTreeMap::from([(LABEL.to_owned(), "from the request".to_owned())]),
            platform: Platform::host(),
            reference: reference(reference_text),
            cache: true,
        }
    }

    /// A request to build a Dockerfile, beside which there is a file called `file`.
    pub(crate) fn dockerfile(&self, dockerfile: &str, reference: &str) -> BuildRequest {
        let tar = archive(&[
            ("Dockerfile", dockerfile.as_bytes()),
            ("file", b"content\n"),
        ]);
        self.request(Arc::new(Archive(tar)), reference)
    }

    /// Builds, and hands back what was reported.
    pub(crate) async fn build(
        &self,
        request: &BuildRequest,
    ) -> (Result<String, Error>, Vec<BuildEvent>) {
        let events = Mutex::new(Vec::new());
        let sink = |event| events.lock().unwrap().push(event);
        let result = self.engine.build(request, &sink).await;
        (
            result.map(|id| id.to_string()),
            events.into_inner().unwrap(),
        )
    }

    /// Builds what must fail, and leave no tag.
    pub(crate) async fn fails(&self, dockerfile: &str) -> Error {
        let request = self.dockerfile(dockerfile, "kolla-suite/failing:x");
        let (result, events) = self.build(&request).await;
        assert!(
            !self.has(&request.reference).await,
            "{}: a failed build is tagged",
            self.name
        );
        let error = result.expect_err(&format!("{}: {events:?}", self.name));
        assert!(!error.to_string().contains('\n') || matches!(error, Error::Step { .. }));
        error
    }

    /// The image with this reference, by its id.
    pub(crate) async fn find(&self, wanted: &Reference) -> Option<ImageId> {
        let images = self.engine.images(LABEL).await.unwrap();
        let found = images
            .into_iter()
            .find(|image| image.references.contains(wanted));
        found.map(|image| image.id)
    }

    /// Whether there is an image with this reference.
    pub(crate) async fn has(&self, wanted: &Reference) -> bool {
        self.find(wanted).await.is_some()
    }

    /// The base image.
    pub(crate) async fn base(&self) -> ImageId {
        self.find(&reference(BASE)).await.unwrap()
    }
}

/// Runs a behaviour on every engine, on a base image of its own.
pub(crate) fn on_every_engine<F, W>(behaviour: F)
where
    F: Fn(Bench) -> W,
    W: Future<Output = ()>,
{
    let Some(engines) = setting("KOLLA_TEST_ENGINES") else {
        return;
    };
    let Some(busybox) = setting("KOLLA_TEST_BUSYBOX") else {
        return;
    };
    let busybox = std::fs::read(busybox).unwrap();
    // Behaviours count what is in an engine: one at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for engine in engines.split(',') {
        let (name, address) = engine.split_once('=').expect("NAME=ADDRESS");
        runtime.block_on(async {
            let bench = Bench::open(name, address).await;
            let files: [(&str, &[u8]); 2] = [
                (
                    "Dockerfile",
                    b"FROM scratch\nADD rootfs.tar /\nCMD [\"sh\"]\n",
                ),
                ("rootfs.tar", &rootfs(&busybox)),
            ];
            let base = bench.request(Arc::new(Archive(archive(&files))), BASE);
            let (built, events) = bench.build(&base).await;
            built.unwrap_or_else(|error| panic!("{name}: {error:?}: {events:?}"));
            behaviour(bench).await;
        });
    }
}
