#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::super::deb::tests::ar;
use super::super::fetch::tests::{Reply, Server, downloads};
use super::super::keyring::tests::signed_by_new_key;
use super::*;
use crate::model::Digest;

/// Shortly after the keys and signatures of the tests were made.
const NOW: Duration = Duration::from_secs(1_700_000_100);

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(7);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o755);
        match (path.strip_suffix('/'), content.strip_prefix("->")) {
            (Some(_), _) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                tar.append_data(&mut header, format!("./{path}"), std::io::empty())
                    .unwrap();
            }
            (None, Some(target)) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                tar.append_link(&mut header, format!("./{path}"), format!("./{target}"))
                    .unwrap();
            }
            (None, None) => {
                header.set_mode(0o4711);
                header.set_gid(42);
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, format!("./{path}"), content.as_bytes())
                    .unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    packages: String,
}

impl Archive {
    fn new() -> Self {
        let mut archive = Self {
            files: BTreeMap::new(),
            packages: String::new(),
        };
        archive.add(
            "base-files",
            "Essential: yes\nPre-Depends: awk",
            &[("preinst", "#!/bin/sh\n"), ("conffiles", "/etc/issue\n")],
            &[
                ("usr/", ""),
                ("usr/bin/", ""),
                ("etc/", ""),
                ("etc/issue", "hello\n"),
            ],
        );
        archive.add(
            "base-passwd",
            "Essential: yes",
            &[("preinst", "#!/bin/sh\n")],
            &[
                ("usr/", ""),
                ("usr/sbin/", ""),
                ("usr/sbin/update-passwd", "x"),
            ],
        );
        archive.add(
            "mawk",
            "Provides: awk\nMulti-Arch: same\nDepends: base-files",
            &[("triggers", "interest-noawait /usr/share/x\ninterest y\n")],
            &[
                ("bin/", ""),
                ("bin/mawk", "awk"),
                ("bin/a-link", "->bin/mawk"),
            ],
        );
        archive.add("extra", "Depends: mawk", &[], &[("opt/x", "x")]);
        archive.add("unused", "", &[], &[]);
        archive
    }

    fn add(&mut self, name: &str, fields: &str, control: &[(&str, &str)], data: &[(&str, &str)]) {
        let head = format!("Package: {name}\nVersion: 1:2-3\nArchitecture: amd64\n{fields}")
            .trim()
            .to_owned();
        let described = format!("{head}\nDescription: {name}\n");
        let mut control: Vec<(&str, &str)> = control.to_vec();
        control.push(("control", &described));
        let deb = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &tar_of(&control)),
            (
                "data.tar.zst",
                &zstd::encode_all(tar_of(data).as_slice(), 1).unwrap(),
            ),
        ]);
        let path = format!("pool/{name}_2-3.deb");
        self.packages.push_str(&format!(
            "{head}\nFilename: {path}\nSize: {}\nSHA256: {}\n\n",
            deb.len(),
            Digest::of(&deb).hex()
        ));
        self.files.insert(format!("/debian/{path}"), deb);
    }

    /// Everything signed and served, and the key that it is signed with.
    fn serve(&self) -> (Server, Arc<[u8]>) {
        let mut files = self.files.clone();
        let packed = {
            use std::io::Write as _;
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(self.packages.as_bytes()).unwrap();
            gzip.finish().unwrap()
        };
        let path = "main/binary-amd64/Packages";
        let release = format!(
            "Suite: stable\nCodename: trixie\nDate: Tue, 14 Nov 2023 22:13:30 UTC\nSHA256:\n {} {} {path}\n {} {} {path}.gz\n",
            Digest::of(&self.packages).hex(),
            self.packages.len(),
            Digest::of(&packed).hex(),
            packed.len()
        );
        let (signed, key) = signed_by_new_key(&release);
        files.insert("/debian/dists/trixie/InRelease".to_owned(), signed);
        files.insert(format!("/debian/dists/trixie/{path}.gz"), packed);
        let server = Server::new(Arc::new(move |asked| match files.get(&asked.path) {
            Some(file) => Reply::Whole(file.clone()),
            None => Reply::Status(404),
        }));
        (server, key.into_bytes().into())
    }
}

fn request(server: &Server, keys: &Arc<[u8]>) -> Request {
    Request {
        suite: "trixie".into(),
        variant: Variant::Essential,
        include: vec!["extra".into()],
        components: vec!["main".into()],
        architecture: "amd64".into(),
        mirrors: Mirrors::Named(format!("{}/debian/", server.url)),
        keyring: Some(Arc::clone(keys)),
        now: UNIX_EPOCH + NOW,
        pinned: BTreeMap::new(),
    }
}

fn made(request: &Request) -> Result<Vec<u8>, Diagnostic> {
    let (folder, downloads) = downloads();
    let file = folder.path().join("rootfs.tar");
    bootstrap(request, &downloads, &file)?;
    Ok(std::fs::read(file).unwrap())
}

/// Path -> (kind, mode, what is in it or where it leads).
fn listed(tar: &[u8]) -> BTreeMap<String, (char, u32, String)> {
    let mut archive = tar::Archive::new(tar);
    let mut found = BTreeMap::new();
    let mut last = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        assert!(last < path, "`{path}` after `{last}`");
        last.clone_from(&path);
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        if let Some(link) = entry.link_name().unwrap() {
            content = link.display().to_string();
        }
        let kind = char::from(entry.header().entry_type().as_byte());
        let mode = entry.header().mode().unwrap();
        assert!(
            found.insert(path, (kind, mode, content)).is_none(),
            "twice: {last}"
        );
    }
    found
}

#[test]
fn a_root_file_system_is_laid_out_and_recorded_as_dpkg_would() {
    let (server, keys) = Archive::new().serve();
    let tar = made(&request(&server, &keys)).unwrap();
    let all = listed(&tar);
    let text = |path: &str| all[path].2.as_str();
    assert_eq!(all["bin"], ('2', 0o777, "usr/bin".into()));
    // The content is at the name that comes first.
    assert_eq!(all["usr/bin/a-link"], ('0', 0o755, "awk".into()));
    assert_eq!(
        (all["usr/bin/mawk"].0, text("usr/bin/mawk")),
        ('1', "usr/bin/a-link")
    );
    assert_eq!(all["etc/issue.dpkg-new"], ('0', 0o4711, "hello\n".into()));
    assert!(!all.contains_key("etc/issue"));
    assert!(!all.keys().any(|path| path.contains("unused")));
    assert_eq!(
        text("var/lib/dpkg/info/mawk:amd64.list"),
        "/.\n/bin\n/bin/mawk\n/bin/a-link\n"
    );
    assert_eq!(
        text("var/lib/dpkg/info/base-files.list"),
        "/.\n/usr\n/usr/bin\n/etc\n/etc/issue\n"
    );
    assert_eq!(
        text("var/lib/dpkg/triggers/File"),
        "/usr/share/x mawk:amd64/noawait\n"
    );
    assert_eq!(text("var/lib/dpkg/triggers/y"), "mawk:amd64\n");
    assert!(text("var/lib/dpkg/status").starts_with(
        "Package: base-files\nStatus: install ok unpacked\nVersion: 1:2-3\nArchitecture: amd64\n\
         Essential: yes\nPre-Depends: awk\nDescription: base-files\nConffiles:\n /etc/issue newconffile\n\n\
         Package: base-passwd\n"
    ));
    // Accounts first; then what comes before the unpacking of base-files, when awk is configured.
    assert_eq!(
        text("bootstrap/steps"),
        "preinst base-passwd amd64 base-passwd\nconfigure base-passwd\n\
         configure mawk\npreinst base-files amd64 base-files\n"
    );
    assert_eq!(all["bootstrap/second-stage"].1, 0o755);
    let list = format!(
        "deb [signed-by=/etc/apt/keyrings/bootstrap.asc] {}/debian trixie main\n",
        server.url
    );
    assert_eq!(text("etc/apt/sources.list"), list);
    assert_eq!(
        text("etc/apt/keyrings/bootstrap.asc").as_bytes(),
        keys.as_ref()
    );
    assert!(!all.contains_key("var/lib/apt/extended_states"));
}

#[test]
fn the_same_packages_make_the_same_bytes() {
    let mut archive = Archive::new();
    let (server, keys) = archive.serve();
    let request = request(&server, &keys);
    let first = made(&request).unwrap();
    assert_eq!(first, made(&request).unwrap());
    // However they are listed, and so in whatever order they are fetched.
    let mut listed: Vec<&str> = archive.packages.split_inclusive("\n\n").collect();
    listed.reverse();
    archive.packages = listed.concat();
    let (other, other_keys) = archive.serve();
    let again = Request {
        mirrors: Mirrors::Named(format!("{}/debian", other.url)),
        keyring: Some(other_keys),
        ..request
    };
    let theirs = super::tests::listed(&made(&again).unwrap());
    for (path, entry) in super::tests::listed(&first) {
        if !path.starts_with("etc/apt") {
            assert_eq!(theirs[&path], entry, "{path}");
        }
    }
}

#[test]
fn only_what_changed_is_fetched_again() {
    let (server, keys) = Archive::new().serve();
    let (folder, downloads) = downloads();
    let file = folder.path().join("rootfs.tar");
    for _ in 0..2 {
        bootstrap(&request(&server, &keys), &downloads, &file).unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked["/debian/dists/trixie/InRelease"], 2);
    let others = asked
        .iter()
        .filter(|(path, _)| !path.ends_with("InRelease"));
    assert!(others.clone().count() > 4);
    assert!(others.clone().all(|(_, count)| *count == 1), "{asked:?}");
}

#[test]
fn an_archive_that_is_pinned_must_be_in_that_state() {
    let mut archive = Archive::new();
    let (server, keys) = archive.serve();
    let mut request = request(&server, &keys);
    let (_folder, downloads) = downloads();
    let state = archive_state(&request, &downloads).unwrap();
    assert_eq!(state["trixie"].date, "Tue, 14 Nov 2023 22:13:30 UTC");
    let pinned = state
        .iter()
        .map(|(name, s)| (name.clone(), s.inrelease.clone()));
    request.pinned = pinned.collect();
    made(&request).unwrap();
    archive.packages.push('\n');
    let (server, keys) = archive.serve();
    request.mirrors = Mirrors::Named(format!("{}/debian/", server.url));
    request.keyring = Some(keys);
    let problem = made(&request).unwrap_err().to_string();
    assert!(
        problem.contains("trixie is not in the state that is pinned"),
        "{problem}"
    );
}

#[test]
fn what_is_not_trusted_is_refused() {
    let (server, keys) = Archive::new().serve();
    let good = request(&server, &keys);
    let (_, others) = signed_by_new_key("x");
    let refused = |change: &dyn Fn(&mut Request), words: &str| {
        let mut request = good.clone();
        change(&mut request);
        let problem = made(&request).unwrap_err();
        assert!(problem.message().contains(words), "{problem}");
    };
    let others: Arc<[u8]> = others.into_bytes().into();
    refused(
        &|r| r.keyring = Some(Arc::clone(&others)),
        "no trusted key has signed it",
    );
    refused(&|r| r.keyring = None, "no trusted key has signed it");
    refused(
        &|r| r.now = UNIX_EPOCH + NOW - Duration::from_secs(200_000),
        "not vouched for",
    );
    refused(&|r| r.suite = "bookworm".into(), "there is no http");
    refused(
        &|r| r.components = vec!["other".into()],
        "no packages of `other` for amd64",
    );
    refused(
        &|r| r.architecture = "arm64".into(),
        "no packages of `main` for arm64",
    );
    refused(&|r| r.include = vec!["extr".into()], "no package `extr`");
}

#[test]
fn packages_that_are_not_what_they_say_are_refused() {
    let mut archive = Archive::new();
    archive.packages = archive.packages.replace(
        "Package: mawk\nVersion: 1:2-3",
        "Package: mawk\nVersion: 1:2-4",
    );
    let (server, keys) = archive.serve();
    let problem = made(&request(&server, &keys)).unwrap_err();
    assert!(
        problem
            .message()
            .contains("its `Version` is `1:2-3`, the index has `1:2-4`"),
        "{problem}"
    );

    let mut archive = Archive::new();
    archive.add("late", "Essential: yes", &[("list", "/etc/passwd\n")], &[]);
    let (server, keys) = archive.serve();
    let problem = made(&request(&server, &keys)).unwrap_err();
    assert!(
        problem
            .message()
            .contains("`list` cannot be a control file"),
        "{problem}"
    );

    let mut archive = Archive::new();
    archive.add("late", "Essential: yes", &[], &[("usr/bin/mawk", "other")]);
    let (server, keys) = archive.serve();
    let problem = made(&request(&server, &keys)).unwrap_err();
    assert!(
        problem.message().contains("both have `/usr/bin/mawk`"),
        "{problem}"
    );
}
