//! `directories`, `files` and `permissions`: what exists, whose it is, and for whom.
//!
//! Below a path with `recurse` everything may be the service's, so nothing there is followed, and a
//! file of the superuser's that somebody has given a second name in a directory of theirs is left
//! alone. Upstream would hand either over.

use std::path::Path;

use regex::Regex;
use rustix::fs::FileType;

use crate::accounts::Accounts;
use crate::config::{Made, Permission};
use crate::copy::wanted_mode;
use crate::error::{Error, Result};
use crate::log::Log;
use crate::pattern;
use crate::root::{Node, Place, Root};

/// Creates a directory with those above it.
pub(crate) fn make_dir(root: &Root, accounts: &Accounts, made: &Made) -> Result<()> {
    root.make_dirs(&made.path)?;
    let node = root.follow(&made.path)?.directory()?;
    node.set_owner(made.owner.ids(accounts)?)?;
    node.set_mode(wanted_mode(made.mode, true))
}

/// Creates an empty file, if there is none.
pub(crate) fn make_file(root: &Root, accounts: &Accounts, made: &Made) -> Result<()> {
    let place = root.name(&made.path)?;
    let node = match place.node()? {
        None => Node::of(&place.create()?, &made.path)?,
        Some(node) if node.kind() == FileType::RegularFile => node,
        Some(other) => return Err(other.unexpected("a regular file")),
    };
    if borrowed(&place, &node)? {
        return Err(Error::Kind {
            path: made.path.clone(),
            found: "another name for a file of the superuser",
            expected: "a file of its own",
        });
    }
    node.set_owner(made.owner.ids(accounts)?)?;
    node.set_mode(made.mode)
}

/// Carries out one entry of `permissions`. What cannot be done is said and passed over, as upstream
/// does: there may be a read-only mount below the path, or a link that a service has laid, which is
/// not to keep others from starting.
pub(crate) fn apply(
    root: &Root,
    accounts: &Accounts,
    log: &mut Log<'_>,
    permission: &Permission,
) -> Result<()> {
    let owner = permission.owner.ids(accounts)?;
    let mut work = Work {
        owner,
        permission,
        log,
    };
    match pattern::matches(root, &permission.path) {
        Ok(paths) => {
            for path in paths {
                let done = work.path(root, &path);
                work.said(done);
            }
        }
        Err(error) => work.said(Err(error)),
    }
    Ok(())
}

struct Work<'a, 'l> {
    owner: (u32, u32),
    permission: &'a Permission,
    log: &'a mut Log<'l>,
}

impl Work<'_, '_> {
    fn path(&mut self, root: &Root, path: &Path) -> Result<()> {
        let place = root.follow(path)?;
        let node = place.required()?;
        self.set(&place, &node);
        if self.permission.recurse && node.is_dir() {
            self.below(&node)?;
        }
        Ok(())
    }

    fn said(&mut self, done: Result<()>) {
        if let Err(error) = done {
            self.log.say(error.line());
        }
    }

    fn below(&mut self, dir: &Node) -> Result<()> {
        for place in dir.children()? {
            // The service may have removed it since.
            let Some(node) = place.node()? else { continue };
            if node.is_link() {
                continue;
            }
            if !excluded(&self.permission.exclude, place.path()) {
                self.set(&place, &node);
            }
            if node.is_dir() {
                let done = self.below(&node);
                self.said(done);
            }
        }
        Ok(())
    }

    fn set(&mut self, place: &Place, node: &Node) {
        let done = borrowed(place, node).and_then(|borrowed| {
            if borrowed {
                let path = place.path().display();
                self.log.say(format_args!(
                    "{path} is another name for a file of the superuser, left alone"
                ));
                return Ok(());
            }
            node.set_owner(self.owner)?;
            match self.permission.mode {
                Some(mode) => node.set_mode(wanted_mode(mode, node.is_dir())),
                None => Ok(()),
            }
        });
        self.said(done);
    }
}

/// Whether a file of the superuser's has got a second name in somebody else's directory.
fn borrowed(place: &Place, node: &Node) -> Result<bool> {
    let shared = node.kind() == FileType::RegularFile && node.names() > 1;
    Ok(shared && node.owner().0 == 0 && place.dir_owner()? != 0)
}

fn excluded(expressions: &[Regex], path: &Path) -> bool {
    let path = path.to_string_lossy();
    expressions
        .iter()
        .any(|expression| expression.is_match(&path))
}
