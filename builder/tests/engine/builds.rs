//! What an engine says of itself, and of a build that succeeds.

use kolla::engine::BuildEvent;
use kolla::model::Platform;

use crate::bench::{BASE, LABEL, on_every_engine, reference};
use crate::fixtures::eventually;

/// Sockets that this process holds open.
fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

#[test]
fn it_says_what_it_is() {
    on_every_engine(async |bench| {
        let info = bench.engine.info().await.unwrap();
        let expected = match bench.name.split(['-', '.']).next().unwrap() {
            "native" => ("native engine", "native"),
            "podman" => ("Podman Engine", "Buildah"),
            "classic" => ("Docker Engine", "classic"),
            _ => ("Docker Engine", "BuildKit"),
        };
        assert_eq!((info.name.as_str(), info.builder.as_str()), expected);
        assert_eq!(info.platform, Platform::host());
        assert!(!info.version.is_empty());
        assert_eq!(info.address, bench.backstage.address());
    });
}

#[test]
fn a_build_gives_an_image_with_labels_and_tag() {
    on_every_engine(async |bench| {
        let name = "kolla-suite/labelled:x";
        let mut request = bench.dockerfile(
            &format!("FROM {BASE}\nARG WORD=none\nLABEL own=1 {LABEL}=dockerfile\nRUN echo word $WORD\nENV WORD=$WORD\n"),
            name,
        );
        request
            .args
            .insert("WORD".into(), "a=b \"c\" $d & e".into());
        request.cache = false;
        let (id, events) = bench.build(&request).await;
        let id = id.unwrap();
        let said = BuildEvent::Log("word a=b \"c\" $d & e".into());
        assert!(events.contains(&said), "{}: {events:?}", bench.name);
        let images = bench.engine.images(LABEL).await.unwrap();
        let image = images.iter().find(|image| image.id.as_str() == id).unwrap();
        assert!(
            image.references.contains(&reference(name)),
            "{}: {image:?}",
            bench.name
        );
        assert_eq!(
            image.labels.get(LABEL).map(String::as_str),
            Some("from the request")
        );
        assert_eq!(image.labels.get("own").map(String::as_str), Some("1"));
        assert!(image.size > 500_000 && image.created > 1_000_000_000);
        assert!(
            bench
                .engine
                .images("org.openstack.kolla.no-such")
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn steps_and_lines_are_reported_once_and_in_order() {
    on_every_engine(async |bench| {
        let mut request = bench.dockerfile(
            &format!(
                "FROM {BASE}\nENV A=1\nCOPY file /file\n\
                 RUN echo first; printf 'par'; sleep 1; printf 'tial\\n10%%\\r90%%\\n\\033[31mred\\033[0m\\n'\n\
                 RUN cat /file; printf 'no line break'\nRUN echo to stderr >&2\n"
            ),
            "kolla-suite/steps:x",
        );
        request.cache = false;
        let (result, events) = bench.build(&request).await;
        result.unwrap();
        let steps: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Step {
                    number,
                    total,
                    instruction,
                } => Some((*number, *total, instruction.split(' ').next().unwrap())),
                BuildEvent::Log(_) => None,
            })
            .collect();
        // BuildKit has no step for ENV; the classic builders have one for each label.
        let total = steps[0].1;
        assert!(
            steps.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{}: {steps:?}",
            bench.name
        );
        assert!(
            steps.iter().all(|step| step.1 == total && step.0 <= total),
            "{steps:?}"
        );
        let words: Vec<_> = steps
            .iter()
            .map(|s| s.2)
            .filter(|s| !["ENV", "LABEL"].contains(s))
            .collect();
        assert_eq!(
            words,
            ["FROM", "COPY", "RUN", "RUN", "RUN"],
            "{}",
            bench.name
        );
        let lines: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Log(line) => Some(line.as_str()),
                BuildEvent::Step { .. } => None,
            })
            .collect();
        for line in [
            "first",
            "partial",
            "90%",
            "red",
            "content",
            "to stderr",
            "no line break",
        ] {
            let count = lines.iter().filter(|l| **l == line).count();
            assert_eq!(count, 1, "{}: {line}: {lines:?}", bench.name);
        }
        assert!(
            lines
                .iter()
                .all(|l| !l.contains('\u{1b}') && !l.contains('\r')),
            "{lines:?}"
        );
    });
}

#[test]
fn stages_are_counted_through() {
    on_every_engine(async |bench| {
        let mut request = bench.dockerfile(
            &format!(
                "FROM {BASE} AS one\nRUN echo 1 > /made\nFROM {BASE}\n\
                 COPY --from=one /made /made\nRUN cat /made\n"
            ),
            "kolla-suite/stages:x",
        );
        request.cache = false;
        let (result, events) = bench.build(&request).await;
        result.unwrap();
        let numbers: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Step { number, total, .. } => Some((*number, *total)),
                BuildEvent::Log(_) => None,
            })
            .collect();
        let mut unique = numbers.clone();
        unique.dedup();
        assert_eq!(unique, numbers, "{}", bench.name);
        assert!(
            numbers.iter().all(|(n, total)| n <= total),
            "{}: {numbers:?}",
            bench.name
        );
        assert!(numbers.len() >= 4, "{}: {numbers:?}", bench.name);
    });
}

#[test]
fn a_finished_build_holds_no_connection() {
    on_every_engine(async |bench| {
        let before = sockets();
        for number in 0..5 {
            let request = bench.dockerfile(
                &format!("FROM {BASE}\nRUN echo {number} > /number\n"),
                "kolla-suite/connections:x",
            );
            bench.build(&request).await.0.unwrap();
        }
        let what = format!("{}: the end of all connections", bench.name);
        eventually(&what, async || sockets() <= before).await;
    });
}
