//! Users and groups, from the image's own `/etc/passwd` and `/etc/group`.
//!
//! The program is linked statically, so the C library's ways to other sources of names are closed
//! to it, and an image has no other.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;
use crate::root::Root;

const MAX_FILE: u64 = 4 << 20;

/// The accounts of an image.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

/// Why an owner is nobody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    User(String),
    Group(String),
}

impl Accounts {
    /// A missing file has no names in it.
    pub(crate) fn read(root: &Root) -> Result<Self> {
        let text = |path: &str| -> Result<String> {
            let bytes = root.read(Path::new(path), MAX_FILE)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Self {
            users: parse(&text("/etc/passwd")?),
            groups: parse(&text("/etc/group")?),
        })
    }

    /// The ids of `user:group`. `user` and `user:` mean the group of the same name.
    pub(crate) fn owner(&self, text: &str) -> Result<(u32, u32), Unknown> {
        let (user, group) = match text.split_once(':') {
            Some((user, "")) => (user, user),
            Some(both) => both,
            None => (text, text),
        };
        let uid = self.users.get(user);
        let gid = self.groups.get(group);
        Ok((
            *uid.ok_or_else(|| Unknown::User(user.to_owned()))?,
            *gid.ok_or_else(|| Unknown::Group(group.to_owned()))?,
        ))
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
}

/// Both files have a name first and its number third. As with the C library, the first line of a
/// name counts, and a line that is none is passed over.
fn parse(text: &str) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let name = fields.next().unwrap_or_default();
        if let Some(number) = fields.nth(1).and_then(|number| number.parse().ok())
            && !name.is_empty()
        {
            numbers.entry(name.to_owned()).or_insert(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            users: parse(
                "root:x:0:0:root:/root:/bin/sh\nnova:x:42436:42436::/:\n# no\nbad:x:y:\nnova:x:1:1",
            ),
            groups: parse("root:x:0:\nnova:x:42436:\nkolla:x:42400:nova\n"),
        }
    }

    #[test]
    fn a_user_without_a_group_means_the_group_of_that_name() {
        assert_eq!(accounts().owner("nova"), Ok((42436, 42436)));
        assert_eq!(accounts().owner("nova:"), Ok((42436, 42436)));
        assert_eq!(accounts().owner("nova:kolla"), Ok((42436, 42400)));
    }

    #[test]
    fn a_number_is_no_name() {
        assert_eq!(accounts().owner("0"), Err(Unknown::User("0".into())));
        assert_eq!(
            accounts().owner("root:42400"),
            Err(Unknown::Group("42400".into()))
        );
        assert_eq!(accounts().owner(""), Err(Unknown::User(String::new())));
        assert_eq!(accounts().owner("bad"), Err(Unknown::User("bad".into())));
    }
}
