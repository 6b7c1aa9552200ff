//! What only the native engine can do wrong: it has no daemon, so a kill, a full disk and a hostile
//! image meet the program itself.
//!
//! `KOLLA_TEST_BUSYBOX` is a statically linked busybox, `KOLLA_TEST_SMALL_FOLDER` lies on a file
//! system of 48 MB, `KOLLA_TEST_REGISTRY` is `HOST:PORT` of a registry over plain HTTP. What is not set
//! is not tested, and the test says so; nor is anything where the tests are not run by root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod bench;
mod cache;
mod confinement;
mod digests;
mod faults;
#[path = "../fixtures/mod.rs"]
#[allow(dead_code)] // another test uses the rest
mod fixtures;
mod fleet;
mod killed;
mod layers;
mod links;
mod processes;
#[path = "../fixtures/shaky.rs"]
mod shaky;
mod together;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many tests start helpers; none, while a test looks at all helpers of the machine.
///
/// Not a lock of readers and a writer, which may let nobody in while a writer waits: a test with two
/// benches would wait for itself.
struct Helpers {
    shares: Mutex<Option<usize>>,
    changed: Condvar,
}

static HELPERS: Helpers = Helpers {
    shares: Mutex::new(Some(0)),
    changed: Condvar::new(),
};

impl Helpers {
    fn when(&self, may: impl Fn(&Option<usize>) -> bool) -> MutexGuard<'_, Option<usize>> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed
            .wait_while(shares, |shares| !may(shares))
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when it is dropped.
struct Share;

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = HELPERS.when(|_| true);
        // Of one that is alone there is no number.
        *shares = Some(shares.map_or(0, |number| number - 1));
        HELPERS.changed.notify_all();
    }
}

/// For a test that starts helpers.
fn among_others() -> Share {
    let mut shares = HELPERS.when(Option::is_some);
    *shares = shares.map(|number| number + 1);
    Share
}

/// For a test beside which no helper may run.
fn alone() -> Share {
    *HELPERS.when(|shares| *shares == Some(0)) = None;
    Share
}
