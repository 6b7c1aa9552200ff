//! The image that cases stand on: a busybox with its applets, users and groups.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:100:Bob:/home/bob:/bin/sh
nohome:x:1002:1002:No home:/nonexistent:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:
daemon:x:1:
users:x:100:
wheel:x:10:root,alice
video:x:44:alice,bob
alice:x:1000:
staff:x:50:
nohome:x:1002:
nogroup:x:65534:
";

const DOCKERFILE: &str = "FROM scratch
ADD rootfs.tar /
CMD [\"/bin/sh\"]
";

/// Writes the build context of an image into a folder.
///
/// # Panics
/// If `KOLLA_TEST_BUSYBOX` names no busybox.
pub(super) fn write(folder: &Path) {
    let busybox = crate::setting("KOLLA_TEST_BUSYBOX").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    for part in [
        "bin",
        "etc",
        "home/alice",
        "root",
        "tmp",
        "usr/bin",
        "var/lib",
    ] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    fs::copy(&busybox, root.join("bin/busybox")).unwrap();
    let applets = Command::new(&busybox).arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines() {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
    }
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/group"), GROUP).unwrap();
    let script = "chmod 0755 . bin etc home usr usr/bin var var/lib bin/busybox
        chmod 0644 etc/*
        chmod 0700 root
        chmod 1777 tmp
        chown -hR 0:0 .
        chown -R 1000:1000 home/alice";
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(Command::new("sh").args(["-euc", script]).current_dir(root));
    fs::create_dir_all(folder).unwrap();
    run(Command::new("tar")
        .args([
            "--sort=name",
            "--mtime=@0",
            "--numeric-owner",
            "--format=gnu",
            "-cf",
        ])
        .arg(folder.join("rootfs.tar"))
        .args(["bin", "etc", "home", "root", "tmp", "usr", "var"])
        .current_dir(root));
    fs::write(folder.join("Dockerfile"), DOCKERFILE).unwrap();
}

/// The same context once more, without taking more space.
pub(super) fn link(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in ["Dockerfile", "rootfs.tar"] {
        fs::hard_link(from.join(file), to.join(file)).unwrap();
    }
}
