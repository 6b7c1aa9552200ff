//! What is said of images.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::envelope::{self, Envelope};
use super::super::payload::Claim;
use super::super::provenance::Claims;
use super::super::statement::Read;
use super::super::{
    CYCLONEDX, Dependency, PROVENANCE, Provenance, Sbom, SecretKey, Subject, UNKNOWN_BUILDER, sbom,
};
use super::subject;
use crate::inventory::{Package, PackageKind, SourcePackage};
use crate::model::{Digest, Fingerprint, ImageName, Platform, Reference};

fn provenance() -> Provenance {
    let parent = Reference::parse("reg.example/ns/base:1").unwrap();
    Provenance {
        image: ImageName::new("keystone").unwrap(),
        platform: Platform::parse("linux/amd64").unwrap(),
        fingerprint: Fingerprint::new(Digest::of("inputs")),
        dependencies: vec![
            Dependency::image("parent", &parent, &Digest::of("base")),
            Dependency::commit("keystone", "https://git.example/keystone", "0a1b"),
            Dependency::file("debian", "https://deb.example/InRelease", &Digest::of("r")),
        ],
        builder: UNKNOWN_BUILDER.to_owned(),
        invocation: None,
        times: None,
    }
}

/// As it is under any version of the program.
fn shown(json: &Value) -> String {
    format!("{json:#}").replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn predicate(bytes: &[u8]) -> Value {
    serde_json::from_slice::<Value>(bytes).unwrap()["predicate"].clone()
}

#[test]
fn provenance_is_the_same_for_the_same_build() {
    let subject = subject("reg.example/ns/keystone", b"manifest");
    let one = provenance();
    let mut other = provenance();
    other.dependencies.reverse();
    other.dependencies.extend(one.dependencies.clone());
    let statement = one.statement(&subject);
    assert_eq!(statement, other.statement(&subject));
    assert_eq!(statement.predicate_type(), PROVENANCE);
    let text: Value = serde_json::from_slice(statement.bytes()).unwrap();
    insta::assert_snapshot!(shown(&text));
    let read = Read::parse(statement.bytes()).unwrap();
    assert!(read.is_about(&subject.manifest().digest));
    assert!(!read.is_about(&Digest::of("another")));
    let claims = Claims::parse(&read.predicate).unwrap();
    assert_eq!(claims.image, "keystone");
    assert_eq!(claims.fingerprint, one.fingerprint.to_string());
}

#[test]
fn times_are_told_where_they_are_given() {
    let subject = subject("reg.example/ns/keystone", b"manifest");
    let mut timed = provenance();
    let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    timed.times = Some((begun, begun + Duration::from_secs(61)));
    timed.invocation = Some("https://ci.example/1".to_owned());
    let metadata = &predicate(timed.statement(&subject).bytes())["runDetails"]["metadata"];
    assert_eq!(metadata["startedOn"], "2023-11-14T22:13:20Z");
    assert_eq!(metadata["finishedOn"], "2023-11-14T22:14:21Z");
    assert_eq!(metadata["invocationId"], "https://ci.example/1");
}

fn package(kind: PackageKind, name: &str, version: &str) -> Package {
    Package {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        source: None,
        licence: None,
        homepage: None,
        folder: None,
    }
}

fn packages() -> Vec<Package> {
    let deb = |name, version| Package {
        architecture: Some("amd64".to_owned()),
        ..package(PackageKind::Deb, name, version)
    };
    let python = |name, folder: &str| Package {
        folder: Some(folder.to_owned()),
        ..package(PackageKind::Python, name, "9.7.1")
    };
    vec![
        Package {
            licence: Some("Apache-2.0 OR MIT".to_owned()),
            homepage: Some("https://docs.example/oslo".to_owned()),
            ..python(
                "oslo-config",
                "/usr/lib/python3/oslo.config-9.7.1.dist-info",
            )
        },
        Package {
            homepage: Some("see README".to_owned()),
            ..python("oslo-config", "/opt/oslo.config-9.7.1.dist-info")
        },
        Package {
            licence: Some("GPL-2+ AND permissive".to_owned()),
            source: Some(SourcePackage {
                name: "gcc-14".to_owned(),
                version: "14.2.0-19".to_owned(),
            }),
            ..deb("libstdc++6", "1:14.2.0-19~deb13u1+b1")
        },
    ]
}

fn document(image: &ImageName, packages: &[Package], subject: &Subject) -> Value {
    let sbom = Sbom {
        image,
        distribution: "debian",
        packages,
    };
    assert_eq!(sbom.statement(subject).predicate_type(), CYCLONEDX);
    sbom.document(subject)
}

#[test]
fn an_sbom_lists_every_package_once_in_one_order() {
    let subject = subject("reg.example/ns/keystone", b"manifest");
    let image = ImageName::new("keystone").unwrap();
    let found = document(&image, &packages(), &subject);
    let mut shuffled = packages();
    shuffled.reverse();
    shuffled.extend(packages());
    assert_eq!(found, document(&image, &shuffled, &subject));
    insta::assert_snapshot!(shown(&found));
    let digest = &subject.manifest().digest;
    assert_eq!(sbom::packages(&found, digest), Ok(3));
    assert!(sbom::packages(&found, &Digest::of("another")).is_err());
    for bad in ["null", "[]", r#"{"bomFormat":"CycloneDX"}"#] {
        let bad: Value = serde_json::from_str(bad).unwrap();
        assert!(sbom::packages(&bad, digest).is_err(), "{bad}");
    }
}

#[test]
fn an_envelope_is_opened_by_its_key_alone() {
    let (key, other) = (SecretKey::generate(), SecretKey::generate());
    let bytes = envelope::seal(b"{}", &key);
    assert_eq!(
        bytes,
        envelope::seal(b"{}", &key),
        "the same bytes each time"
    );
    let read = Envelope::parse(&bytes).unwrap();
    assert_eq!(read.signed_by(&key.public()), Some(&b"{}"[..]));
    assert_eq!(read.signed_by(&other.public()), None);
    let mut json: Value = serde_json::from_slice(&bytes).unwrap();
    json["payload"] = "e30K".into();
    let changed = Envelope::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!(changed.signed_by(&key.public()), None);
    json["payloadType"] = "text/plain".into();
    assert!(Envelope::parse(json.to_string().as_bytes()).is_none());
    for bad in ["", "{}", "[]", r#"{"payloadType":1}"#] {
        assert!(Envelope::parse(bad.as_bytes()).is_none(), "{bad}");
    }
}

#[test]
fn a_claim_is_read_back() {
    let claim = Claim {
        repository: "reg.example/ns/keystone".to_owned(),
        digest: Digest::of("manifest"),
    };
    let bytes = claim.to_bytes();
    assert_eq!(Claim::parse(&bytes), Some(claim));
    let text = String::from_utf8(bytes).unwrap();
    let other = text.replace(
        "cosign container image signature",
        "atomic container signature",
    );
    for bad in ["", "{}", &other, &text.replace("sha256:", "md5:")] {
        assert_eq!(Claim::parse(bad.as_bytes()), None, "{bad}");
    }
}
