//! Pushing to real registries, healthy and unwell.

use std::fs;
use std::process::Command;

use kolla_tests::fleet::TINY;
use kolla_tests::proxy::{Fault, Proxy};
use kolla_tests::{Docker, Fleet, Kolla, Registry, Run};

/// The digest that a summary tells for the only reference of an image.
fn digest(run: &Run, image: &str) -> String {
    run.image(image)["pushed"][0]["digest"]
        .as_str()
        .unwrap_or_else(|| panic!("{run}"))
        .to_owned()
}

#[test]
fn what_is_pushed_can_be_pulled_by_the_digest_that_is_told() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&[
        "build",
        "--push",
        "--registry",
        &registry.address,
        "--format",
        "json",
    ]);
    let repository = format!("{}/{}", registry.address, fleet.namespace);
    docker.forget(&repository);
    for image in TINY {
        let digest = digest(&run, image);
        let held = registry.digest(&format!("{}/{image}", fleet.namespace), &fleet.head());
        assert_eq!(held.as_ref(), Some(&digest));
        let reference = format!("{repository}/{image}@{digest}");
        assert!(!docker.has(&reference));
        docker.run(&["pull", "--quiet", &reference]);
        assert_eq!(docker.label(&reference, "org.openstack.kolla.image"), image);
        assert_eq!(docker.id(&reference), run.image(image)["id"]);
    }
    assert_eq!(
        docker.in_container(
            &format!("{repository}/tool@{}", digest(&run, "tool")),
            &["cat", "/copied"]
        ),
        "welcome"
    );
}

#[test]
fn the_table_shows_every_digest() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--push", "--registry", &registry.address]);
    for image in TINY {
        let held = registry
            .digest(&format!("{}/{image}", fleet.namespace), &fleet.head())
            .unwrap();
        assert!(run.stdout.contains(&held), "no {held} in\n{run}");
    }
}

#[test]
fn pushing_apart_from_building_gives_the_same() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla
        .run(&["push", "--registry", &registry.address])
        .exits(3)
        .says("is not built")
        .says("kolla build");
    // Built for no registry, and tagged for this one on the way.
    kolla.ok(&["build"]);
    let run = kolla.ok(&[
        "push",
        "--registry",
        &registry.address,
        "--tag",
        "1",
        "--tag",
        "2",
        "--format",
        "json",
        "web-*",
    ]);
    assert_eq!(run.images("pushed"), ["web-base", "web-api", "web-worker"]);
    for tag in ["1", "2"] {
        let held = registry.digest(&format!("{}/web-api", fleet.namespace), tag);
        assert_eq!(held, Some(digest(&run, "web-api")));
    }
    assert_eq!(
        registry.digest(&format!("{}/base", fleet.namespace), "1"),
        None
    );
}

#[test]
fn nothing_is_pushed_unless_everything_is_built() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    fleet.append("services/plain/plain/Dockerfile", "RUN false\n");
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&[
        "build",
        "--push",
        "--tag",
        "t",
        "--registry",
        &registry.address,
    ]);
    run.exits(1).says("nothing was pushed");
    assert_eq!(
        registry.digest(&format!("{}/base", fleet.namespace), "t"),
        None
    );
}

// --- A registry that asks for a password.

/// Puts a credential helper named `docker-credential-test` on the PATH.
fn with_helper(kolla: Kolla, script: &str) -> Kolla {
    let file = kolla
        .home()
        .join("docker-credential-test")
        .display()
        .to_string();
    // Written by another process: a file that this one has open for writing, even in a thread of
    // another test that is just starting a program, cannot be executed.
    let text = format!("#!/bin/sh\ncat > /dev/null\n{script}\n");
    let write = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$2\" > \"$1\" && chmod +x \"$1\"",
            "sh",
            &file,
            &text,
        ])
        .status();
    assert!(write.unwrap().success());
    let path = format!(
        "{}:{}",
        kolla.home().display(),
        std::env::var("PATH").unwrap()
    );
    kolla.with("PATH", &path)
}

/// Nothing that was said or kept has the password in it, nor its encoded form.
fn assert_hidden(run: &Run, kolla: &Kolla, docker: &Docker, fleet: &Fleet, password: &str) {
    let encoded = kolla_tests::registry::base64(&format!("kolla:{password}"));
    for secret in [password, &encoded] {
        assert!(!run.all().contains(secret), "{run}");
        for (path, _) in kolla_tests::fleet::files(&kolla.cache()) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(secret), "{}", path.display());
        }
        for image in docker.tagged(&format!("*/{}", fleet.namespace)) {
            assert!(
                !docker.inspect(&image).to_string().contains(secret),
                "{image}"
            );
            assert!(
                !docker
                    .run(&["history", "--no-trunc", &image])
                    .contains(secret),
                "{image}"
            );
        }
    }
}

#[test]
fn the_password_comes_from_dockers_configuration() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::with_password()) else {
        return;
    };
    let (user, password) = registry.login.clone().unwrap();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.docker_config(&registry.docker_config(&user, &password));
    let run = kolla.ok(&[
        "build",
        "--push",
        "--verbose",
        "--registry",
        &registry.address,
        "--format",
        "json",
    ]);
    let held = registry.digest(&format!("{}/tool", fleet.namespace), &fleet.head());
    assert_eq!(held, Some(digest(&run, "tool")));
    assert_hidden(&run, &kolla, &docker, &fleet, &password);
}

#[test]
fn the_password_comes_from_a_credential_helper() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::with_password()) else {
        return;
    };
    let (user, password) = registry.login.clone().unwrap();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let answer =
        serde_json::json!({ "ServerURL": registry.address, "Username": user, "Secret": password });
    let kolla = with_helper(kolla, &format!("[ \"$1\" = get ] && echo '{answer}'"));
    kolla.docker_config(&serde_json::json!({ "credHelpers": { &registry.address: "test" } }));
    let run = kolla.ok(&[
        "build",
        "--push",
        "--registry",
        &registry.address,
        "--format",
        "json",
        "plain",
    ]);
    let held = registry.digest(&format!("{}/plain", fleet.namespace), &fleet.head());
    assert_eq!(held, Some(digest(&run, "plain")));
    assert_hidden(&run, &kolla, &docker, &fleet, &password);
}

#[test]
fn a_credential_helper_that_fails_is_named_and_not_quoted() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::with_password()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let kolla = with_helper(kolla, "echo s3cret; echo s3cret >&2; exit 1");
    kolla.docker_config(&serde_json::json!({ "credsStore": "test" }));
    let run = kolla.run(&["build", "--push", "--registry", &registry.address, "plain"]);
    run.exits(3).says("docker-credential-test").hides("s3cret");
}

#[test]
fn a_wrong_password_is_told_once_and_not_tried_again() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::with_password()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.docker_config(&registry.docker_config("kolla", "not-the-p4ssword"));
    let run = kolla.run(&[
        "build",
        "--push",
        "--registry",
        &registry.address,
        "--format",
        "json",
        "plain",
    ]);
    let run = run
        .exits(3)
        .says(&format!("{} refuses access", registry.address));
    let run = run.says(&format!("docker login {}", registry.address));
    assert_hidden(&run, &kolla, &docker, &fleet, "not-the-p4ssword");
    assert!(!run.stderr.contains("try 2"), "{run}");
    assert_eq!(run.images("failed"), ["base"].map(|_| "plain"));
    assert_eq!(
        registry.digest(&format!("{}/plain", fleet.namespace), &fleet.head()),
        None
    );
}

#[test]
fn no_password_at_all_is_told_the_same() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::with_password()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["build", "--push", "--registry", &registry.address, "plain"]);
    run.exits(3)
        .says("refuses access")
        .says(&format!("docker login {}", registry.address));
}

// --- A registry that is unwell.

fn manifest(request: &str) -> bool {
    request.starts_with("PUT ") && request.contains("/manifests/")
}

/// Pushes one image through a proxy that fails some requests, which must succeed in the end.
fn succeeds_in_spite_of(
    fault: impl Fn(&str, usize) -> Fault + Send + Sync + 'static,
    faults: usize,
) {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let proxy = Proxy::before(&registry.address, fault);
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&[
        "build",
        "--push",
        "--registry",
        &proxy.address,
        "--format",
        "json",
        "base",
    ]);
    assert_eq!(proxy.failed().len(), faults, "{run}");
    let held = registry.digest(&format!("{}/base", fleet.namespace), &fleet.head());
    assert_eq!(held, Some(digest(&run, "base")));
}

#[test]
fn too_many_requests_are_waited_out() {
    succeeds_in_spite_of(
        |request, failed| {
            if manifest(request) && failed < 2 {
                Fault::Status(429)
            } else {
                Fault::None
            }
        },
        2,
    );
}

#[test]
fn a_registrys_own_error_is_tried_again() {
    succeeds_in_spite_of(
        |request, failed| {
            if manifest(request) && failed < 2 {
                Fault::Status(500)
            } else {
                Fault::None
            }
        },
        2,
    );
}

#[test]
fn an_unavailable_registry_is_tried_again() {
    succeeds_in_spite_of(
        |_, failed| {
            if failed < 1 {
                Fault::Status(503)
            } else {
                Fault::None
            }
        },
        1,
    );
}

#[test]
fn a_connection_cut_at_the_manifest_is_tried_again() {
    succeeds_in_spite_of(
        |request, failed| {
            if manifest(request) && failed < 2 {
                Fault::Cut(0)
            } else {
                Fault::None
            }
        },
        2,
    );
}

#[test]
fn a_connection_cut_within_a_layer_is_tried_again() {
    succeeds_in_spite_of(
        |request, failed| {
            if request.starts_with("PATCH ") && failed < 1 {
                Fault::Cut(10_000)
            } else {
                Fault::None
            }
        },
        1,
    );
}

#[test]
fn a_registry_that_stays_unwell_is_given_up_with_a_clear_message() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let proxy = Proxy::before(&registry.address, |request, _| {
        if manifest(request) {
            Fault::Status(500)
        } else {
            Fault::None
        }
    });
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&[
        "build",
        "--push",
        "--retries",
        "1",
        "--registry",
        &proxy.address,
        "--format",
        "json",
        "plain",
    ]);
    let run = run
        .exits(3)
        .says(&format!("{} could not take the image", proxy.address))
        .says("tried 2 times");
    let run = run.says("`kolla push` sends only what is missing");
    assert_eq!(proxy.failed().len(), 2, "{run}");
    assert_eq!(run.image("plain")["failure"]["class"], "transient");
    // It is built all the same, and pushed once the registry is well.
    kolla.ok(&["push", "--registry", &registry.address, "plain"]);
}

#[test]
fn a_registry_that_is_not_there() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&[
        "build",
        "--push",
        "--retries",
        "0",
        "--registry",
        "127.0.0.1:1",
        "plain",
    ]);
    run.exits(3).says("127.0.0.1:1").says("help:");
}
