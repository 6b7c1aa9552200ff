//! What of a build is done again.

use std::collections::BTreeMap;
use std::sync::Arc;

use kolla::engine::BuildRequest;
use kolla::model::{Platform, Reference};

use crate::bench::{BASE, Bench};
use crate::fixtures::{Archive, archive};

fn request(last: &str, file: &str, name: &str) -> BuildRequest {
    let dockerfile =
        format!("FROM {BASE}\nRUN echo first\nCOPY file /\nRUN cat /file\nENV A=1\nRUN {last}\n");
    let files = [
        ("Dockerfile", dockerfile.as_bytes()),
        ("file", file.as_bytes()),
    ];
    BuildRequest {
        context: Arc::new(Archive(archive(&files))),
        args: BTreeMap::new(),
        labels: BTreeMap::new(),
        platform: Platform::host(),
        reference: Reference::parse(name).unwrap(),
        cache: true,
    }
}

#[test]
fn a_change_runs_what_stands_on_it_and_nothing_else() {
    let Some(bench) = Bench::new() else { return };
    let builds = [
        (
            request("echo last", "a", "cache/one:x"),
            vec!["first", "a", "last"],
        ),
        (request("echo last", "a", "cache/one:x"), vec![]),
        (request("echo last", "a", "cache/two:y"), vec![]),
        (request("echo other", "a", "cache/two:y"), vec!["other"]),
        (
            request("echo other", "b", "cache/two:y"),
            vec!["b", "other"],
        ),
        (request("echo last", "a", "cache/three:z"), vec![]),
        (
            BuildRequest {
                cache: false,
                ..request("echo last", "a", "cache/one:x")
            },
            vec!["first", "a", "last"],
        ),
    ];
    let mut ids = Vec::new();
    for (number, (request, expected)) in builds.iter().enumerate() {
        let (id, lines) = bench.request(request);
        ids.push(id.unwrap());
        assert_eq!(&lines, expected, "build {number}");
    }
    // The same content is the same image, whenever and under whatever name.
    let same = [0, 1, 2, 5, 6].map(|n: usize| ids[n].clone());
    assert!(same.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_ne!(ids[3], ids[0]);
    assert_ne!(ids[4], ids[3]);
}

#[test]
fn a_step_that_failed_is_done_again() {
    let Some(bench) = Bench::new() else { return };
    for _ in 0..2 {
        let (result, lines) = bench.on_base("RUN echo before\nRUN echo fails; exit 3", &[]);
        result.unwrap_err();
        assert_eq!(lines.last().map(String::as_str), Some("fails"));
    }
    bench.is_quiet();
}
