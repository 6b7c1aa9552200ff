//! The same images, whoever builds them, wherever.

use crate::bench::Bench;
use crate::fixtures::program;
use crate::fleet::{Fleet, digests, succeeds};

/// An ordinary user of these tests alone, and the first of the ids that are subordinate to it.
const USER: u32 = 61_234;
const FIRST: u32 = 1_861_234_176;

/// A shell script that goes on as that user, in a mount namespace in which it has an account and
/// subordinate ids. Nothing of it is seen elsewhere.
fn as_user(etc: &std::path::Path, line: &str) -> String {
    let etc = etc.display();
    format!(
        "set -e; cp -a /etc/. {etc}; \
         echo 'kolla-suite:x:{USER}:{USER}::/:/bin/sh' >>{etc}/passwd; \
         for file in subuid subgid; do echo kolla-suite:{FIRST}:65536 >{etc}/$file; done; \
         mount --bind {etc} /etc; \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups {line}"
    )
}

#[test]
fn cold_builds_give_the_same_digests_to_root_and_to_others() {
    let Some(fleet) = Fleet::new() else { return };
    let _among_others = crate::among_others();
    let folder = tempfile::tempdir().unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open.clone()).unwrap();
    let of_root = ["a", "b"].map(|name| folder.path().join(name));
    for store in &of_root {
        let home = tempfile::tempdir().unwrap();
        fleet.builds(home.path(), store);
    }
    let expected = digests(&of_root[0]);
    assert_eq!(expected.len(), 4);
    assert_eq!(digests(&of_root[1]), expected);
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(USER), Some(USER)).unwrap();
    let (etc, store) = (folder.path().join("etc"), home.join("store"));
    std::fs::create_dir(&etc).unwrap();
    // Where the user may execute it, whatever lies above the program.
    let copy = folder.path().join("kolla");
    std::fs::copy(program(), &copy).unwrap();
    let line = fleet.line(&["build"], &store);
    let line = line.replacen(
        &program().display().to_string(),
        &copy.display().to_string(),
        1,
    );
    let mut command = fleet.command_of("unshare", &home);
    succeeds(command.args(["--mount", "sh", "-c", &as_user(&etc, &line)]));
    assert_eq!(digests(&store), expected);
    assert_eq!(crate::fixtures::traces(&store), [""; 0]);
}

#[test]
fn what_differs_in_time_and_place_alone_is_the_same_image() {
    let images = || {
        let bench = Bench::new()?;
        let instructions = "RUN echo x > /file; mkdir -p /a/b; busybox touch -d @1900000000 /late; \
                            busybox touch -d @900000000 /early\nCOPY file /b/\nWORKDIR /c";
        let (result, lines) = bench.on_base(instructions, &[("file", b"y")]);
        let id = result.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
        let blob = id.as_str().replace("sha256:", "blobs/sha256/");
        Some(std::fs::read_to_string(bench.store.path().join(blob)).unwrap())
    };
    let Some(first) = images() else { return };
    assert_eq!(images(), Some(first));
}
