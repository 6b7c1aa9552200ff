//! Changing images without touching the tree: overrides, overlays, and kolla.toml.

use std::fs;

use kolla_tests::{Fleet, Kolla};

/// The Dockerfile of an image as it would be sent.
fn dockerfile(kolla: &Kolla, image: &str, arguments: &[&str]) -> String {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let mut all = vec!["render", "--output", &folder, image];
    all.extend(arguments);
    kolla.ok(&all);
    fs::read_to_string(out.path().join(image).join("Dockerfile")).unwrap()
}

#[test]
fn an_override_replaces_a_block() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("my.tera");
    fs::write(
        &file,
        "{% extends \"web-api\" %}\n{% block command %}CMD [\"mine\"]{% endblock command %}\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let text = dockerfile(&kolla, "web-api", &["--override", &file]);
    assert!(
        text.contains("CMD [\"mine\"]") && !text.contains("CMD [\"sh\"]"),
        "{text}"
    );
    let other = dockerfile(&kolla, "web-worker", &["--override", &file]);
    assert!(other.contains("CMD [\"sh\"]"), "{other}");
}

#[test]
fn an_override_extends_a_block_and_may_be_named_in_the_configuration() {
    let fleet = Fleet::tiny();
    fleet.write("my.tera", "{% extends \"web-api\" %}\n{% block files %}{{ super() }}\nRUN echo more{% endblock files %}\n");
    fleet.write("kolla.toml", "overrides = [\"my.tera\"]\n");
    let text = dockerfile(&Kolla::without_engine(&fleet), "web-api", &[]);
    assert!(
        text.contains("COPY motd /etc/motd\nRUN echo more"),
        "{text}"
    );
}

#[test]
fn an_overlay_shadows_files() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    let own = tempfile::tempdir().unwrap();
    fs::create_dir_all(own.path().join("services/web/web-api")).unwrap();
    fs::write(own.path().join("services/web/web-api/motd"), "mine\n").unwrap();
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    kolla.ok(&[
        "render",
        "--output",
        &folder,
        "web-api",
        "--overlay",
        &own.path().display().to_string(),
    ]);
    assert_eq!(
        fs::read_to_string(out.path().join("web-api/motd")).unwrap(),
        "mine\n"
    );
    assert_eq!(
        fs::read_to_string(fleet.path("services/web/web-api/motd")).unwrap(),
        "welcome\n"
    );
}

#[test]
fn packages_are_added_and_removed() {
    let fleet = Fleet::tiny();
    fleet.write(
        "kolla.toml",
        "[images.web-base.packages]\nadd = [\"three\"]\nremove = [\"one\"]\n",
    );
    let text = dockerfile(&Kolla::without_engine(&fleet), "web-base", &[]);
    assert!(text.contains("RUN echo two three > /installed"), "{text}");
}

#[test]
fn a_person_changes_one_image_and_only_that_is_rebuilt() {
    let Some(docker) = kolla_tests::Docker::own() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build"]);
    fleet.write("kolla.toml", "[images.web-worker.args]\nCOLOUR = \"red\"\n");
    let run = kolla.ok(&["build", "--tag", "mine", "--format", "json"]);
    assert_eq!(run.images("built"), ["web-worker"]);
    let image = format!("{}/web-worker:mine", fleet.namespace);
    assert_eq!(docker.in_container(&image, &["cat", "/colour"]), "red");
}

#[test]
fn flags_count_more_than_variables_and_these_more_than_files() {
    let fleet = Fleet::tiny();
    fleet.write(
        "kolla.toml",
        "namespace = \"file\"\nregistry = \"file:1\"\njobs = 3\n",
    );
    let kolla = Kolla::without_engine(&fleet)
        .with("KOLLA_NAMESPACE", "variable")
        .with("KOLLA_REGISTRY", "variable:1");
    let run = kolla.ok(&["config", "--namespace", "flag", "--format", "json"]);
    let settings = &run.json()["settings"];
    let of = |name: &str| {
        (
            settings[name]["value"].as_str().unwrap().to_owned(),
            settings[name]["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("namespace"), ("flag".into(), "--namespace".into()));
    assert_eq!(
        of("registry"),
        ("variable:1".into(), "KOLLA_REGISTRY".into())
    );
    assert_eq!(of("jobs"), ("3".into(), "kolla.toml:3".into()));
    assert_eq!(of("retries").1, "default");
    assert_eq!(
        of("cache_dir"),
        (kolla.cache().display().to_string(), "default".into())
    );
}
