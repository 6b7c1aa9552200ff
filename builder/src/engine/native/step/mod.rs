//! Running one step in namespaces of its own.
//!
//! The program starts itself anew as a helper of a single thread, which gets a [`Spec`] over a
//! socket, and answers there when something fails before the step's command runs. All mounts are
//! made in the helper's own mount namespace and end with it, however it ends; all processes of a
//! step live in a pid namespace whose first process dies with the helper, and that with us.

mod helper;
mod identity;
mod launch;
mod process;
mod rootfs;
mod spec;
mod transfer;
mod tree;
mod unpack;

pub(super) use helper::{HELPER, main};
pub(super) use launch::{Cancel, Launcher};
pub(super) use spec::{
    Action, Failure, Mount, MountKind, Owner, Run, Source, Spec, Transfer, Tree,
};
pub(super) use tree::{Found, Root, clean};
