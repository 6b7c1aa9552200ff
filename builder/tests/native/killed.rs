//! Builds that are killed at any moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kolla::oci::validate::validate;

use crate::fixtures::{has_word, processes, program, setting, traces};
use crate::fleet::{BESIDES, Fleet, digests, succeeds};

/// How often.
const KILLS: u32 = 20;

/// After how many of them a build may come to its end.
const AT_A_TIME: u32 = 4;

/// Numbers that only look random (Steele, Lea and Flood's SplitMix).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64;
        limit.mul_f64(share)
    }
}

/// Helpers of our program, wherever they are in their lives.
fn helpers() -> Vec<String> {
    let program = program();
    processes(|process: &Path| {
        let is_ours = std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program);
        is_ours && has_word(process, "kolla-step")
    })
}

/// What is wrong with a store, apart from blobs of steps that no image is made of yet.
fn problems(store: &Path) -> Vec<String> {
    let all = validate(store, &BESIDES).into_iter();
    let wrong = all.filter(|finding| finding.problem != "nothing names it");
    wrong
        .map(|f| format!("{}: {}", f.path.display(), f.problem))
        .collect()
}

/// The names in a folder of a store.
fn kept(store: &Path, folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(store.join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The snapshots that a store's layers have, and the one that has no layer.
fn snapshots(store: &Path) -> BTreeSet<String> {
    let snapshot = |layer: String| {
        let text = std::fs::read(store.join("layers").join(layer)).unwrap();
        let layer: serde_json::Value = serde_json::from_slice(&text).unwrap();
        layer["snapshot"].as_str().unwrap().to_owned()
    };
    let all = kept(store, "layers").into_iter().map(snapshot);
    all.chain(["empty".to_owned()]).collect()
}

/// Starts a command whose words nobody reads.
fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// A build of an image whose step takes longer than any test, and a word by which its command is
/// known; it has begun.
fn endless(fleet: &Fleet, home: &Path, store: &Path) -> (Child, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(400_000);
    let word = format!(
        "{}.{}",
        NUMBER.fetch_add(1, Ordering::Relaxed),
        std::process::id()
    );
    let dockerfile = format!("FROM base\nUSER 7\nRUN sleep {word} || true\nRUN true\n");
    fleet.write("services/leaf/one/Dockerfile", &dockerfile);
    let mut build = start(fleet.kolla(&["build", "one"], home, store));
    let limit = Instant::now() + Duration::from_secs(60);
    while processes(|p| has_word(p, &word)).is_empty() {
        assert_eq!(build.try_wait().unwrap(), None);
        assert!(Instant::now() < limit, "the step did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    (build, word)
}

/// Waits until there is neither a helper nor a command of a step.
fn all_ends(word: &str) {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let left = [helpers(), processes(|p| has_word(p, word))].concat();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < limit, "{left:?} of {word} are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_step_under_way_ends_with_the_program() {
    let Some(fleet) = Fleet::new() else { return };
    let _alone = crate::alone();
    let (home, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut build, word) = endless(&fleet, home.path(), store.path());
    build.kill().unwrap();
    build.wait().unwrap();
    all_ends(&word);
    let (mut build, word) = endless(&fleet, home.path(), store.path());
    // A lost helper is a failed build, and nothing outlives it.
    for helper in helpers() {
        let kill = Command::new("kill").args(["-9", &helper]).status();
        assert!(kill.is_ok());
    }
    assert!(!build.wait().unwrap().success());
    all_ends(&word);
    assert_eq!(traces(store.path()), [""; 0]);
}

#[test]
fn a_killed_build_leaves_nothing_and_the_next_completes_it() {
    let Some(fleet) = Fleet::new() else { return };
    let _alone = crate::alone();
    let seed = setting("KOLLA_TEST_SEED").map_or_else(
        || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
        |text| text.parse().unwrap(),
    );
    eprintln!("KOLLA_TEST_SEED={seed}");
    let mut random = Random(seed);
    let home = tempfile::tempdir().unwrap();
    let (measured, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let began = Instant::now();
    fleet.builds(home.path(), measured.path());
    let whole = began.elapsed();
    for number in 0..KILLS {
        let mut build = start(fleet.kolla(&["build"], home.path(), store.path()));
        std::thread::sleep(random.below(whole));
        build.kill().unwrap();
        build.wait().unwrap();
        // The system ends the helpers a moment after the program.
        let limit = Instant::now() + Duration::from_secs(30);
        let mounts = || {
            traces(store.path())
                .into_iter()
                .filter(|t| t.starts_with("process"))
        };
        while !helpers().is_empty() || mounts().count() > 0 {
            let left: Vec<_> = helpers().into_iter().chain(mounts()).collect();
            assert!(
                Instant::now() < limit,
                "kill {number} of seed {seed}: {left:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(
            problems(store.path()),
            [""; 0],
            "kill {number} of seed {seed}"
        );
        if (number + 1) % AT_A_TIME != 0 {
            continue;
        }
        fleet.builds(home.path(), store.path());
        assert_eq!(
            problems(store.path()),
            [""; 0],
            "after kill {number} of seed {seed}"
        );
        assert_eq!(
            traces(store.path()),
            [""; 0],
            "after kill {number} of seed {seed}"
        );
        assert_eq!(digests(store.path()).len(), 4);
        fleet.write("services/base/base/nonce", &format!("{number}"));
    }
    // Once nothing is kept for later, all that there is belongs to an image.
    succeeds(&mut fleet.kolla(&["clean", "--older-than", "0s"], home.path(), store.path()));
    assert_eq!(validate(store.path(), &BESIDES), []);
    assert_eq!(kept(store.path(), "snapshots"), snapshots(store.path()));
    fleet.write("services/base/base/nonce", "first");
    fleet.builds(home.path(), store.path());
    assert_eq!(digests(store.path()), digests(measured.path()));
}
