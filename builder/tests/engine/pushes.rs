//! Images sent to registries that are well, and to others.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

use kolla::engine::Error;
use kolla::model::{Class, Digest, ImageId};
use kolla::registry::Credentials;

use crate::bench::{BASE, Bench, LABEL, on_every_engine, reference};
use crate::fixtures::setting;

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
    let image = bench.find(&reference(source)).await.unwrap();
    let target = reference(&format!("{registry}/{}:x", pushed(bench)));
    let last = Mutex::new((0, 0));
    let progress = |done, total| *last.lock().unwrap() = (done, total);
    let result = bench
        .engine
        .push(
            &image,
            std::slice::from_ref(&target),
            credentials,
            &progress,
        )
        .await;
    assert_eq!(bench.find(&target).await, None, "{}", bench.name);
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
        let nowhere = ImageId::new(Digest::of("never made").to_string());
        let missing = bench
            .engine
            .push(&nowhere, &[missing], None, &|_, _| {})
            .await;
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
fn an_image_is_fetched_by_its_digest_and_called_as_wanted() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    on_every_engine(async |bench| {
        let source = reference("kolla-suite/to-fetch:x");
        let dockerfile = format!("FROM {BASE}\nRUN echo {} > /fetched\n", pushed(&bench));
        let request = bench.dockerfile(&dockerfile, &source.to_string());
        bench.build(&request).await.0.unwrap();
        let id = bench.find(&source).await.unwrap();
        let (digest, _) = push_image(&bench, &source.to_string(), &registry, None).await;
        bench.engine.untag(&source).await.unwrap();
        assert_eq!(bench.find(&source).await, None, "{}", bench.name);
        let there = reference(&format!("{registry}/{}:x", pushed(&bench)));
        let there = there.at_digest(digest.unwrap());
        let name = reference("kolla-suite/fetched:x");
        let fetched = bench.engine.pull(&there, None, &name).await.unwrap();
        assert_eq!(fetched, id, "{}", bench.name);
        let images = bench.engine.images(LABEL).await.unwrap();
        let image = images.iter().find(|image| image.id == id).unwrap();
        assert_eq!(
            image.references,
            std::slice::from_ref(&name),
            "{}",
            bench.name
        );
        bench.engine.untag(&name).await.unwrap();
        let nowhere = there.at_digest(Digest::of("never pushed"));
        let missing = bench.engine.pull(&nowhere, None, &name).await;
        assert!(
            matches!(missing, Err(Error::BaseImage { .. })),
            "{}: {missing:?}",
            bench.name
        );
    });
}
