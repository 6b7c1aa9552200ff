//! Futures that are dropped: what they did ends.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kolla::engine::{BuildEvent, RunRequest};

use crate::bench::{BASE, on_every_engine};
use crate::fixtures::{eventually, has_word, processes};

/// Whether a process with this word in its command line is alive.
fn process(word: &str) -> bool {
    !processes(|process: &Path| has_word(process, word)).is_empty()
}

/// Ends the processes with this word in their command line.
fn end_process(word: &str) {
    for id in processes(|process: &Path| has_word(process, word)) {
        assert!(std::process::Command::new("kill").arg(id).status().is_ok());
    }
}

#[test]
fn a_dropped_build_stops_and_leaves_nothing() {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    on_every_engine(async |bench| {
        let before = bench.backstage.traces().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{}.{number}", 100_000 + std::process::id());
        let after = format!("{}.{number}", 200_000 + std::process::id());
        let mut request = bench.dockerfile(
            &format!("FROM {BASE}\nRUN echo started; sleep {marker} || true\nRUN sleep {after}\n"),
            "kolla-suite/dropped:x",
        );
        request.cache = false;
        {
            let started = tokio::sync::Notify::new();
            let sink = |event| {
                if event == BuildEvent::Log("started".into()) {
                    started.notify_one();
                }
            };
            tokio::select! {
                result = bench.engine.build(&request, &sink) => {
                    panic!("{}: {result:?}", bench.name)
                }
                () = started.notified() => {}
            }
        }
        let what = format!("{}: the end of a dropped build", bench.name);
        if bench.name.starts_with("podman") {
            // Its API has no way to stop a command that runs; the build ends with the step.
            eventually(&what, async || process(&marker)).await;
            end_process(&marker);
        }
        eventually(&what, async || !process(&marker)).await;
        eventually(&what, async || bench.backstage.traces().await == before).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!process(&after), "{}: the build went on", bench.name);
        assert!(!bench.has(&request.reference).await);
        bench.engine.settle().await;
    });
}

#[test]
fn a_dropped_run_leaves_nothing() {
    on_every_engine(async |bench| {
        let base = bench.base().await;
        let before = bench.backstage.traces().await;
        for pause in [0, 30, 1500] {
            let request = RunRequest {
                image: base.clone(),
                command: vec!["sleep".into(), "300".into()],
                network: false,
            };
            let run = bench.engine.run(&request);
            let ended = tokio::time::timeout(Duration::from_millis(pause), run).await;
            assert!(ended.is_err());
            bench.engine.settle().await;
            assert_eq!(bench.backstage.traces().await, before, "{}", bench.name);
        }
    });
}
