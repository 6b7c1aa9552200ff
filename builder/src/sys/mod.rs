//! The few kernel calls that the native engine needs: namespaces, mounts, credentials, special
//! files. The only room where `unsafe` may stand.
//!
//! [`Kernel`] is the whole of it: what is done in a step's namespaces goes through it, so that the
//! order of the calls and what happens when one fails are tested with [`Recorder`], unprivileged.
//! All of it is for processes of a single thread; [`fork`] and [`Linux::unshare`] refuse others.

mod descriptors;
mod exec;
mod fork;
mod keys;
mod linux;
mod net;
mod recorder;
mod userns;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

pub use descriptors::close_inherited;
pub use exec::exec;
pub use fork::{Ended, Forked, exit, fork, wait};
pub use keys::leave_session_keyring;
pub use linux::{Linux, die_with_parent};
pub use recorder::Recorder;
pub use userns::{Mapping, enter as enter_user_namespace, inside as inside_user_namespace};

pub use rustix::mount::MountFlags;
pub use rustix::thread::UnshareFlags as Namespaces;

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Calls that change the namespaces, the mounts or the credentials of the calling process.
pub trait Kernel {
    /// Moves into new namespaces; a new pid namespace is for the next child.
    fn unshare(&self, namespaces: Namespaces) -> io::Result<()>;

    /// Keeps the mounts made from now on from appearing elsewhere, and those of elsewhere from here.
    fn make_private(&self) -> io::Result<()>;

    /// Mounts a file system at a path.
    fn mount(&self, kind: &str, target: &Path, flags: MountFlags, data: &str) -> io::Result<()>;

    /// A file system that is mounted nowhere yet.
    fn detached(&self, kind: &str) -> io::Result<OwnedFd>;

    /// A copy of what is mounted at a path, with what is mounted below it where `recursive`,
    /// mounted nowhere yet.
    fn clone_tree(&self, source: &Path, recursive: bool) -> io::Result<OwnedFd>;

    /// Puts one of these at a path.
    fn attach(&self, tree: &OwnedFd, target: &Path) -> io::Result<()>;

    /// Gives one mount more flags. Those that it has stay: in a user namespace they are not ours to
    /// take away.
    fn remount(&self, target: &Path, flags: MountFlags) -> io::Result<()>;

    /// Makes a mounted folder the root, and lets go of the old one with all its mounts.
    fn pivot_root(&self, root: &Path) -> io::Result<()>;

    /// Sets the host name.
    fn set_hostname(&self, name: &str) -> io::Result<()>;

    /// Turns the loopback device on.
    fn loopback_up(&self) -> io::Result<()>;

    /// Keeps of the capabilities, for this process and all that it starts, only those listed, by
    /// number.
    fn limit_capabilities(&self, keep: &[u32]) -> io::Result<()>;

    /// Takes on an identity; capabilities are gone afterwards unless it is the superuser's.
    fn become_user(&self, identity: &Identity) -> io::Result<()>;
}
