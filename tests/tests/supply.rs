//! Signatures, provenance and SBOMs of published images: beside Debian's cosign, a validator of
//! CycloneDX, and registries that hold something else.

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kolla::inventory::{Package, parse_dpkg_status, parse_python_metadata};
use kolla::model::{Digest, Fingerprint, ImageName, Platform, Reference, Tag};
use kolla::oci::spec::{Descriptor, Manifest, media};
use kolla::registry::{Blob, Client, Content, Image, Options, Pusher, Repository};
use kolla::supply::{
    ATTESTATIONS, Dependency, Provenance, SIGNATURES, Sbom, SecretKey, Statement, Subject,
    UNKNOWN_BUILDER, attach,
};
use kolla_tests::{Docker, Fleet, Kolla, Registry, Run, repository};
use serde_json::{Value, json};

const PASSWORD: &str = "s3cret-of-the-key";

/// A fleet with one image in a registry, and a pair of keys that `kolla keygen` made.
struct Published {
    fleet: Fleet,
    kolla: Kolla,
    registry: Registry,
    pusher: Pusher,
}

impl Published {
    /// By an engine of Docker's.
    fn by_docker() -> Option<Self> {
        let docker = Docker::own()?;
        Self::new(|fleet| Kolla::new(fleet, &docker), &[])
    }

    /// By kolla's own.
    fn natively() -> Option<Self> {
        let kolla =
            |fleet: &Fleet| Kolla::without_engine(fleet).with("KOLLA_NAMESPACE", &fleet.namespace);
        Self::new(kolla, &["--engine", "native"])
    }

    fn new(kolla: impl Fn(&Fleet) -> Kolla, engine: &[&str]) -> Option<Self> {
        let registry = Registry::plain()?;
        let fleet = Fleet::tiny();
        let kolla = kolla(&fleet).with("KOLLA_KEY_PASSWORD", PASSWORD);
        let push = [
            "build",
            "--push",
            "--tag",
            "1",
            "--registry",
            &registry.address,
            "base",
        ];
        kolla.ok(&[&push[..], engine].concat());
        kolla.ok(&["keygen"]).hides(PASSWORD);
        Some(Self {
            fleet,
            kolla,
            registry,
            pusher: Pusher::new(Client::new(Options::default())),
        })
    }

    /// The namespace at the registry.
    fn place(&self) -> String {
        format!("{}/{}", self.registry.address, self.fleet.namespace)
    }

    fn reference(&self, image: &str) -> Reference {
        Reference::parse(&format!("{}/{image}:1", self.place())).unwrap()
    }

    fn subject(&self, image: &str) -> Subject {
        Subject::find(self.pusher.client(), &self.reference(image)).unwrap()
    }

    fn key(&self) -> SecretKey {
        let text = fs::read_to_string(self.fleet.path("cosign.key")).unwrap();
        SecretKey::open(&text, PASSWORD).unwrap()
    }

    fn sign(&self, key: &SecretKey) -> kolla::supply::Attached {
        let subject = self.subject("base");
        let statements = statements(&subject, "base");
        attach(&self.pusher, &subject, &statements, Some(key)).unwrap()
    }

    fn verify(&self, more: &[&str]) -> Run {
        let place = self.place();
        let line = ["verify", &place, "--tag", "1", "--format", "json"];
        self.kolla.run(&[&line[..], more, &["base"]].concat())
    }

    /// A manifest that a tag of cosign's stands for.
    fn manifest(&self, tag: &Tag) -> Manifest {
        let reference = self.reference("base").at_tag(tag.clone());
        let found = self.pusher.client().manifest(&reference).unwrap();
        Manifest::parse(&found.bytes, "it").unwrap()
    }

    fn blob(&self, descriptor: &Descriptor) -> Vec<u8> {
        let mut bytes = Vec::new();
        let repository = Repository::of(&self.reference("base"));
        let client = self.pusher.client();
        let blob = Blob::from(descriptor);
        client
            .blob(&repository, &blob, &mut bytes, &|_, _| {})
            .unwrap();
        bytes
    }

    /// Puts a manifest in the place of another.
    fn forge(&self, tag: &Tag, manifest: &Manifest, blob: Option<Vec<u8>>) {
        let forged = Forged(blob.into_iter().map(|b| (Digest::of(&b), b)).collect());
        let blobs: Vec<Blob> = forged
            .0
            .iter()
            .map(|(digest, bytes)| Blob {
                digest: digest.clone(),
                size: bytes.len() as u64,
            })
            .collect();
        let image = Image {
            repository: &Repository::of(&self.reference("base")),
            manifest: &manifest.to_bytes().unwrap(),
            media_type: media::MANIFEST,
            blobs: &blobs,
            tags: std::slice::from_ref(tag),
        };
        self.pusher.push(&image, &forged, &|_, _| {}).unwrap();
    }

    fn cosign(&self, arguments: &[&str]) -> Output {
        let reference = self.reference("base").to_string();
        Command::new(cosign())
            .args(arguments)
            .args([
                "--allow-http-registry",
                "--allow-insecure-registry",
                &reference,
            ])
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("HOME", self.kolla.home())
            .output()
            .unwrap()
    }

    /// What cosign prints of an image that must be good.
    fn cosign_accepts(&self, key: &Path, arguments: &[&str]) -> Vec<Value> {
        let key = key.display().to_string();
        let ignore = ["--insecure-ignore-tlog", "--key", &key];
        let output = self.cosign(&[arguments, &ignore[..]].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cosign {arguments:?}: {error}");
        let lines = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        lines.map(Result::unwrap).collect()
    }

    fn cosign_refuses(&self, key: &Path, arguments: &[&str]) {
        let key = key.display().to_string();
        let ignore = ["--insecure-ignore-tlog", "--key", &key];
        let output = self.cosign(&[arguments, &ignore[..]].concat());
        assert!(!output.status.success(), "cosign {arguments:?}: {output:?}");
    }

    /// What the registry answers.
    fn get(&self, path: &str) -> (u16, Value) {
        let url = format!(
            "http://{}/v2/{}/{path}",
            self.registry.address, self.fleet.namespace
        );
        let output = Command::new("curl")
            .args(["--silent", "--write-out", "\n%{http_code}", "--header"])
            .args([&format!("Accept: {}", media::INDEX), &url])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let body = serde_json::from_str(body).unwrap_or_default();
        (status.parse().unwrap(), body)
    }
}

struct Forged(HashMap<Digest, Vec<u8>>);

impl Content for Forged {
    fn open(&self, digest: &Digest, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let mut bytes = Cursor::new(self.0[digest].clone());
        bytes.set_position(offset);
        Ok(Box::new(bytes))
    }
}

fn cosign() -> PathBuf {
    let output = Command::new(repository().join("tests/cosign"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn packages() -> Vec<Package> {
    let status = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
        Version: 5.2.37-2+b5\nHomepage: http://tiswww.case.edu/php/chet/bash/bashtop.html\n\n\
        Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n\
        Source: glibc (2.41-12)\nVersion: 1:2.41~rc1-12\n";
    let mut packages = parse_dpkg_status(status).unwrap();
    let metadata = b"Name: Oslo.Config\nVersion: 9.7.1\nLicense-Expression: Apache-2.0\n";
    for folder in ["/usr/lib/python3/x.dist-info", "/opt/x.dist-info"] {
        packages.push(parse_python_metadata(metadata, folder).unwrap());
    }
    packages
}

fn provenance(image: &str) -> Provenance {
    let base = Reference::parse("registry.example/ns/parent:1").unwrap();
    Provenance {
        image: ImageName::new(image).unwrap(),
        platform: Platform::parse("linux/amd64").unwrap(),
        fingerprint: Fingerprint::new(Digest::of("inputs")),
        dependencies: vec![Dependency::image("parent", &base, &Digest::of("parent"))],
        builder: UNKNOWN_BUILDER.to_owned(),
        invocation: None,
        times: None,
    }
}

fn statements(subject: &Subject, image: &str) -> Vec<Statement> {
    let packages = packages();
    let name = ImageName::new(image).unwrap();
    let sbom = Sbom {
        image: &name,
        distribution: "debian",
        packages: &packages,
    };
    vec![
        provenance(image).statement(subject),
        sbom.statement(subject),
    ]
}

fn tag(digest: &Digest, suffix: &str) -> Tag {
    Tag::new(format!("sha256-{}{suffix}", digest.hex())).unwrap()
}

const ATTESTED: [&[&str]; 2] = [
    &["verify-attestation", "--type", "slsaprovenance1"],
    &["verify-attestation", "--type", "cyclonedx"],
];

fn cosign_takes_it(published: &Published) {
    published.sign(&published.key());
    let key = published.fleet.path("cosign.pub");
    let digest = published.subject("base").manifest().digest.to_string();
    let payload = published.cosign_accepts(&key, &["verify"]);
    let critical = &payload[0][0]["critical"];
    assert_eq!(critical["image"]["docker-manifest-digest"], digest);
    for arguments in ATTESTED {
        assert_eq!(published.cosign_accepts(&key, arguments).len(), 1);
    }
    let other = published.fleet.path("other.pub");
    fs::write(&other, SecretKey::generate().public().to_pem().unwrap()).unwrap();
    for arguments in [&["verify"][..], ATTESTED[0], ATTESTED[1]] {
        published.cosign_refuses(&other, arguments);
    }
    let run = published.verify(&[]).exits(0);
    assert_eq!(run.image("base")["digest"], digest);
    assert_eq!(
        run.image("base")["sbom"],
        json!({"status": "good", "packages": 4})
    );
}

#[test]
fn cosign_verifies_images_that_docker_pushed() {
    let Some(published) = Published::by_docker() else {
        return;
    };
    cosign_takes_it(&published);
}

#[test]
fn cosign_verifies_images_that_kolla_pushed() {
    let Some(published) = Published::natively() else {
        return;
    };
    cosign_takes_it(&published);
}

#[test]
fn attachments_are_listed_as_referrers() {
    let Some(published) = Published::natively() else {
        return;
    };
    let subject = published.subject("base");
    let digest = &subject.manifest().digest;
    let attached = published.sign(&published.key());
    // What a client does that lists referrers: the registry's list, else the index behind the tag.
    let (status, _) = published.get(&format!("base/referrers/{digest}"));
    assert_eq!(status, 404, "Debian's registry lists none");
    let path = format!("base/manifests/{}", tag(digest, ""));
    let (status, index) = published.get(&path);
    assert_eq!((status, &index["mediaType"]), (200, &json!(media::INDEX)));
    let listed: Vec<_> = index["manifests"].as_array().unwrap().iter().collect();
    let expected = [
        (attached.statements.clone().unwrap(), ATTESTATIONS),
        (attached.signature.clone().unwrap(), SIGNATURES),
    ];
    assert_eq!(listed.len(), expected.len());
    for (listed, (digest, artifact_type)) in listed.iter().zip(&expected) {
        assert_eq!(listed["digest"], digest.to_string());
        assert_eq!(listed["artifactType"], *artifact_type);
    }
    for (suffix, (digest_of_it, artifact_type)) in [".att", ".sig"].iter().zip(&expected) {
        let manifest = published.manifest(&tag(digest, suffix));
        assert_eq!(Digest::of(manifest.to_bytes().unwrap()), *digest_of_it);
        assert_eq!(manifest.artifact_type.as_deref(), Some(*artifact_type));
        assert_eq!(manifest.subject.as_ref(), Some(subject.manifest()));
    }
    // The same again is the same; by another key, its own beside it.
    assert_eq!(published.sign(&published.key()), attached);
    assert_eq!(published.get(&path).1, index);
    published.sign(&SecretKey::generate());
    let (_, index) = published.get(&path);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(published.manifest(&tag(digest, ".sig")).layers.len(), 2);
    assert_eq!(published.manifest(&tag(digest, ".att")).layers.len(), 4);
    published.verify(&[]).exits(0);
    let bare = attach(
        &published.pusher,
        &subject,
        &statements(&subject, "base"),
        None,
    )
    .unwrap();
    assert_eq!(bare.signature, None);
    let (_, index) = published.get(&path);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
}

#[test]
fn keys_and_signatures_of_cosign_s_own() {
    let Some(published) = Published::natively() else {
        return;
    };
    published.sign(&published.key());
    let made = Command::new(cosign())
        .args(["generate-key-pair", "--output-key-prefix", "debian"])
        .current_dir(published.fleet.root())
        .env("COSIGN_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let theirs = published.fleet.path("debian.pub");
    // cosign signs with a key of ours beside what is there, and we sign with one of cosign's.
    let signing = published.fleet.path("cosign.key").display().to_string();
    let signed = published.cosign(&["sign", "--tlog-upload=false", "--yes", "--key", &signing]);
    assert!(signed.status.success(), "{signed:?}");
    let text = fs::read_to_string(published.fleet.path("debian.key")).unwrap();
    published.sign(&SecretKey::open(&text, PASSWORD).unwrap());
    for key in [published.fleet.path("cosign.pub"), theirs] {
        published.cosign_accepts(&key, &["verify"]);
        for arguments in ATTESTED {
            published.cosign_accepts(&key, arguments);
        }
        published
            .verify(&["--key", &key.display().to_string()])
            .exits(0);
    }
}

#[test]
fn the_sbom_is_valid_cyclonedx() {
    let reference = Reference::parse("registry.example:5000/ns/base:1").unwrap();
    let manifest = Descriptor::of(media::MANIFEST, b"manifest");
    let subject = Subject::new(&reference, manifest);
    let packages = packages();
    let sbom = Sbom {
        image: &ImageName::new("base").unwrap(),
        distribution: "debian",
        packages: &packages,
    };
    let valid = |document: &Value| {
        let mut checker = Command::new(kolla_tests::repository().join("tests/cyclonedx"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = checker.stdin.take().unwrap();
        stdin.write_all(document.to_string().as_bytes()).unwrap();
        drop(stdin);
        checker.wait_with_output().unwrap()
    };
    let mut document = sbom.document(&subject);
    let output = valid(&document);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"5 components\n");
    // What real package names and versions look like.
    if let Ok(status) = fs::read("/var/lib/dpkg/status") {
        let packages = parse_dpkg_status(&status).unwrap();
        let sbom = Sbom {
            packages: &packages,
            ..sbom
        };
        let output = valid(&sbom.document(&subject));
        let said = format!("{} components\n", packages.len() + 1);
        assert_eq!(String::from_utf8_lossy(&output.stdout), said, "{output:?}");
    }
    document["components"][0]["type"] = json!("thing");
    assert!(!valid(&document).status.success());
}

/// What `verify` says of one thing.
fn finding(run: &Run, what: &str) -> (String, String) {
    let found = run.image("base")[what].clone();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

#[test]
fn what_is_missing_is_told() {
    let Some(published) = Published::natively() else {
        return;
    };
    let run = published.verify(&[]).exits(1);
    let run = run.says("base: no signature").says("base: no provenance");
    let run = run.says("base: no SBOM");
    for what in ["signature", "provenance", "sbom"] {
        assert_eq!(finding(&run, what).0, "missing");
    }
    assert_eq!(run.json()["ok"], false);
    let subject = published.subject("base");
    let only = &statements(&subject, "base")[1..];
    attach(&published.pusher, &subject, only, Some(&published.key())).unwrap();
    let run = published.verify(&[]).exits(1).hides("no SBOM");
    assert_eq!(finding(&run, "provenance").0, "missing");
    assert_eq!(finding(&run, "signature").0, "good");
    let place = published.place();
    let run = published
        .kolla
        .run(&["verify", &place, "--tag", "2", "base"]);
    run.exits(1).says("base:2 is not in the registry");
    // Without names it is about all images of the fleet, of which one is published.
    published.sign(&published.key());
    let run = published
        .kolla
        .run(&["verify", &place, "--tag", "1"])
        .exits(1);
    assert!(
        run.stdout.lines().next().unwrap().starts_with("IMAGE"),
        "{run}"
    );
    assert_eq!(run.stdout.matches("missing").count(), 5, "{run}");
    run.says("1 of 6 images good");
}

#[test]
fn another_key_digest_or_reference_is_told() {
    let Some(published) = Published::natively() else {
        return;
    };
    published.sign(&published.key());
    let other = published.fleet.path("other.pub");
    fs::write(&other, SecretKey::generate().public().to_pem().unwrap()).unwrap();
    let run = published.verify(&["--key", &other.display().to_string()]);
    let run = run
        .exits(1)
        .says("base: signature: signed, but not by this key");
    for what in ["signature", "provenance", "sbom"] {
        assert_eq!(finding(&run, what).0, "wrong");
    }

    let run = published
        .verify(&["--signed-as", "registry.example/ns"])
        .exits(1);
    let (status, reason) = finding(&run, "signature");
    let expected = "not for `registry.example/ns/base`";
    assert!(status == "wrong" && reason.contains(expected), "{run}");

    // Another image by the same tag, with what belongs to the first.
    let digest = published.subject("base").manifest().digest.clone();
    let manifests = [".sig", ".att"].map(|suffix| published.manifest(&tag(&digest, suffix)));
    published
        .fleet
        .append("services/base/base/nonce", "changed");
    let address = &published.registry.address;
    let push = [
        "build", "--engine", "native", "--push", "--tag", "1", "base",
    ];
    published
        .kolla
        .ok(&[&push[..], &["--registry", address.as_str()]].concat());
    let changed = published.subject("base").manifest().digest.clone();
    assert_ne!(digest, changed);
    published.verify(&[]).exits(1).says("base: no signature");
    for (suffix, manifest) in [".sig", ".att"].iter().zip(&manifests) {
        published.forge(&tag(&changed, suffix), manifest, None);
    }
    let run = published.verify(&[]).exits(1);
    let run = run.says(&format!("the signature is for another digest, {digest}"));
    for what in ["provenance", "sbom"] {
        let (status, reason) = finding(&run, what);
        assert!(
            status == "wrong" && reason == "it is about another digest",
            "{run}"
        );
    }
    published.cosign_refuses(&published.fleet.path("cosign.pub"), &["verify"]);
}

#[test]
fn a_statement_of_another_image_is_told() {
    let Some(published) = Published::natively() else {
        return;
    };
    let subject = published.subject("base");
    let statements = statements(&subject, "keystone");
    attach(
        &published.pusher,
        &subject,
        &statements,
        Some(&published.key()),
    )
    .unwrap();
    let run = published.verify(&[]).exits(1);
    let (status, reason) = finding(&run, "provenance");
    assert!(
        status == "wrong" && reason == "it is of the image `keystone`",
        "{run}"
    );
    assert_eq!(finding(&run, "signature").0, "good");
}

#[test]
fn a_tampered_sbom_is_told() {
    let Some(published) = Published::natively() else {
        return;
    };
    published.sign(&published.key());
    let att = tag(&published.subject("base").manifest().digest, ".att");
    let good = published.manifest(&att);
    let envelope = published.blob(&good.layers[1]);
    let mut json: Value = serde_json::from_slice(&envelope).unwrap();
    let payload = json["payload"].as_str().unwrap();
    json["payload"] = format!("{}{}", &payload[..40], &payload[44..]).into();
    let tampered = json.to_string().into_bytes();
    let mut manifest = good.clone();
    manifest.layers[1].digest = Digest::of(&tampered);
    manifest.layers[1].size = tampered.len() as u64;
    published.forge(&att, &manifest, Some(tampered));
    let run = published.verify(&[]).exits(1);
    let run = run.says("base: SBOM: signed, but not by this key, or changed since");
    assert_eq!(finding(&run, "provenance").0, "good");
    let key = published.fleet.path("cosign.pub");
    published.cosign_refuses(&key, ATTESTED[1]);

    type Change = fn(&mut Manifest);
    let forgeries: [(&str, Change); 4] = [
        ("are read", |manifest| manifest.layers[1].size = 1 << 40),
        ("has another size", |manifest| manifest.layers[1].size += 1),
        ("more than 64 layers", |manifest| {
            let layer = manifest.layers[1].clone();
            manifest.layers.extend(vec![layer; 64]);
        }),
        ("it is no signed statement", |manifest| {
            let config = manifest.config.clone();
            manifest.layers[1].digest = config.digest;
            manifest.layers[1].size = config.size;
        }),
    ];
    for (told, change) in forgeries {
        let mut manifest = good.clone();
        change(&mut manifest);
        published.forge(&att, &manifest, None);
        let run = published.verify(&[]).exits(1);
        let (status, reason) = finding(&run, "sbom");
        assert!(status == "wrong" && reason.contains(told), "{told}: {run}");
    }
    published.forge(&att, &good, None);
    published.verify(&[]).exits(0);
}

#[test]
fn a_registry_that_is_not_there_is_not_the_image_s_fault() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet).with("COSIGN_PASSWORD", "");
    let line = ["verify", "127.0.0.1:1/ns", "--retries", "0", "--tag", "1"];
    kolla
        .run(&line)
        .exits(2)
        .says("cannot read the key")
        .says("--key");
    kolla.ok(&["keygen"]);
    let run = kolla.run(&line).exits(3).says("127.0.0.1:1");
    assert_eq!(run.stderr.matches("error:").count(), 1, "{run}");
    kolla
        .run(&["verify", "127.0.0.1:1", "--tag", "1"])
        .exits(2)
        .says("[REGISTRY/]NAMESPACE");
}

#[test]
fn keys_are_made_once_and_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;

    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    kolla
        .run(&["keygen"])
        .exits(2)
        .says("no password for the key")
        .says("KOLLA_KEY_PASSWORD");
    assert!(!fleet.path("cosign.key").exists());
    let kolla = kolla.with("KOLLA_KEY_PASSWORD", PASSWORD);
    let run = kolla.ok(&["keygen", "--output", "release"]).hides(PASSWORD);
    assert!(run.stdout.contains("release.key") && run.stdout.contains("release.pub"));
    let mode = |name: &str| {
        let metadata = fs::metadata(fleet.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("release.key"), 0o600);
    let before = fs::read(fleet.path("release.key")).unwrap();
    let run = kolla.run(&["keygen", "-o", "release"]);
    run.exits(2).says("such a file already");
    assert_eq!(fs::read(fleet.path("release.key")).unwrap(), before);
    let private = fleet.path("release.key").display().to_string();
    kolla
        .run(&[
            "verify",
            "x.example/ns",
            "--key",
            &private,
            "--tag",
            "1",
            "a",
        ])
        .exits(2)
        .says("this is a private key");
}
