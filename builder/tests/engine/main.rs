//! The behaviour that every engine must show, tried on real ones.
//!
//! `KOLLA_TEST_ENGINES` names them, `NAME=ADDRESS,…`. A NAME that begins with `native` is the native
//! engine, and its ADDRESS a folder for its stores; any other is an engine with Docker's API, used
//! without BuildKit where the NAME begins with `classic`. `KOLLA_TEST_BUSYBOX` is a statically linked
//! busybox, `KOLLA_TEST_REGISTRY` is `HOST:PORT` of a registry without and `KOLLA_TEST_REGISTRY_AUTH`
//! is `USER:PASSWORD@HOST:PORT` of one with a password; `KOLLA_TEST_CERTIFICATES` holds `ca.pem`,
//! `cert.pem` and `key.pem` for engines behind TLS. What is not set is not tested, and the test says
//! so; so does one that an engine has no use for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod backstage;
mod bench;
mod builds;
mod connections;
mod containers;
mod contexts;
mod drops;
mod failures;
#[path = "../fixtures/mod.rs"]
#[allow(dead_code)] // another test uses the rest
mod fixtures;
mod leftovers;
mod names;
mod pushes;
mod walks;
