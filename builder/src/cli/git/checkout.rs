use std::ffi::OsStr;
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{Commit, Repository, command, run, said};
use crate::model::Diagnostic;

/// Files of a commit in a folder elsewhere, written as a checkout would write them: git's filters and
/// line endings applied. Only what is asked for is taken.
pub(in super::super) struct Checkout<'r> {
    repository: &'r Repository,
    /// Stands for the top of the work tree, and has its name.
    folder: PathBuf,
    /// Holds that, and what git needs on the way.
    within: PathBuf,
    files: Vec<Listed>,
}

struct Listed {
    /// Below the top.
    path: PathBuf,
    is_link: bool,
    is_taken: bool,
}

impl<'r> Checkout<'r> {
    /// Begins one in an empty folder. It is the caller's to remove.
    ///
    /// # Errors
    /// Where the folder cannot be written, or git cannot read the commit.
    pub(in super::super) async fn new(
        repository: &'r Repository,
        commit: &Commit,
        within: &Path,
    ) -> Result<Self, Diagnostic> {
        // An image of plain Dockerfiles may be named after the folder.
        let name = repository.top.file_name().unwrap_or(OsStr::new("fleet"));
        let folder = within.join("tree").join(name);
        // Who looks for the repository's top finds it here.
        std::fs::create_dir_all(folder.join(".git"))
            .map_err(|e| Diagnostic::environment(format!("cannot write a folder: {e}")))?;
        let mut checkout = Self {
            repository,
            folder,
            within: within.to_path_buf(),
            files: Vec::new(),
        };
        let read = checkout.command(&["read-tree", commit.id()]);
        checkout.run(read, Stdio::null()).await?;
        let list = checkout.command(&["ls-files", "--stage", "-z"]);
        let listed = checkout.run(list, Stdio::null()).await?;
        checkout.files = listed.split(|b| *b == 0).filter_map(listed_file).collect();
        Ok(checkout)
    }

    /// Where a path below the top is.
    pub(in super::super) fn path(&self, path: &Path) -> PathBuf {
        // Joined with nothing, it would end in a slash.
        if path.as_os_str().is_empty() {
            return self.folder.clone();
        }
        self.folder.join(path)
    }

    /// The top.
    pub(in super::super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the commit has a file or a folder.
    pub(in super::super) fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path.starts_with(path))
    }

    /// Writes files, and folders with all below them.
    ///
    /// # Errors
    /// Where git fails, for a disk that is full or a remote that it cannot ask for what it lacks.
    pub(in super::super) async fn take(&mut self, wanted: &[PathBuf]) -> Result<(), Diagnostic> {
        // A link may lead anywhere in the repository.
        let leads_away =
            |file: &&Listed| file.is_link && wanted.iter().any(|path| path.starts_with(&file.path));
        let all = self.files.iter().any(|file| leads_away(&file));
        let mut paths = Vec::new();
        for file in self.files.iter_mut().filter(|file| !file.is_taken) {
            if all || wanted.iter().any(|path| file.path.starts_with(path)) {
                file.is_taken = true;
                paths.extend_from_slice(file.path.as_os_str().as_bytes());
                paths.push(0);
            }
        }
        if paths.is_empty() {
            return Ok(());
        }
        let list = || -> std::io::Result<std::fs::File> {
            let mut file = tempfile::tempfile_in(&self.within)?;
            file.write_all(&paths)?;
            file.rewind()?;
            Ok(file)
        };
        let input = list()
            .map_err(|e| Diagnostic::environment(format!("cannot write a temporary file: {e}")))?;
        let mut prefix = self.folder.clone().into_os_string();
        prefix.push("/");
        let arguments = ["checkout-index", "-z", "--stdin", "--prefix"];
        let mut command = self.command(&arguments);
        command.arg(prefix);
        self.run(command, input.into()).await.map(|_| ())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.repository.top, arguments);
        command.env("GIT_INDEX_FILE", self.within.join("index"));
        command
    }

    async fn run(&self, command: Command, input: Stdio) -> Result<Vec<u8>, Diagnostic> {
        let done = run(command, input).await?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        Err(
            Diagnostic::environment("git cannot bring forth the files of that revision")
                .note(said(&done)),
        )
    }
}

/// A line of `git ls-files --stage`; a submodule has no files.
fn listed_file(line: &[u8]) -> Option<Listed> {
    let tab = line.iter().position(|b| *b == b'\t')?;
    let (facts, path) = (&line[..tab], &line[tab + 1..]);
    if facts.starts_with(b"160000") {
        return None;
    }
    Some(Listed {
        path: PathBuf::from(OsStr::from_bytes(path)),
        is_link: facts.starts_with(b"120000"),
        is_taken: false,
    })
}
