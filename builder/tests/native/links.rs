//! Links and paths that lead out: of contexts, of archives, of images.

use std::path::Path;

use kolla::engine::Error;
use tar::EntryType;

use crate::bench::{BASE, Bench, Host};
use crate::fixtures::rootfs;

/// A tar of entries as they are given, however wrong: kind, path, and content or what it links to.
fn tar_of(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        // As bytes: the library would not write such paths.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        if kind.is_file() {
            header.set_size(text.len() as u64);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        } else {
            header.set_size(0);
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            header.set_cksum();
            tar.append(&header, std::io::empty()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

/// A context of a Dockerfile on the base image and these entries.
fn context(instructions: &str, entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let dockerfile = format!("FROM {BASE}\n{instructions}\n");
    let first = (EntryType::Regular, "Dockerfile", dockerfile.as_str());
    tar_of(&[&[first], entries].concat())
}

/// A path without the slash at its beginning, behind more `..` than there are folders.
fn up(path: &Path) -> String {
    let folders = "../".repeat(12);
    format!("{folders}{}", path.strip_prefix("/").unwrap().display())
}

#[test]
fn a_context_s_links_are_resolved_in_it() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let path = host.path().display().to_string();
    let secret = host.path().join("secret");
    let (absolute, relative) = (secret.display().to_string(), up(&secret));
    let links = [
        (EntryType::Symlink, "absolute", absolute.as_str()),
        (EntryType::Symlink, "relative", relative.as_str()),
        (EntryType::Symlink, "folder", path.as_str()),
        (EntryType::Directory, "all", ""),
        (EntryType::Symlink, "all/link", absolute.as_str()),
    ];
    for source in [
        "absolute",
        "relative",
        "folder",
        "folder/secret",
        "folder/*",
        &relative,
    ] {
        let (result, lines) = bench.build(
            context(&format!("COPY {source} /got\nRUN cat /got* /got/*"), &links),
            "kolla-native/links:x",
        );
        result.unwrap_err();
        assert!(
            !lines.iter().any(|l| l.contains(Host::SECRET)),
            "{source}: {lines:?}"
        );
    }
    // In a folder that is copied, a link stays one.
    let copied = context("COPY all /all\nRUN [ -h /all/link ] && echo tried", &links);
    let (result, lines) = bench.build(copied, "kolla-native/links:x");
    result.unwrap();
    assert_eq!(lines, ["tried"]);
    host.is_untouched();
}

#[test]
fn a_context_that_leads_out_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let path = host.path().display().to_string();
    let (outside, through) = (up(&host.path().join("new")), up(host.path()));
    for entries in [
        vec![(EntryType::Regular, outside.as_str(), "x")],
        vec![(EntryType::Directory, outside.as_str(), "")],
        vec![
            (EntryType::Symlink, "link", path.as_str()),
            (EntryType::Regular, "link/new", "x"),
        ],
        vec![
            (EntryType::Symlink, "link", through.as_str()),
            (EntryType::Directory, "link/new", ""),
        ],
        vec![(EntryType::Link, "hard", "/etc/passwd")],
        vec![
            (EntryType::Symlink, "Dockerfile", path.as_str()),
            (EntryType::Regular, "Dockerfile", "x"),
        ],
    ] {
        let (result, _) = bench.build(context("COPY . /", &entries), "kolla-native/links:x");
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Context { .. }),
            "{entries:?}: {error:?}"
        );
        host.is_untouched();
    }
    bench.is_quiet();
}

#[test]
fn an_archive_is_unpacked_in_its_place_alone() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let path = host.path().display().to_string();
    let secret = host.path().join("secret").display().to_string();
    let (outside, through) = (up(&host.path().join("new")), up(host.path()));
    let absolute = format!("{path}/new");
    for entries in [
        vec![(EntryType::Regular, outside.as_str(), "x")],
        vec![(EntryType::Regular, absolute.as_str(), "x")],
        vec![
            (EntryType::Symlink, "link", path.as_str()),
            (EntryType::Regular, "link/new", "x"),
        ],
        vec![
            (EntryType::Symlink, "link", through.as_str()),
            (EntryType::Regular, "link/new", "x"),
        ],
        vec![(EntryType::Link, "hard", secret.as_str())],
        vec![
            (EntryType::Symlink, "link", path.as_str()),
            (EntryType::Link, "hard", "link/secret"),
        ],
        vec![
            (EntryType::Symlink, "link", secret.as_str()),
            (EntryType::Link, "hard", "link"),
            (EntryType::Regular, "hard", "x"),
        ],
    ] {
        let archive = tar_of(&entries);
        // What is done inside may succeed or be refused.
        let (_, lines) = bench.on_base(
            "ADD archive.tar /at/\nRUN cat /at/* /at/*/* || true",
            &[("archive.tar", &archive)],
        );
        assert!(
            !lines.iter().any(|l| l.contains(Host::SECRET)),
            "{entries:?}: {lines:?}"
        );
        host.is_untouched();
    }
    bench.is_quiet();
}

#[test]
fn what_is_copied_lands_in_the_image_whatever_its_links_say() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let (path, through) = (host.path().display(), up(host.path()));
    for link in [path.to_string(), through] {
        let instructions = format!(
            "RUN mkdir -p {path} && ln -s {link} /link\nCOPY file /link/new\nCOPY file /link/\n\
             WORKDIR /link/work\nRUN cat {path}/new {path}/file && [ -d {path}/work ]"
        );
        let (result, lines) = bench.on_base(&instructions, &[("file", b"inside\n")]);
        result.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
        assert_eq!(lines, ["inside", "inside"]);
        host.is_untouched();
    }
}

#[test]
fn an_image_whose_own_folders_are_links_stays_inside() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let (path, through) = (host.path().display().to_string(), up(host.path()));
    let busybox = std::fs::read(crate::fixtures::setting("KOLLA_TEST_BUSYBOX").unwrap()).unwrap();
    let rootfs = rootfs(&busybox);
    for target in [
        path.as_str(),
        &through,
        "/bin",
        "/proc/self/root",
        "/dev",
        "loop",
        "/no/such",
    ] {
        for name in ["proc", "dev", "sys", "etc", "etc/resolv.conf", "etc/hosts"] {
            let mut entries = vec![(EntryType::Symlink, name, target)];
            if name.contains('/') {
                entries.insert(0, (EntryType::Directory, "etc", ""));
            }
            if target == "loop" {
                entries.push((EntryType::Symlink, "loop", "loop"));
            }
            let links = tar_of(&entries);
            let dockerfile = "FROM scratch\nADD rootfs.tar /\nADD links.tar /\n\
                              ENV PATH=/bin\nRUN echo x > /etc/made; echo x > /dev/made; true\n";
            let context = crate::fixtures::archive(&[
                ("Dockerfile", dockerfile.as_bytes()),
                ("rootfs.tar", &rootfs),
                ("links.tar", &links),
            ]);
            // Such an image may be refused; the machine's own files stay what they are.
            let (result, _) = bench.build(context, "kolla-native/links:x");
            if let Err(error) = result {
                let failed = matches!(error, Error::Step { .. } | Error::Engine { .. });
                assert!(failed, "{name} -> {target}: {error:?}");
            }
            host.is_untouched();
        }
    }
    bench.is_quiet();
}

#[test]
fn name_servers_are_there_where_their_file_is_a_link_to_nothing() {
    let Some(bench) = Bench::with(tempfile::tempdir().unwrap(), |options| {
        "nameserver 192.0.2.1\n".clone_into(&mut options.resolv_conf);
    }) else {
        return;
    };
    let link = tar_of(&[
        (EntryType::Directory, "etc", ""),
        (
            EntryType::Symlink,
            "etc/resolv.conf",
            "../run/systemd/resolve/stub-resolv.conf",
        ),
    ]);
    let (result, lines) = bench.on_base(
        &format!(
            "RUN true\nFROM {BASE} AS first\nADD link.tar /\nRUN cat /etc/resolv.conf\nFROM {BASE}\n\
             RUN --mount=type=bind,from=first,source=/,target=/first [ ! -e /first/run ] && echo none"
        ),
        &[("link.tar", &link)],
    );
    result.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
    // What was made to be mounted on is no part of the image.
    assert_eq!(lines, ["nameserver 192.0.2.1", "none"]);
}

#[test]
fn a_heredoc_s_name_leads_nowhere() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let target = host.path().join("secret");
    for name in [target.display().to_string(), up(&target)] {
        let copied = format!("COPY <<{name} /copied\nx\n{name}\nRUN cat /copied");
        assert_eq!(bench.prints(&copied), ["x"]);
        let run = format!("RUN <<{name}\n#!/bin/sh\necho ran\n{name}");
        let _ = bench.on_base(&run, &[]);
        host.is_untouched();
    }
}

#[test]
fn a_dockerfile_that_is_a_link_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let secret = host.path().join("secret").display().to_string();
    let linked = tar_of(&[(EntryType::Symlink, "Dockerfile", secret.as_str())]);
    let error = bench.build(linked, "kolla-native/links:x").0.unwrap_err();
    assert!(matches!(error, Error::Context { .. }), "{error:?}");
    assert!(!error.to_string().contains(Host::SECRET));
}
