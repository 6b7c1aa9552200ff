//! The default tag: the commit that the fleet is at.

use std::path::Path;
use std::process::Command;

use crate::model::{Diagnostic, Location, Tag};

/// The short commit id, with `-dirty` where files differ from it or are new.
pub(super) fn commit_tag(root: &Path) -> Result<Tag, Diagnostic> {
    let commit = git(root, &["rev-parse", "--short", "HEAD"])?;
    let status = git(root, &["status", "--porcelain"])?;
    let dirty = if status.is_empty() { "" } else { "-dirty" };
    Tag::new(format!("{commit}{dirty}"))
}

/// The whole commit id; none where there is no commit, or files differ from it.
pub(super) fn commit(root: &Path) -> Option<String> {
    let status = git(root, &["status", "--porcelain"]).ok()?;
    status.is_empty().then_some(())?;
    git(root, &["rev-parse", "HEAD"]).ok()
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, Diagnostic> {
    let no_tag = |reason: String| {
        // git does not read a tree that belongs to somebody else, as root's view of a user's clone.
        let hint = if reason.contains("dubious ownership") {
            "name a tag with --tag, or let git read this tree: git config --global --add safe.directory DIR"
        } else {
            "name a tag with --tag, or commit the fleet to git"
        };
        Diagnostic::definition("there is no commit to take the tag from")
            .at(Location::file(root))
            .note(reason)
            .hint(hint)
    };
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env("LC_ALL", "C")
        // Looking must not write: another git may be at work in this tree.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .map_err(|e| no_tag(format!("cannot run git: {e}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(no_tag(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}
