//! One file a command.

pub(super) mod affected;
mod archives;
mod attest;
pub(super) mod build;
pub(super) mod check;
pub(super) mod clean;
pub(super) mod config;
pub(super) mod export;
pub(super) mod export_plan;
pub(super) mod gate;
pub(super) mod graph;
pub(super) mod keygen;
pub(super) mod list;
pub(super) mod lock;
pub(super) mod plan;
pub(super) mod prune;
pub(super) mod publish;
pub(super) mod push;
pub(super) mod releases;
pub(super) mod render;
pub(super) mod rollback;
pub(super) mod run;
pub(super) mod search;
mod session;
pub(super) mod test;
pub(super) mod verify;
