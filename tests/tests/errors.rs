//! Mistakes: each gives one clear message with what to do, the right exit status, before anything is
//! built or even an engine asked, and leaves nothing behind.

use std::fs;
use std::os::unix::fs::symlink;

use kolla_tests::{Docker, Fleet, Kolla, Run};

/// The message of a run that finds a mistake, held against the one that was agreed on.
#[track_caller]
fn mistake(name: &str, fleet: &Fleet, arguments: &[&str]) {
    // Without an engine: a mistake must be found before one is missed.
    let kolla = Kolla::without_engine(fleet);
    let before = fleet.files();
    let run = kolla.run(arguments).exits(2);
    assert_eq!(run.stdout, "");
    assert_eq!(fleet.files(), before);
    assert_eq!(kolla_tests::fleet::files(kolla.home()), [], "{run}");
    insta::assert_snapshot!(name, shown(&run, fleet, &kolla));
}

/// What is said, without what differs from one run to the next.
fn shown(run: &Run, fleet: &Fleet, kolla: &Kolla) -> String {
    run.stderr
        .replace(&fleet.root().display().to_string(), "[fleet]")
        .replace(&kolla.home().display().to_string(), "[home]")
        .replace(&fleet.namespace, "[namespace]")
}

#[test]
fn a_template_with_an_unknown_variable() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "templates/layouts/image.tera",
        "RUN echo {{ packages",
        "RUN echo {{ packges",
    );
    mistake("template_variable", &fleet, &["build"]);
}

#[test]
fn a_template_with_an_unknown_function() {
    let fleet = Fleet::tiny();
    fleet.edit("services/web/web-base/Dockerfile.tera", "image(", "imag(");
    mistake("template_function", &fleet, &["build"]);
}

#[test]
fn a_template_that_does_not_end() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/web-api/Dockerfile.tera",
        "{% endblock files %}",
        "{% endblok files %}",
    );
    mistake("template_syntax", &fleet, &["build"]);
}

#[test]
fn a_layout_that_is_not_there() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/web-api/Dockerfile.tera",
        "layouts/image.tera",
        "layouts/imag.tera",
    );
    mistake("template_layout", &fleet, &["build"]);
}

#[test]
fn a_dockerfile_with_an_unknown_instruction() {
    let fleet = Fleet::tiny();
    fleet.append("services/plain/plain/Dockerfile", "EXPOZE 80\n");
    mistake("dockerfile_instruction", &fleet, &["build"]);
}

#[test]
fn a_definition_with_an_unknown_key() {
    let fleet = Fleet::tiny();
    fleet.edit("services/web/service.toml", "packages =", "pakages =");
    mistake("definition_key", &fleet, &["build"]);
}

#[test]
fn a_definition_that_is_not_toml() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/service.toml",
        "[images.web-api]",
        "[images.web-api",
    );
    mistake("definition_syntax", &fleet, &["build"]);
}

#[test]
fn an_image_without_a_definition() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/service.toml",
        "[images.web-api]",
        "[images.web-apy]",
    );
    mistake("definition_image", &fleet, &["build"]);
}

#[test]
fn a_configuration_with_an_unknown_key() {
    let fleet = Fleet::tiny();
    fleet.write("kolla.toml", "namespace = \"x\"\nregistri = \"y\"\n");
    mistake("configuration_key", &fleet, &["build"]);
}

#[test]
fn a_configuration_of_an_unknown_image() {
    let fleet = Fleet::tiny();
    fleet.write("kolla.toml", "[images.web-apy.packages]\nadd = [\"x\"]\n");
    mistake("configuration_image", &fleet, &["build"]);
}

#[test]
fn a_package_to_remove_that_is_not_installed() {
    let fleet = Fleet::tiny();
    fleet.write(
        "kolla.toml",
        "[images.web-base.packages]\nremove = [\"tow\"]\n",
    );
    mistake("configuration_package", &fleet, &["build"]);
}

#[test]
fn a_variable_with_a_slip_in_its_name() {
    let fleet = Fleet::tiny();
    let run = Kolla::without_engine(&fleet)
        .with("KOLLA_NAMSPACE", "me")
        .run(&["build"]);
    run.exits(2)
        .says("unknown variable KOLLA_NAMSPACE")
        .says("KOLLA_NAMESPACE?");
}

#[test]
fn a_pattern_that_matches_nothing() {
    mistake("pattern_image", &Fleet::tiny(), &["build", "web-apy"]);
    mistake("pattern_service", &Fleet::tiny(), &["build", "@wep"]);
    mistake(
        "pattern_service_as_image",
        &Fleet::tiny(),
        &["build", "web"],
    );
    mistake("pattern_glob", &Fleet::tiny(), &["build", "web-[a"]);
}

#[test]
fn an_override_of_what_is_not_there() {
    let fleet = Fleet::tiny();
    mistake("override_file", &fleet, &["build", "--override", "my.tera"]);
    fleet.write(
        "my.tera",
        "{% extends \"web-apy\" %}{% block files %}{% endblock files %}\n",
    );
    mistake(
        "override_image",
        &fleet,
        &["build", "--override", "my.tera"],
    );
    fleet.write(
        "my.tera",
        "{% extends \"web-api\" %}\n{% block fils %}{% endblock fils %}\n",
    );
    mistake(
        "override_block",
        &fleet,
        &["build", "--override", "my.tera"],
    );
    fleet.write(
        "my.tera",
        "{% extends \"plain\" %}\n{% block files %}{% endblock files %}\n",
    );
    mistake(
        "override_plain",
        &fleet,
        &["build", "--override", "my.tera"],
    );
}

#[test]
fn an_overlay_that_shadows_nothing() {
    let fleet = Fleet::tiny();
    mistake("overlay_missing", &fleet, &["build", "--overlay", "mine"]);
    fleet.write("mine/services/web/web-api/mot", "x");
    mistake("overlay_file", &fleet, &["build", "--overlay", "mine"]);
}

#[test]
fn names_that_no_registry_would_take() {
    let fleet = Fleet::tiny();
    mistake("name_tag", &fleet, &["build", "--tag", "a b"]);
    mistake("name_namespace", &fleet, &["build", "--namespace", "Kolla"]);
    mistake(
        "name_registry",
        &fleet,
        &["build", "--registry", "http://localhost"],
    );
    mistake(
        "name_base_image",
        &fleet,
        &["build", "--base-image", "debian:"],
    );
    mistake("name_platform", &fleet, &["build", "--platform", "linux"]);
    mistake("name_jobs", &fleet, &["build", "--jobs", "0"]);
}

#[test]
fn latest_in_the_release_namespace_has_to_be_meant() {
    let fleet = Fleet::tiny();
    mistake("latest", &fleet, &["build", "--tag", "latest"]);
    // Meant, or elsewhere, it is only the engine that is missing.
    let kolla = Kolla::without_engine(&fleet);
    kolla
        .run(&["build", "--tag", "latest", "--release"])
        .exits(3);
    kolla
        .run(&["build", "--tag", "latest", "--namespace", "me"])
        .exits(3);
}

#[test]
fn a_fleet_without_a_commit() {
    let fleet = Fleet::tiny();
    fs::remove_dir_all(fleet.path(".git")).unwrap();
    let run = Kolla::without_engine(&fleet)
        .with("GIT_CEILING_DIRECTORIES", "/")
        .run(&["build"]);
    run.exits(2)
        .says("no commit to take the tag from")
        .says("--tag");
}

#[test]
fn images_that_stand_on_each_other() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/web-base/Dockerfile.tera",
        "name=\"base\"",
        "name=\"tool\"",
    );
    mistake("cycle", &fleet, &["build"]);
    fleet.edit("services/plain/plain/Dockerfile", "FROM base", "FROM plain");
    mistake("cycle_of_one", &fleet, &["build"]);
}

#[test]
fn a_parent_that_is_missing() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/web-base/Dockerfile.tera",
        "name=\"base\"",
        "name=\"bas\"",
    );
    mistake("parent_in_template", &fleet, &["build"]);
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/plain/plain/Dockerfile",
        "FROM base",
        "FROM kollaglue/bas:1",
    );
    mistake("parent_in_dockerfile", &fleet, &["build"]);
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/tool/tool/Dockerfile.tera",
        "--from=web-api",
        "--from=web-apy",
    );
    mistake("parent_of_copy", &fleet, &["build"]);
}

#[test]
fn links_that_lead_out_of_the_context() {
    let fleet = Fleet::tiny();
    symlink("../../../kolla.toml", fleet.path("services/web/web-api/up")).unwrap();
    mistake("link_up", &fleet, &["build"]);
    fs::remove_file(fleet.path("services/web/web-api/up")).unwrap();
    symlink("/etc/passwd", fleet.path("services/web/web-api/root")).unwrap();
    mistake("link_absolute", &fleet, &["build"]);
}

#[test]
fn a_file_that_is_copied_but_not_there() {
    let fleet = Fleet::tiny();
    fleet.edit(
        "services/web/web-api/Dockerfile.tera",
        "COPY motd",
        "COPY modt",
    );
    mistake("copy", &fleet, &["build"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let fleet = Fleet::tiny();
    fleet.edit("services/web/service.toml", "packages =", "pakages =");
    fleet.edit(
        "services/tool/service.toml",
        "description = \"Takes",
        "descripton = \"Takes",
    );
    mistake("two", &fleet, &["check"]);
}

#[test]
fn a_folder_without_a_fleet() {
    let fleet = Fleet::empty();
    mistake("no_fleet", &fleet, &["build"]);
    mistake("no_folder", &fleet, &["build", "--root", "nowhere"]);
}

#[test]
fn an_engine_that_cannot_be_reached() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    for command in ["build", "plan", "push", "test", "clean"] {
        let run = kolla.run(&[command]).exits(3);
        assert_eq!(run.stdout, "");
        insta::assert_snapshot!("no_engine", shown(&run, &fleet, &kolla));
    }
    let run = kolla
        .run(&["build", "--engine-url", "tcp://127.0.0.1:1"])
        .exits(3);
    insta::assert_snapshot!("no_engine_at_port", shown(&run, &fleet, &kolla));
    let run = kolla.run(&["build", "--engine-url", "ftp://x"]).exits(2);
    insta::assert_snapshot!("engine_url", shown(&run, &fleet, &kolla));
}

#[test]
fn something_that_is_no_engine() {
    // A server that answers everything with nonsense.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let fleet = Fleet::tiny();
    let url = format!("unix://{}", socket.display());
    let run = Kolla::without_engine(&fleet)
        .run(&["build", "--engine-url", &url])
        .exits(3);
    run.says(&socket.display().to_string());
}

#[test]
fn a_full_disk() {
    let Some(docker) = Docker::small() else {
        return;
    };
    let fleet = Fleet::tiny();
    fs::File::create(fleet.path("services/plain/plain/big"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    fleet.append("services/plain/plain/Dockerfile", "COPY big /\n");
    fleet.edit(
        "services/plain/plain/Dockerfile",
        "RUN echo plain > /plain",
        "",
    );
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["build", "--format", "json", "plain"]).exits(3);
    assert_eq!(run.images("failed"), ["plain"]);
    assert_eq!(run.images("built"), ["base"]);
    assert_eq!(docker.containers(), [""; 0]);
    let run = run.says("the engine's disk is full").says("kolla clean");
    assert!(!run.stderr.contains("try 2"), "{run}");
    // After what the message advises it goes on where it was.
    docker.run(&["system", "prune", "--force"]);
    fs::write(fleet.path("services/plain/plain/big"), "small").unwrap();
    let run = kolla.ok(&["build", "--format", "json", "plain"]);
    assert_eq!(run.images("reused"), ["base"]);
    assert_eq!(run.images("built"), ["plain"]);
    docker.forget(&fleet.namespace);
}

#[test]
fn a_cache_that_cannot_be_written() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet).with("KOLLA_CACHE_DIR", "/proc/nowhere");
    kolla
        .run(&["build"])
        .exits(3)
        .says("/proc/nowhere")
        .says("--cache-dir");
}

#[test]
fn a_source_that_is_not_what_was_declared() {
    let Some(docker) = Docker::own() else { return };
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut client in server.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            );
        }
    });
    let fleet = Fleet::tiny();
    let source = |sha256: &str| {
        format!(
            "\n[[images.plain.sources]]\nto = \"hello\"\nurl = \"http://{address}/hello\"\nsha256 = \"{sha256}\"\n"
        )
    };
    let before = fs::read_to_string(fleet.path("services/plain/service.toml")).unwrap();
    fleet.append("services/plain/plain/Dockerfile", "COPY hello /\n");
    fleet.append("services/plain/service.toml", &source(&"0".repeat(64)));
    let kolla = Kolla::new(&fleet, &docker);
    let run = kolla.run(&["build", "--tag", "t", "plain"]).exits(2);
    run.says("is not what was declared")
        .says("services/plain/service.toml:");
    assert_eq!(
        kolla_tests::fleet::files(&kolla.cache().join("sources")),
        []
    );
    let right = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    fleet.write(
        "services/plain/service.toml",
        &format!("{before}{}", source(right)),
    );
    kolla.ok(&["build", "--tag", "t", "plain"]);
    let image = format!("{}/plain:t", fleet.namespace);
    assert_eq!(docker.in_container(&image, &["cat", "/hello"]), "hello");
}
