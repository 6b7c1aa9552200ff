//! The commands that need no engine, and the manners of all of them.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};

use kolla_tests::fleet::TINY;
use kolla_tests::{Fleet, Kolla};

#[test]
fn names_come_one_a_line_parents_first() {
    let fleet = Fleet::tiny();
    let run = Kolla::without_engine(&fleet).ok(&["list", "--format", "names"]);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), TINY);
    assert_eq!(run.stderr, "");
}

#[test]
fn the_graph_has_every_edge() {
    let fleet = Fleet::tiny();
    let run = Kolla::without_engine(&fleet).ok(&["graph", "--format", "dot"]);
    for edge in [
        "\"base\" -> \"plain\"",
        "\"base\" -> \"tool\"",
        "\"web-api\" -> \"tool\"",
        "\"web-base\" -> \"web-worker\"",
    ] {
        assert!(run.stdout.contains(edge), "no {edge} in {run}");
    }
    let json = Kolla::without_engine(&fleet)
        .ok(&["graph", "--format", "json"])
        .json();
    assert!(json.is_object());
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    for command in ["list", "graph", "config"] {
        let mut child = kolla
            .command(&[command])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is read.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    for shell in ["bash", "zsh", "fish"] {
        let script = kolla.ok(&["completions", shell]).stdout;
        assert!(script.contains("with-children"), "{shell}");
        let installed = Command::new(shell).args(["-c", "true"]).output().is_ok();
        if !installed {
            let reason = format!("{shell} is not installed, its completions are not parsed");
            assert!(std::env::var("CI").is_err(), "{reason}");
            eprintln!("skipped: {reason}");
            continue;
        }
        let file = kolla.home().join(shell);
        fs::write(&file, script).unwrap();
        let output = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(output.status.success(), "{shell}: {output:?}");
    }
}

#[test]
fn a_rendering_is_the_same_to_the_byte_wherever_it_is_made() {
    let fleet = Fleet::tiny();
    let clone = Fleet::empty();
    clone.git(&["clone", "--quiet", &fleet.root().display().to_string(), "."]);
    let render = |fleet: &Fleet| {
        let out = tempfile::tempdir().unwrap();
        Kolla::without_engine(fleet).ok(&["render", "--output", &out.path().display().to_string()]);
        let mut all = Vec::new();
        for (path, _) in kolla_tests::fleet::files(out.path()) {
            let mut bytes = Vec::new();
            fs::File::open(&path)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            all.push((path.strip_prefix(out.path()).unwrap().to_path_buf(), bytes));
        }
        all
    };
    let first = render(&fleet);
    assert!(first.len() > TINY.len());
    assert!(first == render(&clone));
}

#[test]
fn a_check_says_how_much_it_checked() {
    let fleet = Fleet::tiny();
    let run = Kolla::without_engine(&fleet).ok(&["check"]);
    assert_eq!(run.stdout, "");
    assert_eq!(run.stderr, "6 images of 4 services: no mistake found\n");
    assert_eq!(
        Kolla::without_engine(&fleet)
            .ok(&["check", "--quiet"])
            .all(),
        ""
    );
}

#[test]
fn help_is_there_for_every_command() {
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    for command in [
        "build",
        "plan",
        "lock",
        "affected",
        "list",
        "graph",
        "render",
        "check",
        "push",
        "publish",
        "rollback",
        "releases",
        "prune",
        "gate",
        "test",
        "export",
        "run",
        "export-plan",
        "search",
        "verify",
        "keygen",
        "clean",
        "config",
        "completions",
    ] {
        let run = kolla.ok(&[command, "--help"]);
        assert!(run.stdout.contains("Usage: kolla"), "{run}");
    }
    kolla.run(&["bild"]).exits(2).says("build");
}

#[test]
fn a_fleet_is_found_from_a_folder_within_it() {
    let fleet = Fleet::tiny();
    let run = Kolla::at(&fleet.path("services/web")).ok(&["list", "--format", "names"]);
    assert_eq!(run.stdout.lines().count(), TINY.len());
}
