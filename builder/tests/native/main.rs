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

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by a test that looks at all helpers of the machine, and shared by all that start some.
static HELPERS: RwLock<()> = RwLock::new(());

/// For a test that starts helpers.
fn among_others() -> RwLockReadGuard<'static, ()> {
    HELPERS.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test beside which no helper may run.
fn alone() -> RwLockWriteGuard<'static, ()> {
    HELPERS.write().unwrap_or_else(PoisonError::into_inner)
}
