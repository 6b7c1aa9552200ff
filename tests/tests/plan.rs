//! Plans: the same decisions as a build's, and the input that each comes from.

use kolla_tests::fleet::TINY;
use kolla_tests::{Docker, Fleet, Kolla, Run};

/// A tiny fleet that is built, and what a plan says after a change.
fn plan_after(change: impl FnOnce(&Fleet), image: &str) -> Option<Run> {
    let docker = Docker::own()?;
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    change(&fleet);
    Some(kolla.ok(&["plan", "--why", image]))
}

fn why(run: &Run, reason: &str) {
    assert!(run.stdout.contains(reason), "no {reason:?} in\n{run}");
}

#[test]
fn a_plan_changes_nothing() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    let plan = kolla.ok(&["plan", "--format", "json"]);
    assert_eq!(plan.planned("build"), TINY);
    assert!(docker.tagged(&fleet.namespace).is_empty());
    let label = format!(
        "label=org.openstack.kolla.fingerprint={}",
        plan.json()["images"][0]["fingerprint"].as_str().unwrap()
    );
    assert_eq!(docker.run(&["images", "--quiet", "--filter", &label]), "");
}

#[test]
fn why_names_the_file_that_changed() {
    let change = |fleet: &Fleet| fleet.append("services/web/web-api/motd", "more\n");
    let Some(run) = plan_after(change, "web-api") else {
        return;
    };
    why(&run, "file motd changed");
}

#[test]
fn why_names_the_line_that_changed() {
    let change = |fleet: &Fleet| {
        fleet.edit(
            "services/plain/plain/Dockerfile",
            "echo plain",
            "echo fancy",
        )
    };
    let Some(run) = plan_after(change, "plain") else {
        return;
    };
    why(
        &run,
        "Dockerfile line 2: `RUN echo fancy > /plain`, was `RUN echo plain > /plain`",
    );
}

#[test]
fn why_names_the_argument_that_changed() {
    let change =
        |fleet: &Fleet| fleet.write("kolla.toml", "[images.web-worker.args]\nCOLOUR = \"red\"\n");
    let Some(run) = plan_after(change, "web-worker") else {
        return;
    };
    why(&run, "build argument COLOUR changed");
}

#[test]
fn why_names_the_parent_that_changed() {
    let change = |fleet: &Fleet| fleet.append("services/web/web-api/motd", "more\n");
    let Some(run) = plan_after(change, "tool") else {
        return;
    };
    why(&run, "parent web-api changed");
}

#[test]
fn why_says_that_an_image_is_gone() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t", "plain"]);
    docker.run(&[
        "image",
        "rm",
        "--force",
        &docker.id(&format!("{}/plain:t", fleet.namespace)),
    ]);
    why(
        &kolla.ok(&["plan", "--why", "plain"]),
        "unchanged, but the engine has it no more",
    );
}

#[test]
fn a_plan_builds_what_a_build_builds() {
    let Some(docker) = Docker::own() else { return };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    fleet.append(
        "services/web/web-base/Dockerfile.tera",
        "{# nothing that shows #}",
    );
    fleet.edit("services/web/service.toml", "\"two\"", "\"three\"");
    let plan = kolla.ok(&["plan", "--format", "json"]);
    let build = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(plan.planned("build"), build.images("built"));
    assert_eq!(
        build.images("built"),
        ["web-base", "web-api", "tool", "web-worker"]
    );
}

#[test]
fn two_engines_give_the_same_fingerprints() {
    let (Some(docker), Some(small)) = (Docker::own(), Docker::small()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let fingerprints = |docker: &Docker| -> Vec<serde_json::Value> {
        let plan = Kolla::new(&fleet, docker)
            .ok(&["plan", "--format", "json"])
            .json();
        plan["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["fingerprint"].clone())
            .collect()
    };
    assert_eq!(fingerprints(&docker), fingerprints(&small));
}
