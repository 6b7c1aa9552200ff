//! Building: what is built and what is not, and what it is called.

use kolla_tests::fleet::TINY;
use kolla_tests::{Docker, Fleet, Kolla};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn a_first_build_builds_everything_and_tags_it_with_the_commit() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("built"), TINY);
    let head = fleet.head();
    let mut expected: Vec<String> = TINY
        .iter()
        .map(|image| format!("{}/{image}:{head}", fleet.namespace))
        .collect();
    expected.sort();
    assert_eq!(docker.tagged(&fleet.namespace), expected);
    for image in TINY {
        let reference = format!("{}/{image}:{head}", fleet.namespace);
        let told = run.image(image);
        assert_eq!(told["tags"][0], reference.as_str());
        assert_eq!(told["id"], docker.id(&reference).as_str());
        assert_eq!(docker.label(&reference, "org.openstack.kolla.image"), image);
        assert_eq!(
            told["fingerprint"],
            docker
                .label(&reference, "org.openstack.kolla.fingerprint")
                .as_str()
        );
    }
}

#[test]
fn the_summary_has_what_its_documentation_says() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--format", "json", "plain"]);
    let summary = run.json();
    assert_eq!(
        (&summary["schema"], &summary["command"], &summary["ok"]),
        (&1.into(), &"build".into(), &true.into())
    );
    assert!(summary["engine"].as_str().unwrap().contains(&docker.host));
    assert!(summary["seconds"].as_f64().unwrap() > 0.0);
    let image = run.image("plain");
    assert_eq!(image["service"], "plain");
    assert_eq!(image["reason"], "not built here before");
    assert!(image["seconds"].as_f64().is_some());
    assert_eq!(
        image["size"],
        docker.inspect(image["id"].as_str().unwrap())["Size"]
    );
    assert_eq!(image["pushed"], serde_json::json!([]));
    assert!(image["failure"].is_null());
    let log = std::fs::read_to_string(image["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("RUN echo plain > /plain"), "{log}");
}

#[test]
fn an_image_has_what_its_dockerfile_says() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    Kolla::new(&fleet, &docker).ok(&["build", "--tag", "t"]);
    let cat = |image: &str, file: &str| {
        docker.in_container(&format!("{}/{image}:t", fleet.namespace), &["cat", file])
    };
    assert_eq!(cat("plain", "/plain"), "plain");
    assert_eq!(cat("web-worker", "/installed"), "one two");
    assert_eq!(cat("web-worker", "/colour"), "blue");
    assert_eq!(cat("tool", "/copied"), "welcome");
}

#[test]
fn a_second_build_builds_nothing() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    let again = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(again.images("reused"), TINY);
}

#[test]
fn another_namespace_or_tag_builds_nothing_and_tags_everything() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    let other = format!("{}-other", fleet.namespace);
    let run = kolla.ok(&[
        "build",
        "--namespace",
        &other,
        "--tag",
        "1.0",
        "--tag",
        "1",
        "--registry",
        "localhost:1",
        "--format",
        "json",
    ]);
    assert_eq!(run.images("reused"), TINY);
    for image in TINY {
        let first = docker.id(&format!("{}/{image}:{}", fleet.namespace, fleet.head()));
        for tag in ["1.0", "1"] {
            assert_eq!(
                docker.id(&format!("localhost:1/{other}/{image}:{tag}")),
                first
            );
        }
    }
}

#[test]
fn a_fresh_cache_and_another_clone_build_nothing() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    Kolla::new(&fleet, &docker).ok(&["build"]);
    let clone = Fleet::empty();
    clone.git(&["clone", "--quiet", &fleet.root().display().to_string(), "."]);
    let run = Kolla::new(&clone, &docker).ok(&["build", "--format", "json"]);
    assert_eq!(run.images("reused"), TINY);
}

#[test]
fn a_touched_file_rebuilds_its_image_and_what_is_made_from_it() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    fleet.append("services/web/web-api/motd", "again\n");
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("built"), ["web-api", "tool"]);
    assert_eq!(
        run.images("reused"),
        ["base", "plain", "web-base", "web-worker"]
    );
    let dirty = format!("{}/tool:{}-dirty", fleet.namespace, fleet.head());
    assert_eq!(
        docker.in_container(&dirty, &["cat", "/copied"]),
        "welcome\nagain"
    );
    // What was there before has its tag still.
    let clean = format!("{}/tool:{}", fleet.namespace, fleet.head());
    assert_eq!(docker.in_container(&clean, &["cat", "/copied"]), "welcome");
}

#[test]
fn a_change_taken_back_builds_nothing() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    fleet.edit("services/web/web-api/motd", "welcome", "farewell");
    kolla.ok(&["build"]);
    fleet.edit("services/web/web-api/motd", "farewell", "welcome");
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("built"), names(&[]));
}

#[test]
fn what_is_touched_but_not_changed_builds_nothing() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    // Its time, a comment in a definition that no image sees, and a file beside the services.
    fleet.write("services/web/web-api/motd", "welcome\n");
    fleet.append("services/web/service.toml", "# a remark\n");
    fleet.write("README", "read me\n");
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("built"), names(&[]));
}

#[test]
fn rebuild_builds_what_is_chosen_and_only_that() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    let run = kolla.ok(&["build", "--rebuild", "--format", "json", "web-base"]);
    assert_eq!(run.images("built"), ["web-base"]);
    assert_eq!(run.image("web-base")["reason"], "--rebuild");
    let run = kolla.ok(&[
        "build",
        "--rebuild",
        "--with-children",
        "--format",
        "json",
        "web-base",
    ]);
    assert_eq!(
        run.images("built"),
        ["web-base", "web-api", "tool", "web-worker"]
    );
}

#[test]
fn choosing_an_image_builds_the_parents_it_needs() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--format", "json", "tool"]);
    assert_eq!(run.images("built"), ["base", "web-base", "web-api", "tool"]);
    let run = kolla.ok(&["build", "--format", "json", "web-*"]);
    assert_eq!(run.images("built"), ["web-worker"]);
}

#[test]
fn a_service_is_chosen_by_its_name() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let run = Kolla::new(&fleet, &docker).ok(&["build", "--format", "json", "@web"]);
    assert_eq!(
        run.images("built"),
        ["base", "web-base", "web-api", "web-worker"]
    );
}

#[test]
fn without_parents_only_the_chosen_is_built() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["build", "--no-parents", "web-api"]);
    run.exits(2).says("web-base").says("--no-parents");
    assert_eq!(docker.tagged(&fleet.namespace), names(&[]));
    kolla.ok(&["build", "web-base"]);
    let run = kolla.ok(&["build", "--no-parents", "--format", "json", "web-api"]);
    assert_eq!(run.images("built"), ["web-api"]);
    assert_eq!(run.images("reused"), names(&[]));
}

#[test]
fn children_are_chosen_with_their_parents() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let plan = kolla.ok(&["plan", "--with-children", "--format", "json", "web-api"]);
    assert_eq!(
        plan.planned("build"),
        ["base", "web-base", "web-api", "tool"]
    );
}

#[test]
fn a_tree_of_plain_dockerfiles_is_a_fleet() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::empty();
    fleet.write(
        "one/Dockerfile",
        "FROM scratch\nADD rootfs.tar /\nCOPY nonce /\nENV PATH=/bin\n",
    );
    fleet.write("one/nonce", &fleet.namespace);
    std::fs::copy(kolla_tests::fleet::rootfs(), fleet.path("one/rootfs.tar")).unwrap();
    fleet.write(
        "group/two/Dockerfile",
        "FROM kollaglue/one:any\nRUN echo two > /two\n",
    );
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--tag", "t", "--format", "json"]);
    assert_eq!(run.images("built"), ["one", "two"]);
    let two = format!("{}/two:t", fleet.namespace);
    assert_eq!(docker.in_container(&two, &["cat", "/two"]), "two");
}

#[test]
fn images_built_at_once_are_the_same_as_one_by_one() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.ok(&["build", "--jobs", "1", "--format", "json"]);
    assert_eq!(run.images("built"), TINY);
    let run = kolla.ok(&["build", "--jobs", "16", "--rebuild", "--format", "json"]);
    assert_eq!(run.images("built"), TINY);
    assert_eq!(run.json()["ok"], true);
}

#[test]
fn an_image_made_from_ours_by_hand_is_not_taken_for_ours() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t", "plain"]);
    let ours = format!("{}/plain:t", fleet.namespace);
    let derived = format!("{}-derived/mine:1", fleet.namespace);
    let context = tempfile::tempdir().unwrap();
    std::fs::write(
        context.path().join("Dockerfile"),
        format!("FROM {ours}\nRUN echo x > /x\n"),
    )
    .unwrap();
    docker.run(&[
        "build",
        "--tag",
        &derived,
        &context.path().display().to_string(),
    ]);
    // It has our label, for it inherits it, ...
    let label = "org.openstack.kolla.fingerprint";
    assert_eq!(docker.label(&derived, label), docker.label(&ours, label));
    // ... and when ours is gone, it does not stand in for it.
    let id = docker.id(&ours);
    docker.run(&["image", "rm", "--force", &ours]);
    for name in docker.inspect(&id)["RepoTags"].as_array().unwrap() {
        docker.run(&["image", "rm", "--no-prune", name.as_str().unwrap()]);
    }
    let plan = kolla.ok(&["plan", "--format", "json", "plain"]);
    assert_eq!(plan.planned("build"), ["plain"]);
}

#[test]
fn one_failure_does_not_stop_the_others() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    fleet.append(
        "services/web/web-base/Dockerfile.tera",
        "{% block command %}RUN echo before it && false{% endblock command %}",
    );
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["build", "--format", "json"]).exits(1);
    assert_eq!(run.images("built"), ["base", "plain"]);
    assert_eq!(run.images("failed"), ["web-base"]);
    assert_eq!(run.images("blocked"), ["web-api", "tool", "web-worker"]);
    assert_eq!(run.json()["ok"], false);
    assert_eq!(run.image("tool")["failure"]["blocked_by"], "web-base");
    assert_eq!(run.image("web-base")["failure"]["class"], "build");
    // The end of what is said is the failing image, its step and its last lines.
    let end = run.stderr.split_once("web-base: the end of the log of ");
    let (_, end) = end.unwrap_or_else(|| panic!("{run}"));
    for part in [
        "RUN echo before it && false",
        "\n    before it\n",
        "error: web-base: step 3 failed with status 1",
        "web-base.log",
    ] {
        assert!(end.contains(part), "no {part:?} in {run}");
    }
    // A failing step fails again, so it is tried once.
    assert!(!run.stderr.contains("try 2"), "{run}");
    // And with the mistake gone, only what is missing is built.
    fleet.edit(
        "services/web/web-base/Dockerfile.tera",
        "&& false",
        "&& true",
    );
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("reused"), ["base", "plain"]);
}

#[test]
fn smoke_tests_are_run_in_containers_of_the_images() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["test"]);
    run.exits(3).says("is not built").says("kolla build");
    kolla.ok(&["build"]);
    let run = kolla.ok(&["test", "--format", "json"]);
    assert_eq!(run.images("tested"), ["base", "web-base", "web-api"]);
    fleet.edit(
        "services/web/service.toml",
        r#"smoke = ["cat", "/installed"]"#,
        r#"smoke = ["cat", "/nothing"]"#,
    );
    let run = kolla.run(&["test", "--format", "json"]).exits(1);
    assert_eq!(run.images("failed"), ["web-base"]);
    assert_eq!(run.images("tested"), ["base", "web-api"]);
    run.says("can't open '/nothing'");
}
