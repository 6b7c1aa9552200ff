//! What the network could change under the images, held still by kolla.lock.

use std::fs;

use kolla::model::Reference;
use kolla::oci::spec::Manifest;
use kolla::registry::{Blob, Client, Options, Repository};
use kolla_tests::{Fleet, Kolla, Registry, Run};

fn machine(fleet: &Fleet) -> Kolla {
    Kolla::without_engine(fleet)
        .with("KOLLA_ENGINE", "native")
        .with("KOLLA_NAMESPACE", &fleet.namespace)
}

/// A run that says this, wherever.
fn shows(run: &Run, text: &str) {
    assert!(run.all().contains(text), "no {text:?} in\n{run}");
}

/// What a fleet's image has in a file.
fn file(kolla: &Kolla, image: &str, path: &str) -> String {
    kolla.ok(&["run", image, "--", "cat", path]).stdout
}

/// All that is attached to a published image, as text.
fn attached(image: &str) -> String {
    let client = Client::new(Options::default());
    let image = Reference::parse(image).unwrap();
    let repository = Repository::of(&image);
    let subject = client.resolve(&image).unwrap().unwrap();
    let mut all = Vec::new();
    for listed in client.referrers(&image, &subject).unwrap() {
        let found = client
            .manifest(&image.at_digest(listed.digest.clone()))
            .unwrap();
        for layer in Manifest::parse(&found.bytes, "it").unwrap().layers {
            let blob = Blob::from(&layer);
            client
                .blob(&repository, &blob, &mut all, &|_, _| {})
                .unwrap();
        }
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn an_image_from_outside_is_the_pinned_one_until_it_is_moved_on() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let others = Fleet::tiny();
    let publish = |word: &str| {
        others.write(
            "services/plain/plain/Dockerfile",
            &format!("FROM base\nRUN echo {word} > /word\n"),
        );
        let to = ["--registry", &registry.address, "--tag", "1"];
        machine(&others).ok(&[&["build", "--local", "--push", "plain"], &to[..]].concat());
    };
    publish("first");
    let outside = format!("{}/{}/plain:1", registry.address, others.namespace);
    let fleet = Fleet::empty();
    let dockerfile = format!("FROM {outside}\nRUN cp /word /copy\n");
    fleet.write("mine/Dockerfile", &dockerfile);
    fleet.git(&["init", "--quiet"]);
    fleet.commit();
    let kolla = machine(&fleet);
    kolla
        .run(&["build", "--locked"])
        .exits(2)
        .says("kolla lock");
    let locked = kolla.ok(&["lock"]);
    shows(&locked, &outside);
    shows(&locked, "1 pin moved; 1 of 1 image affected");
    let lock = fs::read_to_string(fleet.path("kolla.lock")).unwrap();
    fleet.commit();
    kolla.ok(&["lock"]).says("1 pin as before");
    kolla.ok(&["build", "--locked"]);
    assert_eq!(file(&kolla, "mine", "/copy"), "first\n");

    publish("second");
    shows(&kolla.ok(&["plan"]), "reuse");
    kolla.ok(&["build", "--locked", "--rebuild"]);
    assert_eq!(file(&kolla, "mine", "/copy"), "first\n");
    kolla
        .run(&["lock", "--update", "debian:*"])
        .exits(2)
        .says(&outside);
    let moved = kolla.ok(&["lock", "--update", "--format", "json"]).json();
    assert_eq!(moved["moved"][0]["name"], outside);
    assert_eq!(moved["affected"][0], "mine");
    assert_ne!(fs::read_to_string(fleet.path("kolla.lock")).unwrap(), lock);
    shows(&kolla.ok(&["plan", "--why"]), "Dockerfile line 1");
    let affected = kolla.ok(&["affected", "--since", "HEAD", "--format", "names"]);
    assert_eq!(affected.stdout, "mine\n");
    kolla.ok(&["build", "--locked"]);
    assert_eq!(file(&kolla, "mine", "/copy"), "second\n");

    // And so it says where it is published.
    let to = ["--registry", &registry.address, "--tag", "2"];
    kolla.ok(&[&["publish"], &to[..]].concat());
    let mine = format!("{}/{}/mine:2", registry.address, fleet.namespace);
    let pinned = registry.digest(&format!("{}/plain", others.namespace), "1");
    let pinned = format!(
        "docker://{}@{}",
        outside.trim_end_matches(":1"),
        pinned.unwrap()
    );
    let said = attached(&mine);
    assert!(said.contains(&pinned), "no {pinned} in {said}");

    // What is added later has no pin yet, and a registry without an answer is no reason to lose any.
    fleet.write("other/Dockerfile", "FROM localhost:1/nobody/nothing:1\n");
    kolla
        .run(&["check", "--locked"])
        .exits(2)
        .says("other/Dockerfile:1:6");
    let lock = fs::read_to_string(fleet.path("kolla.lock")).unwrap();
    kolla.run(&["lock"]).exits(3).says("other/Dockerfile:1:6");
    assert_eq!(fs::read_to_string(fleet.path("kolla.lock")).unwrap(), lock);
}

#[test]
fn an_archive_that_moved_on_is_told_or_refused() {
    if kolla_tests::setting("KOLLA_TEST_ENGINE").is_none() {
        return;
    }
    let fleet = Fleet::real();
    let kolla = machine(&fleet).with("KOLLA_CACHE_DIR", &kolla_tests::shared_cache());
    kolla.ok(&["lock"]).says("20 of 20 images affected");
    let lock = fs::read_to_string(fleet.path("kolla.lock")).unwrap();
    kolla.ok(&["plan", "--locked", "--local", "base"]);
    let affected = kolla.ok(&["affected", "--since", "HEAD", "--why", "base"]);
    shows(&affected, "pinned state of trixie added");
    fleet.commit();
    // As if it had been pinned some time ago.
    let digest = |text: &str| {
        let (_, rest) = text
            .split_once("[archive.trixie.trixie]\ninrelease = \"sha256:")
            .unwrap();
        rest[..64].to_owned()
    };
    let old = "0".repeat(64);
    fleet.edit("kolla.lock", &digest(&lock), &old);
    let said = "the archive of trixie is not in the state that kolla.lock pins";
    let refused = kolla
        .run(&["build", "--local", "--locked", "base"])
        .exits(3);
    refused
        .says(said)
        .says("kolla lock --update")
        .hides("bootstrapping");
    let built = ["build", "--local", "base"];
    kolla.run(&built).exits(3).says(said);
    kolla
        .run(&["plan", "--local", "--locked", "base"])
        .exits(3)
        .says(said);
    shows(&kolla.ok(&["plan", "--local", "base"]), "build");
    kolla.ok(&["lock"]).says("as before");
    kolla
        .ok(&["lock", "--update", "trixie"])
        .says("1 pin moved");
    assert_eq!(fs::read_to_string(fleet.path("kolla.lock")).unwrap(), lock);
    kolla
        .ok(&[&built[..], &["--locked"]].concat())
        .says("1 built");
    // Where no archive answers, it may be in any state; what is there needs none.
    let alone = kolla.with("KOLLA_MIRROR", "http://127.0.0.1:9/debian");
    alone
        .ok(&[&built[..], &["--locked"]].concat())
        .says("1 reused");
    let child = ["build", "--local", "--locked", "memcached"];
    alone.run(&child).exits(3).says("http://127.0.0.1:9/debian");
}

#[test]
fn what_no_pin_can_hold_still_is_refused_too() {
    let fleet = Fleet::empty();
    let commit = "0123456789".repeat(4);
    let checksum = format!("sha256:{}", "0".repeat(64));
    fleet.write(
        "mine/Dockerfile",
        &format!(
            "FROM scratch\n\
             ADD --checksum={checksum} https://host.invalid/a /\n\
             ADD https://host.invalid/b.git#{commit}:folder /\n\
             ADD https://host.invalid/c /\n\
             ADD https://host.invalid/d.git#main /\n"
        ),
    );
    let kolla = Kolla::without_engine(&fleet);
    kolla.ok(&["lock"]).says("nothing to pin");
    kolla.ok(&["check"]);
    let refused = kolla.run(&["check", "--locked"]).exits(2);
    let refused = refused
        .says("mine/Dockerfile:4:5")
        .says("mine/Dockerfile:5:5");
    refused
        .hides("mine/Dockerfile:2:")
        .hides("mine/Dockerfile:3:");
}

#[test]
fn a_base_image_of_one_s_own_is_not_pinned_for_everybody() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    let own = ["lock", "--base-image", "registry.example/mine:1"];
    kolla
        .run(&own)
        .exits(2)
        .says("not theirs")
        .says("--base-image");
    assert!(!fleet.path("kolla.lock").exists());
}
