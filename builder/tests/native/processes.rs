//! What a step's processes hold, and how they end.

use crate::bench::{BASE, Bench};
use crate::fixtures::{has_word, processes};
use crate::fleet::Fleet;

#[test]
fn a_step_holds_three_files_and_no_variable_of_the_host() {
    let Some(bench) = Bench::new() else { return };
    // As a careless shell would leave it open for this process, and so for all that it starts.
    let folder = std::fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&folder, rustix::io::FdFlags::empty()).unwrap();
    let lines = bench.prints("RUN true; ls /proc/1/fd; true");
    assert_eq!(lines, ["0", "1", "2"]);
    drop(folder);
    let lines = bench.prints("ENV OWN=1\nRUN env");
    let mut names: Vec<_> = lines.iter().map(|l| l.split('=').next().unwrap()).collect();
    names.sort_unstable();
    // The last two are the shell's.
    assert_eq!(names, ["HOME", "OWN", "PATH", "PWD", "SHLVL"]);
    // Without a shell, which has its own way with signals.
    let what = "SigIgn|SigBlk|CapInh|CapAmb|TracerPid";
    let lines = bench.prints(&format!(
        "RUN [\"grep\", \"-E\", \"{what}\", \"/proc/self/status\"]"
    ));
    let values = lines
        .iter()
        .map(|line| line.split_whitespace().nth(1).unwrap());
    let values = values.map(|value| u64::from_str_radix(value, 16).unwrap());
    // The library keeps 32 and 33 to itself, and so leaves them as they were.
    let values: Vec<_> = values.map(|value| value & !(3 << 31)).collect();
    assert_eq!(values, [0; 5], "{lines:?}");
}

#[test]
fn a_step_has_no_terminal() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.write(
        "services/leaf/one/Dockerfile",
        "FROM base\nRUN if (true </dev/tty) 2>/dev/null; then echo HOLE; fi; echo tried\n",
    );
    let _among_others = crate::among_others();
    let home = tempfile::tempdir().unwrap();
    let store = tempfile::tempdir().unwrap();
    let line = fleet.line(
        &["build", "one", "--verbose", "--color", "never"],
        store.path(),
    );
    let line = format!("true </dev/tty && {line}");
    // With a terminal of its own, as a person's shell has one.
    let output = fleet
        .command_of("script", home.path())
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let says = |word: &str| {
        text.lines()
            .any(|l| l.trim_end() == format!("one | {word}"))
    };
    assert!(says("tried") && !says("HOLE"), "{text}");
}

#[test]
fn what_a_step_starts_ends_with_it() {
    let Some(bench) = Bench::new() else { return };
    let word = format!("{}", 300_000 + std::process::id());
    let lines = bench.prints(&format!(
        "RUN sleep {word} & echo away\n\
         RUN busybox setsid sh -c 'sleep {word} & sleep {word}' </dev/null >/dev/null 2>&1 & echo again\n\
         RUN sleep {word} & kill -9 -1; echo alive"
    ));
    assert_eq!(lines, ["away", "again", "alive"]);
    assert_eq!(processes(|p| has_word(p, &word)), [""; 0]);
    bench.is_quiet();
}

#[test]
fn a_step_that_stops_itself_or_its_parent_fails_alone() {
    let Some(bench) = Bench::new() else { return };
    let (result, lines) = bench.on_base("RUN (kill -9 $$; kill -9 0; kill -9 1); exit 9", &[]);
    let error = result.unwrap_err();
    let failed = matches!(error, kolla::engine::Error::Step { .. });
    assert!(failed, "{error:?}: {lines:?}");
    assert_eq!(bench.prints("RUN echo well"), ["well"]);
    bench.is_quiet();
}

#[test]
fn a_build_that_another_waits_for_may_fail() {
    let Some(bench) = Bench::new() else { return };
    // Both come to the same step; the first to have it fails, and the other does it once more.
    let build = || {
        let dockerfile = format!("FROM {BASE}\nRUN sleep 0.3; exit 4\n");
        let context = crate::fixtures::archive(&[("Dockerfile", dockerfile.as_bytes())]);
        bench.build(context, "kolla-native/failing:x").0
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(build);
        build().unwrap_err();
        other.join().unwrap().unwrap_err();
    });
    bench.is_quiet();
}
