//! What is published in a namespace, as a registry has it.

use kolla_tests::fleet::TINY;
use kolla_tests::{Docker, Fleet, Kolla, Registry};

#[test]
fn published_images_are_listed_with_tags_size_and_age() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let at = registry.address.as_str();
    let place = format!("{at}/{}", fleet.namespace);
    let nothing = kolla.ok(&["search", &place]);
    assert_eq!(nothing.stdout, "");
    nothing.says(&format!("0 images in {place}"));
    kolla.ok(&[
        "build",
        "--push",
        "--registry",
        at,
        "--tag",
        "one",
        "--tag",
        "two",
    ]);
    // Somebody else's, whose name begins alike.
    let other = format!("{}x", fleet.namespace);
    kolla.ok(&[
        "build",
        "--push",
        "--registry",
        at,
        "--namespace",
        &other,
        "--tag",
        "t",
        "plain",
    ]);

    let run = kolla.ok(&["search", &place, "--format", "json"]);
    let json = run.json();
    assert_eq!(json["namespace"], place);
    let images = json["images"].as_array().unwrap();
    let mut names: Vec<&str> = images
        .iter()
        .map(|i| i["image"].as_str().unwrap())
        .collect();
    let mut all = TINY.to_vec();
    all.sort_unstable();
    assert_eq!(names, all);
    names.dedup();
    for image in images {
        let name = image["image"].as_str().unwrap();
        let tags: Vec<&str> = image["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_str().unwrap())
            .collect();
        assert!(tags.contains(&"one") && tags.contains(&"two"), "{run}");
        let held = registry.digest(&format!("{}/{name}", fleet.namespace), "one");
        assert_eq!(image["digest"].as_str(), held.as_deref());
        assert!(
            image["size"].as_u64().unwrap() > 1000 && image["age"].is_u64(),
            "{run}"
        );
        let label = docker.label(
            &format!("{place}/{name}:one"),
            "org.openstack.kolla.fingerprint",
        );
        assert_eq!(image["fingerprint"], label);
    }
    // By default where one pushes to.
    let table = kolla.ok(&["search", "--registry", at]).says("6 images in");
    assert_eq!(table.stdout.lines().count(), 1 + 2 * TINY.len(), "{table}");
}

#[test]
fn a_registry_that_lists_nothing_is_told_with_a_hint() {
    let Some(registry) = Registry::with_password() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    let place = format!("{}/{}", registry.address, fleet.namespace);
    let run = kolla.run(&["search", &place]).exits(3);
    assert_eq!(run.stdout, "");
    let run = run.says("cannot list the images at");
    run.says("docker login")
        .says("list nothing by this protocol");
    let (user, password) = registry.login.as_ref().unwrap();
    kolla.docker_config(&registry.docker_config(user, password));
    kolla.ok(&["search", &place]).says("0 images in");
    kolla
        .run(&["search", "Not/a:name"])
        .exits(2)
        .says("is not a valid namespace");
}
