//! Images of very many layers.

use crate::bench::Bench;

/// `COPY`s into as many files.
fn copies(count: u32) -> String {
    let line = |n| format!("COPY file /files/{n}\n");
    (0..count).map(line).collect()
}

#[test]
fn an_image_of_as_many_layers_as_docker_takes_is_built_and_run() {
    let Some(bench) = Bench::new() else { return };
    // With the base's, 127: Docker's limit.
    let instructions = format!("{}RUN ls /files | wc -l", copies(125));
    let (id, lines) = bench.on_base(&instructions, &[("file", b"x")]);
    let id = id.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(lines, ["125"]);
    let ran = bench.run(&id, &["sh", "-c", "cat /files/0 /files/124"]);
    assert_eq!((ran.status, ran.output.as_str()), (0, "xx"));
}

#[test]
fn an_image_of_too_many_layers_is_a_failed_step_that_says_so() {
    let Some(bench) = Bench::new() else { return };
    let (result, _) = bench.on_base(&copies(160), &[("file", b"x")]);
    let error = result.unwrap_err();
    assert!(
        matches!(error, kolla::engine::Error::Step { .. }),
        "{error:?}"
    );
    let told = format!("{:?}", error.diagnostic());
    assert!(told.contains("more than can be mounted"), "{told}");
    bench.is_quiet();
}
