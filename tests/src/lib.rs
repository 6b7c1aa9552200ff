//! Fixtures of the end-to-end tests: a tiny fleet, `kolla` as a person runs it, and the engine and
//! the registries that `tests/with-engine` starts.
//!
//! Everything here is real but the faults: only [`proxy`] pretends, and only to be unwell.

pub mod browser;
pub mod conformance;
pub mod docker;
pub mod document;
pub mod fleet;
pub mod kolla;
pub mod proxy;
pub mod registry;

pub use docker::Docker;
pub use fleet::Fleet;
pub use kolla::{Kolla, Run};
pub use registry::Registry;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What `tests/with-engine` gives the tests.
///
/// # Panics
/// In continuous integration, where nothing may be skipped.
pub fn setting(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let reason =
            format!("{name} is not set: run the tests with `make test`, or with tests/with-engine");
        assert!(std::env::var("CI").is_err(), "{reason}");
        eprintln!("skipped: {reason}");
    }
    value
}

/// A word that no other test uses, on this run or another.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() % 1_000_000_000;
    format!("{prefix}{}x{now}x{count}", std::process::id())
}

/// The repository that these tests are part of.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Waits for something that comes by itself; the time is only a limit to a broken test.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a shell with these words in its command line runs anywhere, in containers too.
pub fn runs(words: &str) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .any(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            line.starts_with(b"/bin/sh") && String::from_utf8_lossy(&line).contains(words)
        })
}

/// Asserts that a file is what those who read it expect; the kinds are those of `tests/valid`.
pub fn is_valid(kind: &str, file: &std::path::Path) {
    let output = held_against(kind, file);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    assert!(output.status.success(), "{output:?}\nof {kind}\n{text}");
}

/// What `tests/valid` says of a file.
pub fn held_against(kind: &str, file: &std::path::Path) -> std::process::Output {
    let mut checker = std::process::Command::new(repository().join("tests/valid"));
    checker.arg(kind).arg(file).output().unwrap()
}

/// A cache that test binaries share, beside their engine: making the root file system of the real
/// images takes most of a minute.
pub fn shared_cache() -> String {
    let engine = setting("KOLLA_TEST_ENGINE").unwrap();
    let socket = PathBuf::from(engine.trim_start_matches("unix://"));
    socket.with_file_name("cache").display().to_string()
}
