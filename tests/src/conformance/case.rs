//! The cases: a folder each, with a Dockerfile, its context and what is special about it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::compare::Skip;
use super::{Server, Skips, rootfs};

/// What `case.toml` may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Build arguments.
    args: BTreeMap<String, String>,
    /// What to build for.
    platform: Option<String>,
    /// Both must fail.
    fails: bool,
    /// What the judge must say when it fails, so that it fails for the right reason.
    judge_says: Option<String>,
    /// What kolla must say when it fails or refuses.
    says: Option<String>,
    /// The line of the Dockerfile that kolla must name when it fails or refuses.
    line: Option<u32>,
    /// Why not the judge but `expected.json` says what is right: parts of a report, the files alone
    /// for instance.
    expected_because: Option<String>,
    /// Why kolla refuses what the judge takes.
    kolla_refuses: Option<String>,
    /// Why there is no candidate that builds it, by its name.
    not_for: BTreeMap<String, String>,
    /// Tolerated differences.
    skip: Vec<Skip>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// The name of its folder.
    pub name: String,
    folder: PathBuf,
    settings: Settings,
}

/// What makes contexts, servers and reports: all that the judge saw would be old with them.
const SOURCES: [&str; 8] = [
    include_str!("case.rs"),
    include_str!("git.rs"),
    include_str!("image.rs"),
    include_str!("judge.rs"),
    include_str!("layers.rs"),
    include_str!("report.rs"),
    include_str!("rootfs.rs"),
    include_str!("server.rs"),
];

/// A report in a case's folder.
const EXPECTED: &str = "expected.json";

/// The name of the image that all cases build.
pub(super) const IMAGE: &str = "case";

/// The name of the image that they stand on.
pub(super) const BASE: &str = "base";

/// What a case expects of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The image that the judge makes.
    Image,
    /// That it fails, as the judge does.
    Failure,
    /// That it refuses what the judge takes.
    Refusal,
}

/// All cases, sorted; with `KOLLA_TEST_CASES`, those whose name has that text.
///
/// # Panics
/// If a case is not well formed.
pub fn cases() -> Vec<Case> {
    let wanted = std::env::var("KOLLA_TEST_CASES").unwrap_or_default();
    let folder = crate::repository().join("tests/conformance/cases");
    let mut all: Vec<Case> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| Case::read(entry.unwrap().path()))
        .filter(|case| wanted.split(',').any(|part| case.name.contains(part)))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let settings = match fs::read_to_string(folder.join("case.toml")) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")),
            Err(_) => Settings::default(),
        };
        Self {
            name,
            folder,
            settings,
        }
    }

    /// A digest of everything that the judge's word depends on, itself left out.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for source in SOURCES {
            hash.update(source);
        }
        hash.update(fs::read(crate::setting("KOLLA_TEST_BUSYBOX").unwrap()).unwrap());
        for (path, _) in crate::fleet::files(&self.folder) {
            hash.update(
                path.strip_prefix(&self.folder)
                    .unwrap()
                    .as_os_str()
                    .as_bytes(),
            );
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_symlink() {
                hash.update(fs::read_link(&path).unwrap().as_os_str().as_bytes());
            } else {
                hash.update(metadata.len().to_le_bytes());
                hash.update((metadata.mode() & 0o111).to_le_bytes());
                hash.update(fs::read(&path).unwrap());
            }
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// What is expected of a candidate.
    pub fn expected(&self) -> Expected {
        match &self.settings {
            Settings { fails: true, .. } => Expected::Failure,
            Settings {
                kolla_refuses: Some(_),
                ..
            } => Expected::Refusal,
            _ => Expected::Image,
        }
    }

    /// Build arguments.
    pub fn args(&self) -> &BTreeMap<String, String> {
        &self.settings.args
    }

    /// What to build for, where that is not this machine.
    pub fn platform(&self) -> Option<&str> {
        self.settings.platform.as_deref()
    }

    /// What the judge must say when it fails.
    pub fn judge_says(&self) -> Option<&str> {
        self.settings.judge_says.as_deref()
    }

    /// What kolla must say when it fails: a text, and the place.
    pub fn kolla_says(&self) -> Vec<String> {
        let line = self.settings.line.map(|line| format!("Dockerfile:{line}"));
        self.settings.says.clone().into_iter().chain(line).collect()
    }

    /// Why a candidate does not build it.
    pub fn not_for(&self, candidate: &str) -> Option<&str> {
        self.settings.not_for.get(candidate).map(String::as_str)
    }

    /// Parts of a report that stand in for the judge's.
    pub fn fixed(&self) -> Option<Value> {
        let reason = self.settings.expected_because.as_ref()?;
        assert!(!reason.is_empty(), "{} has no reason", self.name);
        let text = fs::read(self.folder.join(EXPECTED)).unwrap();
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Tolerated differences.
    pub fn skips(&self) -> Skips {
        Skips::new(&self.settings.skip)
    }

    /// Lays it out below a folder, for judge and candidate alike: a fleet of plain Dockerfiles with
    /// the image `base`, the case as the image `case`, and the folders of the case whose names
    /// begin with the case's as images of their own.
    pub fn prepare(&self, folder: &Path, server: &Server) -> Prepared {
        let root = folder.join(&self.name);
        fs::create_dir_all(&root).unwrap();
        rootfs::link(&folder.join(BASE), &root.join(BASE));
        let context = root.join(IMAGE);
        run(
            Command::new("cp").arg("-a").arg(&self.folder).arg(&context),
            &self.name,
        );
        // As a checkout with the usual umask has them, whatever this one's was.
        run(
            Command::new("chmod")
                .args(["-R", "u=rwX,go=rX"])
                .arg(&context),
            &self.name,
        );
        run(
            Command::new("chown").args(["-hR", "0:0"]).arg(&context),
            &self.name,
        );
        let script = context.join("prepare");
        if script.exists() {
            let text = fs::read_to_string(&script).unwrap();
            fs::remove_file(&script).unwrap();
            run(
                Command::new("sh")
                    .args(["-euc", &text])
                    .current_dir(&context)
                    // The same archive every time.
                    .env("TAR_OPTIONS", "--mtime=@0 --sort=name"),
                &self.name,
            );
        }
        for name in ["case.toml", EXPECTED] {
            let _ = fs::remove_file(context.join(name));
        }
        let prefix = format!("{}-", self.name);
        let mut others = Vec::new();
        for entry in fs::read_dir(&context).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) {
                fs::rename(context.join(&name), root.join(&name)).unwrap();
                others.push(name);
            }
        }
        others.sort();
        for image in others.iter().map(String::as_str).chain([IMAGE]) {
            let path = root.join(image).join("Dockerfile");
            // A Dockerfile may hold bytes that are no text.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            if text.contains("@SERVER@") {
                fs::write(&path, text.replace("@SERVER@", server.address())).unwrap();
            }
        }
        let args: toml::Table = self
            .args()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let mut config = toml::Table::new();
        if !args.is_empty() {
            let image = toml::Table::from_iter([("args".to_owned(), args.into())]);
            let images = toml::Table::from_iter([(IMAGE.to_owned(), image.into())]);
            config.insert("images".to_owned(), images.into());
        }
        fs::write(root.join("kolla.toml"), config.to_string()).unwrap();
        Prepared { root, others }
    }
}

/// A case laid out.
#[derive(Debug)]
pub struct Prepared {
    /// The fleet.
    pub root: PathBuf,
    /// Its images besides `base` and `case`.
    pub others: Vec<String>,
}

fn run(command: &mut Command, case: &str) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{case}: {command:?}: {output:?}");
}
