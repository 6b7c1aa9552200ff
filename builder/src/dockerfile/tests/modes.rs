//! `--chmod` beside the program of that name.

use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

const MODES: [u32; 18] = [
    0, 0o1, 0o10, 0o100, 0o400, 0o421, 0o644, 0o640, 0o755, 0o750, 0o711, 0o777, 0o2755, 0o4755,
    0o6711, 0o1777, 0o1755, 0o7777,
];

const WHO: [&str; 8] = ["", "u", "g", "o", "a", "ug", "go", "ugo"];

const WHAT: [&str; 14] = [
    "", "r", "w", "x", "X", "s", "t", "u", "g", "o", "rX", "rwx", "Xs", "rwxst",
];

const COMPOUND: [&str; 20] = [
    "u+x,go-w",
    "a=rX,u+w",
    "u=rwX,go=rX",
    "a-rwx,u=rwX",
    "u=rw-x",
    "o+w-x",
    "+x-w",
    "=rw,+X",
    "g=u-w",
    "go=u-w",
    "u=g,g=o",
    "ug=rw,o=",
    "u=r+w,g=u",
    "u-x+X,g=u",
    "a=,u+rw",
    "g+s,o=u",
    "ug+s,o+t",
    "a+t,g-s",
    "a=r,ug=rw,u+x",
    "uu+rr,a+X",
];

/// Why the program's word is not taken: there BuildKit has the rules of BSD (`setmode`).
fn skip(change: &str, mode: u32, is_folder: bool) -> Option<&'static str> {
    if is_folder && mode & 0o6000 != 0 && change.contains('=') {
        return Some("GNU leaves set-ids of folders where `=` does not name them");
    }
    if mode & 0o1000 != 0 && change.contains('=') {
        return Some("`=` spares the sticky bit");
    }
    if change.contains('t')
        && change
            .split(',')
            .any(|clause| !clause.starts_with(['a', '+', '-', '=']))
    {
        return Some("the sticky bit is of the owner and the group there, and of others here");
    }
    None
}

fn chmod(change: &str, paths: &[PathBuf]) {
    for (path, mode) in paths.iter().zip(MODES) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    // Without anybody before the sign, the program asks the umask.
    let script = "umask 0; exec chmod -- \"$@\"";
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", script, "sh", change])
        .args(paths)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{change}: {words}");
}

fn mode_of(path: &Path) -> u32 {
    metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn modes_change_as_by_chmod() {
    let room = tempfile::tempdir().unwrap();
    let paths = |kind: &str| MODES.map(|mode| room.path().join(format!("{kind}{mode:o}")));
    let (files, folders) = (paths("file"), paths("folder"));
    files
        .iter()
        .for_each(|path| std::fs::write(path, "").unwrap());
    folders
        .iter()
        .for_each(|path| std::fs::create_dir(path).unwrap());
    let simple = WHO.iter().flat_map(|who| {
        let signs = ['+', '-', '='].into_iter();
        signs.flat_map(move |sign| WHAT.map(|what| format!("{who}{sign}{what}")))
    });
    let (mut compared, mut skipped) = (0, 0);
    for change in simple.chain(COMPOUND.map(str::to_owned)) {
        let ours = FileMode::parse(&change).unwrap();
        for (paths, is_folder) in [(&files, false), (&folders, true)] {
            chmod(&change, paths);
            for (path, mode) in paths.iter().zip(MODES) {
                if skip(&change, mode, is_folder).is_some() {
                    skipped += 1;
                    continue;
                }
                compared += 1;
                let (ours, theirs) = (ours.apply(mode, is_folder), mode_of(path));
                assert_eq!(
                    ours, theirs,
                    "{change} of {mode:o}: {ours:o}, not {theirs:o}"
                );
            }
        }
    }
    assert!(compared > 8_000, "{compared} compared, {skipped} skipped");
}

#[test]
fn the_sticky_bit_is_that_of_buildkit() {
    for (change, mode, expected) in [
        ("u+t", 0o755, 0o1755),
        ("g+t", 0o755, 0o1755),
        ("o+t", 0o755, 0o755),
        ("ugo-t", 0o1755, 0o755),
        ("o-t", 0o1755, 0o1755),
        ("=rx", 0o1777, 0o1555),
        ("a=t", 0o755, 0o1000),
        ("o=t", 0o757, 0o750),
    ] {
        let found = FileMode::parse(change).unwrap().apply(mode, true);
        assert_eq!(found, expected, "{change}: {found:o}");
    }
}
