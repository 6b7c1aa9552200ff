//! `config_files` against the files that are there: what is copied where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::accounts::Accounts;
use crate::config::{Config, Wanted};
use crate::copy::{Copier, Links, Properties, Source, is_dir, look};
use crate::defaults::Defaults;
use crate::error::{Error, Result};
use crate::pattern;
use crate::root::{Root, last_name};

/// One file or directory to be copied.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) source: PathBuf,
    pub(crate) dest: PathBuf,
    pub(crate) properties: Properties,
    pub(crate) merge: bool,
}

/// Everything that is copied, in order. An optional source that is not there is left out.
pub(crate) fn expand(
    root: &Root,
    accounts: &Accounts,
    origin: &str,
    config: &Config,
) -> Result<Vec<Copy>> {
    let mut copies = Vec::new();
    for entry in &config.config_files {
        let mut sources = pattern::matches(root, &entry.source)?;
        if entry.only_dirs {
            sources.retain(|source| is_dir(root, source));
        }
        if sources.is_empty() {
            if entry.optional {
                continue;
            }
            return Err(Error::Config {
                origin: origin.to_owned(),
                message: format!(
                    "{}.source: {} is not there; mount it, or set `optional`",
                    entry.key,
                    entry.source.display()
                ),
            });
        }
        let properties = match &entry.properties {
            Wanted::Preserved => Properties::Preserve,
            Wanted::Set { owner, mode } => Properties::Set {
                owner: owner.ids(accounts)?,
                mode: *mode,
            },
        };
        for source in sources {
            let dest = if entry.into {
                entry.dest.join(last_name(&source))
            } else {
                entry.dest.clone()
            };
            copies.push(Copy {
                source,
                dest,
                properties,
                merge: entry.merge,
            });
        }
    }
    Ok(copies)
}

impl Copy {
    /// How the links among these sources are treated.
    pub(crate) fn links(&self) -> Links {
        match self.properties {
            Properties::Preserve if self.merge => Links::KeepToFiles,
            _ => Links::Follow,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, root: &Root) -> Result<()> {
        if let Some(parent) = self.dest.parent() {
            root.make_dirs(parent)?;
        }
        let copier = Copier {
            root,
            properties: self.properties,
            links: self.links(),
        };
        if self.merge {
            copier.merge(&self.source, &self.dest)
        } else {
            copier.replace(&self.source, &self.dest)
        }
    }

    /// The paths that are replaced: the destination, or where directories are merged, each file.
    pub(crate) fn replaced(
        &self,
        root: &Root,
        defaults: &Defaults,
        into: &mut BTreeSet<PathBuf>,
    ) -> Result<()> {
        if self.merge {
            self.leaves(root, defaults, (&self.source, &self.dest), into)
        } else {
            into.insert(self.dest.clone());
            Ok(())
        }
    }

    fn leaves(
        &self,
        root: &Root,
        defaults: &Defaults,
        (source, dest): (&Path, &Path),
        into: &mut BTreeSet<PathBuf>,
    ) -> Result<()> {
        let dir = match look(root, self.links(), source)? {
            Source::Dir(dir) if !defaults.no_directory(root, dest)? => dir,
            _ => {
                into.insert(dest.to_owned());
                return Ok(());
            }
        };
        for child in dir.children()? {
            let name = last_name(child.path());
            self.leaves(root, defaults, (&source.join(name), &dest.join(name)), into)?;
        }
        Ok(())
    }
}
