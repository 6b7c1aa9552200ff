//! The native engine for a user who is not root: the program goes on in a user namespace, in which
//! it is root over the user's subordinate ids (subuid(5)).

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::model::Diagnostic;
use crate::sys::{Mapping, enter_user_namespace};

/// The name under which the program starts itself to enter the namespace: that takes a process of
/// one thread.
pub(super) const NAME: &str = "kolla-user-namespace";

/// Fewer ids than a distribution's system accounts have would fail half way through a build.
const ENOUGH: u32 = 65_535;

/// Whether this process may not do what the engine does.
pub(super) fn is_needed() -> bool {
    !rustix::process::geteuid().is_root()
}

/// Begins anew in a user namespace. The command must not have done anything yet.
///
/// # Errors
/// All that keeps it from that; it does not return otherwise.
pub(super) fn begin_anew(arguments: &[OsString]) -> Result<Infallible, Diagnostic> {
    mappings()?;
    Err(start(NAME, arguments))
}

/// Enters the namespace, and becomes the program again there.
///
/// # Errors
/// When the kernel, or newuidmap, refuses.
pub(super) fn enter(arguments: &[OsString]) -> Result<Infallible, Diagnostic> {
    let (uids, gids) = mappings()?;
    enter_user_namespace(uids, gids).map_err(|e| {
        Diagnostic::environment(format!("cannot make a user namespace: {e}"))
            .hint("install newuidmap (Debian's package uidmap)")
            .hint(
                "user namespaces must be allowed: `sysctl kernel.unprivileged_userns_clone \
                   user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns`",
            )
            .hint("or run as root, or start Docker or Podman")
    })?;
    Err(start("kolla", arguments))
}

fn start(name: &str, arguments: &[OsString]) -> Diagnostic {
    let error = std::env::current_exe().map(|program| {
        Command::new(program)
            .arg0(name)
            .args(arguments.iter().skip(1))
            .exec()
    });
    let error = error.unwrap_or_else(|error| error);
    Diagnostic::environment(format!("cannot start this program anew: {error}"))
}

fn mappings() -> Result<(Mapping, Mapping), Diagnostic> {
    let uid = rustix::process::getuid().as_raw();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let name = user_name(&read("/etc/passwd"), uid);
    let of = |path: &str| {
        range(&read(path), name.as_deref(), uid).ok_or_else(|| {
            let user = name.clone().unwrap_or_else(|| uid.to_string());
            Diagnostic::environment(format!(
                "{path} gives the user {user} no range of {ENOUGH} ids, which the native engine \
                 needs for the owners of files in images"
            ))
            .hint(format!(
                "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
            ))
            .hint("or run as root, or start Docker or Podman")
        })
    };
    Ok((of("/etc/subuid")?, of("/etc/subgid")?))
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(2).is_some_and(|f| f.parse() == Ok(uid)));
    found.map(|fields| fields[0].to_owned())
}

/// The largest range of a user, if it is large enough.
fn range(text: &str, name: Option<&str>, uid: u32) -> Option<Mapping> {
    let number = uid.to_string();
    let ranges = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [user, first, count] = fields.as_slice() else {
            return None;
        };
        (Some(*user) == name || *user == number).then_some(())?;
        Some(Mapping {
            first: first.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    let largest = ranges.max_by_key(|mapping| mapping.count)?;
    (largest.count >= ENOUGH).then_some(largest)
}

/// Whether a process was started under [`NAME`].
pub(super) fn is_it(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| name == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_range_of_a_user_counts() {
        let text =
            "root:1:70000\nann:100000:65536\nann:300000:100000\n1001:7:65536\n# x\nbob:5:10\n";
        let of = |name: Option<&str>, uid| range(text, name, uid).map(|m| (m.first, m.count));
        assert_eq!(of(Some("ann"), 1000), Some((300_000, 100_000)));
        assert_eq!(of(None, 1001), Some((7, 65_536)));
        assert_eq!(of(Some("bob"), 1002), None);
        assert_eq!(of(Some("eve"), 1003), None);
    }

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 1), None);
    }
}
