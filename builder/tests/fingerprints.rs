//! What changes a fingerprint, and what does not.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what went wrong by failing

mod fleet;

use fleet::Fleet;
use kolla::archive::EntryKind;
use kolla::catalog::{Customization, Customizations};
use kolla::model::{ImageName, Location, Source};

fn changed(change: impl FnOnce(&mut Fleet)) -> Vec<String> {
    let mut fleet = Fleet::sample();
    let before = fleet.load().unwrap();
    change(&mut fleet);
    fleet.load().unwrap().changed(&before)
}

#[test]
fn the_same_fleet_elsewhere_has_the_same_fingerprints() {
    let (here, there) = (Fleet::sample(), Fleet::sample());
    assert!(
        here.load()
            .unwrap()
            .changed(&there.load().unwrap())
            .is_empty()
    );
}

#[test]
fn a_file_changes_its_image_and_what_is_made_from_it() {
    assert_eq!(
        changed(|f| {
            f.write("services/web/web/index.html", "new");
        }),
        ["web", "web-admin"]
    );
    assert_eq!(
        changed(|f| {
            f.write("services/web/web-admin/new", "new");
        }),
        ["web-admin"]
    );
}

#[test]
fn an_executable_bit_counts_and_a_time_does_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = "services/web/web/index.html";
    let mode = |f: &mut Fleet, mode| {
        std::fs::set_permissions(f.path().join(path), std::fs::Permissions::from_mode(mode))
            .unwrap();
    };
    assert_eq!(changed(|f| mode(f, 0o755)), ["web", "web-admin"]);
    assert!(changed(|f| mode(f, 0o600)).is_empty());
    let touch = |f: &mut Fleet| {
        let file = std::fs::File::options()
            .write(true)
            .open(f.path().join(path))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    assert!(changed(touch).is_empty());
}

#[test]
fn a_shared_template_changes_only_what_it_renders_differently() {
    let comment = |f: &mut Fleet| {
        f.replace(
            "templates/layout.tera",
            "{% block user",
            "{# a comment -#}\n{% block user",
        );
    };
    assert!(changed(comment).is_empty());
    let user = |f: &mut Fleet| {
        f.replace(
            "templates/layout.tera",
            "USER {{ user.uid }}",
            "USER {{ user.name }}",
        );
    };
    assert_eq!(changed(user), ["web", "web-admin"]);
}

#[test]
fn words_about_an_image_that_are_not_rendered_do_not_count() {
    assert!(
        changed(|f| {
            f.replace("services/web/service.toml", "The console", "A console");
        })
        .is_empty()
    );
}

#[test]
fn ignored_files_do_not_count() {
    let fleet = Fleet::sample();
    fleet.write("services/web/web/.dockerignore", "notes\n");
    let before = fleet.load().unwrap();
    fleet.write("services/web/web/notes", "x");
    assert!(fleet.load().unwrap().changed(&before).is_empty());
}

#[test]
fn a_base_image_counts() {
    assert_eq!(
        changed(|f| {
            f.replace("services/base/base/Dockerfile", "debian:13", "debian:14");
        }),
        ["base", "web", "web-admin"]
    );
}

#[test]
fn an_override_replaces_and_extends_blocks() {
    let mut fleet = Fleet::sample();
    fleet.overrides.push((
        "one.tera",
        "{% extends \"web\" %}\n{% block user %}{{ super() }}\nRUN one{% endblock user %}\n\
         {% extends \"web-admin\" %}\n"
            .into(),
    ));
    fleet.overrides.push((
        "two.tera",
        "{% extends \"web\" %}\n{% block user %}{{ super() }}\nRUN two{% endblock user %}\n".into(),
    ));
    let loaded = fleet.load().unwrap();
    assert_eq!(
        loaded.dockerfile("web"),
        "FROM base\nRUN install nginx curl\nCOPY site.conf index.html /etc/web/\nUSER 4200\nRUN one\nRUN two\n"
    );
}

#[test]
fn an_overlay_shadows_files_and_may_bring_a_service() {
    let mut fleet = Fleet::sample();
    fleet.write(
        "over/services/web/web/site.conf.tera",
        "listen {{ vars.port + 1 }};\n",
    );
    fleet.write(
        "over/services/new/service.toml",
        "description = \"x\"\n[images.new]\ndescription = \"x\"\n",
    );
    fleet.write("over/services/new/new/Dockerfile", "FROM base\n");
    let before = fleet.load().unwrap();
    fleet.overlays.push(fleet.path().join("over"));
    assert_eq!(
        fleet.load().unwrap().changed(&before),
        ["new", "web", "web-admin"]
    );
}

#[test]
fn packages_and_arguments_are_customised() {
    let fleet = Fleet::sample();
    fleet.write(
        "services/web/web-admin/Dockerfile.tera",
        "ARG COLOR=blue\nFROM {{ image(name=\"web\") }}\n",
    );
    let file = Source::new("kolla.toml", "");
    let spanned = |text: &str| toml::Spanned::new(0..0, text.to_owned());
    let customization = |add: &[&str], remove: &[&str], args: &[(&str, &str)]| Customization {
        file: file.clone(),
        optional: false,
        packages_add: add.iter().map(|p| spanned(p)).collect(),
        packages_remove: remove.iter().map(|p| spanned(p)).collect(),
        args: args
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    };
    let load = |image: &str, customization| {
        fleet.load_customized(&Customizations {
            images: vec![(
                image.to_owned(),
                Location::file("kolla.toml"),
                customization,
            )],
            ..Customizations::default()
        })
    };
    let before = fleet.load().unwrap();
    let loaded = load("web", customization(&["vim"], &["curl"], &[])).unwrap();
    assert!(loaded.dockerfile("web").contains("RUN install nginx vim\n"));
    let loaded = load("web-admin", customization(&[], &[], &[("COLOR", "red")])).unwrap();
    assert_eq!(loaded.changed(&before), ["web-admin"]);
    let told = |result: Result<_, _>| match result {
        Ok(_) => String::new(),
        Err(problems) => fleet.tell(&problems),
    };
    insta::assert_snapshot!(
        [
            told(load("web", customization(&[], &["crul"], &[]))),
            told(load("wbe", customization(&["vim"], &[], &[]))),
            told(load("web", customization(&["; rm -rf /"], &[], &[]))),
            told(load(
                "web-admin",
                customization(&[], &[], &[("COLOUR", "red")])
            )),
        ]
        .concat()
    );
}

#[test]
fn a_base_image_replaces_the_bootstrap() {
    let mut fleet = Fleet::sample();
    fleet.replace(
        "services/base/service.toml",
        "description = \"The base\"",
        "description = \"The base\"\nsources = [{ to = \"rootfs.tar\", bootstrap = { suite = \"trixie\" } }]",
    );
    fleet.remove("services/base/base/Dockerfile");
    fleet.write(
        "services/base/base/Dockerfile.tera",
        "{% if base_image %}FROM {{ base_image }}{% else %}FROM scratch\nADD rootfs.tar /{% endif %}\n",
    );
    let base = ImageName::new("base").unwrap();
    assert_eq!(fleet.load().unwrap().assemblies[&base].sources().len(), 1);
    fleet.base_image = "debian:13".into();
    let loaded = fleet.load().unwrap();
    assert_eq!(loaded.dockerfile("base"), "FROM debian:13\n");
    assert!(loaded.assemblies[&base].sources().is_empty());
}

#[test]
fn a_context_is_the_same_to_the_byte_and_normalised() {
    use std::io::Read as _;
    let (here, there) = (Fleet::sample(), Fleet::sample());
    let bytes = |fleet: &Fleet| {
        let loaded = fleet.load().unwrap();
        let context = loaded.assemblies[&ImageName::new("web").unwrap()]
            .complete("FROM x\n", &[])
            .unwrap();
        let paths: Vec<_> = context.entries().iter().map(|e| e.path.clone()).collect();
        assert_eq!(paths, ["Dockerfile", "index.html", "site.conf"]);
        assert!(
            context
                .entries()
                .iter()
                .all(|e| matches!(e.kind, EntryKind::File { .. }))
        );
        let mut all = Vec::new();
        context.open().read_to_end(&mut all).unwrap();
        all
    };
    assert_eq!(bytes(&here), bytes(&there));
}

#[test]
fn a_tree_of_plain_dockerfiles_is_a_fleet() {
    let fleet = Fleet::with(&[
        ("base/Dockerfile", "FROM debian:13\n"),
        (
            "apps/one/Dockerfile",
            "FROM base\nCOPY --from=kollaglue/two:7 /x /x\n",
        ),
        ("apps/two/Dockerfile", "FROM alpine:3 AS base\nFROM base\n"),
        (".git/hooks/Dockerfile", "nonsense"),
    ]);
    let loaded = fleet.load().unwrap();
    let order: Vec<_> = loaded
        .graph
        .nodes()
        .map(|n| n.image().to_string())
        .collect();
    assert_eq!(order, ["base", "two", "one"]);
    let one = ImageName::new("one").unwrap();
    assert_eq!(
        loaded
            .graph
            .parents(&one)
            .iter()
            .map(|p| p.as_str())
            .collect::<Vec<_>>(),
        ["base", "two"]
    );
    // A stage of that name hides the image.
    let two = ImageName::new("two").unwrap();
    assert!(loaded.graph.parents(&two).is_empty());
}
