//! Runs that end before they are done, and what is left of them.

use std::sync::Mutex;

use kolla_tests::kolla::Started;
use kolla_tests::{Docker, Fleet, Kolla, eventually, runs};

/// What is left over is looked for in the whole engine, so no other test may be at work in it.
static ALONE: Mutex<()> = Mutex::new(());

/// A tiny fleet whose web-base takes a while, and how to see in the machine's processes that its
/// step is under way.
fn slow(seconds: u32) -> (Fleet, String) {
    let fleet = Fleet::tiny();
    let sign = format!("step-of-{}", fleet.namespace);
    let step = format!(
        "{{% block install %}}RUN : {sign}; sleep {seconds}; echo done > /done{{% endblock install %}}\n"
    );
    fleet.append("services/web/web-base/Dockerfile.tera", &step);
    fleet.commit();
    (fleet, sign)
}

/// Waits until the slow step runs and everything beside it is built.
fn wait_for_step(started: &mut Started, docker: &Docker, fleet: &Fleet, sign: &str) {
    let plain = format!("{}/plain:{}", fleet.namespace, fleet.head());
    eventually("the step", || {
        assert!(started.is_running());
        runs(sign) && docker.has(&plain)
    });
}

fn nothing_runs(docker: &Docker, sign: &str) {
    eventually("the step ends", || !runs(sign));
    eventually("no container is left", || docker.containers().is_empty());
}

fn stops_at(signal: &str) {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let (fleet, sign) = slow(100_000);
    let kolla = Kolla::new(&fleet, &docker);
    let mut started = kolla.start(&["build", "--format", "json"]);
    wait_for_step(&mut started, &docker, &fleet, &sign);
    started.signal(signal);
    let run = started.wait().exits(130);
    nothing_runs(&docker, &sign);
    // It says what was done and what was not.
    assert_eq!(run.images("built"), ["base", "plain"]);
    let cancelled = run.images("cancelled");
    assert_eq!(
        cancelled,
        ["web-base", "web-api", "tool", "web-worker"],
        "{run}"
    );
    assert_eq!(run.json()["ok"], false);
    let run = run.says("stopping");
    assert!(!run.stderr.contains("error"), "{run}");
    let web = format!("{}/web-base:{}", fleet.namespace, fleet.head());
    assert!(!docker.has(&web));
}

#[test]
fn ctrl_c_stops_what_runs_and_says_what_was_done() {
    stops_at("INT");
}

#[test]
fn sigterm_does_the_same() {
    stops_at("TERM");
}

#[test]
fn a_killed_run_is_completed_by_the_next() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    let (fleet, sign) = slow(8);
    let kolla = Kolla::new(&fleet, &docker);
    let mut started = kolla.start(&["build"]);
    wait_for_step(&mut started, &docker, &fleet, &sign);
    started.signal("KILL");
    assert_eq!(started.wait().status, None);
    let run = kolla.ok(&["build", "--format", "json"]);
    assert_eq!(run.images("reused"), ["base", "plain"]);
    assert_eq!(
        run.images("built"),
        ["web-base", "web-api", "tool", "web-worker"]
    );
    nothing_runs(&docker, &sign);
    kolla.ok(&["clean"]);
    assert_eq!(
        kolla.ok(&["build", "--format", "json"]).images("built"),
        [""; 0]
    );
}

#[test]
fn a_run_killed_while_it_fetches_leaves_nothing_that_counts() {
    let Some(docker) = Docker::own() else { return };
    let _alone = ALONE.lock();
    // A server that begins to answer and never ends.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (asked, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut client, _) = server.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        let _ = client
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhel");
        asked.send(()).unwrap();
        // Until the other side is gone.
        let _ = client.read(&mut [0; 1]);
    });
    let fleet = Fleet::tiny();
    fleet.append("services/plain/plain/Dockerfile", "COPY hello /\n");
    fleet.append("services/plain/service.toml", &format!(
        "\n[[images.plain.sources]]\nto = \"hello\"\nurl = \"http://{address}/hello\"\nsha256 = \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"\n"
    ));
    let kolla = Kolla::new(&fleet, &docker);
    let started = kolla.start(&["build", "plain"]);
    hears.recv().unwrap();
    started.signal("KILL");
    started.wait();
    let sources = kolla.cache().join("sources");
    assert_eq!(std::fs::read_dir(&sources).unwrap().count(), 1);
    kolla.ok(&["clean"]);
    assert_eq!(std::fs::read_dir(&sources).unwrap().count(), 0);
}
