//! The distribution protocol against real registries, with skopeo as a second opinion.
//!
//! `KOLLA_TEST_REGISTRY` is `HOST:PORT` of a registry over plain HTTP, `KOLLA_TEST_TLS_REGISTRY` of
//! one with a certificate that nobody vouches for, which wants `KOLLA_TEST_REGISTRY_USER` and
//! `KOLLA_TEST_REGISTRY_PASSWORD`. What is not set is not tested, and the test says so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "fixtures/shaky.rs"]
mod shaky;

use std::collections::HashMap;
use std::io::{Cursor, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use shaky::shaky;

use kolla::model::{Digest, Reference, Registry, Tag};
use kolla::registry::{
    Blob, Client, Content, Credentials, Error, Image, Options, Proxy, Pusher, Repository, media,
};

fn setting(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let reason = format!("{name} is not set: run the tests with tests/with-engine");
        assert!(std::env::var("CI").is_err(), "{reason}");
        eprintln!("skipped: {reason}");
    }
    value
}

/// A path that no other test uses, on this run or another.
fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("protocol/{name}-{}-{now}-{count}", std::process::id())
}

fn parse(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn options() -> Options {
    Options {
        pause: Duration::from_millis(5),
        ..Options::default()
    }
}

fn password(password: &str) -> Option<Credentials> {
    Some(Credentials::Password {
        username: setting("KOLLA_TEST_REGISTRY_USER")?,
        password: password.to_owned(),
    })
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// An image of one layer for each file, and its blobs.
#[derive(Default)]
struct Made {
    contents: HashMap<Digest, Vec<u8>>,
    blobs: Vec<Blob>,
    manifest: Vec<u8>,
    opened: AtomicUsize,
}

impl Made {
    fn new(files: &[Vec<u8>]) -> Self {
        let mut made = Self::default();
        let (mut diffs, mut layers) = (Vec::new(), Vec::new());
        for (i, file) in files.iter().enumerate() {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_size(file.len() as u64);
            tar.append_data(&mut header, format!("file{i}"), file.as_slice())
                .unwrap();
            let tar = tar.into_inner().unwrap();
            diffs.push(Digest::of(&tar));
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&tar).unwrap();
            let blob = made.add(gzip.finish().unwrap());
            layers.push(serde_json::json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": blob.digest, "size": blob.size,
            }));
        }
        let config = made.add(
            serde_json::to_vec(&serde_json::json!({
                "architecture": "amd64", "os": "linux", "config": {},
                "rootfs": {"type": "layers", "diff_ids": diffs},
            }))
            .unwrap(),
        );
        made.manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config.digest, "size": config.size,
            },
            "layers": layers,
        }))
        .unwrap();
        made
    }

    fn add(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        self.contents.insert(blob.digest.clone(), bytes);
        self.blobs.push(blob.clone());
        blob
    }

    fn push(&self, pusher: &Pusher, reference: &Reference) -> Result<Digest, Error> {
        let tags: Vec<Tag> = reference.tag().cloned().into_iter().collect();
        let image = Image {
            repository: &Repository::of(reference),
            manifest: &self.manifest,
            media_type: media::MANIFEST,
            blobs: &self.blobs,
            tags: &tags,
        };
        pusher.push(&image, self, &|_, _| {})
    }

    /// Fetches everything and compares.
    fn check(&self, client: &Client, reference: &Reference) {
        let found = client.manifest(reference).unwrap();
        assert_eq!(found.media_type, media::MANIFEST);
        assert!(found.bytes == self.manifest);
        assert_eq!(client.resolve(reference), Ok(Some(found.digest.clone())));
        let by_digest = client.manifest(&reference.at_digest(found.digest.clone()));
        assert_eq!(by_digest, Ok(found));
        for blob in &self.blobs {
            let mut bytes = Vec::new();
            client
                .blob(&Repository::of(reference), blob, &mut bytes, &|_, _| {})
                .unwrap();
            assert!(bytes == self.contents[&blob.digest]);
        }
    }
}

impl Content for Made {
    fn open(&self, digest: &Digest, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let bytes = &self.contents[digest][usize::try_from(offset).unwrap()..];
        Ok(Box::new(Cursor::new(bytes.to_vec())))
    }
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What skopeo makes of a reference: it copies the image, checking each digest, and says its own.
fn second_opinion(reference: &Reference, made: &Made, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (
        format!("docker://{reference}"),
        format!("dir:{}", folder.path().display()),
    );
    let credentials = |flag: &str| -> Vec<String> {
        let pairs = more.iter().map(|value| format!("--{flag}creds={value}"));
        pairs.collect()
    };
    let with = |words: &[&str], flag: &str, rest: &[&str]| -> String {
        let credentials = credentials(flag);
        let credentials = credentials.iter().map(String::as_str);
        let all: Vec<&str> = words
            .iter()
            .copied()
            .chain(credentials)
            .chain(rest.iter().copied())
            .collect();
        skopeo(&all)
    };
    with(&["copy", "--src-tls-verify=false"], "src-", &[&from, &to]);
    let copied = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(copied("manifest.json") == made.manifest);
    for blob in &made.blobs {
        assert!(copied(&blob.digest.hex()) == made.contents[&blob.digest]);
    }
    let said = with(&["inspect", "--tls-verify=false"], "", &[&from]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["Digest"], Digest::of(&made.manifest).to_string());
}

#[test]
fn an_image_goes_there_and_back() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let made = Made::new(&[noise(5_000_000, 1), noise(10, 2), Vec::new()]);
    let reference = parse(&format!("{registry}/{}:1", unique("round")));
    for chunk in [None, Some(700_000)] {
        let client = Client::new(Options { chunk, ..options() });
        let digest = made.push(&Pusher::new(client.clone()), &reference).unwrap();
        assert_eq!(digest, Digest::of(&made.manifest));
        made.check(&client, &reference);
    }
    second_opinion(&reference, &made, &[]);
    let chunked = parse(&format!("{registry}/{}:1", unique("chunked")));
    let client = Client::new(Options {
        chunk: Some(700_000),
        ..options()
    });
    made.push(&Pusher::new(client), &chunked).unwrap();
    second_opinion(&chunked, &made, &[]);
}

#[test]
fn nothing_is_there_that_was_not_sent() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let client = Client::new(options());
    let reference = parse(&format!("{registry}/{}:1", unique("none")));
    assert_eq!(client.resolve(&reference), Ok(None));
    let error = client.manifest(&reference).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    // A manifest whose blobs are missing is refused by the registry, in words of its own.
    let mut made = Made::new(&[noise(10, 1)]);
    made.blobs.clear();
    let error = made.push(&Pusher::new(client), &reference).unwrap_err();
    assert!(
        matches!(&error, Error::Refused { code, .. } if code == "MANIFEST_BLOB_UNKNOWN"),
        "{error:?}"
    );
}

#[test]
fn a_blob_is_mounted_from_another_repository() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let made = Made::new(&[noise(2_000_000, 7)]);
    let client = Client::new(options());
    let pusher = Pusher::new(client.clone());
    let first = parse(&format!("{registry}/{}:1", unique("from")));
    made.push(&pusher, &first).unwrap();
    let opened = made.opened.load(Ordering::Relaxed);
    let others: Vec<Reference> = (0..4)
        .map(|_| parse(&format!("{registry}/{}:1", unique("to"))))
        .collect();
    std::thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| made.push(&pusher, other).unwrap());
        }
    });
    assert_eq!(made.opened.load(Ordering::Relaxed), opened, "sent again");
    for other in &others {
        made.check(&client, other);
    }
}

#[test]
fn docker_s_own_manifests_and_lists_are_fetched() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let made = Made::new(&[noise(1000, 3)]);
    let client = Client::new(options());
    let ours = parse(&format!("{registry}/{}:1", unique("oci")));
    let digest = made.push(&Pusher::new(client.clone()), &ours).unwrap();
    let docker = parse(&format!("{registry}/{}:1", unique("docker")));
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--format=v2s2",
        &format!("docker://{ours}"),
        &format!("docker://{docker}"),
    ]);
    let found = client.manifest(&docker).unwrap();
    assert_eq!(found.media_type, media::DOCKER_MANIFEST);
    let json: serde_json::Value = serde_json::from_slice(&found.bytes).unwrap();
    assert_eq!(
        json["layers"][0]["digest"],
        made.blobs[0].digest.to_string()
    );

    let folder = tempfile::tempdir().unwrap();
    index(folder.path(), &made, &digest);
    let listed = parse(&format!("{registry}/{}:1", unique("index")));
    skopeo(&[
        "copy",
        "--all",
        "--dest-tls-verify=false",
        &format!("oci:{}", folder.path().display()),
        &format!("docker://{listed}"),
    ]);
    let found = client.manifest(&listed).unwrap();
    assert_eq!(found.media_type, media::INDEX);
    let json: serde_json::Value = serde_json::from_slice(&found.bytes).unwrap();
    assert_eq!(json["manifests"][0]["digest"], digest.to_string());
    made.check(&client, &listed.at_digest(digest));
}

/// An image layout whose one entry is an index of one image (OCI image layout specification).
fn index(folder: &Path, made: &Made, digest: &Digest) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for (digest, bytes) in &made.contents {
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
    }
    std::fs::write(blobs.join(digest.hex()), &made.manifest).unwrap();
    let of = |kind: &str, digest: &Digest, size: usize| {
        serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2, "mediaType": media::INDEX,
            "manifests": [{
                "mediaType": kind, "digest": digest, "size": size,
                "platform": {"os": "linux", "architecture": "amd64"},
            }],
        }))
        .unwrap()
    };
    let inner = of(media::MANIFEST, digest, made.manifest.len());
    let inner_digest = Digest::of(&inner);
    std::fs::write(blobs.join(inner_digest.hex()), &inner).unwrap();
    let outer = of(media::INDEX, &inner_digest, inner.len());
    std::fs::write(folder.join("index.json"), outer).unwrap();
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
}

#[test]
fn a_push_and_a_pull_survive_every_third_request_being_cut() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let files = [3_000_000, 1_500_000, 2_000_000, 100, 4_000_000].map(|n| noise(n, n as u64));
    let made = Made::new(&files);
    // Docker's registry forgets an upload of which a chunk was cut on its way, so that one in many
    // chunks would not come to an end if every third request were cut in that way.
    for (chunk, ways) in [(None, 3), (Some(1_000_000), 1)] {
        let (address, count) = shaky(registry.clone(), ways);
        let client = Client::new(Options {
            chunk,
            // Four threads meet the third request by chance, and one may do so often.
            attempts: 20,
            ..options()
        });
        let path = unique("shaky");
        let through = parse(&format!("{address}/{path}:1"));
        made.push(&Pusher::new(client.clone()), &through).unwrap();
        made.check(&client, &through);
        second_opinion(&parse(&format!("{registry}/{path}:1")), &made, &[]);
        assert!(count.load(Ordering::Relaxed) > 30);
    }
}

/// A tunnel to one address, whatever was asked for (RFC 9110, section 9.3.6).
fn tunnel(registry: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let registry = registry.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    client.read_exact(&mut byte)?;
                    head.push(byte[0]);
                }
                let mut server = TcpStream::connect(registry)?;
                client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
                let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::io::copy(&mut server, &mut client)?;
                client.shutdown(std::net::Shutdown::Both)
            });
        }
    });
    address
}

#[test]
fn a_registry_behind_tls_and_a_password() {
    let Some(registry) = setting("KOLLA_TEST_TLS_REGISTRY") else {
        return;
    };
    let secret = setting("KOLLA_TEST_REGISTRY_PASSWORD").unwrap();
    let made = Made::new(&[noise(2_000_000, 5)]);
    let reference = parse(&format!("{registry}/{}:1", unique("tls")));
    let client = Client::new(options());
    let repository = Repository::of(&reference);
    let pusher = Pusher::new(client.clone());
    for given in [None, password("wrong-but-secret")] {
        client.log_in(&repository, given.as_ref());
        let error = made.push(&pusher, &reference).unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong-but-secret"));
    }
    client.log_in(&repository, password(&secret).as_ref());
    made.push(&pusher, &reference).unwrap();
    made.check(&client, &reference);
    let user = setting("KOLLA_TEST_REGISTRY_USER").unwrap();
    second_opinion(&reference, &made, &[&format!("{user}:{secret}")]);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_unless_the_registry_is_listed() {
    let Some(registry) = setting("KOLLA_TEST_TLS_REGISTRY") else {
        return;
    };
    let proxy = Proxy::new(&format!("http://{}", tunnel(registry)), &[]).unwrap();
    let name = "reg.example:5000";
    let reference = parse(&format!("{name}/{}:1", unique("name")));
    let listed = |insecure: Vec<Registry>| {
        let client = Client::new(Options {
            insecure,
            proxy: Some(proxy.clone()),
            ..options()
        });
        let secret = setting("KOLLA_TEST_REGISTRY_PASSWORD").unwrap();
        client.log_in(&Repository::of(&reference), password(&secret).as_ref());
        client
    };
    let error = listed(Vec::new()).resolve(&reference).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    let client = listed(vec![Registry::new(name).unwrap()]);
    let made = Made::new(&[noise(2_000_000, 6)]);
    made.push(&Pusher::new(client.clone()), &reference).unwrap();
    made.check(&client, &reference);
}
