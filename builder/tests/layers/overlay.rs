//! What the kernel's overlay makes of layers, in mount namespaces of their own.

use std::fs;
use std::path::Path;

use kolla::oci::layer::WriteOptions;

use crate::layers::{blob, node, options, root_only, run, skip, tar_with, tool, unpack};

/// Runs a script where mounts are its own; `$1` is the folder.
fn script(folder: &Path, text: &str) -> Option<String> {
    let output = tool("unshare")
        .args(["--mount", "--propagation=private", "sh", "-eu", "-c"])
        .arg(format!("cd \"$1\"\n{text}"))
        .arg("sh")
        .arg(folder)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if words.contains("mount:") {
        skip(&format!("no overlay can be mounted here: {words}"));
        return None;
    }
    assert!(output.status.success(), "{words}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Everything about a tree that a tar can say.
const LOOK: &str = "tar -C merged --sort=name --numeric-owner --xattrs \
     --xattrs-include=user.* --xattrs-include=security.capability --format=pax \
     --pax-option=delete=atime,delete=ctime -cf - . | sha256sum";

#[test]
fn an_upper_directory_that_went_through_a_tar_shows_the_same() {
    if !root_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for path in [
        "lower/etc/conf.d",
        "lower/usr/share",
        "upper",
        "work",
        "merged",
        "again",
    ] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for path in [
        "etc/passwd",
        "etc/conf.d/a",
        "etc/conf.d/b",
        "usr/share/doc",
        "usr/file",
    ] {
        fs::write(at("lower").join(path), path).unwrap();
    }
    let mount = "mount -t overlay overlay -o index=off,redirect_dir=off,metacopy=off,xino=off";
    let Some(first) = script(
        folder.path(),
        &format!(
            "{mount},lowerdir=lower,upperdir=upper,workdir=work merged
             rm merged/etc/passwd
             rm -r merged/etc/conf.d; mkdir merged/etc/conf.d; echo new > merged/etc/conf.d/c
             rm -r merged/usr/share; echo file > merged/usr/share
             echo more >> merged/usr/file
             chmod 4711 merged/usr/file; chown 12:34 merged/etc
             ln merged/usr/file merged/usr/linked; ln -s usr/file merged/link
             mkdir merged/only; mknod merged/only/null c 1 3
             find merged -newermt 2019-01-01 -exec touch -h -d 2001-01-01 {{}} +
             {LOOK}"
        ),
    ) else {
        return;
    };
    // The time of the root is looked at, too.
    let with_root = WriteOptions {
        root_entry: true,
        ..options()
    };
    let tar = tar_with(&at("upper"), &with_root);
    let list = run(tool("tar").arg("-tf").arg(blob(&tar).path()));
    let names: Vec<_> = list.lines().collect();
    for name in [
        "etc/.wh.passwd",
        "etc/conf.d/.wh..wh..opq",
        "usr/share",
        "usr/linked",
    ] {
        assert!(names.contains(&name), "{name} is not in {list}");
    }
    unpack(&tar, &at("again")).unwrap();
    assert!(tar == tar_with(&at("again"), &with_root));
    let second = script(
        folder.path(),
        &format!("{mount},lowerdir=again:lower merged\n{LOOK}"),
    );
    assert_eq!(Some(first), second);
}

#[test]
fn whiteouts_and_opaque_directories_of_a_tar_hide_what_is_beneath() {
    if !root_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for path in ["lower/d", "lower/e", "lower/r", "layer", "merged"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for path in ["d/old", "e/old", "r/old", "f", "g", "h"] {
        fs::write(at("lower").join(path), "old").unwrap();
    }
    let tar = crate::layers::archive(&[
        (".wh.f", b'0', "", ""),
        (".wh.r", b'0', "", ""),
        ("r/", b'5', "", ""),
        ("r/new", b'0', "", "new"),
        ("d/", b'5', "", ""),
        ("d/.wh..wh..opq", b'0', "", ""),
        ("d/new", b'0', "", "new"),
        ("e/new", b'0', "", "new"),
        (".wh.e/", b'5', "", ""),
        ("g", b'3', "", ""),
    ]);
    unpack(&tar, &at("layer")).unwrap();
    let text = "mount -t overlay overlay -o lowerdir=layer:lower merged
                cd merged; find . -type f -o -type c | sort | tr '\\n' ' '";
    if let Some(seen) = script(folder.path(), text) {
        assert_eq!(seen, "./d/new ./e/new ./h ./r/new ");
    }
    // A whiteout that was made by hand is one, too.
    node(&at("layer/h"), rustix::fs::FileType::CharacterDevice, 0, 0);
    if let Some(seen) = script(folder.path(), text) {
        assert_eq!(seen, "./d/new ./e/new ./r/new ");
    }
}

#[test]
fn devices_that_the_system_refuses_are_left_out_where_that_is_asked_for() {
    if !root_only() {
        return;
    }
    // A file system mounted with nodev still takes mknod; what refuses it is the lack of the
    // capability, which a thread can lay down for itself.
    let tar = crate::layers::archive(&[("null", b'3', "", ""), ("f", b'0', "", "x")]);
    let mut tar = tar;
    tar[329..336].copy_from_slice(b"0000001");
    tar[337..344].copy_from_slice(b"0000003");
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|b| u32::from(*b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let results = std::thread::spawn(move || {
        use kolla::oci::layer::{ApplyOptions, OverlayAttributes, Refused, apply};
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(rustix::thread::CapabilitySet::MKNOD);
        rustix::thread::set_capabilities(None, sets).unwrap();
        let with = |refused| {
            let target = tempfile::tempdir().unwrap();
            let options = ApplyOptions {
                refused,
                ..ApplyOptions::new(OverlayAttributes::Trusted)
            };
            let result = apply(&mut tar.as_slice(), target.path(), &options);
            (result, target.path().join("f").exists())
        };
        (with(Refused::Fail), with(Refused::LeaveOut))
    });
    let ((failed, _), (applied, file)) = results.join().unwrap();
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("null: cannot make a device")
    );
    let applied = applied.unwrap();
    assert_eq!(
        (applied.left_out_count, applied.left_out[0].path.as_str()),
        (1, "null")
    );
    assert!(file);
}
