//! The native engine on a store of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kolla::engine::native::{Native, Options};
use kolla::engine::{BuildEvent, BuildRequest, Engine as _, Error, RunRequest, RunResult};
use kolla::model::{ImageId, Platform, Reference};

use crate::fixtures::{Archive, archive, options, rootfs, setting, traces};

/// A busybox.
pub(crate) const BASE: &str = "kolla-native/base:x";

/// An engine.
pub(crate) struct Bench {
    /// Where it keeps its images.
    pub(crate) store: tempfile::TempDir,
    /// The engine.
    pub(crate) native: Native,
    runtime: tokio::runtime::Runtime,
    _among_others: crate::Share,
}

/// The bytes of busybox, where these tests can do anything.
pub(crate) fn busybox() -> Option<Vec<u8>> {
    let busybox = setting("KOLLA_TEST_BUSYBOX")?;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not run by root");
        return None;
    }
    Some(std::fs::read(busybox).unwrap())
}

impl Bench {
    /// Opens an engine that holds the base image.
    pub(crate) fn new() -> Option<Self> {
        Self::with(tempfile::tempdir().unwrap(), |_| {})
    }

    /// The same on a store of somebody's choosing, and with other options.
    pub(crate) fn with(
        store: tempfile::TempDir,
        change: impl FnOnce(&mut Options),
    ) -> Option<Self> {
        let busybox = busybox()?;
        let among_others = crate::among_others();
        let mut options = options(store.path());
        change(&mut options);
        let bench = Self {
            native: Native::open(options).unwrap(),
            store,
            runtime: tokio::runtime::Runtime::new().unwrap(),
            _among_others: among_others,
        };
        let dockerfile = b"FROM scratch\nADD rootfs.tar /\nENV PATH=/bin\nCMD [\"sh\"]\n";
        let rootfs = rootfs(&busybox);
        let files: [(&str, &[u8]); 2] = [("Dockerfile", dockerfile), ("rootfs.tar", &rootfs)];
        let (base, lines) = bench.build(archive(&files), BASE);
        base.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
        Some(bench)
    }

    /// Builds a context; hands back what was printed as well.
    pub(crate) fn build(
        &self,
        context: Vec<u8>,
        name: &str,
    ) -> (Result<ImageId, Error>, Vec<String>) {
        self.request(&BuildRequest {
            context: Arc::new(Archive(context)),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            platform: Platform::host(),
            reference: Reference::parse(name).unwrap(),
            cache: true,
        })
    }

    /// The same for any request.
    pub(crate) fn request(&self, request: &BuildRequest) -> (Result<ImageId, Error>, Vec<String>) {
        let lines = Mutex::new(Vec::new());
        let sink = |event| {
            if let BuildEvent::Log(line) = event {
                lines.lock().unwrap().push(line);
            }
        };
        let result = self.runtime.block_on(self.native.build(request, &sink));
        (result, lines.into_inner().unwrap())
    }

    /// Builds on the base image, from the instructions behind its `FROM`, with these files.
    pub(crate) fn on_base(
        &self,
        instructions: &str,
        files: &[(&str, &[u8])],
    ) -> (Result<ImageId, Error>, Vec<String>) {
        let dockerfile = format!("FROM {BASE}\n{instructions}\n");
        let all = [&[("Dockerfile", dockerfile.as_bytes())], files].concat();
        self.build(archive(&all), "kolla-native/test:x")
    }

    /// The same where it must succeed: what it prints.
    pub(crate) fn prints(&self, instructions: &str) -> Vec<String> {
        let (result, lines) = self.on_base(instructions, &[]);
        result.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
        lines
    }

    /// Builds what tries to do harm. Each attempt that succeeds prints a line with `HOLE`.
    pub(crate) fn withstands(&self, instructions: &str) {
        let lines = self.prints(instructions);
        assert!(!lines.iter().any(|l| l.contains("HOLE")), "{lines:#?}");
        assert!(lines.iter().any(|l| l == "tried"), "{lines:#?}");
    }

    /// Runs a command in a container of an image.
    pub(crate) fn run(&self, image: &ImageId, command: &[&str]) -> RunResult {
        let request = RunRequest {
            image: image.clone(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            network: false,
        };
        self.runtime.block_on(self.native.run(&request)).unwrap()
    }

    /// Does something with the engine.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Asserts that nothing is under way or left behind.
    pub(crate) fn is_quiet(&self) {
        self.block_on(self.native.settle());
        assert_eq!(traces(self.store.path()), [""; 0]);
    }
}

/// A folder of this machine that no step may see or change, with a secret in it.
pub(crate) struct Host(tempfile::TempDir);

impl Host {
    /// What nobody may read.
    pub(crate) const SECRET: &'static str = "the-secret-of-the-host";

    /// A folder with nothing but the file `secret`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), format!("{}\n", Self::SECRET)).unwrap();
        Self(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Asserts that nothing came, went or changed.
    pub(crate) fn is_untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        let text = std::fs::read_to_string(self.path().join("secret")).unwrap();
        assert_eq!(text.trim_end(), Self::SECRET);
    }
}
