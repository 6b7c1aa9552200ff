//! A container's file tree in a temporary directory, and the library at work in it.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test says why it is skipped
#![allow(dead_code)] // another test uses the rest

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use kolla_start::Host;
use serde_json::{Value, json};

/// What a run ended with, and all that it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: u8,
    pub(crate) said: String,
}

pub(crate) struct Container {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) environment: BTreeMap<OsString, OsString>,
}

impl Container {
    /// One whose only account, `me`, is whoever runs the tests.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = fs::metadata(dir.path()).unwrap();
        let mut container = Self {
            dir,
            environment: BTreeMap::new(),
        };
        container.set("KOLLA_CONFIG_STRATEGY", "COPY_ALWAYS");
        container.write(
            "/etc/passwd",
            &format!("me:x:{}:{}::/:\n", own.uid(), own.gid()),
        );
        container.write("/etc/group", &format!("me:x:{}:\n", own.gid()));
        fs::create_dir_all(container.path("/var/lib/kolla/config_files")).unwrap();
        container
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.into(), value.into());
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.path(path)).unwrap().mode() & 0o7777
    }

    pub(crate) fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), PermissionsExt::from_mode(mode)).unwrap();
    }

    /// A configuration with the command `run it` and these entries of `config_files`.
    pub(crate) fn configure(&self, config_files: &Value) {
        let config = json!({"command": "run it", "config_files": config_files});
        self.config(&config);
    }

    pub(crate) fn config(&self, config: &Value) {
        self.write(
            "/var/lib/kolla/config_files/config.json",
            &config.to_string(),
        );
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let mut said = Vec::new();
        let mut host = Host::new(self.dir.path(), self.environment.clone()).unwrap();
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let status = kolla_start::main(&mut host, &arguments, &mut said);
        let said = String::from_utf8(said).unwrap();
        Run { status, said }
    }

    /// Puts the configuration in place, which is expected to work.
    pub(crate) fn apply(&self) -> String {
        let run = self.run(&["kolla_set_configs"]);
        assert_eq!(run.status, 0, "{}", run.said);
        run.said
    }

    pub(crate) fn check(&self) -> Run {
        self.run(&["kolla_set_configs", "--check"])
    }

    /// Every file with its kind, permissions and content, for comparisons.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut waiting = vec![self.dir.path().to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                let what = if meta.is_dir() {
                    waiting.push(path.clone());
                    String::new()
                } else if meta.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else {
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
                };
                let name = path.strip_prefix(self.dir.path()).unwrap();
                let what = format!("{:o} {}:{} {what}", meta.mode(), meta.uid(), meta.gid());
                all.insert(name.display().to_string(), what);
            }
        }
        all
    }
}

/// An entry of `config_files` that belongs to `me`.
pub(crate) fn entry(source: &str, dest: &str) -> Value {
    json!({"source": source, "dest": dest, "owner": "me", "perm": "0640"})
}

/// The same with further keys.
pub(crate) fn entry_with(source: &str, dest: &str, more: &Value) -> Value {
    let mut entry = entry(source, dest);
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}

/// Whether this test can run as the superuser; in continuous integration it has to.
pub(crate) fn superuser() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        let reason = "only the superuser can have files of others";
        assert!(std::env::var("CI").is_err(), "{reason}");
        eprintln!("skipped: {reason}");
    }
    root
}
