//! Whether what is in place is what the configuration says. Nothing is changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::Config;
use crate::copy::{Properties, Source, look, wanted_mode};
use crate::defaults::Defaults;
use crate::error::{Error, Result};
use crate::plan::Copy;
use crate::root::{Node, Root, last_name};
use crate::set_configs::RUN_COMMAND;

const MAX_COMMAND: u64 = 16 << 20;

/// Ends in [`Error::Different`] with all differences, each named without what is in the files.
pub(crate) fn run(root: &Root, config: &Config, copies: &[Copy]) -> Result<()> {
    let mut found = Vec::new();
    let running = root.read(Path::new(RUN_COMMAND), MAX_COMMAND)?;
    if running.as_deref() != Some(config.command.as_bytes()) {
        found.push("the command is another".to_owned());
    }
    let defaults = Defaults::load(root)?;
    let mut replaced = BTreeSet::new();
    for copy in copies {
        copy.replaced(root, &defaults, &mut replaced)?;
    }
    for path in defaults.paths().filter(|path| !replaced.contains(*path)) {
        found.push(format!("{} is no longer configured", path.display()));
    }
    for copy in copies {
        let mut comparison = Comparison {
            root,
            copy,
            found: &mut found,
        };
        comparison.compare(&copy.source, &copy.dest)?;
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Error::Different(found))
    }
}

struct Comparison<'a> {
    root: &'a Root,
    copy: &'a Copy,
    found: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn compare(&mut self, source: &Path, dest: &Path) -> Result<()> {
        let parent = dest.parent().unwrap_or(Path::new("/"));
        if !self.root.missing_dirs(parent)?.is_empty() {
            self.differs(dest, "is not there");
            return Ok(());
        }
        let from = look(self.root, self.copy.links(), source)?;
        // A merged directory may be reached through a link; what was copied is never one, but
        // where links are kept.
        let place = match &from {
            Source::Dir(_) if self.copy.merge => self.root.follow(dest)?,
            _ => self.root.name(dest)?,
        };
        let Some(to) = place.node()? else {
            self.differs(dest, "is not there");
            return Ok(());
        };
        match from {
            Source::Link(target) => {
                if !to.is_link() || place.link_target()? != target {
                    self.differs(dest, "is not the same link");
                }
            }
            Source::Dir(from) if to.is_dir() => {
                self.properties(&from, &to, dest);
                for child in from.children()? {
                    let name = last_name(child.path());
                    self.compare(&source.join(name), &dest.join(name))?;
                }
            }
            Source::File(from, node) if to.kind() == node.kind() => {
                if !same_bytes(from.open()?, place.open()?, dest)? {
                    self.differs(dest, "has other content");
                }
                self.properties(&node, &to, dest);
            }
            Source::Special(node) => return Err(node.unexpected("a regular file or a directory")),
            _ => self.differs(dest, "is a file of another kind"),
        }
        Ok(())
    }

    fn properties(&mut self, from: &Node, to: &Node, dest: &Path) {
        let (owner, mode) = match self.copy.properties {
            Properties::Preserve => (from.owner(), from.mode()),
            Properties::Set { owner, mode } => (owner, wanted_mode(mode, to.is_dir())),
        };
        if to.owner() != owner {
            self.differs(dest, "has another owner");
        }
        if to.mode() != mode {
            self.differs(dest, "has other permissions");
        }
    }

    fn differs(&mut self, path: &Path, how: &str) {
        self.found.push(format!("{} {how}", path.display()));
    }
}

fn same_bytes(mut one: File, mut other: File, path: &Path) -> Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let chunk = 1 << 20;
    loop {
        for (file, bytes) in [(&mut one, &mut left), (&mut other, &mut right)] {
            bytes.clear();
            file.take(chunk)
                .read_to_end(bytes)
                .map_err(Error::io("read", path))?;
        }
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
