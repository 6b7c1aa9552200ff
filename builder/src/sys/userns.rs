//! Being root without being root: a user namespace with the subordinate ids of the calling user
//! (user_namespaces(7), subuid(5)).

use std::io::{self, Read, Write};
use std::process::Command;

use super::{Ended, Forked, Kernel, Linux, Namespaces, exit, fork, wait};

/// The first `count` ids of a namespace, from 1 on, and the ids that they are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// The first id outside.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Whether this process is in a user namespace of somebody's making.
pub fn inside() -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else {
        return false;
    };
    let fields: Vec<&str> = map.split_ascii_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}

/// Moves this process of one thread into a new user namespace, with a mount namespace of its own,
/// in which the calling user is root and the mappings are the other ids. The setuid programs
/// `newuidmap` and `newgidmap` write the maps, which only they may.
///
/// # Errors
/// When the kernel refuses, or the programs are missing or refuse.
pub fn enter(uids: Mapping, gids: Mapping) -> io::Result<()> {
    let (uid, gid) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    let target = std::process::id().to_string();
    let (mut wait_for_namespace, mut namespace_made) = io::pipe()?;
    // Only a process outside may run them, and only this one may be the one inside.
    match fork()? {
        Forked::Child => {
            drop(namespace_made);
            let mut byte = [0];
            let ready = wait_for_namespace.read_exact(&mut byte).is_ok();
            let mapped = ready
                && map("newuidmap", &target, uid, uids)
                && map("newgidmap", &target, gid, gids);
            exit(i32::from(!mapped))
        }
        Forked::Parent(pid) => {
            drop(wait_for_namespace);
            let unshared = Linux.unshare(Namespaces::NEWUSER | Namespaces::NEWNS);
            if unshared.is_ok() {
                namespace_made.write_all(b"x")?;
            }
            drop(namespace_made);
            let ended = wait(pid)?;
            unshared?;
            if ended != Ended::Exited(0) {
                return Err(io::Error::other("newuidmap or newgidmap failed"));
            }
        }
    }
    let root = super::Identity {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
    };
    Linux.become_user(&root)?;
    Linux.make_private()
}

fn map(program: &str, target: &str, own: u32, others: Mapping) -> bool {
    let status = Command::new(program)
        .args([target, "0", &own.to_string(), "1", "1"])
        .args([others.first.to_string(), others.count.to_string()])
        .status();
    status.is_ok_and(|status| status.success())
}
