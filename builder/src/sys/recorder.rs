//! A kernel that only notes what it is asked for, and fails where a test wants it to.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{Identity, Kernel, MountFlags, Namespaces};

/// Notes the calls, one line each.
#[derive(Debug, Default)]
pub struct Recorder {
    calls: RefCell<Vec<String>>,
    /// The call that fails, by the beginning of its line, and the error's number.
    failing: Option<(String, i32)>,
}

impl Recorder {
    /// One whose first call that begins with `call` fails with the error of this number.
    pub fn failing(call: impl Into<String>, error: i32) -> Self {
        Self {
            calls: RefCell::default(),
            failing: Some((call.into(), error)),
        }
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    fn note(&self, call: String) -> io::Result<()> {
        let fails = self
            .failing
            .as_ref()
            .filter(|(start, _)| call.starts_with(start.as_str()));
        let error = fails.map(|(_, error)| io::Error::from_raw_os_error(*error));
        self.calls.borrow_mut().push(call);
        error.map_or(Ok(()), Err)
    }

    fn tree(&self, call: String) -> io::Result<OwnedFd> {
        self.note(call)?;
        Ok(std::fs::File::open("/dev/null")?.into())
    }
}

impl Kernel for Recorder {
    fn unshare(&self, namespaces: Namespaces) -> io::Result<()> {
        self.note(format!("unshare {namespaces:?}"))
    }

    fn make_private(&self) -> io::Result<()> {
        self.note("make_private".to_owned())
    }

    fn mount(&self, kind: &str, target: &Path, flags: MountFlags, data: &str) -> io::Result<()> {
        self.note(format!(
            "mount {kind} {} {flags:?} {data}",
            target.display()
        ))
    }

    fn detached(&self, kind: &str) -> io::Result<OwnedFd> {
        self.tree(format!("detached {kind}"))
    }

    fn clone_tree(&self, source: &Path, recursive: bool) -> io::Result<OwnedFd> {
        let how = if recursive { " recursive" } else { "" };
        self.tree(format!("clone_tree {}{how}", source.display()))
    }

    fn attach(&self, _: &OwnedFd, target: &Path) -> io::Result<()> {
        self.note(format!("attach {}", target.display()))
    }

    fn remount(&self, target: &Path, flags: MountFlags) -> io::Result<()> {
        self.note(format!("remount {} {flags:?}", target.display()))
    }

    fn pivot_root(&self, root: &Path) -> io::Result<()> {
        self.note(format!("pivot_root {}", root.display()))
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        self.note(format!("set_hostname {name}"))
    }

    fn loopback_up(&self) -> io::Result<()> {
        self.note("loopback_up".to_owned())
    }

    fn limit_capabilities(&self, keep: &[u32]) -> io::Result<()> {
        self.note(format!("limit_capabilities {keep:?}"))
    }

    fn become_user(&self, identity: &Identity) -> io::Result<()> {
        self.note(format!(
            "become_user {}:{} {:?}",
            identity.uid, identity.gid, identity.groups
        ))
    }
}
