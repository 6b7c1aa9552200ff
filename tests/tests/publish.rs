//! Releases: tags move last, all or none, and back.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kolla_tests::fleet::TINY;
use kolla_tests::proxy::{Fault, Passed, Proxy};
use kolla_tests::{Docker, Fleet, Kolla, Registry};

const TAG: &str = "stable";
/// Bytes of a large file.
const BLOB: u64 = 48 << 20;

/// A machine with a store of its own.
fn machine(fleet: &Fleet) -> Kolla {
    Kolla::without_engine(fleet)
        .with("KOLLA_ENGINE", "native")
        .with("KOLLA_NAMESPACE", &fleet.namespace)
}

/// What the tag stands for in each of the images' repositories.
fn tags(registry: &Registry, fleet: &Fleet) -> BTreeMap<&'static str, Option<String>> {
    let of = |image| registry.digest(&format!("{}/{image}", fleet.namespace), TAG);
    TINY.into_iter().map(|image| (image, of(image))).collect()
}

/// Makes every image another.
fn change(fleet: &Fleet, to: usize) {
    fleet.write(
        "services/base/base/nonce",
        &format!("{} {to}", fleet.namespace),
    );
    fleet.commit();
}

fn publish(kolla: &Kolla, registry: &str) -> kolla_tests::Run {
    kolla.ok(&["build", "--local", "--tag", TAG]);
    kolla.run(&[
        "publish",
        "--registry",
        registry,
        "--tag",
        TAG,
        "--format",
        "json",
    ])
}

/// Runs a command, and kills it as soon as it is time.
fn kill(kolla: &Kolla, command: &[&str], is_time: impl Fn() -> bool) {
    let mut started = kolla.start(command);
    while started.is_running() && !is_time() {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    started.signal("KILL");
    started.wait();
}

/// Whether a request moves a tag that people use.
fn moves(request: &str) -> bool {
    request.starts_with("PUT ") && request.ends_with(&format!("/manifests/{TAG}"))
}

#[test]
fn no_tag_moves_before_everything_is_there() {
    let (Some(docker), Some(registry)) = (Docker::own(), Registry::plain()) else {
        return;
    };
    for engine in ["native", "docker"] {
        let fleet = Fleet::tiny();
        let kolla = match engine {
            "native" => machine(&fleet),
            _ => Kolla::new(&fleet, &docker),
        };
        let proxy = Proxy::watching(&registry.address);
        let release = publish(&kolla, &proxy.address).exits(0).json();
        let passed: Vec<Passed> = proxy.passed();
        let first = passed.iter().position(|p| moves(&p.request)).unwrap();
        let after = &passed[first..];
        let sent =
            |p: &&Passed| p.request.contains("/blobs/uploads/") || p.request.contains("/fp-");
        assert_eq!(after.iter().find(sent), None, "{engine}");
        assert_eq!(
            after.iter().filter(|p| moves(&p.request)).count(),
            TINY.len()
        );
        for (image, digest) in tags(&registry, &fleet) {
            let released = &release["images"][image];
            assert_eq!(released["digest"].as_str(), digest.as_deref(), "{engine}");
            let repository = format!("{}/{image}", fleet.namespace);
            let promise = format!("fp-{}", released["fingerprint"].as_str().unwrap());
            assert_eq!(registry.digest(&repository, &promise), digest);
            assert!(released["size"].as_u64().unwrap() > 0);
        }
        assert_eq!(release["commit"].as_str().map(str::len), Some(40));
        // There is nothing left to do, and no release for it.
        proxy.forget();
        let again = ["publish", "--registry", &proxy.address, "--tag", TAG];
        kolla.ok(&again).says("nothing to publish");
        assert_eq!(
            proxy
                .passed()
                .iter()
                .find(|p| p.request.starts_with("PUT ")),
            None
        );
    }
}

#[test]
fn killed_at_any_moment_it_is_the_old_release_or_can_be_made_the_new() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = machine(&fleet);
    let proxy = Proxy::watching(&registry.address);
    publish(&kolla, &proxy.address).exits(0);
    change(&fleet, 0);
    proxy.forget();
    publish(&kolla, &proxy.address).exits(0);
    let (requests, clean) = (proxy.passed().len(), proxy.bytes());
    let rounds = 20;
    let mut all = 0;
    for round in 0..rounds {
        let before = tags(&registry, &fleet);
        change(&fleet, round + 1);
        kolla.ok(&["build", "--local", "--tag", TAG]);
        proxy.forget();
        let command = ["publish", "--registry", &proxy.address, "--tag", TAG];
        let moment = requests * round / rounds;
        kill(&kolla, &command, || proxy.passed().len() >= moment);
        let now = tags(&registry, &fleet);
        let moved = TINY.into_iter().filter(|image| now[image] != before[image]);
        if (1..TINY.len()).contains(&moved.count()) {
            kolla.run(&command).exits(2).says("are half moved");
        }
        kolla.ok(&[&command[..], &["--resume"]].concat());
        let after = tags(&registry, &fleet);
        for image in TINY {
            assert_ne!(after[image], before[image], "{image} in round {round}");
        }
        all += proxy.bytes();
        kolla.ok(&["rollback", "--registry", &proxy.address]);
        assert_eq!(tags(&registry, &fleet), before, "round {round}");
        // And on, so that the next round has another release before it.
        kolla.ok(&command);
        assert_eq!(tags(&registry, &fleet), after, "round {round}");
    }
    let limit = clean * rounds * 11 / 10;
    assert!(
        all <= limit,
        "{all} bytes were sent, and {limit} may have been"
    );
}

#[test]
fn killed_in_the_middle_of_a_blob_it_sends_that_blob_alone_again() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = machine(&fleet);
    let proxy = Proxy::watching(&registry.address);
    publish(&kolla, &proxy.address).exits(0);
    let command = ["publish", "--registry", &proxy.address, "--tag", TAG];
    let dockerfile = "services/web/web-api/Dockerfile.tera";
    fleet.edit(dockerfile, "COPY motd /etc/motd", "COPY motd blob /etc/");
    for quarter in 1..4 {
        // Nothing that can be compressed.
        let blob = fleet.path("services/web/web-api/blob");
        let mut noise = std::fs::File::open("/dev/urandom").unwrap().take(BLOB);
        std::io::copy(&mut noise, &mut std::fs::File::create(&blob).unwrap()).unwrap();
        fleet.write("services/web/web-api/motd", &format!("{quarter}\n"));
        let before = tags(&registry, &fleet);
        kolla.ok(&["build", "--local", "--tag", TAG]);
        proxy.forget();
        let moment = usize::try_from(BLOB * quarter / 4).unwrap();
        kill(&kolla, &command, || proxy.bytes() >= moment);
        assert_eq!(tags(&registry, &fleet), before, "in quarter {quarter}");
        // Docker's registry 2 forgets an upload that was cut.
        let lost = proxy.bytes() as u64;
        kolla.ok(&command);
        assert_ne!(tags(&registry, &fleet)["web-api"], before["web-api"]);
        let (all, limit) = (proxy.bytes() as u64 - lost, BLOB * 11 / 10);
        assert!(all <= limit, "{all} bytes of {limit} in quarter {quarter}");
        let uploads = kolla.cache().join("uploads");
        assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    }
}

#[test]
fn a_registry_that_fails_now_and_then_is_published_in() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let count = Arc::new(AtomicUsize::new(0));
    // One request in twenty: every other of them answered with an error, the rest cut.
    let fault = move |_: &str, _| match count.fetch_add(1, Ordering::Relaxed) % 40 {
        7 => Fault::Status(503),
        27 => Fault::Cut(100),
        _ => Fault::None,
    };
    let proxy = Proxy::before(&registry.address, fault);
    let kolla = machine(&fleet);
    for round in 0..5 {
        change(&fleet, round);
        let before = tags(&registry, &fleet);
        let release = publish(&kolla, &proxy.address).exits(0).json();
        for (image, digest) in tags(&registry, &fleet) {
            assert_eq!(
                release["images"][image]["digest"].as_str(),
                digest.as_deref()
            );
            assert_ne!(digest, before[image]);
        }
    }
    assert!(proxy.failed().len() > 5, "{:?}", proxy.failed());
}

#[test]
fn tags_that_are_half_moved_are_finished_or_moved_back() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let broken = Arc::new(AtomicBool::new(false));
    let (is_broken, done) = (broken.clone(), AtomicUsize::new(0));
    let proxy = Proxy::before(&registry.address, move |request, _| {
        let fails = is_broken.load(Ordering::Relaxed)
            && moves(request)
            && done.fetch_add(1, Ordering::Relaxed) >= 2;
        if fails {
            Fault::Status(404)
        } else {
            Fault::None
        }
    });
    let kolla = machine(&fleet);
    publish(&kolla, &proxy.address).exits(0);
    let old = tags(&registry, &fleet);
    change(&fleet, 1);
    broken.store(true, Ordering::Relaxed);
    publish(&kolla, &proxy.address)
        .exits(3)
        .says("some of the release's tags may have moved")
        .says("--resume");
    broken.store(false, Ordering::Relaxed);
    let half = tags(&registry, &fleet);
    assert!(half.iter().any(|(image, tag)| old[image] != *tag));
    assert!(half.iter().any(|(image, tag)| old[image] == *tag));
    let again = ["publish", "--registry", &proxy.address, "--tag", TAG];
    kolla.run(&again).exits(2).says("are half moved");
    assert_eq!(tags(&registry, &fleet), half);
    kolla.ok(&["rollback", "--registry", &proxy.address]);
    assert_eq!(tags(&registry, &fleet), old);
    // Nothing is under way any more.
    kolla.ok(&again);
    assert!(
        tags(&registry, &fleet)
            .iter()
            .all(|(image, tag)| old[image] != *tag)
    );
}

#[test]
fn what_others_moved_since_is_theirs() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = machine(&fleet);
    publish(&kolla, &registry.address).exits(0);
    let first = tags(&registry, &fleet);
    change(&fleet, 1);
    publish(&kolla, &registry.address).exits(0);
    change(&fleet, 2);
    let arguments = [
        "--registry",
        &registry.address,
        "--tag",
        TAG,
        "--local",
        "plain",
    ];
    kolla.ok(&[&["build", "--push"], &arguments[..]].concat());
    let moved_by_hand = tags(&registry, &fleet)["plain"].clone();
    kolla
        .ok(&["rollback", "--registry", &registry.address])
        .says("is left as it is");
    let now = tags(&registry, &fleet);
    assert_eq!(now["plain"], moved_by_hand);
    assert_eq!(now["base"], first["base"]);
}

#[test]
fn releases_are_listed_and_compared() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = machine(&fleet);
    let place = format!("{}/{}", registry.address, fleet.namespace);
    kolla.ok(&["releases", &place]).says("0 releases");
    let nothing = ["rollback", "--registry", &registry.address];
    kolla.run(&nothing).exits(2).says("there is no release");
    let first = publish(&kolla, &registry.address).exits(0).json();
    fleet.write("services/web/web-api/motd", "changed\n");
    fleet.commit();
    let file = kolla.home().join("release.json");
    kolla.ok(&["build", "--local", "--tag", TAG]);
    let output = file.to_str().unwrap();
    let arguments = [
        "publish",
        "--registry",
        &registry.address,
        "--tag",
        TAG,
        "--output",
        output,
    ];
    let second = kolla.ok(&[&arguments[..], &["--format", "json"]].concat());
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, second.stdout);
    let second = second.json();
    let (old, new) = (
        first["id"].as_str().unwrap(),
        second["id"].as_str().unwrap(),
    );
    assert_eq!(second["previous"].as_str(), Some(old));
    let list = kolla.ok(&["releases", &place, "--format", "json"]).json();
    assert_eq!(list["current"].as_str(), Some(new));
    let ids = list["releases"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [old, new]);
    let table = kolla.ok(&["releases", &place]).stdout;
    let line = table.lines().find(|line| line.contains("current"));
    assert!(line.is_some_and(|line| line.contains(new)), "{table}");
    let arguments = [
        "releases",
        &place,
        "--compare",
        old,
        new,
        "--format",
        "json",
    ];
    let compared = kolla.ok(&arguments).json();
    let images = compared["images"].as_array().unwrap().iter();
    let images: Vec<_> = images.map(|i| i["image"].as_str().unwrap()).collect();
    // `tool` has a file of the image that changed.
    assert_eq!(images, ["tool", "web-api"]);
    kolla
        .run(&["releases", &place, "--compare", old, "no-such"])
        .exits(2)
        .says("there is no release `no-such`");
    kolla
        .ok(&["rollback", "--registry", &registry.address])
        .says(old);
    let list = kolla.ok(&["releases", &place, "--format", "json"]).json();
    assert_eq!(list["current"].as_str(), Some(old));
}

#[test]
fn old_releases_go_and_what_others_name_stays() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    let kolla = machine(&fleet);
    let mut releases = Vec::new();
    for round in 0..3 {
        fleet.write("services/web/web-api/motd", &format!("{round}\n"));
        fleet.commit();
        releases.push(publish(&kolla, &registry.address).exits(0).json());
    }
    let digest = |round: usize| {
        releases[round]["images"]["web-api"]["digest"]
            .as_str()
            .unwrap()
    };
    let repository = format!("{}/web-api", fleet.namespace);
    // Somebody gave the image of the second a name of their own.
    let manifests = format!("http://{}/v2/{repository}/manifests", registry.address);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let script = format!(
        "curl --silent --fail --header 'Accept: {kind}' {manifests}/{} |
         curl --silent --fail --upload-file - --header 'Content-Type: {kind}' {manifests}/mine",
        digest(1)
    );
    let done = std::process::Command::new("bash")
        .args(["-c", &script])
        .status();
    assert!(done.unwrap().success());
    let prune = ["prune", "--registry", &registry.address, "--keep", "1"];
    let told = kolla.ok(&[&prune[..], &["--dry-run"]].concat()).stdout;
    assert!(told.contains(digest(0)), "{told}");
    assert!(
        !told.contains(digest(1)) && !told.contains(digest(2)),
        "{told}"
    );
    assert!(registry.digest(&repository, digest(0)).is_some());
    kolla.ok(&prune);
    assert_eq!(registry.digest(&repository, digest(0)), None);
    assert_eq!(
        registry.digest(&repository, "mine").as_deref(),
        Some(digest(1))
    );
    assert_eq!(
        registry.digest(&repository, TAG).as_deref(),
        Some(digest(2))
    );
    let place = format!("{}/{}", registry.address, fleet.namespace);
    kolla.ok(&["releases", &place]).says("1 release in");
    // What all of them share is still there, and whole.
    kolla.ok(&["publish", "--registry", &registry.address, "--tag", TAG]);
    kolla.ok(&prune).says("0 releases and 0 manifests");
}

#[test]
fn on_another_machine_a_plan_names_what_changed_since_the_release() {
    let Some(registry) = Registry::plain() else {
        return;
    };
    let fleet = Fleet::tiny();
    publish(&machine(&fleet), &registry.address).exits(0);
    fleet.write("services/web/web-api/motd", "changed\n");
    let other = machine(&fleet);
    let plan = ["plan", "--why", "web-api"];
    let alone = other.ok(&plan).stdout;
    assert!(alone.contains("not built here before"), "{alone}");
    let run = other.ok(&[&plan[..], &["--registry", &registry.address]].concat());
    let line = run.stdout.lines().find(|line| line.starts_with("web-api"));
    assert!(
        line.is_some_and(|line| line.contains("file motd changed")),
        "{run}"
    );
}
