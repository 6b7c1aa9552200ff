//! A plan written for buildx: what is in it, and, run with tests/conformance/judge, that buildx builds it
//! and the result is known again.

use std::path::{Path, PathBuf};
use std::process::Command;

use kolla_tests::fleet::{TINY, files};
use kolla_tests::{Fleet, Kolla};
use serde_json::{Value, json};

fn bake_file(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("docker-bake.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect()
}

/// Paths and contents below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let below = |path: &Path| path.strip_prefix(folder).unwrap().to_path_buf();
    let all = files(folder).into_iter();
    all.map(|(path, _)| (below(&path), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_plan_for_a_registry_needs_no_engine() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet).with("KOLLA_NAMESPACE", "me");
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).display().to_string();
    let export = [
        "export-plan",
        "--registry",
        "registry.example",
        "--tag",
        "t",
        "-o",
    ];
    let run = kolla.ok(&[&export[..], &[&path("plan")]].concat());
    assert_eq!(run.stdout, "");
    let run = run.says("6 of 6 images to build");
    let file = bake_file(&out.path().join("plan"));
    assert_eq!(strings(&file["group"]["default"]["targets"]), TINY);
    // A group has no name of a target.
    assert_eq!(
        strings(&file["group"]["web"]["targets"]),
        ["web-base", "web-api", "web-worker"]
    );
    assert!(file["group"].get("tool").is_none(), "{run}");
    let tool = &file["target"]["tool"];
    let fingerprint = tool["labels"]["org.openstack.kolla.fingerprint"]
        .as_str()
        .unwrap();
    let known_by = format!("registry.example/me/tool:fp-{fingerprint}");
    assert_eq!(
        strings(&tool["tags"]),
        [known_by.as_str(), "registry.example/me/tool:t"]
    );
    let mut parents: Vec<&Value> = tool["contexts"].as_object().unwrap().values().collect();
    parents.sort_by_key(|v| v.as_str());
    assert_eq!(parents, [&json!("target:base"), &json!("target:web-api")]);
    assert_eq!(
        file["target"]["web-worker"]["args"],
        json!({ "COLOUR": "blue" })
    );

    kolla.ok(&["render", "-o", &path("rendered")]);
    let contexts = out.path().join("plan/contexts");
    assert_eq!(contents(&contexts), contents(&out.path().join("rendered")));

    // A second one leaves nothing of the first.
    kolla.ok(&[&export[..], &[&path("plan"), "plain"]].concat());
    let file = bake_file(&out.path().join("plan"));
    assert_eq!(
        strings(&file["group"]["default"]["targets"]),
        ["base", "plain"]
    );
    assert_eq!(std::fs::read_dir(&contexts).unwrap().count(), 2);
}

/// Docker with buildx, as tests/conformance/judge starts it.
struct Judge(PathBuf);

impl Judge {
    fn own() -> Option<Self> {
        let folder = std::env::var_os("KOLLA_TEST_JUDGE");
        if folder.is_none() {
            eprintln!("skipped: run with tests/conformance/judge");
        }
        Some(Self(folder?.into()))
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.0.join("docker"))
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn buildx_builds_a_plan_and_all_of_it_is_known_again() {
    let Some(judge) = Judge::own() else { return };
    let fleet = Fleet::tiny();
    let socket = format!("unix://{}", judge.0.join("docker.sock").display());
    let kolla = Kolla::without_engine(&fleet)
        .with("DOCKER_HOST", &socket)
        .with("KOLLA_NAMESPACE", &fleet.namespace)
        .with("KOLLA_TAGS", "t");
    // Where the client starts: paths in the file are relative to that.
    let work = judge.0.join("work");
    let out = work.display().to_string();
    kolla
        .ok(&["export-plan", "-o", &out])
        .says("6 of 6 images to build");
    let printed: Value =
        serde_json::from_str(&judge.docker(&["buildx", "bake", "--print"])).unwrap();
    // Its own order is by name.
    let mut all = strings(&printed["group"]["default"]["targets"]);
    all.sort_by_key(|image| TINY.iter().position(|known| known == image));
    assert_eq!(all, TINY);
    judge.docker(&["buildx", "bake", "--load"]);
    let plan = kolla.ok(&["plan", "--format", "json"]);
    assert_eq!(plan.planned("reuse"), TINY, "{plan}");
    let tool = format!("{}/tool:t", fleet.namespace);
    assert_eq!(
        judge.docker(&["run", "--rm", "--network=none", &tool]),
        "welcome\n"
    );

    // What the engine has is no target, and what is built stands on it.
    fleet.write("services/web/web-api/motd", "${HOME} sweet\n");
    fleet.write(
        "kolla.toml",
        "[images.web-worker.args]\nCOLOUR = \"${red} %{x}\"\n",
    );
    kolla
        .ok(&["export-plan", "-o", &out])
        .says("3 of 6 images to build");
    assert_eq!(std::fs::read_dir(work.join("contexts")).unwrap().count(), 3);
    judge.docker(&["buildx", "bake", "--load"]);
    let plan = kolla.ok(&["plan", "--format", "json"]);
    assert_eq!(plan.planned("reuse"), TINY, "{plan}");
    assert_eq!(
        judge.docker(&["run", "--rm", "--network=none", &tool]),
        "${HOME} sweet\n"
    );

    kolla
        .ok(&["export-plan", "-o", &out])
        .says("0 of 6 images to build");
    // With --load buildx looks for a target that it applies to.
    assert!(bake_file(&work).get("target").is_none());
    judge.docker(&["buildx", "bake"]);
}
