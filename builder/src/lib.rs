//! Kolla builds, gates and publishes a fleet of container images that depend on each other.
//!
//! Data flows one way: `catalog` -> `render` -> `graph` -> `context` -> `plan` -> `schedule` ->
//! `publish` -> `report`. A module imports only from those above its own in the list below; a test
//! holds it to that.

pub mod model;
pub mod event;
pub mod dockerfile;
pub mod engine;
