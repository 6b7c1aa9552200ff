//! The behaviour that every engine must show, tried on real ones.
//!
//! `KOLLA_TEST_ENGINES` names them, `NAME=ADDRESS,…`; a NAME that begins with `classic` is used
//! without BuildKit. `KOLLA_TEST_BUSYBOX` is a statically linked busybox, `KOLLA_TEST_REGISTRY` is
//! `HOST:PORT` of a registry without and `KOLLA_TEST_REGISTRY_AUTH` is `USER:PASSWORD@HOST:PORT` of
//! one with a password; `KOLLA_TEST_CERTIFICATES` holds `ca.pem`, `cert.pem` and `key.pem` for engines
//! behind TLS. What is not set is not tested, and the test says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kolla::engine::docker::{Address, Docker};
use kolla::engine::{BuildEvent, BuildRequest, Context, Engine, Error, RunRequest};
use kolla::model::{Class, Digest, Platform, Reference};
use kolla::registry::Credentials;

const LABEL: &str = "org.openstack.kolla.test";
const BASE: &str = "kolla-suite/base:x";

/// A context held in memory.
struct Archive(Vec<u8>);

impl Context for Archive {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }
}

/// A context that breaks off.
struct Broken(Vec<u8>);

impl Context for Broken {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        struct Fault;
        impl Read for Fault {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the file changed while it was read"))
            }
        }
        Ok(Box::new(Cursor::new(self.0.clone()).chain(Fault)))
    }
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A root file system of one busybox.
fn rootfs(busybox: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", busybox)
        .unwrap();
    for applet in [
        "sh", "echo", "sleep", "true", "false", "cat", "ls", "printf", "seq", "ip", "env",
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// One engine under test.
struct Bench {
    name: String,
    address: Address,
    engine: Docker,
}

fn setting(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("skipped: {name} is not set");
    }
    value
}

/// Where the certificates of an engine behind TLS are.
fn certificates() -> Option<std::path::PathBuf> {
    std::env::var_os("KOLLA_TEST_CERTIFICATES").map(Into::into)
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

impl Bench {
    async fn open(name: &str, address: &str) -> Self {
        let address = Address::parse(address, certificates().as_deref()).unwrap();
        let mut engine = Docker::connect(&address).await.unwrap();
        if name.starts_with("classic") {
            engine = engine.without_buildkit();
        }
        let name = name.to_owned();
        Self {
            name,
            address,
            engine,
        }
    }

    fn request(&self, context: Arc<dyn Context>, reference_text: &str) -> BuildRequest {
        BuildRequest {
            context,
            args: BTreeMap::new(),
            labels: BTreeMap::from([(LABEL.to_owned(), "from the request".to_owned())]),
            platform: Platform::host(),
            reference: reference(reference_text),
            cache: true,
        }
    }

    fn dockerfile(&self, dockerfile: &str, reference: &str) -> BuildRequest {
        let tar = archive(&[
            ("Dockerfile", dockerfile.as_bytes()),
            ("file", b"content\n"),
        ]);
        self.request(Arc::new(Archive(tar)), reference)
    }

    /// Builds, and hands back what was reported.
    async fn build(&self, request: &BuildRequest) -> (Result<String, Error>, Vec<BuildEvent>) {
        let events = Mutex::new(Vec::new());
        let sink = |event| events.lock().unwrap().push(event);
        let result = self.engine.build(request, &sink).await;
        (
            result.map(|id| id.to_string()),
            events.into_inner().unwrap(),
        )
    }

    async fn fails(&self, dockerfile: &str) -> Error {
        let request = self.dockerfile(dockerfile, "kolla-suite/failing:x");
        let (result, events) = self.build(&request).await;
        let images = self.engine.images(LABEL).await.unwrap();
        let tagged = images
            .iter()
            .any(|image| image.references.contains(&request.reference));
        assert!(!tagged, "{}: a failed build is tagged", self.name);
        let error = result.expect_err(&format!("{}: {events:?}", self.name));
        assert!(!error.to_string().contains('\n') || matches!(error, Error::Step { .. }));
        error
    }

    /// A client beside the engine under test, to look at what it did.
    fn client(&self) -> bollard::Docker {
        let address = self.address.to_string();
        let version = bollard::API_DEFAULT_VERSION;
        if address.starts_with("unix:") {
            bollard::Docker::connect_with_unix(&address, 60, version).unwrap()
        } else if let Some(directory) = certificates() {
            let file = |name| directory.join(name);
            let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            bollard::Docker::connect_with_ssl(&address, &key, &cert, &ca, 60, version).unwrap()
        } else {
            bollard::Docker::connect_with_http(&address, 60, version).unwrap()
        }
    }

    async fn containers(&self) -> usize {
        let client = self.client();
        let options = bollard::query_parameters::ListContainersOptionsBuilder::default()
            .all(true)
            .build();
        client.list_containers(Some(options)).await.unwrap().len()
    }
}

/// Runs a behaviour on every engine, on a base image of its own.
fn on_every_engine<F, W>(behaviour: F)
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
            built.unwrap_or_else(|error| panic!("{name}: {error}: {events:?}"));
            behaviour(bench).await;
        });
    }
}

/// The processes with this word in their command line.
fn processes(word: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let found = all.filter(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command.split(|b| *b == 0).any(|w| w == word.as_bytes())
    });
    found
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Whether a process with this word in its command line is alive.
fn process(word: &str) -> bool {
    !processes(word).is_empty()
}

/// Ends the processes with this word in their command line.
fn end_process(word: &str) {
    for id in processes(word) {
        assert!(std::process::Command::new("kill").arg(id).status().is_ok());
    }
}

/// Sockets that this process holds open.
fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what} did not come true"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn it_says_what_it_is() {
    on_every_engine(async |bench| {
        let info = bench.engine.info().await.unwrap();
        let expected = match bench.name.split(['-', '.']).next().unwrap() {
            "podman" => ("Podman Engine", "Buildah"),
            "classic" => ("Docker Engine", "classic"),
            _ => ("Docker Engine", "BuildKit"),
        };
        assert_eq!((info.name.as_str(), info.builder.as_str()), expected);
        assert_eq!(info.platform, Platform::host());
        assert!(!info.version.is_empty());
        assert_eq!(info.address, bench.address.to_string());
    });
}

#[test]
fn a_build_gives_an_image_with_labels_and_tag() {
    on_every_engine(async |bench| {
        let name = "kolla-suite/labelled:x";
        let mut request = bench.dockerfile(
            &format!("FROM {BASE}\nARG WORD=none\nLABEL own=1 {LABEL}=dockerfile\nRUN echo word $WORD\nENV WORD=$WORD\n"),
            name,
        );
        request
            .args
            .insert("WORD".into(), "a=b \"c\" $d & e".into());
        request.cache = false;
        let (id, events) = bench.build(&request).await;
        let id = id.unwrap();
        let said = BuildEvent::Log("word a=b \"c\" $d & e".into());
        assert!(events.contains(&said), "{}: {events:?}", bench.name);
        let images = bench.engine.images(LABEL).await.unwrap();
        let image = images.iter().find(|image| image.id.as_str() == id).unwrap();
        assert!(
            image.references.contains(&reference(name)),
            "{}: {image:?}",
            bench.name
        );
        assert_eq!(
            image.labels.get(LABEL).map(String::as_str),
            Some("from the request")
        );
        assert_eq!(image.labels.get("own").map(String::as_str), Some("1"));
        assert!(image.size > 500_000 && image.created > 1_000_000_000);
        assert!(
            bench
                .engine
                .images("org.openstack.kolla.no-such")
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn steps_and_lines_are_reported_once_and_in_order() {
    on_every_engine(async |bench| {
        let mut request = bench.dockerfile(
            &format!(
                "FROM {BASE}\nENV A=1\nCOPY file /file\n\
                 RUN echo first; printf 'par'; sleep 1; printf 'tial\\n10%%\\r90%%\\n\\033[31mred\\033[0m\\n'\n\
                 RUN cat /file; printf 'no line break'\nRUN echo to stderr >&2\n"
            ),
            "kolla-suite/steps:x",
        );
        request.cache = false;
        let (result, events) = bench.build(&request).await;
        result.unwrap();
        let steps: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Step {
                    number,
                    total,
                    instruction,
                } => Some((*number, *total, instruction.split(' ').next().unwrap())),
                BuildEvent::Log(_) => None,
            })
            .collect();
        // BuildKit has no step for ENV; the classic builders have one for each label.
        let total = steps[0].1;
        assert!(
            steps.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{}: {steps:?}",
            bench.name
        );
        assert!(
            steps.iter().all(|step| step.1 == total && step.0 <= total),
            "{steps:?}"
        );
        let words: Vec<_> = steps
            .iter()
            .map(|s| s.2)
            .filter(|s| !["ENV", "LABEL"].contains(s))
            .collect();
        assert_eq!(
            words,
            ["FROM", "COPY", "RUN", "RUN", "RUN"],
            "{}",
            bench.name
        );
        let lines: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Log(line) => Some(line.as_str()),
                BuildEvent::Step { .. } => None,
            })
            .collect();
        for line in [
            "first",
            "partial",
            "90%",
            "red",
            "content",
            "to stderr",
            "no line break",
        ] {
            let count = lines.iter().filter(|l| **l == line).count();
            assert_eq!(count, 1, "{}: {line}: {lines:?}", bench.name);
        }
        assert!(
            lines
                .iter()
                .all(|l| !l.contains('\u{1b}') && !l.contains('\r')),
            "{lines:?}"
        );
    });
}

#[test]
fn stages_are_counted_through() {
    on_every_engine(async |bench| {
        let mut request = bench.dockerfile(
            &format!(
                "FROM {BASE} AS one\nRUN echo 1 > /made\nFROM {BASE}\n\
                 COPY --from=one /made /made\nRUN cat /made\n"
            ),
            "kolla-suite/stages:x",
        );
        request.cache = false;
        let (result, events) = bench.build(&request).await;
        result.unwrap();
        let numbers: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Step { number, total, .. } => Some((*number, *total)),
                BuildEvent::Log(_) => None,
            })
            .collect();
        let mut unique = numbers.clone();
        unique.dedup();
        assert_eq!(unique, numbers, "{}", bench.name);
        assert!(
            numbers.iter().all(|(n, total)| n <= total),
            "{}: {numbers:?}",
            bench.name
        );
        assert!(numbers.len() >= 4, "{}: {numbers:?}", bench.name);
    });
}

#[test]
fn a_finished_build_holds_no_connection() {
    on_every_engine(async |bench| {
        let before = sockets();
        for number in 0..5 {
            let request = bench.dockerfile(
                &format!("FROM {BASE}\nRUN echo {number} > /number\n"),
                "kolla-suite/connections:x",
            );
            bench.build(&request).await.0.unwrap();
        }
        let what = format!("{}: the end of all connections", bench.name);
        eventually(&what, async || sockets() <= before).await;
    });
}

#[test]
fn a_failing_command_is_a_failed_step_with_its_status() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!("FROM {BASE}\nRUN true\nRUN echo broken; exit 7\n"))
            .await;
        let Error::Step {
            number,
            instruction,
            status,
            ..
        } = &error
        else {
            panic!("{}: {error:?}", bench.name)
        };
        assert_eq!((*number, *status), (3, Some(7)), "{}", bench.name);
        assert_eq!(instruction, "RUN echo broken; exit 7", "{}", bench.name);
        assert_eq!(error.class(), Class::Build);
    });
}

#[test]
fn a_missing_file_is_a_failed_step() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!("FROM {BASE}\nCOPY no-such-file /\n"))
            .await;
        let Error::Step {
            number: 2,
            status: None,
            message,
            ..
        } = &error
        else {
            panic!("{}: {error:?}", bench.name)
        };
        assert!(
            message.contains("no-such-file"),
            "{}: {message}",
            bench.name
        );
    });
}

#[test]
fn a_dockerfile_that_cannot_be_read_is_refused() {
    on_every_engine(async |bench| {
        for dockerfile in [
            &format!("FROM {BASE}\nRUNN true\n"),
            "\n",
            "FROM kolla-suite/UPPER:x\nRUN true\n",
        ] {
            let error = bench.fails(dockerfile).await;
            assert!(
                matches!(error, Error::Refused { .. }),
                "{}: {dockerfile}: {error:?}",
                bench.name
            );
        }
    });
}

#[test]
fn a_base_image_that_does_not_exist_is_named() {
    on_every_engine(async |bench| {
        let error = bench
            .fails("FROM kolla.invalid/nothing:1\nRUN true\n")
            .await;
        let Error::BaseImage { reference, .. } = &error else {
            panic!("{}: {error:?}", bench.name)
        };
        assert_eq!(reference, "kolla.invalid/nothing:1");
        assert_eq!(error.class(), Class::Environment);
        // Nothing listens on the discard port.
        let error = bench.fails("FROM 127.0.0.1:9/nothing:1\nRUN true\n").await;
        assert!(
            matches!(error, Error::BaseImageUnwell { .. }),
            "{}: {error:?}",
            bench.name
        );
        assert_eq!(error.class(), Class::Transient);
        if let Some(registry) = setting("KOLLA_TEST_REGISTRY") {
            let error = bench
                .fails(&format!("FROM {registry}/nothing:1\nRUN true\n"))
                .await;
            assert!(
                matches!(error, Error::BaseImage { .. }),
                "{}: {error:?}",
                bench.name
            );
        }
    });
}

#[test]
fn a_full_disk_is_told_from_a_failing_command() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!(
                "FROM {BASE}\nRUN busybox dd if=/dev/zero of=/dev/full count=1\n"
            ))
            .await;
        assert!(
            matches!(error, Error::DiskFull { .. }),
            "{}: {error:?}",
            bench.name
        );
    });
}

#[test]
fn a_context_that_cannot_be_read_ends_the_build() {
    on_every_engine(async |bench| {
        let dockerfile = format!("FROM {BASE}\nCOPY file /\n");
        let mut tar = archive(&[
            ("Dockerfile", dockerfile.as_bytes()),
            ("file", &vec![7; 3_000_000]),
        ]);
        for size in [0, 700, 2_000_000] {
            tar.truncate(size.max(1));
            let before = Instant::now();
            let request = bench.request(Arc::new(Broken(tar.clone())), "kolla-suite/broken:x");
            let (result, _) = bench.build(&request).await;
            let message = "the file changed while it was read".to_owned();
            assert_eq!(result, Err(Error::Context { message }), "{}", bench.name);
            assert!(before.elapsed() < Duration::from_secs(20));
        }
    });
}

/// A context with one large file, made while it is read.
struct Large(u64);

impl Context for Large {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        let mut tar = tar::Builder::new(Vec::new());
        let dockerfile = format!("FROM {BASE}\nCOPY large /\n");
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(dockerfile.len() as u64);
        tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
        let mut header = tar::Header::new_ustar();
        header.set_path("large")?;
        header.set_mode(0o644);
        header.set_size(self.0);
        header.set_cksum();
        let start = [tar.get_ref().as_slice(), header.as_bytes()].concat();
        let end = std::io::repeat(0).take(1024);
        let large = std::io::repeat(b'x').take(self.0);
        Ok(Box::new(Cursor::new(start).chain(large).chain(end)))
    }
}

/// The most memory this process has held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_context_is_never_whole_in_memory() {
    on_every_engine(async |bench| {
        let size = 96 << 20;
        let before = peak();
        let name = "kolla-suite/large:x";
        let (result, events) = bench
            .build(&bench.request(Arc::new(Large(size)), name))
            .await;
        result.unwrap_or_else(|error| panic!("{}: {error}: {events:?}", bench.name));
        assert!(
            peak() - before < 48 << 20,
            "{}: {} bytes",
            bench.name,
            peak() - before
        );
        let images = bench.engine.images(LABEL).await.unwrap();
        let large = images
            .iter()
            .find(|i| i.references.contains(&reference(name)))
            .unwrap();
        assert!(large.size > size);
        bench.engine.untag(&reference(name)).await.unwrap();
    });
}

#[test]
fn a_connection_that_breaks_is_told_from_a_failing_build() {
    on_every_engine(async |bench| {
        let address = bench.address.to_string();
        let Some(socket) = address.strip_prefix("unix://").map(str::to_owned) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let relay = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = tokio::net::UnixStream::connect(&socket).await.unwrap();
                connections.spawn(async move {
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        let broken = Bench::open(&bench.name, &format!("unix://{}", path.display())).await;
        let name = "kolla-suite/cut:x";
        let earlier = bench.dockerfile(&format!("FROM {BASE}\nRUN true\n"), name);
        bench.build(&earlier).await.0.unwrap();
        let mut request =
            broken.dockerfile(&format!("FROM {BASE}\nRUN echo started; sleep 5\n"), name);
        request.cache = false;
        let sink = |event| {
            if event == BuildEvent::Log("started".into()) {
                relay.abort();
            }
        };
        let error = broken.engine.build(&request, &sink).await.unwrap_err();
        assert!(
            matches!(error, Error::Connection { .. }),
            "{}: {error:?}",
            bench.name
        );
        assert_eq!(error.class(), Class::Transient);
    });
}

#[test]
fn children_stand_on_local_parents_without_a_network() {
    on_every_engine(async |bench| {
        let hex = Digest::of(&bench.name).hex();
        let parent = format!("kolla.invalid/parent:fp-{hex}");
        let request = bench.dockerfile(&format!("FROM {BASE}\nRUN echo x > /made\n"), &parent);
        bench.build(&request).await.0.unwrap();
        let child = bench.dockerfile(
            &format!("FROM {parent}\nRUN cat /made\nCOPY --from={parent} /made /again\n"),
            "kolla-suite/child:x",
        );
        let (result, events) = bench.build(&child).await;
        result.unwrap_or_else(|error| panic!("{}: {error}: {events:?}", bench.name));
        let images = bench.engine.images(LABEL).await.unwrap();
        assert!(
            images
                .iter()
                .any(|i| i.references.contains(&reference(&parent))),
            "{images:?}"
        );
    });
}

#[test]
fn tags_come_and_go() {
    on_every_engine(async |bench| {
        let request = bench.dockerfile(
            &format!("FROM {BASE}\nRUN echo tags > /file\n"),
            "kolla-suite/tags:one",
        );
        let id = bench.build(&request).await.0.unwrap();
        let image = kolla::model::ImageId::new(id.clone());
        let two = reference("kolla-suite/tags:two");
        for _ in 0..2 {
            bench.engine.tag(&image, &two).await.unwrap();
        }
        let find = async || {
            let images = bench.engine.images(LABEL).await.unwrap();
            images.into_iter().find(|image| image.id.as_str() == id)
        };
        assert_eq!(find().await.unwrap().references.len(), 2, "{}", bench.name);
        for _ in 0..2 {
            bench.engine.untag(&two).await.unwrap();
        }
        assert_eq!(
            find().await.unwrap().references,
            std::slice::from_ref(&request.reference)
        );
        bench.engine.untag(&request.reference).await.unwrap();
        assert_eq!(find().await, None, "{}", bench.name);
        let gone = bench.engine.tag(&image, &two).await;
        assert!(
            matches!(gone, Err(Error::NoSuchImage { .. })),
            "{}: {gone:?}",
            bench.name
        );
    });
}

#[test]
fn a_dropped_build_stops_and_leaves_no_container() {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    on_every_engine(async |bench| {
        let before = bench.containers().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{}.{number}", 100_000 + std::process::id());
        let after = format!("{}.{number}", 200_000 + std::process::id());
        let mut request = bench.dockerfile(
            &format!("FROM {BASE}\nRUN echo started; sleep {marker} || true\nRUN sleep {after}\n"),
            "kolla-suite/dropped:x",
        );
        request.cache = false;
        {
            let started = tokio::sync::Notify::new();
            let sink = |event| {
                if event == BuildEvent::Log("started".into()) {
                    started.notify_one();
                }
            };
            tokio::select! {
                result = bench.engine.build(&request, &sink) => {
                    panic!("{}: {result:?}", bench.name)
                }
                () = started.notified() => {}
            }
        }
        let what = format!("{}: the end of a dropped build", bench.name);
        if bench.name.starts_with("podman") {
            // Its API has no way to stop a command that runs; the build ends with the step.
            eventually(&what, async || process(&marker)).await;
            end_process(&marker);
        }
        eventually(&what, async || !process(&marker)).await;
        eventually(&what, async || bench.containers().await == before).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!process(&after), "{}: the build went on", bench.name);
        let images = bench.engine.images(LABEL).await.unwrap();
        assert!(
            !images
                .iter()
                .any(|i| i.references.contains(&request.reference))
        );
        bench.engine.settle().await;
    });
}

#[test]
fn a_container_runs_to_its_end() {
    on_every_engine(async |bench| {
        let images = bench.engine.images(LABEL).await.unwrap();
        let base = images
            .iter()
            .find(|i| i.references.contains(&reference(BASE)))
            .unwrap();
        let before = bench.containers().await;
        let run = |command: &[&str], network| {
            let request = RunRequest {
                image: base.id.clone(),
                command: command.iter().map(|word| (*word).to_owned()).collect(),
                network,
            };
            let engine = &bench.engine;
            async move { engine.run(&request).await }
        };
        let good = run(&["echo", "a  b", "$HOME"], false).await.unwrap();
        assert_eq!(
            (good.status, good.output.as_str()),
            (0, "a  b $HOME\n"),
            "{}",
            bench.name
        );
        let bad = run(&["sh", "-c", "echo out; echo err >&2; exit 3"], false)
            .await
            .unwrap();
        assert_eq!(bad.status, 3, "{}", bench.name);
        assert!(
            bad.output.contains("out") && bad.output.contains("err"),
            "{}",
            bad.output
        );
        let much = run(&["seq", "1", "200000"], false).await.unwrap();
        assert!(much.output.len() <= 64 * 1024 && much.output.ends_with("200000\n"));
        let alone = run(&["ip", "-o", "link"], false).await.unwrap();
        assert_eq!(
            alone.output.lines().count(),
            1,
            "{}: {}",
            bench.name,
            alone.output
        );
        let missing = run(&["no-such-command"], false).await;
        assert_eq!(missing.map(|end| end.status), Ok(127), "{}", bench.name);
        let nothing = RunRequest {
            image: kolla::model::ImageId::new(format!("sha256:{}", "0".repeat(64))),
            command: vec!["true".into()],
            network: false,
        };
        let nothing = bench.engine.run(&nothing).await;
        assert!(
            matches!(nothing, Err(Error::NoSuchImage { .. })),
            "{}: {nothing:?}",
            bench.name
        );
        assert_eq!(bench.containers().await, before, "{}", bench.name);
    });
}

#[test]
fn a_dropped_run_leaves_no_container() {
    on_every_engine(async |bench| {
        let images = bench.engine.images(LABEL).await.unwrap();
        let base = images
            .iter()
            .find(|i| i.references.contains(&reference(BASE)))
            .unwrap();
        let before = bench.containers().await;
        for pause in [0, 30, 1500] {
            let request = RunRequest {
                image: base.id.clone(),
                command: vec!["sleep".into(), "300".into()],
                network: false,
            };
            let run = bench.engine.run(&request);
            let ended = tokio::time::timeout(Duration::from_millis(pause), run).await;
            assert!(ended.is_err());
            bench.engine.settle().await;
            assert_eq!(bench.containers().await, before, "{}", bench.name);
        }
    });
}

#[test]
fn what_was_left_behind_is_found_and_nothing_else() {
    on_every_engine(async |bench| {
        let name = "kolla-suite/leftover:x";
        let mut first = bench.dockerfile(&format!("FROM {BASE}\nRUN echo one > /file\n"), name);
        first.cache = false;
        let old = bench.build(&first).await.0.unwrap();
        let second = bench.dockerfile(&format!("FROM {BASE}\nRUN echo two > /file\n"), name);
        let new = bench.build(&second).await.0.unwrap();
        let client = bench.client();
        let create = async |labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let body = bollard::models::ContainerCreateBody {
                image: Some(new.clone()),
                cmd: Some(vec!["true".into()]),
                labels: Some(labels),
                ..Default::default()
            };
            let options = None::<bollard::query_parameters::CreateContainerOptions>;
            client.create_container(options, body).await.unwrap().id
        };
        let ours = create(&[("org.openstack.kolla.run", "1")]).await;
        let service = create(&[]).await;
        let found = bench.engine.leftovers(LABEL).await.unwrap();
        let ids: Vec<_> = found.iter().map(|leftover| leftover.id.as_str()).collect();
        assert!(
            ids.contains(&old.as_str()) && ids.contains(&ours.as_str()),
            "{found:?}"
        );
        assert!(
            !ids.contains(&new.as_str()) && !ids.contains(&service.as_str()),
            "{found:?}"
        );
        for leftover in &found {
            bench.engine.remove(leftover).await.unwrap();
            bench.engine.remove(leftover).await.unwrap();
        }
        assert!(
            bench.engine.leftovers(LABEL).await.unwrap().is_empty(),
            "{}",
            bench.name
        );
        // Its last name is kept while a container stands on it.
        let used = bench.engine.untag(&reference(name)).await;
        assert!(
            matches!(used, Err(Error::InUse { .. })),
            "{}: {used:?}",
            bench.name
        );
        client
            .remove_container(
                &service,
                None::<bollard::query_parameters::RemoveContainerOptions>,
            )
            .await
            .unwrap();
        bench.engine.untag(&reference(name)).await.unwrap();
    });
}

/// A repository that no earlier run has pushed to.
fn pushed(bench: &Bench) -> String {
    format!("kolla-suite/pushed-{}-{}", bench.name, std::process::id())
}

/// Pushes the base image to a registry.
async fn push(
    bench: &Bench,
    registry: &str,
    credentials: Option<&Credentials>,
) -> (Result<Digest, Error>, (u64, u64)) {
    push_image(bench, BASE, registry, credentials).await
}

async fn push_image(
    bench: &Bench,
    source: &str,
    registry: &str,
    credentials: Option<&Credentials>,
) -> (Result<Digest, Error>, (u64, u64)) {
    let images = bench.engine.images(LABEL).await.unwrap();
    let base = images
        .iter()
        .find(|i| i.references.contains(&reference(source)))
        .unwrap();
    let target = reference(&format!("{registry}/{}:x", pushed(bench)));
    bench.engine.tag(&base.id, &target).await.unwrap();
    let last = Mutex::new((0, 0));
    let progress = |done, total| *last.lock().unwrap() = (done, total);
    let result = bench.engine.push(&target, credentials, &progress).await;
    bench.engine.untag(&target).await.unwrap();
    (result, last.into_inner().unwrap())
}

/// What a registry answers to a GET.
fn get(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\n\
         Accept: application/vnd.docker.distribution.manifest.v2+json, \
         application/vnd.oci.image.manifest.v1+json\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_pushed_image_is_found_under_the_digest() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    on_every_engine(async |bench| {
        // A layer that no registry has seen: one that it has is not sent.
        let source = "kolla-suite/to-push:x";
        let run = format!("seq 1 100000 > /seq; echo {} >> /seq", pushed(&bench));
        let request = bench.dockerfile(&format!("FROM {BASE}\nRUN {run}\n"), source);
        bench.build(&request).await.0.unwrap();
        for first in [true, false] {
            let (result, (done, total)) = push_image(&bench, source, &registry, None).await;
            let digest = result.unwrap_or_else(|error| panic!("{}: {error}", bench.name));
            let path = format!("/v2/{}/manifests/{digest}", pushed(&bench));
            let answer = get(&registry, &path);
            assert!(
                answer.starts_with("HTTP/1.0 200"),
                "{}: {answer}",
                bench.name
            );
            let by_tag = get(&registry, &path.replace(&digest.to_string(), "x"));
            assert!(
                by_tag.contains(&digest.to_string()),
                "{}: {by_tag}",
                bench.name
            );
            // Podman 4 tells no bytes.
            let told = total > 0 || !first || bench.name.starts_with("podman");
            assert!(done <= total && told, "{}: {total}", bench.name);
        }
        let missing = reference(&format!("{registry}/kolla-suite/never-made:x"));
        let missing = bench.engine.push(&missing, None, &|_, _| {}).await;
        assert!(
            matches!(missing, Err(Error::NoSuchImage { .. })),
            "{}: {missing:?}",
            bench.name
        );
    });
}

#[test]
fn credentials_are_used_and_never_shown() {
    let Some(setting) = setting("KOLLA_TEST_REGISTRY_AUTH") else {
        return;
    };
    let (account, registry) = setting.rsplit_once('@').expect("USER:PASSWORD@HOST:PORT");
    let (username, password) = account.split_once(':').expect("USER:PASSWORD");
    let credentials = |password: &str| Credentials::Password {
        username: username.to_owned(),
        password: password.to_owned(),
    };
    on_every_engine(async |bench| {
        let wrong = "wrong-but-secret";
        for given in [None, Some(credentials(wrong))] {
            let (result, _) = push(&bench, registry, given.as_ref()).await;
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::Unauthorized { .. }),
                "{}: {error:?}",
                bench.name
            );
            let shown = format!("{error:?} {error} {:?} {given:?}", error.diagnostic());
            assert!(!shown.contains(wrong), "{shown}");
        }
        let (result, _) = push(&bench, registry, Some(&credentials(password))).await;
        result.unwrap_or_else(|error| panic!("{}: {error}", bench.name));
    });
}

/// A registry that answers every request with the same words, or hangs up at once.
fn unwell_registry(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 4096];
            if answer.is_empty() || stream.read(&mut request).is_err() {
                continue;
            }
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

#[test]
fn an_unwell_registry_is_told_from_one_that_refuses() {
    let answers = [
        ("", true),
        (
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy",
            true,
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            false,
        ),
    ];
    on_every_engine(async |bench| {
        for (answer, unwell) in answers {
            let (result, _) = push(&bench, &unwell_registry(answer), None).await;
            let error = result.unwrap_err();
            let class = if unwell {
                Class::Transient
            } else {
                Class::Environment
            };
            assert_eq!(
                error.class(),
                class,
                "{}: {answer:?}: {error:?}",
                bench.name
            );
        }
        let (result, _) = push(&bench, "127.0.0.1:9", None).await;
        assert_eq!(
            result.unwrap_err().class(),
            Class::Transient,
            "{}",
            bench.name
        );
    });
}

#[test]
fn an_engine_that_is_not_there_says_so() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let address = Address::parse(&format!("unix://{}", path.display()), None).unwrap();
        let reason = |error: Error| match error {
            Error::Unreachable { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        let missing = Docker::connect(&address).await.err().unwrap();
        assert_eq!(reason(missing), "there is no such socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let dead = Docker::connect(&address).await.err().unwrap();
        assert_eq!(reason(dead), "nothing listens there");
        let closed = Address::parse("tcp://127.0.0.1:9", None).unwrap();
        let closed_error = Docker::connect(&closed).await.err().unwrap();
        assert_eq!(reason(closed_error), "nothing listens there");
        let error = Docker::discover(&[address, closed]).await.err().unwrap();
        assert_eq!(error.diagnostic().notes().len(), 2);
    });
}
