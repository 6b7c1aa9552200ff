//! Who a name is, by the image's own `/etc/passwd` and `/etc/group`.

use std::path::Path;

use super::spec::{Failure, Owner};
use crate::sys::Identity;

/// Larger ones are not read: they are files of an image, and an image may be anybody's.
const MAX_FILE: u64 = 4 << 20;

/// One line of `/etc/passwd`.
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// One line of `/etc/group`.
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// The accounts below a root.
pub(super) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl Accounts {
    /// Reads the files below `root`; missing ones are empty. To be called where `root` confines
    /// links.
    pub(super) fn read(root: &Path) -> Self {
        Self::parse(
            &text(&root.join("etc/passwd")),
            &text(&root.join("etc/group")),
        )
    }

    fn parse(passwd: &str, group: &str) -> Self {
        let users = passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            Some(User {
                name: (*fields.first()?).to_owned(),
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
                home: (*fields.get(5).unwrap_or(&"")).to_owned(),
            })
        });
        let groups = group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let members = fields.get(3).unwrap_or(&"").split(',');
            Some(Group {
                name: (*fields.first()?).to_owned(),
                gid: fields.get(2)?.parse().ok()?,
                members: members
                    .filter(|m| !m.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
        });
        Self {
            users: users.collect(),
            groups: groups.collect(),
        }
    }

    /// Who `user[:group]` runs as, and where that user's home is. A number need not be an account.
    pub(super) fn identity(&self, text: &str) -> Result<(Identity, String), Failure> {
        let (user, group) = split(text);
        let user = if user.is_empty() { "0" } else { user };
        let number = user.parse::<u32>().ok();
        let account = self
            .users
            .iter()
            .find(|u| u.name == user)
            .or_else(|| self.users.iter().find(|u| Some(u.uid) == number));
        let (uid, own_gid, home) = match (account, number) {
            (Some(account), _) => (account.uid, account.gid, account.home.clone()),
            (None, Some(uid)) => (uid, 0, String::new()),
            (None, None) => return Err(no_user(user)),
        };
        let home = if home.is_empty() {
            "/".to_owned()
        } else {
            home
        };
        let (gid, groups) = match group {
            Some(group) => (self.group(group)?, Vec::new()),
            None => {
                let name = account.map(|a| a.name.as_str());
                let member = |g: &&Group| g.members.iter().any(|m| Some(m.as_str()) == name);
                let groups = self.groups.iter().filter(member).map(|g| g.gid);
                (own_gid, groups.collect())
            }
        };
        let mut all = vec![gid];
        for gid in groups {
            if !all.contains(&gid) {
                all.push(gid);
            }
        }
        Ok((
            Identity {
                uid,
                gid,
                groups: all,
            },
            home,
        ))
    }

    /// The ids that `--chown` means. Without a group, a user's own is meant; a name that the image
    /// does not know is the superuser, as with BuildKit.
    pub(super) fn owner(&self, owner: &Owner) -> (u32, u32) {
        let (user, group) = split(&owner.0);
        let number = user.parse::<u32>().ok();
        let account = self.users.iter().find(|u| u.name == user);
        let (uid, own_gid) = match (number, account) {
            (Some(uid), _) => (uid, uid),
            (None, Some(account)) => (account.uid, account.gid),
            (None, None) => (0, 0),
        };
        let gid = match group.filter(|group| !group.is_empty()) {
            Some(group) => self.group(group).unwrap_or(own_gid),
            None => own_gid,
        };
        (uid, gid)
    }

    fn group(&self, group: &str) -> Result<u32, Failure> {
        let by_name = self.groups.iter().find(|g| g.name == group).map(|g| g.gid);
        by_name.or_else(|| group.parse().ok()).ok_or_else(|| {
            Failure::asked(format!("the image has no group `{group}` in /etc/group"))
        })
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    }
}

fn no_user(user: &str) -> Failure {
    Failure::asked(format!("the image has no user `{user}` in /etc/passwd"))
}

fn text(path: &Path) -> String {
    use std::io::Read as _;
    // Not a FIFO or a device, on which reading may never end.
    let regular = std::fs::metadata(path).is_ok_and(|m| m.is_file());
    let mut bytes = Vec::new();
    if regular && let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(MAX_FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\nnova:x:42436:42436::/var/lib/nova:/bin/false\nbroken\n",
            "root:x:0:\nnova:x:42436:\nkolla:x:42400:nova,glance\nqemu:x:64:nova\n",
        )
    }

    #[test]
    fn names_numbers_and_groups() {
        let of = |text: &str| {
            let (who, home) = accounts().identity(text).unwrap();
            (who.uid, who.gid, who.groups, home)
        };
        assert_eq!(of(""), (0, 0, vec![0], "/root".to_owned()));
        let nova = vec![42436, 42400, 64];
        assert_eq!(
            of("nova"),
            (42436, 42436, nova.clone(), "/var/lib/nova".to_owned())
        );
        assert_eq!(of("42436").2, nova);
        assert_eq!(of("nova:qemu").1, 64);
        assert_eq!(of("nova:qemu").2, [64]);
        assert_eq!(of("7:8"), (7, 8, vec![8], "/".to_owned()));
        assert_eq!(of("7").1, 0);
        assert!(
            accounts()
                .identity("nobody")
                .unwrap_err()
                .message
                .contains("`nobody`")
        );
        assert!(
            accounts()
                .identity("nova:x")
                .unwrap_err()
                .message
                .contains("group `x`")
        );
    }

    #[test]
    fn owners() {
        let of = |text: &str| accounts().owner(&Owner(text.to_owned()));
        assert_eq!(of("nova"), (42436, 42436));
        assert_eq!(of("55"), (55, 55));
        assert_eq!(of("55:kolla"), (55, 42400));
        assert_eq!(of(":kolla"), (0, 42400));
        assert_eq!(of("nobody:nowhere"), (0, 0));
        assert_eq!(of("nova:nowhere"), (42436, 42436));
    }
}
