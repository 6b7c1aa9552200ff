//! The calls as Linux has them.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::{Identity, Kernel, Namespaces, net};

/// The running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

/// Has this process killed when the one that started it ends, or the thread that did. Becoming
/// another user undoes it.
///
/// # Errors
/// Never on any Linux that this runs on.
pub fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::KILL,
    ))?)
}

impl Kernel for Linux {
    fn unshare(&self, namespaces: Namespaces) -> io::Result<()> {
        // SAFETY: no flag of ours unshares the table of open files, which is what makes it unsafe.
        unsafe { rustix::thread::unshare_unsafe(namespaces) }?;
        Ok(())
    }

    fn make_private(&self) -> io::Result<()> {
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        Ok(rustix::mount::mount_change("/", flags)?)
    }

    fn mount(&self, kind: &str, target: &Path, flags: MountFlags, data: &str) -> io::Result<()> {
        let data = CString::new(data)?;
        Ok(rustix::mount::mount(
            kind,
            target,
            kind,
            flags,
            data.as_c_str(),
        )?)
    }

    fn detached(&self, kind: &str) -> io::Result<OwnedFd> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        Ok(rustix::mount::fsmount(
            context.as_fd(),
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes,
        )?)
    }

    fn clone_tree(&self, source: &Path, recursive: bool) -> io::Result<OwnedFd> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        Ok(rustix::mount::open_tree(CWD, source, flags)?)
    }

    fn attach(&self, tree: &OwnedFd, target: &Path) -> io::Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
        Ok(rustix::mount::move_mount(tree, "", CWD, target, flags)?)
    }

    fn remount(&self, target: &Path, flags: MountFlags) -> io::Result<()> {
        use rustix::fs::StatVfsMountFlags as Kept;
        let kept = rustix::fs::statvfs(target)?.f_flag;
        let kept = [
            (Kept::RDONLY, MountFlags::RDONLY),
            (Kept::NOSUID, MountFlags::NOSUID),
            (Kept::NODEV, MountFlags::NODEV),
            (Kept::NOEXEC, MountFlags::NOEXEC),
        ]
        .into_iter()
        .filter(|(has, _)| kept.contains(*has))
        .fold(MountFlags::BIND, |all, (_, flag)| all | flag);
        Ok(rustix::mount::mount_remount(target, flags | kept, c"")?)
    }

    fn pivot_root(&self, root: &Path) -> io::Result<()> {
        // The old root ends up below the new one at the same place, whence it is taken away.
        rustix::process::chdir(root)?;
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        Ok(rustix::process::chdir("/")?)
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }

    fn loopback_up(&self) -> io::Result<()> {
        net::loopback_up()
    }

    fn limit_capabilities(&self, keep: &[u32]) -> io::Result<()> {
        let set = keep.iter().fold(CapabilitySet::empty(), |set, number| {
            set | CapabilitySet::from_bits_retain(1 << number)
        });
        for number in 0..=63_u32 {
            let one = CapabilitySet::from_bits_retain(1 << number);
            match rustix::thread::capability_is_in_bounding_set(one) {
                Ok(true) if !set.contains(one) => {
                    rustix::thread::remove_capability_from_bounding_set(one)?;
                }
                Ok(_) => {}
                // Past the last one that this kernel knows.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let own = rustix::thread::capabilities(None)?;
        let kept = own.permitted & set;
        rustix::thread::clear_ambient_capability_set()?;
        Ok(rustix::thread::set_capabilities(
            None,
            CapabilitySets {
                effective: kept,
                permitted: kept,
                inheritable: CapabilitySet::empty(),
            },
        )?)
    }

    fn become_user(&self, identity: &Identity) -> io::Result<()> {
        let groups: Vec<Gid> = identity
            .groups
            .iter()
            .map(|gid| Gid::from_raw(*gid))
            .collect();
        let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}
