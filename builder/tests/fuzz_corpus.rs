//! The inputs that fuzzing has found worth keeping, without a fuzzer.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what went wrong by failing

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use checks::agreement::Verdict;

#[path = "../fuzz/src/checks/mod.rs"]
#[allow(unreachable_pub)]
mod checks;

/// The kept inputs of a target, by name.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 50, "{}: {}", folder.display(), inputs.len());
    inputs
}

fn replay(target: &str, check: fn(&[u8])) {
    let failed: Vec<_> = kept(target)
        .into_iter()
        .filter(|(_, data)| catch_unwind(|| check(data)).is_err())
        .map(|(file, _)| file)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn dockerfiles_survive() {
    replay("dockerfile", checks::dockerfile::check);
}

#[test]
fn two_parsers_agree() {
    replay("agreement", checks::agreement::check);
    let same = kept("agreement")
        .iter()
        .filter(|(_, data)| checks::agreement::verdict(data) == Verdict::Same)
        .count();
    assert!(same > 30, "only {same} inputs are compared");
}

#[test]
fn expansions_are_bounded() {
    replay("expand", checks::expand::check);
}

#[test]
fn layers_stay_in_their_folder() {
    replay("layer", checks::layer::check);
}

#[test]
fn documents_are_read_back() {
    replay("manifest", checks::manifest::check);
}

/// They are downloaded with every copy of the sources.
#[test]
fn what_is_kept_is_small() {
    let targets = ["agreement", "dockerfile", "expand", "layer", "manifest"];
    let bytes: usize = targets
        .iter()
        .flat_map(|target| kept(target))
        .map(|(_, data)| data.len())
        .sum();
    assert!(
        bytes < 500_000,
        "{bytes} bytes; `tests/fuzz --keep` leaves out what adds nothing"
    );
}
