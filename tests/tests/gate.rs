//! The gate: each check fails on the change that it is there for, and on no other.

use std::fs;

use kolla_tests::proxy::{Fault, Proxy};
use kolla_tests::{Docker, Fleet, Kolla, Registry, Run};
use serde_json::Value;

const WEB: &str = "services/web/service.toml";
const API: &str = "services/web/web-api/Dockerfile.tera";

/// A fleet that passes.
fn passing() -> Fleet {
    let fleet = Fleet::tiny();
    fleet.append(
        "kolla.toml",
        "\n[gate]\nlabels = [\"org.example.kind=tiny\"]\nmax_size = \"200M\"\nmax_growth = \"20%\"\n",
    );
    fleet.append(
        "services/base/base/Dockerfile.tera",
        "COPY passwd group /etc/\nLABEL org.example.kind=tiny\nUSER 42\n",
    );
    // BuildKit looks for root there.
    let accounts = "root:x:0:0::/:/bin/sh\nweb:x:42:42::/:/bin/sh\n";
    fleet.write("services/base/base/passwd", accounts);
    fleet.write("services/base/base/group", "root:x:0:\nweb:x:42:\n");
    // What the steps of its children do needs root.
    let layout = "templates/layouts/image.tera";
    fleet.edit(
        layout,
        "{% block install %}",
        "{% block root %}USER 0{% endblock root %}\n{% block install %}",
    );
    fleet.append(layout, "{% block user %}USER 42{% endblock user %}\n");
    fleet.write(
        "services/plain/plain/Dockerfile",
        "FROM base\nUSER 0\nRUN echo plain > /plain\nUSER 42\n",
    );
    fleet.commit();
    fleet
}

/// The only check of an image that failed, with its first finding.
fn failure(run: &Run, image: &str) -> (String, Value) {
    let image = run.image(image);
    let checks = image["checks"].as_array().unwrap().iter();
    let failed: Vec<&Value> = checks.filter(|c| c["status"] == "failed").collect();
    let [only] = failed.as_slice() else {
        panic!("one failed check was expected\n{run}");
    };
    let name = only["check"].as_str().unwrap().to_owned();
    (name, only["findings"][0].clone())
}

/// A template's block with these instructions in the place of the layout's USER.
fn user(instructions: &str) -> String {
    format!("{{% block user %}}{instructions}{{% endblock user %}}\n")
}

fn gate<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["gate", "--format", "json"], arguments].concat()
}

#[test]
fn each_check_fails_on_the_change_it_is_there_for() {
    let Some(docker) = Docker::own() else { return };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    let baseline = fleet.path("baseline.json").display().to_string();
    let first = kolla.ok(&gate(&["--write-baseline", &baseline]));
    assert_eq!(first.images("passed").len(), 6, "{first}");
    assert_eq!(first.json()["ok"], true);

    let step = |text: &str| format!("{{% block install %}}RUN {text}{{% endblock install %}}\n");
    let key = "echo '-----BEGIN PRIVATE KEY-----' > /etc/tls.key && echo MIIEpAIBAAKCAQEA >> /etc/tls.key";
    let dpkg = |version: &str| {
        step(&format!(
            "mkdir -p /var/lib/dpkg && printf 'Package: a\\nStatus: install ok installed\\nVersion: {version}\\n' > /var/lib/dpkg/status"
        ))
    };
    for (name, told, change) in [
        (
            "secrets",
            "/etc/tls.key looks like a private key",
            step(key),
        ),
        (
            "package-cache",
            "/var/lib/apt/lists has 1 file of 2 B",
            step("mkdir -p /var/lib/apt/lists && echo x > /var/lib/apt/lists/deb_Packages"),
        ),
        (
            "setuid",
            "/bin/tool is setuid root",
            step("echo x > /bin/tool && busybox chmod 4755 /bin/tool"),
        ),
        (
            "size",
            "its files have",
            step("dd if=/dev/zero of=/large bs=1000000 count=20"),
        ),
        (
            "packages",
            "its packages cannot be read: /var/lib/dpkg/status",
            step("mkdir -p /var/lib/dpkg && echo Package > /var/lib/dpkg/status"),
        ),
    ] {
        fleet.append(API, &change);
        let run = kolla
            .run(&gate(&["--baseline", &baseline, "web-api"]))
            .exits(1);
        let (check, finding) = failure(&run, "web-api");
        assert_eq!(check, name, "{run}");
        let message = finding["message"].as_str().unwrap();
        assert!(message.starts_with(told), "{run}");
        run.says(&format!("web-api: {name}: "));
        fleet.git(&["checkout", "--quiet", API]);
    }
    for (name, told, instructions) in [
        ("user", "it runs as `0`, which is root", "USER 0"),
        ("ports", "it exposes 80/tcp", "EXPOSE 80\nUSER 42"),
        (
            "labels",
            "its label `org.example.kind` is not `tiny`",
            "LABEL org.example.kind=huge\nUSER 42",
        ),
        (
            "secrets",
            "the variable DB_PASSWORD holds what looks like a secret",
            "ENV DB_PASSWORD=hunter2\nUSER 42",
        ),
    ] {
        fleet.append(API, &user(instructions));
        let run = kolla.run(&gate(&["web-api"])).exits(1).hides("hunter2");
        let (check, finding) = failure(&run, "web-api");
        assert_eq!(check, name, "{run}");
        let message = finding["message"].as_str().unwrap();
        assert!(message.starts_with(told), "{run}");
        fleet.git(&["checkout", "--quiet", API]);
    }
    fleet.edit(
        WEB,
        "smoke = [\"cat\", \"/etc/motd\"]",
        "smoke = [\"cat\", \"/gone\"]",
    );
    let run = kolla.run(&gate(&["web-api"])).exits(1);
    let (check, finding) = failure(&run, "web-api");
    assert_eq!(check, "smoke-test");
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .ends_with("ended with status 1: cat /gone")
    );
    assert!(finding["notes"].to_string().contains("/gone"), "{run}");
    fleet.git(&["checkout", "--quiet", WEB]);

    // An earlier version than the published one, which a later one is not.
    fleet.append(API, &dpkg("2.0-1"));
    kolla.ok(&gate(&[
        "--baseline",
        &baseline,
        "--write-baseline",
        &baseline,
        "web-api",
    ]));
    fleet.git(&["checkout", "--quiet", API]);
    fleet.append(API, &dpkg("2.0-2"));
    let run = kolla.ok(&gate(&["--baseline", &baseline, "web-api"]));
    assert_eq!(run.image("web-api")["changes"][0]["change"], "upgraded");
    fleet.git(&["checkout", "--quiet", API]);
    fleet.append(API, &dpkg("1.9-1"));
    let run = kolla
        .run(&gate(&["--baseline", &baseline, "web-api"]))
        .exits(1);
    let (check, finding) = failure(&run, "web-api");
    assert_eq!(check, "packages");
    assert_eq!(finding["message"], "deb downgraded: a 2.0-1 -> 1.9-1");
    fleet.git(&["checkout", "--quiet", API]);

    // A change that breaks nothing.
    fleet.write("services/web/web-api/motd", "good morning\n");
    let run = kolla.ok(&gate(&["--since", "HEAD"]));
    assert_eq!(run.images("passed"), ["web-api", "tool"], "{run}");
    fleet.git(&["checkout", "--quiet", "services"]);
    kolla
        .ok(&["gate", "--since", "HEAD"])
        .says("nothing to check");
}

#[test]
fn what_is_made_from_an_image_that_fails_is_not_built() {
    let Some(docker) = Docker::own() else { return };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    fleet.append("services/web/web-base/Dockerfile.tera", &user("USER 0"));
    let reports = ["junit.xml", "report.sarif", "report.md"].map(|name| fleet.path(name));
    let [junit, sarif, markdown] = reports.each_ref().map(|path| path.to_str().unwrap());
    let run = kolla
        .run(&gate(&[
            "--junit",
            junit,
            "--sarif",
            sarif,
            "--markdown",
            markdown,
        ]))
        .exits(1);
    assert_eq!(run.images("failed"), ["web-base"], "{run}");
    assert_eq!(run.images("passed"), ["base", "plain"]);
    assert_eq!(run.images("blocked"), ["web-api", "tool", "web-worker"]);
    assert_eq!(run.image("tool")["failure"]["blocked_by"], "web-base");
    let tag = |image: &str| format!("{}/{image}:{}-dirty", fleet.namespace, fleet.head());
    assert!(docker.has(&tag("base")) && !docker.has(&tag("web-base")) && !docker.has(&tag("tool")));

    kolla_tests::is_valid("junit", &reports[0]);
    kolla_tests::is_valid("sarif", &reports[1]);
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("<testsuite name=\"web-base\""), "{xml}");
    assert!(xml.contains("type=\"user\""), "{xml}");
    assert!(
        xml.contains("web-base, which it is made from, failed"),
        "{xml}"
    );
    let sarif_text = fs::read_to_string(sarif).unwrap();
    let sarif: Value = serde_json::from_str(&sarif_text).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "user");
    let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(place["uri"], "services/web/web-base/Dockerfile.tera");
    // And what is none is told from one.
    let other = fleet.path("other");
    fs::write(&other, sarif_text.replace("\"ruleId\"", "\"rule\"")).unwrap();
    assert!(!kolla_tests::held_against("sarif", &other).status.success());
    fs::write(&other, xml.replacen("failures=\"1\"", "failures=\"2\"", 1)).unwrap();
    assert!(!kolla_tests::held_against("junit", &other).status.success());
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("| web-base | **failed** |"), "{markdown}");
    assert!(markdown.contains("- `user`: it runs as"), "{markdown}");
}

#[test]
fn a_waiver_lets_pass_until_its_day() {
    let Some(docker) = Docker::own() else { return };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    fleet.append("services/web/web-worker/Dockerfile.tera", &user("USER 0"));
    let waiver = |text: &str| {
        let table = "[images.web-worker]\n";
        fleet.git(&["checkout", "--quiet", WEB]);
        fleet.edit(
            WEB,
            table,
            &format!("{table}gate = {{ waivers = [{text}] }}\n"),
        );
    };
    waiver("{ check = \"user\", reason = \"until it is rewritten\", until = \"2999-12-31\" }");
    let run = kolla.ok(&gate(&["web-worker"]));
    let checks = run.image("web-worker")["checks"].clone();
    let user = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "user");
    assert_eq!(user.unwrap()["status"], "waived", "{run}");
    assert_eq!(
        user.unwrap()["findings"][0]["waived"]["until"],
        "2999-12-31"
    );

    waiver("{ check = \"user\", reason = \"for a day\", until = \"2020-02-29\" }");
    kolla
        .run(&["gate", "web-worker"])
        .exits(1)
        .says("its waiver expired on 2020-02-29: for a day (services/web/service.toml:");

    waiver(
        "{ check = \"user\", reason = \"x\", until = \"2999-12-31\" }, { check = \"size\", reason = \"x\", until = \"2999-12-31\" }",
    );
    kolla
        .ok(&["gate", "web-worker"])
        .says("this waiver of `size` matches nothing");

    waiver("{ check = \"users\", reason = \"x\", until = \"2999-02-30\" }");
    kolla
        .run(&["check"])
        .exits(2)
        .says("there is no check `users`")
        .says("did you mean `user`?")
        .says("`2999-02-30` is not a date")
        .says("services/web/service.toml:");
}

#[test]
fn an_outage_is_the_environments() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = passing();
    Kolla::without_engine(&fleet)
        .run(&["gate", "--engine", "docker"])
        .exits(3);
    // A base image that comes from a registry which is unwell.
    let kolla = Kolla::new(&fleet, &docker);
    let proxy = Proxy::before(&registry.address, |_, _| Fault::Status(503));
    let base = format!("{}/outside/base:x", proxy.address);
    fleet.write(
        "services/plain/plain/Dockerfile",
        &format!("FROM {base}\nUSER 42\n"),
    );
    let markdown = fleet.path("report.md").display().to_string();
    let run = kolla
        .run(&gate(&["--retries", "1", "--markdown", &markdown, "plain"]))
        .exits(3);
    assert_eq!(run.images("broken"), ["plain"], "{run}");
    assert_eq!(run.json()["flakes"][0]["image"], "plain", "{run}");
    let markdown = fs::read_to_string(&markdown).unwrap();
    assert!(
        markdown.contains("The environment failed, not the change"),
        "{markdown}"
    );
}

#[test]
fn what_works_in_the_end_was_a_flake() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["gate", "base"]);
    let outside = format!("{}/base:x", fleet.namespace);
    let there = format!("{}/{outside}", registry.address);
    let built = format!("{}/base:{}", fleet.namespace, fleet.head());
    docker.run(&["tag", &built, &there]);
    docker.run(&["push", "--quiet", &there]);
    docker.run(&["rmi", &there]);
    let proxy = Proxy::before(&registry.address, |_, failed| match failed {
        0..3 => Fault::Status(503),
        _ => Fault::None,
    });
    let plain = format!("FROM {}/{outside}\nCMD [\"sh\"]\n", proxy.address);
    fleet.write("services/plain/plain/Dockerfile", &plain);
    let [junit, markdown] = ["junit.xml", "gate.md"].map(|name| fleet.path(name));
    let run = kolla.ok(&gate(&[
        "--junit",
        junit.to_str().unwrap(),
        "--markdown",
        markdown.to_str().unwrap(),
        "plain",
    ]));
    assert_eq!(run.images("passed"), ["plain"], "{run}");
    assert_eq!(run.json()["flakes"][0]["image"], "plain", "{run}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("<flakyError"), "{junit}");
    assert!(junit.contains("errors=\"0\""), "{junit}");
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("not the change's fault"), "{markdown}");
}

/// The command that a file of `docs/ci` runs, as its service would give it to a shell.
fn command_of(file: &str) -> String {
    let path = kolla_tests::repository().join("docs/ci").join(file);
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let commands: Vec<&str> = lines.filter(|l| l.starts_with("kolla gate ")).collect();
    let [only] = commands.as_slice() else {
        panic!("{file}: one command was expected: {commands:?}");
    };
    (*only).to_owned()
}

#[test]
fn the_files_for_ci_are_yaml_and_what_they_run_works() {
    let Some(docker) = Docker::own() else { return };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["gate"]);
    fleet.write("services/web/web-api/motd", "good morning\n");
    for file in ["github.yaml", "gitlab.yaml", "zuul.yaml", "zuul/gate.yaml"] {
        let path = kolla_tests::repository().join("docs/ci").join(file);
        let read = "import sys, yaml; yaml.safe_load(open(sys.argv[1]))";
        let status = std::process::Command::new("python3")
            .args(["-c", read])
            .arg(&path)
            .status();
        assert!(status.unwrap().success(), "{file}");
        match file {
            "github.yaml" => kolla_tests::is_valid("github-workflows", &path),
            "gitlab.yaml" => kolla_tests::is_valid("gitlab-ci", &path),
            // Of Zuul's there is no schema.
            _ => {}
        }
    }
    let program = kolla_tests::kolla::program();
    for file in ["github.yaml", "gitlab.yaml", "zuul/gate.yaml"] {
        // The engine is the machine's here.
        let line = command_of(file).replace(" --engine native", "");
        let command = kolla.command(&[]);
        let path = format!(
            "{}:{}",
            program.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-ec", &line])
            .current_dir(fleet.root())
            .env_clear()
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("PATH", path)
            .env("SINCE", "HEAD");
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{file}: {output:?}");
        let junit = fs::read_to_string(fleet.path("junit.xml")).unwrap();
        assert!(junit.contains("<testsuite name=\"web-api\""), "{junit}");
        assert!(!junit.contains("<testsuite name=\"plain\""), "{junit}");
        let markdown = fs::read_to_string(fleet.path("gate.md")).unwrap();
        assert!(markdown.contains("### Gate: passed"), "{markdown}");
        for report in ["junit.xml", "gate.md", "gate.sarif"] {
            let _ = fs::remove_file(fleet.path(report));
        }
    }
}

#[test]
fn a_change_is_held_against_the_release_that_is_current() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = passing();
    let kolla = Kolla::new(&fleet, &docker);
    kolla.ok(&["build", "--tag", "t"]);
    kolla.ok(&["publish", "--tag", "t", "--registry", &registry.address]);
    fleet.write("services/web/web-api/motd", "changed\n");
    let run = kolla.ok(&gate(&["--registry", &registry.address, "web-api"]));
    let image = run.image("web-api");
    let (size, published) = (image["size"].as_u64(), image["published_size"].as_u64());
    assert_eq!(size, published, "{run}");
    assert!(size.is_some() && image["changes"].is_array(), "{run}");
    let alone = kolla.ok(&gate(&["web-api"]));
    assert!(alone.image("web-api")["published_size"].is_null());
    // A registry that is not there is no fault of the change.
    let run = kolla.run(&gate(&["--registry", "127.0.0.1:1", "web-api"]));
    run.exits(3).says("--baseline names a file");
}
