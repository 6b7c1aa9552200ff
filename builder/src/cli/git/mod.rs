//! What is asked of git: commits by their names, and the files of one. Leaves no trace in the repository.

mod checkout;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

pub(super) use checkout::Checkout;

use crate::model::{Diagnostic, Location, did_you_mean};
use crate::process::{self, Captured};

/// A repository with a work tree.
pub(super) struct Repository {
    /// The top of the work tree, without links.
    pub(super) top: PathBuf,
    /// The folder that was asked about, below the top.
    pub(super) prefix: PathBuf,
    /// Whether its history was cut off when it was cloned.
    is_shallow: bool,
}

/// A commit that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit(String);

impl Commit {
    /// All digits of its id.
    pub(super) fn id(&self) -> &str {
        &self.0
    }

    /// As much of it as people read.
    pub(super) fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl Repository {
    /// The repository that a folder is in.
    ///
    /// # Errors
    /// Where it is in none, or git may not look at it.
    pub(super) async fn of(folder: &Path) -> Result<Self, Diagnostic> {
        let arguments = [
            "rev-parse",
            "--show-toplevel",
            "--show-prefix",
            "--is-shallow-repository",
        ];
        let asked = run(command(folder, &arguments), Stdio::null()).await?;
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        match lines.as_slice() {
            [top, prefix, shallow] if asked.status.success() => Ok(Self {
                top: PathBuf::from(top),
                prefix: PathBuf::from(prefix.trim_end_matches('/')),
                is_shallow: *shallow == "true",
            }),
            _ => {
                let reason = said(&asked);
                // git does not read a tree that belongs to somebody else.
                let hint = if reason.contains("dubious ownership") {
                    "let git read this tree: git config --global --add safe.directory DIR"
                } else {
                    "revisions are compared in a git repository with a work tree"
                };
                Err(
                    Diagnostic::definition("the fleet is in no repository that git can read")
                        .at(Location::file(folder))
                        .note(reason)
                        .hint(hint),
                )
            }
        }
    }

    /// The commit of a revision, in any of git's notations.
    ///
    /// # Errors
    /// Where there is none, with what gets it where it may only be missing here.
    pub(super) async fn commit(&self, revision: &str) -> Result<Commit, Diagnostic> {
        let name = format!("{revision}^{{commit}}");
        let arguments = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &name,
        ];
        let asked = run(command(&self.top, &arguments), Stdio::null()).await?;
        if asked.status.success() {
            return Ok(Commit(said_on_output(&asked)));
        }
        let shown = revision.escape_debug();
        let hexadecimal = revision.bytes().all(|b| b.is_ascii_hexdigit());
        if self.is_shallow || (hexadecimal && revision.len() >= 40) {
            return Err(
                Diagnostic::environment(format!("there is no `{shown}` in this clone"))
                    .note(if self.is_shallow {
                        "it is a shallow clone: only the latest commits were fetched"
                    } else {
                        "nothing that was fetched leads to that commit"
                    })
                    .maybe_hint(self.fetch(revision).await)
                    .maybe_hint(self.unshallow()),
            );
        }
        let names = self
            .lines(&["for-each-ref", "--format=%(refname:short)"])
            .await;
        Err(
            Diagnostic::definition(format!("there is no revision `{shown}`"))
                .maybe_hint(did_you_mean(revision, names.iter().map(String::as_str)))
                .maybe_hint(self.fetch(revision).await)
                .hint("a revision is a branch, a tag, a commit, or what else git-rev-parse knows"),
        )
    }

    /// The commit where the history of a revision and that of `HEAD` parted.
    ///
    /// # Errors
    /// As [`Self::commit`]; where there is no such commit, or it was not fetched.
    pub(super) async fn common_ancestor(&self, revision: &str) -> Result<Commit, Diagnostic> {
        let other = self.commit(revision).await?;
        let head = self.commit("HEAD").await?;
        let asked = run(
            command(&self.top, &["merge-base", other.id(), head.id()]),
            Stdio::null(),
        )
        .await?;
        if asked.status.success() {
            return Ok(Commit(said_on_output(&asked)));
        }
        let shown = revision.escape_debug();
        Err(if self.is_shallow {
            Diagnostic::environment(format!(
                "this clone does not reach back to where `{shown}` and HEAD parted"
            ))
            .note("it is a shallow clone: only the latest commits were fetched")
            .hint("`git fetch --deepen=100` gets more of them")
            .maybe_hint(self.unshallow())
        } else {
            Diagnostic::definition(format!("`{shown}` and HEAD have no commit in common"))
                .hint("without --merge-base the revision itself is compared with")
        })
    }

    /// The command that gets what a revision names.
    async fn fetch(&self, revision: &str) -> Option<String> {
        let remotes = self.lines(&["remote"]).await;
        let usual = remotes.iter().find(|remote| *remote == "origin");
        let remote = usual.or(remotes.first())?;
        let of_remote = revision.strip_prefix(&format!("{remote}/"));
        let name = of_remote.unwrap_or(revision);
        let good = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        if name.is_empty() || !name.bytes().all(good) || name.starts_with('-') || name == "HEAD" {
            return None;
        }
        let hexadecimal = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
        Some(match of_remote {
            Some(branch) => format!(
                "`git fetch --depth=1 {remote} {branch}:refs/remotes/{remote}/{branch}` gets it"
            ),
            // A part of an id is nothing that a remote understands.
            None if hexadecimal && name.len() < 40 => return None,
            None if hexadecimal => format!("`git fetch --depth=1 {remote} {name}` gets it"),
            None => {
                format!("`git fetch --depth=1 {remote} {name}` gets it, by the name FETCH_HEAD")
            }
        })
    }

    fn unshallow(&self) -> Option<String> {
        self.is_shallow
            .then(|| "`git fetch --unshallow` gets the whole history".to_owned())
    }

    /// What git prints, by lines; nothing where it fails.
    async fn lines(&self, arguments: &[&str]) -> Vec<String> {
        match run(command(&self.top, arguments), Stdio::null()).await {
            Ok(asked) => said_on_output(&asked).lines().map(str::to_owned).collect(),
            Err(_) => Vec::new(),
        }
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        // What would write into the repository when an index is written, or leave a process behind.
        .args(["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false"])
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0");
    command
}

async fn run(command: Command, input: Stdio) -> Result<Captured, Diagnostic> {
    process::capture(command, input).await.map_err(|e| {
        Diagnostic::environment(format!("cannot run git: {e}"))
            .hint("git knows what the fleet was: install it")
    })
}

fn said(asked: &Captured) -> String {
    String::from_utf8_lossy(&asked.stderr).trim().to_owned()
}

fn said_on_output(asked: &Captured) -> String {
    String::from_utf8_lossy(&asked.stdout).trim().to_owned()
}
