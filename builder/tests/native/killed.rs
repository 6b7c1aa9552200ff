//! Builds that are killed at any moment.

use std::path::Path;
use std::time::{Duration, Instant};

use kolla::oci::validate::validate;

use crate::fixtures::{program, setting, traces};
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
    crate::fixtures::processes(|process: &Path| {
        let is_ours = std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program);
        is_ours && crate::fixtures::has_word(process, "kolla-step")
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
    let start = Instant::now();
    fleet.builds(home.path(), measured.path());
    let whole = start.elapsed();
    for number in 0..KILLS {
        let mut build = fleet
            .kolla(&["build"], home.path(), store.path())
            .spawn()
            .unwrap();
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
    fleet.write("services/base/base/nonce", "first");
    fleet.builds(home.path(), store.path());
    assert_eq!(digests(store.path()), digests(measured.path()));
}
