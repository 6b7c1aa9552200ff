//! What is published is not built again, on whatever machine and in whatever namespace.

use std::process::Command;

use kolla_tests::fleet::TINY;
use kolla_tests::proxy::{Fault, Passed, Proxy};
use kolla_tests::{Docker, Fleet, Kolla, Registry};

/// A machine that has built nothing: a home, a cache and a store of its own.
fn machine(fleet: &Fleet) -> Kolla {
    Kolla::without_engine(fleet)
        .with("KOLLA_ENGINE", "native")
        .with("KOLLA_NAMESPACE", &fleet.namespace)
}

/// Publishes a fleet, from a machine that is gone afterwards.
fn publish(fleet: &Fleet, registry: &str) {
    machine(fleet).ok(&["build", "--push", "--registry", registry]);
}

/// Requests that brought blobs here, or may have.
fn fetched(proxy: &Proxy) -> Vec<String> {
    let get = |p: &Passed| p.request.starts_with("GET ") && p.request.contains("/blobs/");
    let passed = proxy.passed().into_iter().filter(get);
    passed.map(|p| p.request).collect()
}

/// Requests that brought blobs there, with their sizes.
fn sent(proxy: &Proxy) -> Vec<Passed> {
    let upload = |p: &Passed| p.request.contains("/blobs/uploads/") && p.bytes > 0;
    proxy.passed().into_iter().filter(upload).collect()
}

/// Gives a manifest of a repository another tag.
fn retag(registry: &str, repository: &str, tag: &str, other: &str) {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifests = format!("http://{registry}/v2/{repository}/manifests");
    let script = format!(
        "curl --silent --fail --header 'Accept: {kind}' {manifests}/{tag} |
         curl --silent --fail --upload-file - --header 'Content-Type: {kind}' {manifests}/{other}"
    );
    let done = Command::new("bash").args(["-c", &script]).status().unwrap();
    assert!(done.success());
}

#[test]
fn another_machine_builds_and_fetches_nothing() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let proxy = Proxy::watching(&registry.address);
    publish(&fleet, &proxy.address);
    for kolla in [machine(&fleet), Kolla::new(&fleet, &docker)] {
        proxy.forget();
        let arguments = ["--registry", proxy.address.as_str(), "--format", "json"];
        let plan = kolla.ok(&[&["plan"], &arguments[..]].concat());
        assert_eq!(plan.planned("reuse"), TINY);
        let run = kolla.ok(&[&["build"], &arguments[..]].concat());
        assert_eq!(run.images("reused"), TINY);
        assert_eq!(fetched(&proxy), [""; 0]);
        // One look for an image and a command.
        let looks = proxy.passed().len();
        assert!(looks <= 2 * TINY.len() + 4, "{looks} requests");
        // Without the registry nothing is known of all that.
        let alone = kolla.ok(&[
            "plan",
            "--local",
            "--registry",
            &proxy.address,
            "--format",
            "json",
        ]);
        assert_eq!(alone.planned("build"), TINY);
    }
}

#[test]
fn one_change_is_one_image_on_published_parents() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    let fleet = Fleet::tiny();
    let proxy = Proxy::watching(&registry.address);
    publish(&fleet, &proxy.address);
    fleet.write("services/web/web-api/motd", "changed\n");
    for (kolla, mine) in [
        (machine(&fleet), format!("{}-native", fleet.namespace)),
        (
            Kolla::new(&fleet, &docker),
            format!("{}-docker", fleet.namespace),
        ),
    ] {
        proxy.forget();
        let run = kolla.ok(&[
            "build",
            "--push",
            "--namespace",
            &mine,
            "--upstream",
            &format!("{}/{}", proxy.address, fleet.namespace),
            "--registry",
            &proxy.address,
            "--tag",
            "x",
            "--format",
            "json",
            "web-api",
        ]);
        assert_eq!(run.images("built"), ["web-api"], "{run}");
        assert_eq!(run.images("reused"), ["web-base"], "{run}");
        // What it is made from is not needed for that.
        assert_eq!(run.images("skipped"), ["base"], "{run}");
        let tag = registry.digest(&format!("{mine}/web-api"), "x");
        assert_eq!(
            tag.as_deref(),
            run.image("web-api")["pushed"][0]["digest"].as_str()
        );
        for parent in ["base", "web-base"] {
            assert_eq!(registry.digest(&format!("{mine}/{parent}"), "x"), None);
        }
        // A configuration, and the layers of the change: small ones. The base is a megabyte.
        let sizes: Vec<usize> = sent(&proxy).iter().map(|p| p.bytes).collect();
        assert!(sizes.iter().sum::<usize>() < 50_000, "{sizes:?} were sent");
        assert!(!sizes.is_empty());
    }
}

#[test]
fn a_namespace_is_filled_from_another_without_fetching() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let proxy = Proxy::watching(&registry.address);
    publish(&fleet, &proxy.address);
    proxy.forget();
    let mine = format!("{}-mine", fleet.namespace);
    let upstream = fleet.namespace.as_str();
    let arguments = ["--namespace", &mine, "--upstream", upstream, "--tag", "x"];
    let arguments = [
        &["build", "--push", "--registry", &proxy.address],
        &arguments[..],
    ]
    .concat();
    machine(&fleet).ok(&arguments);
    for image in TINY {
        let there = registry.digest(&format!("{mine}/{image}"), "x");
        let before = registry.digest(&format!("{upstream}/{image}"), &fleet.head());
        assert_eq!(there, before, "{image}");
        assert!(there.is_some());
    }
    assert_eq!(fetched(&proxy), [""; 0]);
    assert_eq!(sent(&proxy), []);
}

#[test]
fn a_registry_is_filled_from_another() {
    let (Some(registry), Some(other)) = (Registry::plain(), Registry::with_password()) else {
        return;
    };
    let fleet = Fleet::tiny();
    publish(&fleet, &registry.address);
    let kolla = machine(&fleet);
    let (user, password) = other.login.clone().unwrap();
    kolla.docker_config(&other.docker_config(&user, &password));
    let upstream = format!("{}/{}", registry.address, fleet.namespace);
    let arguments = [
        "--registry",
        &other.address,
        "--upstream",
        &upstream,
        "--tag",
        "x",
    ];
    let run = kolla.ok(&[&["build", "--push"], &arguments[..]].concat());
    run.hides(&password);
    for image in TINY {
        let repository = format!("{}/{image}", fleet.namespace);
        let there = other.digest(&repository, "x");
        assert_eq!(
            there,
            registry.digest(&repository, &fleet.head()),
            "{image}"
        );
        assert!(there.is_some());
    }
}

#[test]
fn what_is_published_only_is_fetched_to_be_run() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    publish(&fleet, &registry.address);
    let kolla = machine(&fleet);
    let run = kolla.ok(&[
        "run",
        "--registry",
        &registry.address,
        "tool",
        "--",
        "cat",
        "/copied",
    ]);
    assert_eq!(run.stdout, "welcome\n");
    // From now on it is here.
    kolla.ok(&["run", "tool", "--", "true"]);
}

#[test]
fn a_tag_that_promises_too_much_is_not_built_on() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    publish(&fleet, &registry.address);
    let kolla = machine(&fleet);
    let changed = "{% block files %}ENV NEW=1{% endblock files %}\n";
    fleet.append("services/web/web-base/Dockerfile.tera", changed);
    let plan = kolla.ok(&["plan", "--format", "json"]).json();
    let planned = plan["images"].as_array().unwrap();
    let base = planned.iter().find(|i| i["image"] == "web-base").unwrap();
    let promise = format!("fp-{}", base["fingerprint"].as_str().unwrap());
    let repository = format!("{}/web-base", fleet.namespace);
    retag(&registry.address, &repository, &fleet.head(), &promise);
    let run = kolla.run(&["build", "--registry", &registry.address, "web-api"]);
    run.exits(1)
        .says("is not what its tag says, `web-base`")
        .says("its labels say image web-base")
        .says("--local");
    // Nothing of it is kept as the image that it is not.
    let plan = kolla.ok(&["plan", "--format", "json", "web-api"]);
    assert!(plan.planned("build").contains(&"web-base".to_owned()));
}

#[test]
fn a_silent_registry_costs_a_warning() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let proxy = Proxy::before(&registry.address, |_, _| Fault::Status(503));
    let kolla = machine(&fleet);
    let run = kolla.ok(&["build", "--registry", &proxy.address, "--format", "json"]);
    assert_eq!(run.images("built"), TINY);
    run.says("no published images are taken from")
        .says("the registry is unwell");
    let before = proxy.failed().len();
    kolla.ok(&["build", "--registry", &proxy.address, "--local"]);
    assert_eq!(proxy.failed().len(), before);
}
