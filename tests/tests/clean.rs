//! Cleaning: what this program left behind goes, and nothing else.

use std::fs;
use std::sync::Mutex;

use kolla_tests::{Docker, Fleet, Kolla};

/// Cleaning is of a whole engine, so these tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

/// Builds an image from ours by hand, under a name or without one, and gives its id.
fn derive(docker: &Docker, ours: &str, name: Option<&str>) -> String {
    let context = tempfile::tempdir().unwrap();
    fs::write(
        context.path().join("Dockerfile"),
        format!("FROM {ours}\nRUN echo x > /x\n"),
    )
    .unwrap();
    let id = context.path().join("id").display().to_string();
    let folder = context.path().display().to_string();
    let mut arguments = vec!["build", "--iidfile", &id];
    arguments.extend(name.into_iter().flat_map(|name| ["--tag", name]));
    arguments.push(&folder);
    docker.run(&arguments);
    fs::read_to_string(id).unwrap()
}

#[test]
fn images_that_have_no_name_left_go_and_named_ones_stay() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t"]);
    let name = |image: &str| format!("{}/{image}:t", fleet.namespace);
    let old = docker.id(&name("tool"));
    fleet.append("services/web/web-api/motd", "new\n");
    kolla.ok(&["build", "--tag", "t"]);
    let new = docker.id(&name("tool"));
    assert!(docker.has(&old));

    // A look changes nothing.
    let look = kolla.ok(&["clean", "--dry-run"]).says("would remove");
    assert!(look.stdout.contains("tool"), "{look}");
    assert!(docker.has(&old));

    kolla.ok(&["clean"]).says("removed");
    assert!(!docker.has(&old));
    assert_eq!(docker.id(&name("tool")), new);
    assert_eq!(docker.tagged(&fleet.namespace).len(), 6);
    kolla.ok(&["clean"]).says("nothing is left over");
    // What is current is known still.
    assert_eq!(
        kolla
            .ok(&["build", "--tag", "t", "--format", "json"])
            .images("reused")
            .len(),
        6
    );
}

#[test]
fn what_is_not_ours_stays() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t", "plain"]);
    let ours = format!("{}/plain:t", fleet.namespace);

    // An image and an untagged one without anything of ours in them.
    let foreign = format!("{}-foreign/x:1", fleet.namespace);
    docker.run(&[
        "import",
        &kolla_tests::fleet::rootfs().display().to_string(),
        &foreign,
    ]);
    let nameless = docker.run(&[
        "import",
        "--change",
        "ENV NONCE=1",
        &kolla_tests::fleet::rootfs().display().to_string(),
    ]);
    // Images that somebody made from ours, which have our labels.
    let derived = derive(
        &docker,
        &ours,
        Some(&format!("{}-mine/x:1", fleet.namespace)),
    );
    // Containers of ours that somebody runs, or ran.
    let stopped = docker.run(&["create", "--network", "none", &ours, "true"]);
    let running = docker.run(&[
        "run",
        "--detach",
        "--network",
        "none",
        &ours,
        "sleep",
        "100000",
    ]);

    kolla.ok(&["clean"]);
    for image in [&foreign, &nameless, &derived, &ours] {
        assert!(docker.has(image), "{image}");
    }
    let containers = docker.run(&["ps", "--all", "--quiet", "--no-trunc"]);
    for container in [&stopped, &running] {
        assert!(containers.contains(container.as_str()));
    }
    docker.run(&["rm", "--force", &stopped, &running]);
    docker.run(&["image", "rm", &foreign, &nameless]);
}

#[test]
fn an_image_without_a_name_that_somebody_made_from_ours_stays() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t", "plain"]);
    let derived = derive(&docker, &format!("{}/plain:t", fleet.namespace), None);
    kolla.ok(&["clean"]);
    assert!(docker.has(&derived));
    docker.run(&["image", "rm", &derived]);
}

#[test]
fn an_image_that_the_user_gave_a_name_of_his_own_stays() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t", "plain"]);
    let (ours, own) = (
        format!("{}/plain:t", fleet.namespace),
        format!("{}-keep/me:1", fleet.namespace),
    );
    docker.run(&["tag", &ours, &own]);
    docker.run(&["image", "rm", &ours]);
    kolla.ok(&["clean"]);
    assert!(docker.has(&own));
}

#[test]
fn half_fetched_sources_go_and_whole_ones_stay() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let sources = kolla.cache().join("sources");
    fs::create_dir_all(sources.join("partial-x")).unwrap();
    fs::write(sources.join("partial-x/file"), "half").unwrap();
    fs::write(sources.join("url-0"), "whole").unwrap();
    kolla.ok(&["clean"]);
    assert!(!sources.join("partial-x").exists());
    assert!(sources.join("url-0").exists());
}

#[test]
fn a_clean_waits_for_nobody_and_disturbs_nobody() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "base"]);
    fleet.append(
        "services/plain/plain/Dockerfile",
        &format!("RUN : {}; sleep 100000; true\n", fleet.namespace),
    );
    let mut started = kolla.start(&["build", "plain"]);
    kolla_tests::eventually("the other is at work", || {
        assert!(started.is_running());
        kolla_tests::runs(&fleet.namespace)
    });
    kolla
        .run(&["clean"])
        .exits(3)
        .says("another kolla is at work");
    started.signal("INT");
    started.wait().exits(130);
}
