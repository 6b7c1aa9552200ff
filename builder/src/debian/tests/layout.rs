#![allow(clippy::unwrap_used)]

use super::*;
use crate::debian::index::Index;

fn package(name: &str, replaces: &str) -> Package {
    let text = format!(
        "Package: {name}\nVersion: 1\nArchitecture: all\nFilename: pool/x\nSize: 1\nSHA256: {}\nReplaces: {replaces}\n",
        "0".repeat(64)
    );
    let mut index = Index::default();
    index.read(text.as_bytes(), 0).unwrap();
    index.package(name).unwrap().unwrap()
}

/// "d usr", "f usr/x", "l bin usr/bin", "h usr/y usr/x".
fn members(lines: &[&str]) -> Vec<Member> {
    let member = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let kind = match words[0] {
            "d" => MemberKind::Directory,
            "f" => MemberKind::File,
            "l" => MemberKind::Symlink(words[2].to_owned()),
            _ => MemberKind::Hardlink(words[2].to_owned()),
        };
        Member {
            path: words[1].to_owned(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 7,
        }
    };
    lines.iter().map(member).collect()
}

fn lay_out(packages: &[(&Package, &[&str])]) -> Result<Layout, LayoutError> {
    let all: Vec<(&Package, Vec<Member>)> = packages
        .iter()
        .map(|(package, lines)| (*package, members(lines)))
        .collect();
    let all: Vec<(&Package, &[Member])> = all
        .iter()
        .map(|(package, members)| (*package, members.as_slice()))
        .collect();
    Layout::new(&all)
}

fn owner(layout: &Layout, path: &str) -> usize {
    layout.entries().get(path).unwrap().package
}

#[test]
fn usr_is_merged_whoever_ships_what() {
    let (one, two) = (package("one", ""), package("two", ""));
    let layout = lay_out(&[
        (
            &one,
            &["d bin", "f bin/sh", "d lib", "d lib/x", "f lib/x/y"],
        ),
        (
            &two,
            &[
                "d usr",
                "d usr/bin",
                "f usr/bin/ls",
                "l lib usr/lib",
                "f lib/z",
            ],
        ),
    ])
    .unwrap();
    let entries: Vec<(&str, bool)> = layout
        .entries()
        .iter()
        .map(|(path, placed)| (path.as_str(), matches!(placed.node, Node::Symlink(_))))
        .collect();
    assert_eq!(
        entries,
        [
            ("bin", true),
            ("lib", true),
            ("usr", false),
            ("usr/bin", false),
            ("usr/bin/ls", false),
            ("usr/bin/sh", false),
            ("usr/lib", false),
            ("usr/lib/x", false),
            ("usr/lib/x/y", false),
            ("usr/lib/z", false)
        ]
    );
}

#[test]
fn a_file_of_two_packages_is_of_the_one_that_replaces() {
    let (plain, other) = (package("plain", ""), package("other", ""));
    let taker = package("taker", "x, plain (<< 2)");
    let late = package("late", "plain (<< 1)");
    let file: &[&str] = &["f etc/x"];
    let layout = lay_out(&[(&plain, file), (&taker, file)]).unwrap();
    assert_eq!(owner(&layout, "etc/x"), 1);
    assert!(layout.is_taken(0, "etc/x") && !layout.is_taken(1, "etc/x"));
    let layout = lay_out(&[(&taker, file), (&plain, file)]).unwrap();
    assert_eq!(owner(&layout, "etc/x"), 0);
    assert!(layout.is_taken(1, "etc/x"));
    for second in [&other, &late] {
        let error = lay_out(&[(&plain, file), (second, file)]).unwrap_err();
        assert!(matches!(error, LayoutError::Both { .. }), "{error}");
    }
    // Over merged /usr it is the same path.
    let error = lay_out(&[(&plain, &["f bin/x"]), (&other, &["f usr/bin/x"])]).unwrap_err();
    assert!(matches!(error, LayoutError::Both { path, .. } if path == "usr/bin/x"));
}

#[test]
fn folders_are_of_the_first_and_links_to_folders_stay() {
    let (one, two) = (package("one", ""), package("two", ""));
    let layout = lay_out(&[
        (&one, &["d run", "d var", "l var/run /run", "d srv"]),
        (
            &two,
            &["d var", "d var/run", "f var/run/x", "l srv /elsewhere"],
        ),
    ])
    .unwrap();
    assert_eq!(owner(&layout, "var"), 0);
    assert_eq!(owner(&layout, "run/x"), 1);
    assert!(matches!(layout.entries()["var/run"].node, Node::Symlink(_)));
    assert_eq!(layout.entries()["srv"].node, Node::Directory);
}

#[test]
fn hard_links_are_one_file() {
    let (one, two) = (package("one", ""), package("two", ""));
    let layout = lay_out(&[
        (&one, &["f usr/z", "h usr/a usr/z", "h usr/b usr/a"]),
        (&two, &["f usr/y"]),
    ])
    .unwrap();
    let node = |path: &str| layout.entries()[path].node.clone();
    assert_eq!(node("usr/a"), Node::File((0, 0)));
    assert_eq!(node("usr/b"), node("usr/z"));
    assert_eq!(node("usr/y"), Node::File((1, 0)));
    let error = lay_out(&[(&one, &["f usr/z"]), (&two, &["h usr/a usr/z"])]).unwrap_err();
    assert!(matches!(error, LayoutError::NoTarget { .. }), "{error}");
}

#[test]
fn what_is_in_the_way_is_an_error() {
    let (one, two) = (package("one", ""), package("two", ""));
    for (first, second) in [
        ("f x", "d x"),
        ("d x", "f x"),
        ("f x", "f x/y"),
        ("l x nowhere", "d x"),
        ("f x", "l x y"),
    ] {
        let laid_out = lay_out(&[(&one, &[first]), (&two, &[second])]);
        assert!(laid_out.is_err(), "{first}, {second}");
    }
    let circle = lay_out(&[(&one, &["l x y", "l y x"]), (&two, &["f x/z"])]).unwrap_err();
    assert!(matches!(circle, LayoutError::Astray { .. }), "{circle}");
}

#[test]
fn links_do_not_lead_out_of_the_root() {
    let (one, two) = (package("one", ""), package("two", ""));
    let layout = lay_out(&[
        (&one, &["d etc", "l etc/up ../../../.."]),
        (&two, &["f etc/up/passwd"]),
    ]);
    assert_eq!(owner(&layout.unwrap(), "passwd"), 1);
}
