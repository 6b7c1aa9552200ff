//! Archives that were made to do harm.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use kolla::oci::layer::{ApplyOptions, OverlayAttributes, apply};

use crate::layers::{archive, attribute, entry, entry_with, record, root_only, tar_of, unpack};

/// A target beside a directory that nothing may reach; the check gets the target.
struct Case {
    name: &'static str,
    tar: Vec<u8>,
    /// Words of the error, or what has to be true of the target.
    outcome: Result<fn(&Path), &'static str>,
}

fn case(name: &'static str, tar: Vec<u8>, outcome: Result<fn(&Path), &'static str>) -> Case {
    Case { name, tar, outcome }
}

fn pax(records: &[(&str, &str)], path: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let text: String = records
        .iter()
        .map(|(key, value)| record(key, value))
        .collect();
    entry(&mut tar, "pax", b'x', "", text.as_bytes());
    entry(&mut tar, path, kind, link, content);
    tar.extend([0; 1024]);
    tar
}

fn raw_pax(text: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    entry(&mut tar, "pax", b'x', "", text.as_bytes());
    entry(&mut tar, "f", b'0', "", b"");
    tar
}

fn changed(kind: u8, change: &dyn Fn(&mut [u8; 512])) -> Vec<u8> {
    let mut tar = Vec::new();
    entry_with(&mut tar, "f", kind, "", b"", change);
    tar
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn escapes() -> Vec<Case> {
    vec![
        case("parent", archive(&[("../x", b'0', "", "y")]), Err("`..`")),
        case(
            "parent inside",
            archive(&[("a/../../x", b'0', "", "y")]),
            Err("`..`"),
        ),
        case(
            "parent at the end",
            archive(&[("a/..", b'5', "", "")]),
            Err("`..`"),
        ),
        case(
            "absolute",
            archive(&[("/x", b'0', "", "y")]),
            Ok(|t| assert_eq!(text(&t.join("x")), "y")),
        ),
        case(
            "slashes",
            archive(&[("///.//x", b'0', "", "y")]),
            Ok(|t| assert_eq!(text(&t.join("x")), "y")),
        ),
        case(
            "through a link upwards",
            archive(&[("l", b'2', "../outside", ""), ("l/x", b'0', "", "y")]),
            Ok(|t| assert_eq!(text(&t.join("outside/x")), "y")),
        ),
        case(
            "through an absolute link",
            archive(&[("l", b'2', "/", ""), ("l/x", b'0', "", "y")]),
            Ok(|t| assert_eq!(text(&t.join("x")), "y")),
        ),
        case(
            "through two links",
            archive(&[
                ("a", b'2', "b/../../..", ""),
                ("b", b'2', "/", ""),
                ("a/outside/x", b'0', "", "y"),
            ]),
            Ok(|t| assert_eq!(text(&t.join("outside/x")), "y")),
        ),
        case(
            "a link where a file comes",
            archive(&[("f", b'2', "../outside/kept", ""), ("f", b'0', "", "y")]),
            Ok(|t| assert!(t.join("f").symlink_metadata().unwrap().is_file())),
        ),
        case(
            "a link where a directory comes",
            archive(&[
                ("d", b'2', "../outside", ""),
                ("d", b'5', "", ""),
                ("d/x", b'0', "", "y"),
            ]),
            Ok(|t| assert!(t.join("d").symlink_metadata().unwrap().is_dir())),
        ),
        case(
            "links in a ring",
            archive(&[
                ("a", b'2', "b", ""),
                ("b", b'2', "a", ""),
                ("a/x", b'0', "", ""),
            ]),
            Err("symbolic links"),
        ),
        case(
            "a link that grows",
            archive(&[("a", b'2', "a/a", ""), ("a/x", b'0', "", "")]),
            Err("symbolic links"),
        ),
        case(
            "hard link upwards",
            archive(&[("h", b'1', "../outside/kept", "")]),
            Err("`..`"),
        ),
        case(
            "hard link to an absolute path",
            archive(&[("h", b'1', "/etc/passwd", "")]),
            Err("does not have"),
        ),
        case(
            "hard link through a link",
            archive(&[("l", b'2', "../outside", ""), ("h", b'1', "l/kept", "")]),
            Err("does not have"),
        ),
        case(
            "hard link to a link",
            archive(&[
                ("l", b'2', "../outside/kept", ""),
                ("h", b'1', "l", ""),
                ("h", b'0', "", "y"),
            ]),
            Ok(|t| assert!(t.join("h").symlink_metadata().unwrap().is_file())),
        ),
        case(
            "hard link to a directory",
            archive(&[("d", b'5', "", ""), ("h", b'1', "d", "")]),
            Err("does not have"),
        ),
        case(
            "hard link to itself",
            archive(&[("f", b'0', "", "y"), ("f", b'1', "f", "")]),
            Ok(|t| assert_eq!(text(&t.join("f")), "y")),
        ),
        case(
            "hard link in place of the directory of its file",
            archive(&[("d/f", b'0', "", "y"), ("d", b'1', "d/f", "")]),
            Err("does not have"),
        ),
        case(
            "a directory's time through a link",
            archive(&[("d", b'5', "", ""), ("d", b'2', "../outside", "")]),
            Ok(|t| assert!(t.join("d").is_symlink())),
        ),
        case(
            "root as a link",
            archive(&[("./", b'2', "/etc", "")]),
            Err("root"),
        ),
        case(
            "root as a file",
            archive(&[("", b'0', "", "y")]),
            Err("root"),
        ),
        case(
            "a whiteout upwards",
            archive(&[(".wh...", b'0', "", "")]),
            Err("names no file"),
        ),
        case(
            "a whiteout of nothing",
            archive(&[("a/.wh.", b'0', "", "")]),
            Err("names no file"),
        ),
        case(
            "a whiteout as a directory",
            archive(&[(".wh.a/b", b'0', "", "")]),
            Err(".wh."),
        ),
        case(
            "a whiteout through a link",
            archive(&[("l", b'2', "../outside", ""), ("l/.wh.kept", b'0', "", "")]),
            Ok(|t| {
                assert!(
                    t.join("outside/kept")
                        .symlink_metadata()
                        .unwrap()
                        .file_type()
                        .is_char_device()
                )
            }),
        ),
        case(
            "opaque through a link",
            archive(&[
                ("l", b'2', "../outside", ""),
                ("l/.wh..wh..opq", b'0', "", ""),
            ]),
            Ok(|t| {
                assert_eq!(
                    attribute(&t.join("outside"), "trusted.overlay.opaque"),
                    Some("y".into())
                )
            }),
        ),
        case(
            "a file as a directory",
            archive(&[("f", b'0', "", "y"), ("f/x", b'0', "", "")]),
            Err("ot a directory"),
        ),
    ]
}

fn malformed() -> Vec<Case> {
    let mut cut = archive(&[("f", b'0', "", &"y".repeat(2000))]);
    cut.truncate(1024);
    let mut sum = archive(&[("f", b'0', "", "y")]);
    sum[0] = b'g';
    let mut dangling = Vec::new();
    entry(
        &mut dangling,
        "pax",
        b'x',
        "",
        record("path", "f").as_bytes(),
    );
    dangling.extend([0; 1024]);
    let size = |digits: &'static [u8]| {
        changed(b'0', &move |h| {
            h[124..124 + digits.len()].copy_from_slice(digits)
        })
    };
    vec![
        case("cut off", cut, Err("cut off")),
        case("no tar", vec![b'x'; 2048], Err("")),
        case("a wrong sum", sum, Err("sum is wrong")),
        case("half a header", vec![b'x'; 100], Err("cut off")),
        case(
            "a PAX header without its file",
            dangling,
            Err("belongs to a file"),
        ),
        case(
            "a negative size",
            size(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err("negative"),
        ),
        case(
            "a huge size",
            size(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
            Err("allowed"),
        ),
        case(
            "a size beyond numbers",
            size(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err("too large"),
        ),
        case("a size in words", size(b"many bytes\0\0"), Err("a number")),
        case(
            "a large name",
            changed(b'L', &|h| h[124..136].copy_from_slice(b"77777777777\0")),
            Err("at most"),
        ),
        case(
            "a large PAX header",
            changed(b'x', &|h| h[124..136].copy_from_slice(b"77777777777\0")),
            Err("at most"),
        ),
        case(
            "a long path",
            pax(&[("path", &"a/".repeat(2100))], "f", b'0', "", b""),
            Err("more than 4095"),
        ),
        case(
            "a deep path",
            pax(&[("path", &"a/".repeat(1000))], "f", b'0', "", b""),
            Err("parts"),
        ),
        case(
            "a long name",
            pax(&[("path", &"a".repeat(256))], "f", b'0', "", b""),
            Err("255"),
        ),
        case(
            "a zero byte",
            pax(&[("path", "a\0b")], "f", b'0', "", b""),
            Err("malformed"),
        ),
        case(
            "a path upwards in PAX",
            pax(&[("path", "../x")], "f", b'0', "", b""),
            Err("`..`"),
        ),
        case(
            "a size in PAX beyond the end",
            pax(&[("size", "9999")], "f", b'0', "", b"y"),
            Err("cut off"),
        ),
        case(
            "a huge size in PAX",
            pax(&[("size", "99999999999999999999")], "f", b'0', "", b"y"),
            Err("decimal"),
        ),
        case(
            "a negative size in PAX",
            pax(&[("size", "-1")], "f", b'0', "", b"y"),
            Err("decimal"),
        ),
        case(
            "an owner of all ones",
            pax(&[("uid", "4294967295")], "f", b'0', "", b""),
            Err("owner"),
        ),
        case(
            "a negative owner",
            changed(b'0', &|h| h[108..116].fill(0xff)),
            Err("owner"),
        ),
        case(
            "a record without a length",
            raw_pax("path=x\n"),
            Err("malformed"),
        ),
        case(
            "a record longer than its header",
            raw_pax("99 path=x\n"),
            Err("malformed"),
        ),
        case(
            "a record of length 0",
            raw_pax("0 path=x\n"),
            Err("malformed"),
        ),
        case(
            "a record with a huge length",
            raw_pax("99999999999 path=x\n"),
            Err("malformed"),
        ),
        case(
            "a record without a value",
            raw_pax("8 path1\n"),
            Err("malformed"),
        ),
        case(
            "a time in words",
            pax(&[("mtime", "now")], "f", b'0', "", b""),
            Err("PAX"),
        ),
        case(
            "an unknown kind",
            archive(&[("f", b'M', "", "")]),
            Err("type `M`"),
        ),
        case(
            "a device of another system",
            changed(b'3', &|h| h[329..336].copy_from_slice(b"7777777")),
            Err("device"),
        ),
        case(
            "a link without text",
            archive(&[("l", b'2', "", "")]),
            Err("no text"),
        ),
        case(
            "a zero byte in an attribute",
            pax(
                &[("SCHILY.xattr.user.a", "x"), ("SCHILY.xattr.", "y")],
                "f",
                b'0',
                "",
                b"",
            ),
            Ok(|t| {
                assert_eq!(attribute(&t.join("f"), "user.a"), Some("x".into()));
            }),
        ),
        case(
            "an attribute that is too large",
            pax(
                &[("SCHILY.xattr.user.a", &"x".repeat(70_000))],
                "f",
                b'0',
                "",
                b"",
            ),
            Err("f: "),
        ),
    ]
}

fn sparse() -> Vec<Case> {
    let map = |map: &str, size: &str, content: &[u8]| {
        pax(
            &[("GNU.sparse.map", map), ("GNU.sparse.size", size)],
            "f",
            b'0',
            "",
            content,
        )
    };
    let one = |front: &str, content: &[u8]| {
        let mut bytes = front.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(content);
        pax(
            &[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "100"),
                ("GNU.sparse.name", "f"),
            ],
            "x",
            b'0',
            "",
            &bytes,
        )
    };
    vec![
        case(
            "a sparse file",
            map("2,3", "10", b"abc"),
            Ok(|t| assert_eq!(text(&t.join("f")), "\0\0abc\0\0\0\0\0")),
        ),
        case(
            "parts that overlap",
            map("0,3,2,1", "10", b"abcd"),
            Err("overlap"),
        ),
        case(
            "parts behind the end",
            map("9,3", "10", b"abc"),
            Err("leave the file"),
        ),
        case(
            "parts that overflow",
            map("18446744073709551615,3", "10", b"abc"),
            Err("leave the file"),
        ),
        case(
            "more parts than content",
            map("0,5", "10", b"abc"),
            Err("holds 3"),
        ),
        case("an odd map", map("0,5,6", "10", b"abcde"), Err("pairs")),
        case(
            "a hole as large as the disk",
            map("", "9223372036854775807", b""),
            Err("allowed"),
        ),
        case(
            "a map in front",
            one("1\n1\n2\n", b"ab"),
            Ok(|t| assert_eq!(fs::metadata(t.join("f")).unwrap().len(), 100)),
        ),
        case(
            "a map with many parts",
            one("99999999\n", b""),
            Err("more than"),
        ),
        case("a map that is cut off", one("5\n1\n", b""), Err("")),
        case(
            "a map of endless digits",
            one(&"1".repeat(600), b""),
            Err("malformed"),
        ),
        case(
            "an unknown version",
            pax(&[("GNU.sparse.major", "7")], "f", b'0', "", b""),
            Err("version"),
        ),
        case(
            "an old map without its rest",
            changed(b'S', &|h| {
                h[257..265].copy_from_slice(b"ustar  \0");
                h[482] = 1;
            }),
            Err("cut off"),
        ),
    ]
}

#[test]
fn hostile_archives_change_nothing_outside() {
    if !root_only() {
        return;
    }
    let cases: Vec<_> = escapes()
        .into_iter()
        .chain(malformed())
        .chain(sparse())
        .collect();
    assert!(cases.len() > 60);
    for Case { name, tar, outcome } in cases {
        let folder = tempfile::tempdir().unwrap();
        let (target, outside) = (folder.path().join("target"), folder.path().join("outside"));
        fs::create_dir(&target).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let before = tar_of(&outside);
        let links = fs::metadata(outside.join("kept")).unwrap().nlink();
        match (unpack(&tar, &target), outcome) {
            (Ok(_), Ok(check)) => check(&target),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{name}: {error}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        assert!(
            before == tar_of(&outside),
            "{name}: something outside has changed"
        );
        assert_eq!(
            links,
            fs::metadata(outside.join("kept")).unwrap().nlink(),
            "{name}"
        );
        let around = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(around, 2, "{name}: something was made outside");
    }
}

#[test]
fn every_cut_of_an_archive_is_an_error_or_a_shorter_layer() {
    if !root_only() {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    crate::layers::rich_tree(tree.path());
    fs::write(tree.path().join("sparse"), "").unwrap();
    let tar = tar_of(tree.path());
    for at in (0..tar.len()).step_by(4999) {
        let target = tempfile::tempdir().unwrap();
        let whole = unpack(&tar[..at], target.path()).is_ok();
        assert!(!whole || at % 512 == 0, "cut at {at}");
    }
}

#[test]
fn bounds_hold() {
    if !root_only() {
        return;
    }
    let tar = archive(&[
        ("a", b'0', "", "12345"),
        ("b", b'0', "", "12345"),
        ("c", b'5', "", ""),
    ]);
    let with = |max_size, max_entries| {
        let target = tempfile::tempdir().unwrap();
        let options = ApplyOptions {
            max_size,
            max_entries,
            ..ApplyOptions::new(OverlayAttributes::Trusted)
        };
        apply(&mut tar.as_slice(), target.path(), &options).map_err(|e| e.to_string())
    };
    assert_eq!(with(10, 3).unwrap().size, 10);
    assert!(with(9, 3).unwrap_err().contains("more than 9 bytes"));
    assert!(with(10, 2).unwrap_err().contains("more than 2 entries"));
    // What stands behind an archive has an end, too.
    let mut endless = std::io::Read::chain(tar.as_slice(), std::io::repeat(0));
    let target = tempfile::tempdir().unwrap();
    let options = ApplyOptions {
        max_size: 10,
        ..ApplyOptions::new(OverlayAttributes::Trusted)
    };
    let error = apply(&mut endless, target.path(), &options).unwrap_err();
    assert!(error.to_string().contains("longer than what is allowed"));
}

#[test]
fn the_later_of_two_entries_holds() {
    if !root_only() {
        return;
    }
    let tar = archive(&[
        ("f", b'0', "", "old"),
        ("f", b'0', "", "new"),
        ("was-directory/x", b'0', "", "x"),
        ("was-directory", b'0', "", "file"),
        ("was-file", b'0', "", "x"),
        ("was-file/", b'5', "", ""),
        ("was-file/y", b'0', "", "y"),
        ("kept/x", b'0', "", "x"),
        ("kept/", b'5', "", ""),
    ]);
    let target = tempfile::tempdir().unwrap();
    unpack(&tar, target.path()).unwrap();
    for (path, content) in [
        ("f", "new"),
        ("was-directory", "file"),
        ("was-file/y", "y"),
        ("kept/x", "x"),
    ] {
        assert_eq!(text(&target.path().join(path)), content);
    }
    assert_eq!(fs::metadata(target.path().join("kept")).unwrap().mtime(), 1);
}

#[test]
fn a_whiteout_spares_its_own_layer_in_either_order() {
    if !root_only() {
        return;
    }
    for tar in [
        archive(&[
            (".wh.d", b'0', "", ""),
            ("d/", b'5', "", ""),
            ("d/x", b'0', "", "x"),
        ]),
        archive(&[(".wh.d", b'0', "", ""), ("d/x", b'0', "", "x")]),
        archive(&[("d/x", b'0', "", "x"), (".wh.d", b'0', "", "")]),
        archive(&[("d/x", b'0', "", "x"), ("d/.wh..wh..opq", b'0', "", "")]),
        archive(&[("d/.wh..wh..opq", b'0', "", ""), ("d/x", b'0', "", "x")]),
    ] {
        let target = tempfile::tempdir().unwrap();
        unpack(&tar, target.path()).unwrap();
        let path = target.path().join("d");
        assert_eq!(attribute(&path, "trusted.overlay.opaque"), Some("y".into()));
        assert_eq!(text(&path.join("x")), "x");
    }
    let tar = archive(&[
        ("f", b'0', "", "x"),
        (".wh.f", b'0', "", ""),
        (".wh..wh.plnk", b'0', "", ""),
        (".wh.g", b'0', "", ""),
    ]);
    let target = tempfile::tempdir().unwrap();
    unpack(&tar, target.path()).unwrap();
    assert_eq!(text(&target.path().join("f")), "x");
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 2);
    let whole = archive(&[(".wh..wh..opq", b'0', "", "")]);
    let target = tempfile::tempdir().unwrap();
    assert!(unpack(&whole, target.path()).unwrap().opaque_root);
}

#[test]
fn marks_of_overlays_do_not_come_in() {
    if !root_only() {
        return;
    }
    let names = [
        "trusted.overlay.redirect",
        "trusted.overlay.opaque",
        "user.overlay.redirect",
        "trusted.x",
        "security.selinux",
    ];
    for name in names {
        let tar = pax(
            &[
                (&format!("SCHILY.xattr.{name}"), "/x"),
                ("SCHILY.xattr.user.ok", "1"),
            ],
            "d/",
            b'5',
            "",
            b"",
        );
        let target = tempfile::tempdir().unwrap();
        unpack(&tar, target.path()).unwrap();
        assert_eq!(attribute(&target.path().join("d"), name), None, "{name}");
        assert_eq!(
            attribute(&target.path().join("d"), "user.ok"),
            Some("1".into())
        );
    }
}

#[test]
fn the_mode_outlives_the_owner_and_a_full_directory_is_refused() {
    if !root_only() {
        return;
    }
    let mut tar = Vec::new();
    entry_with(&mut tar, "su", b'0', "", b"x", &|h| {
        h[100..107].copy_from_slice(b"0006755");
        h[108..115].copy_from_slice(b"0001750");
    });
    let target = tempfile::tempdir().unwrap();
    unpack(&tar, target.path()).unwrap();
    let metadata = fs::metadata(target.path().join("su")).unwrap();
    assert_eq!(
        (metadata.permissions().mode() & 0o7777, metadata.uid()),
        (0o6755, 1000)
    );
    let error = unpack(&tar, target.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
}
