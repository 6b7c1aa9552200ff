//! Layers as other programs see them: GNU tar reads what is written and writes what is read, the
//! kernel's overlay shows what whiteouts hide, and hostile archives change nothing outside.

// A test says what went wrong by failing, and why it is left out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod layers;

#[path = "layers/hostile.rs"]
mod hostile;
#[path = "layers/overlay.rs"]
mod overlay;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use kolla::model::Digest;
use kolla::oci::compress::{Compression, Decoder, Encoder};
use kolla::oci::layer::{
    ApplyOptions, OverlayAttributes, WriteOptions, apply, normalise, pack, write,
};
use layers::{CLAMP, Random, blob, options, rich_tree, root_only, run, tar_of, tool, unpack};

#[test]
fn what_is_written_and_applied_is_written_the_same() {
    if !root_only() {
        return;
    }
    let (tree, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    rich_tree(tree.path());
    let first = tar_of(tree.path());
    assert_eq!(first, tar_of(tree.path()));
    let applied = unpack(&first, again.path()).unwrap();
    assert_eq!(applied.diff_id, Some(Digest::of(&first)));
    assert_eq!(applied.left_out, []);
    assert!(!applied.root_entry && !applied.opaque_root);
    assert!(first == tar_of(again.path()));
}

#[test]
fn a_normalised_tree_is_what_applying_its_tar_gives() {
    if !root_only() {
        return;
    }
    let (tree, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    rich_tree(tree.path());
    let before = tar_of(tree.path());
    unpack(&before, again.path()).unwrap();
    normalise(tree.path(), CLAMP).unwrap();
    assert!(
        before == tar_of(tree.path()),
        "normalising changes nothing of the tar"
    );
    let look = |root: &Path| {
        let listing = tool("find")
            .args([
                ".",
                "-mindepth",
                "1",
                "-not",
                "-type",
                "s",
                "-not",
                "-name",
                "gone",
            ])
            .args(["-printf", "%p %y %m %U %G %T@ %l %n\n"])
            .current_dir(root)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&listing.stdout).into_owned();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(look(tree.path()), look(again.path()));
    assert!(fs::metadata(tree.path()).unwrap().mtime() <= CLAMP);
}

#[test]
fn gnu_tar_extracts_what_is_written() {
    if !root_only() {
        return;
    }
    let (tree, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    rich_tree(tree.path());
    for gone in ["gone", "opaque"] {
        let path = tree.path().join(gone);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    let tar = tar_of(tree.path());
    let file = blob(&tar);
    run(tool("tar")
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"])
        .arg(file.path())
        .arg("-C")
        .arg(other.path()));
    assert!(tar == tar_of(other.path()));
}

#[test]
fn what_gnu_tar_writes_is_applied() {
    if !root_only() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    rich_tree(tree.path());
    for gone in ["gone", "opaque", "socket"] {
        let path = tree.path().join(gone);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    normalise(tree.path(), CLAMP).unwrap();
    let expected = tar_of(tree.path());
    let formats: [&[&str]; 7] = [
        &["--format=pax"],
        &["--format=gnu"],
        &["--format=gnu", "--sparse"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
        &[
            "--format=posix",
            "--pax-option=globexthdr.name=g,comment:=x",
        ],
    ];
    for format in formats {
        let pax = !format[0].contains("gnu");
        let tar = tempfile::NamedTempFile::new().unwrap();
        let mut command = tool("tar");
        command
            .args(format)
            .args(["--numeric-owner", "--sort=name"]);
        if pax {
            command.args([
                "--xattrs",
                "--xattrs-include=user.*",
                "--xattrs-include=security.capability",
            ]);
        }
        run(command
            .arg("-cf")
            .arg(tar.path())
            .arg("-C")
            .arg(tree.path())
            .arg("."));
        let target = tempfile::tempdir().unwrap();
        let applied = unpack(&fs::read(tar.path()).unwrap(), target.path()).unwrap();
        assert!(applied.root_entry);
        if pax {
            assert!(expected == tar_of(target.path()), "{format:?}");
        } else {
            // Without attributes; the rest is compared as GNU tar sees it.
            let list = |root: &Path| {
                let output = tool("tar")
                    .args([
                        "--sort=name",
                        "--format=gnu",
                        "--numeric-owner",
                        "-cf",
                        "-",
                        "-C",
                    ])
                    .arg(root)
                    .arg(".")
                    .output()
                    .unwrap();
                Digest::of(output.stdout)
            };
            assert_eq!(list(tree.path()), list(target.path()), "{format:?}");
        }
    }
}

#[test]
fn random_trees_come_back_and_gnu_tar_agrees() {
    if !root_only() {
        return;
    }
    for seed in 0..12 {
        let tree = tempfile::tempdir().unwrap();
        Random::new(seed).tree(tree.path(), 60);
        let tar = tar_of(tree.path());
        let (ours, gnu) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        unpack(&tar, ours.path()).unwrap();
        assert!(tar == tar_of(ours.path()), "seed {seed}");
        let file = blob(&tar);
        run(tool("tar")
            .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"])
            .arg(file.path())
            .arg("-C")
            .arg(gnu.path()));
        assert!(tar == tar_of(gnu.path()), "seed {seed}");
    }
}

#[test]
fn names_and_numbers_that_ustar_cannot_hold_are_kept() {
    if !root_only() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let long = "a/".repeat(20) + &"n".repeat(255);
    let deep = tree
        .path()
        .join("d".repeat(90))
        .join("e".repeat(90))
        .join(&long);
    fs::create_dir_all(deep.parent().unwrap()).unwrap();
    fs::write(&deep, "x").unwrap();
    std::os::unix::fs::chown(&deep, Some(3_000_000_000), Some(2_097_152)).unwrap();
    symlink("t".repeat(3000), tree.path().join("link")).unwrap();
    fs::write(tree.path().join("umlaut-ä"), "").unwrap();
    let times = [-1_i64, -315_532_800_000, 1 << 33, (1 << 33) - 1, 0];
    for (at, time) in times.iter().enumerate() {
        let path = tree.path().join(format!("t{at}"));
        fs::write(&path, "").unwrap();
        run(tool("touch")
            .arg("-h")
            .arg("-d")
            .arg(format!("@{time}.7"))
            .arg(&path));
    }
    let tar = layers::tar_with(
        tree.path(),
        &WriteOptions {
            clamp: i64::MAX,
            ..options()
        },
    );
    let again = tempfile::tempdir().unwrap();
    unpack(&tar, again.path()).unwrap();
    assert!(
        tar == layers::tar_with(
            again.path(),
            &WriteOptions {
                clamp: i64::MAX,
                ..options()
            }
        )
    );
    let back =
        fs::symlink_metadata(again.path().join(deep.strip_prefix(tree.path()).unwrap())).unwrap();
    assert_eq!((back.uid(), back.gid()), (3_000_000_000, 2_097_152));
    for (at, time) in times.iter().enumerate() {
        let path = format!("t{at}");
        let (there, here) = (tree.path().join(&path), again.path().join(&path));
        let (there, here) = (fs::metadata(there).unwrap(), fs::metadata(here).unwrap());
        // Not every file system keeps every time; what it kept has to come back.
        assert_eq!(here.mtime(), there.mtime(), "{time}");
        assert_eq!(here.mtime_nsec(), 0);
    }
}

#[test]
fn hard_links_are_told_by_this_tree_alone() {
    if !root_only() {
        return;
    }
    let (tree, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("f"), "content").unwrap();
    fs::hard_link(outside.path().join("f"), tree.path().join("only")).unwrap();
    let tar = tar_of(tree.path());
    let mut archive = tar::Archive::new(tar.as_slice());
    let kinds: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().header().entry_type())
        .collect();
    assert_eq!(kinds, [tar::EntryType::Regular]);
    fs::hard_link(outside.path().join("f"), tree.path().join("a")).unwrap();
    let tar = tar_of(tree.path());
    let mut archive = tar::Archive::new(tar.as_slice());
    let seen: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|e| {
            let e = e.unwrap();
            (
                e.path().unwrap().display().to_string(),
                e.link_name().unwrap().map(|l| l.display().to_string()),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("a".into(), None), ("only".into(), Some("a".into()))]
    );
}

#[test]
fn packing_gives_the_digests_of_what_it_wrote() {
    if !root_only() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    rich_tree(tree.path());
    fs::write(tree.path().join("big"), layers::noise(5_000_000)).unwrap();
    let tar = tar_of(tree.path());
    for compression in [Compression::GZIP, Compression::ZSTD, Compression::None] {
        let mut seen = Vec::new();
        for threads in [1, 2, 7] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let packed = pack(
                tree.path(),
                &options(),
                compression,
                threads,
                file.reopen().unwrap(),
            )
            .unwrap();
            let bytes = fs::read(file.path()).unwrap();
            assert_eq!(packed.digest, Digest::of(&bytes));
            assert_eq!(packed.size, bytes.len() as u64);
            assert_eq!(
                (packed.diff_id.clone(), packed.uncompressed_size),
                (Digest::of(&tar), tar.len() as u64)
            );
            let mut back = Vec::new();
            Decoder::new(File::open(file.path()).unwrap())
                .unwrap()
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == tar);
            seen.push(packed);
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn what_cannot_be_in_a_layer_is_refused() {
    if !root_only() {
        return;
    }
    let written = |prepare: &dyn Fn(&Path)| {
        let tree = tempfile::tempdir().unwrap();
        prepare(tree.path());
        write(tree.path(), &options(), &mut Vec::new()).map_err(|e| e.to_string())
    };
    let attribute = |name: &'static str, value: &'static str| {
        move |root: &Path| {
            fs::create_dir(root.join("d")).unwrap();
            layers::set_attribute(&root.join("d"), name, value);
        }
    };
    let error = written(&|root| fs::write(root.join(".wh.x"), "").unwrap()).unwrap_err();
    assert!(
        error.contains(".wh.x") && error.contains("removed"),
        "{error}"
    );
    for (name, value) in [
        ("trusted.overlay.redirect", "/x"),
        ("trusted.overlay.metacopy", ""),
        ("trusted.overlay.opaque", "x"),
        ("user.a=b", "x"),
    ] {
        let error = written(&attribute(name, value)).unwrap_err();
        assert!(error.contains(name) && error.contains("/d: "), "{error}");
    }
    // Marks that only the overlay itself needs, and those of the other kind, stay behind.
    for name in [
        "trusted.overlay.origin",
        "user.overlay.opaque",
        "trusted.other",
    ] {
        assert_eq!(written(&attribute(name, "y")).unwrap().entries, 1, "{name}");
    }
    let deep = |root: &Path| {
        let mut command = tool("sh");
        run(command.arg("-c").arg("cd \"$1\"; i=0; while [ $i -lt 450 ]; do mkdir d; cd -P d || exit 1; i=$((i+1)); done").arg("sh").arg(root));
    };
    assert!(written(&deep).unwrap_err().contains("deep"));
    let error = written(&|root| fs::remove_dir(root).unwrap()).unwrap_err();
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn the_root_is_an_entry_where_it_is_asked_for() {
    if !root_only() {
        return;
    }
    let (tree, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o1751)).unwrap();
    let with = WriteOptions {
        root_entry: true,
        ..options()
    };
    assert_eq!(
        write(tree.path(), &options(), &mut Vec::new())
            .unwrap()
            .entries,
        0
    );
    let tar = layers::tar_with(tree.path(), &with);
    assert!(unpack(&tar, again.path()).unwrap().root_entry);
    assert_eq!(fs::metadata(again.path()).unwrap().mode() & 0o7777, 0o1751);
    assert_eq!(tar, layers::tar_with(again.path(), &with));
}

#[test]
fn user_attributes_mark_what_is_opaque_where_the_overlay_wants_them() {
    if !root_only() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let tar = layers::archive(&[("d/", b'5', "", ""), ("d/.wh..wh..opq", b'0', "", "")]);
    let user = ApplyOptions::new(OverlayAttributes::User);
    apply(&mut tar.as_slice(), target.path(), &user).unwrap();
    assert_eq!(
        layers::attribute(&target.path().join("d"), "user.overlay.opaque"),
        Some("y".into())
    );
    let options = WriteOptions {
        overlay: OverlayAttributes::User,
        ..options()
    };
    let mut archive = Vec::new();
    assert_eq!(
        write(target.path(), &options, &mut archive)
            .unwrap()
            .entries,
        2
    );
}

#[test]
fn the_tools_of_the_formats_take_what_is_compressed() {
    use std::io::Write;
    for size in [0, 100, 5 << 20] {
        let bytes = layers::noise(size);
        for (compression, name) in [(Compression::GZIP, "gzip"), (Compression::ZSTD, "zstd")] {
            let mut encoder = Encoder::new(Vec::new(), compression, 2);
            encoder.write_all(&bytes).unwrap();
            let file = blob(&encoder.finish().unwrap());
            let mut command = tool(name);
            command
                .args(["-d", "-c"])
                .stdin(File::open(file.path()).unwrap());
            match command.output() {
                Ok(output) => assert!(
                    output.status.success() && output.stdout == bytes,
                    "{name} {size}"
                ),
                Err(_) => layers::skip(&format!("{name} is not installed")),
            }
        }
    }
}
