//! One file a command.

pub(super) mod affected;
pub(super) mod build;
pub(super) mod check;
pub(super) mod clean;
pub(super) mod config;
pub(super) mod export;
pub(super) mod gate;
pub(super) mod graph;
pub(super) mod list;
pub(super) mod plan;
pub(super) mod push;
pub(super) mod render;
pub(super) mod run;
mod session;
pub(super) mod test;
