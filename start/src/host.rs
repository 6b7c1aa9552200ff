//! What a program is given: its environment, and the file tree it works on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::Result;
use crate::root::Root;

/// A container, seen from inside.
#[derive(Debug)]
pub struct Host {
    pub(crate) root: Root,
    environment: BTreeMap<OsString, OsString>,
}

impl Host {
    /// A container whose `/` is `root`.
    ///
    /// # Errors
    /// Where there is no such directory.
    pub fn new(root: &Path, environment: BTreeMap<OsString, OsString>) -> Result<Self> {
        Ok(Self {
            root: Root::new(root)?,
            environment,
        })
    }

    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        self.environment
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// Whether somebody has become the superuser for this. `sudo` sets the variable whatever the
    /// caller's environment has.
    pub(crate) fn through_sudo(&self) -> bool {
        self.var("SUDO_UID").is_some()
    }

    /// Whether that somebody is this user.
    pub(crate) fn asked_by(&self, user: u32) -> bool {
        let asking = self.var("SUDO_UID").and_then(OsStr::to_str);
        asking.and_then(|number| number.parse().ok()) == Some(user)
    }
}
