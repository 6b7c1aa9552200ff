//! Kolla builds, gates and publishes a fleet of container images that depend on each other.
//!
//! Data flows one way: `catalog` -> `render` -> `graph` -> `context` -> `plan` -> `schedule` ->
//! `gate` -> `publish` -> `report`, and `cli` puts them together. A module imports only from those above its own in the list below; a test
//! holds it to that.

// The checks that tests share with `fuzz/` name the crate from outside.
#[cfg(test)]
extern crate self as kolla;

pub mod model;
pub mod event;
pub mod sys;
pub mod archive;
pub mod web;
pub mod process;
pub mod debian;
pub mod cargo;
pub mod dockerfile;
pub mod catalog;
pub mod pins;
pub mod render;
pub mod graph;
pub mod context;
pub mod oci;
pub mod registry;
pub mod engine;
pub mod inventory;
pub mod supply;
pub mod plan;
pub mod schedule;
pub mod gate;
pub mod publish;
pub mod report;
pub mod cli;
