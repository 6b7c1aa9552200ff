//! `COPY` and `ADD`.

use std::path::{Path, PathBuf};

use super::super::super::Error;
use super::super::step::{self, Action, Owner, Tree};
use super::super::store::Key;
use super::Builder;
use super::state::State;
use crate::dockerfile::{
    Expander, FileMode, Heredoc, Instruction, Kind, Transfer, TransferSource, UseKind,
};

impl Builder<'_> {
    pub(super) fn copy(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        transfer: &Transfer,
        stage: usize,
    ) -> Result<(), Error> {
        let is_add = matches!(instruction.kind, Kind::Add(_));
        let written = self.expand(state, &transfer.destination)?;
        let destination = state.absolute(&written);
        let flag = |name: &str| -> Result<Option<String>, Error> {
            let word = instruction.flag(name);
            let text = word.map(|word| self.expand(state, word)).transpose()?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        let (owner, mode, checksum) = (flag("chown")?, flag("chmod")?, flag("checksum")?);
        if let Some(mode) = mode
            .as_deref()
            .filter(|mode| FileMode::parse(mode).is_none())
        {
            return Err(self.refuse(&instruction.span, format!("`{mode}` is no mode")));
        }
        let mut excludes = Vec::new();
        for word in instruction.flag_values("exclude") {
            excludes.push(self.expand(state, word)?);
        }
        let parents = instruction.switch("parents");
        let unpack_given = instruction
            .flags
            .iter()
            .any(|flag| flag.name.text == "unpack");
        let unpack = is_add && (!unpack_given || instruction.switch("unpack"));

        let mut told = String::from(if is_add { "ADD" } else { "COPY" });
        if parents {
            told.push_str(" --parents");
        }
        if let Some(owner) = &owner {
            told.push_str(&format!(" --chown={owner}"));
        }
        if let Some(mode) = &mode {
            told.push_str(&format!(" --chmod={mode}"));
        }
        let from = match instruction.flag("from") {
            Some(word) => Some(self.tree(word, UseKind::CopyFrom, stage)?),
            None => None,
        };
        let (mut sources, mut parts, mut heredocs) = (Vec::new(), Vec::new(), String::new());
        for source in &transfer.sources {
            let (source, part) = match source {
                TransferSource::Path(word) => {
                    let path = self.expand(state, word)?;
                    told.push_str(&format!(" {path}"));
                    let (tree, part) = match &from {
                        Some((tree, part)) => (tree.clone(), part.clone()),
                        None => {
                            let tree = Tree::Folder(self.context.folder().to_path_buf());
                            let digest = self.context.digest(&path, true);
                            (tree, digest.map_err(|e| self.missing(e))?)
                        }
                    };
                    // What another stage has is never unpacked, nor what COPY names.
                    let unpack = unpack && from.is_none();
                    let part = format!("path {path} {unpack} {part}");
                    (source_of(tree, path, true, unpack), part)
                }
                TransferSource::Heredoc(index) => {
                    let heredoc = &instruction.heredocs[*index];
                    heredocs.push_str(&format!(" <<{}", heredoc.name));
                    let content = self.heredoc(state, heredoc)?;
                    let folder = self.own_folder()?;
                    self.write_heredoc(&folder, &heredoc.name, &content, 0o644)?;
                    let part = format!("heredoc {} {content}", heredoc.name);
                    (
                        source_of(Tree::Folder(folder), heredoc.name.clone(), false, false),
                        part,
                    )
                }
                TransferSource::Url(word) => {
                    let url = self.expand(state, word)?;
                    told.push_str(&format!(" {url}"));
                    let (folder, name, digest) =
                        self.download(&url, checksum.as_deref(), &destination)?;
                    let unpack = unpack_given && unpack;
                    let part = format!("url {name} {unpack} {digest}");
                    (source_of(Tree::Folder(folder), name, false, unpack), part)
                }
                TransferSource::Git(word) => {
                    let url = self.expand(state, word)?;
                    told.push_str(&format!(" {url}"));
                    let keep = instruction.switch("keep-git-dir");
                    let (folder, commit) =
                        self.clone_repository(&url, keep, checksum.as_deref())?;
                    let part = format!("git {url} {keep} {commit}");
                    (
                        source_of(Tree::Folder(folder), "/".to_owned(), false, false),
                        part,
                    )
                }
            };
            sources.push(source);
            parts.push(part);
        }
        told.push_str(&heredocs);
        told.push_str(&format!(" {written}"));
        let inputs = serde_json::to_vec(&(&destination, &owner, &mode, parents, &excludes, &parts))
            .map_err(|e| self.failed(None, e.to_string()))?;
        // `--link` changes nothing here: where BuildKit cannot join layers by itself, as on
        // Docker's own storage, it copies as without.
        let key = Key::of([state.key.as_str().as_bytes(), b"COPY", &inputs]);
        let action = Action::Transfer(step::Transfer {
            sources,
            destination,
            owner: owner.map(Owner),
            mode,
            parents,
            excludes,
        });
        self.step(state, key, action)?;
        state.note(told, true);
        Ok(())
    }

    /// What a file that is not there makes of the step that wants it.
    fn missing(&self, error: Error) -> Error {
        match error {
            Error::Refused { message } => {
                self.failed(None, format!("{message} in the build context"))
            }
            other => other,
        }
    }

    fn heredoc(&self, state: &State, heredoc: &Heredoc) -> Result<String, Error> {
        if !heredoc.expand {
            return Ok(heredoc.content.clone());
        }
        let variables = state.variables();
        Expander::for_body(&variables)
            .expand(&heredoc.content)
            .map(|expansion| expansion.text)
            .map_err(|e| self.refuse(&heredoc.opening, format!("{}; {}", e.message, e.hint)))
    }

    /// A new folder beside the context, for files that are made for a step.
    pub(super) fn own_folder(&mut self) -> Result<PathBuf, Error> {
        self.fetched += 1;
        let folder = self.scratch.path().join(format!("made-{}", self.fetched));
        let made = std::fs::create_dir(&folder);
        made.map_err(|e| self.shared.store.error(&folder, &e))?;
        Ok(folder)
    }

    /// Writes what a heredoc holds below a folder, under its name: whatever that is, it leads
    /// nowhere else.
    pub(super) fn write_heredoc(
        &self,
        folder: &Path,
        name: &str,
        text: &str,
        mode: u32,
    ) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let inside = step::clean(Path::new(name));
        if inside.file_name().is_none() {
            return Err(self.failed(None, format!("`{name}` is no name of a file")));
        }
        let path = folder.join(inside);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text))
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
            .and_then(|()| {
                let time = std::time::UNIX_EPOCH
                    + std::time::Duration::from_secs(self.shared.clamp.unsigned_abs());
                std::fs::File::options()
                    .write(true)
                    .open(&path)?
                    .set_modified(time)
            });
        written.map_err(|e| self.shared.store.error(&path, &e))
    }
}

fn source_of(tree: Tree, path: String, glob: bool, unpack: bool) -> step::Source {
    step::Source {
        tree,
        path,
        glob,
        unpack,
    }
}
