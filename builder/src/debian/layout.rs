//! Where every file of every package goes, as dpkg would lay them out one package after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Package;
use super::members::{Member, MemberKind};
use super::relation::replaces;

/// What belongs into /usr on a system with merged /usr (Debian Policy, section 9.1.1; file-hierarchy
/// of base-files).
const MERGED: [&str; 7] = ["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];
/// How many symbolic links a path may lead over, as Linux has it.
const MAX_LINKS: usize = 40;

/// Why files cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    #[error(
        "the packages `{one}` and `{other}` both have `/{path}`, and neither replaces the other's"
    )]
    Both {
        path: String,
        one: String,
        other: String,
    },
    #[error(
        "`/{path}` of the package `{package}` is in the way of a file or a folder of `{other}`"
    )]
    InTheWay {
        path: String,
        package: String,
        other: String,
    },
    #[error("`/{path}` of the package `{package}` leads over symbolic links to no folder")]
    Astray { path: String, package: String },
    #[error(
        "`/{path}` of the package `{package}` is a hard link to `/{target}`, which the package does not have"
    )]
    NoTarget {
        path: String,
        package: String,
        target: String,
    },
}

/// Which file's content an entry has: the number of the package and the number of the entry in it.
/// Two entries with the same one are the same file.
pub(super) type Inode = (usize, usize);

/// What is at a path of the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    Symlink(String),
    File(Inode),
}

#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// The number of the package that it is of.
    pub(super) package: usize,
    pub(super) node: Node,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
    /// A folder that some package uses without having it.
    implied: bool,
}

/// A root file system in the making.
#[derive(Debug, Default)]
pub(super) struct Layout {
    entries: BTreeMap<String, Placed>,
    /// For each package, the places of its files that others took over.
    taken: BTreeMap<usize, BTreeSet<String>>,
}

impl Layout {
    /// Lays out packages in this order, each with the entries of its archive.
    pub(super) fn new(packages: &[(&Package, &[Member])]) -> Result<Self, LayoutError> {
        let mut layout = Self::default();
        layout.merge_usr(packages);
        for (number, (package, members)) in packages.iter().enumerate() {
            let names = |number: usize| packages[number].0.name.clone();
            let mut own: BTreeMap<&str, Inode> = BTreeMap::new();
            for (entry, member) in members.iter().enumerate() {
                if member.path.is_empty() {
                    continue;
                }
                let node = match &member.kind {
                    MemberKind::Directory => Node::Directory,
                    MemberKind::Symlink(target) => Node::Symlink(target.clone()),
                    MemberKind::File => Node::File((number, entry)),
                    MemberKind::Hardlink(target) => {
                        let known = own.get(target.as_str()).copied();
                        Node::File(known.ok_or_else(|| LayoutError::NoTarget {
                            path: member.path.clone(),
                            package: package.name.clone(),
                            target: target.clone(),
                        })?)
                    }
                };
                if let Node::File(inode) = &node {
                    own.insert(&member.path, *inode);
                }
                let place = layout
                    .place(&member.path)
                    .ok_or_else(|| LayoutError::Astray {
                        path: member.path.clone(),
                        package: package.name.clone(),
                    })?;
                layout.parents(&place, number, &names)?;
                let placed = Placed {
                    package: number,
                    node,
                    mode: member.mode,
                    uid: member.uid,
                    gid: member.gid,
                    mtime: member.mtime,
                    implied: false,
                };
                layout.put(place, placed, packages)?;
            }
        }
        Ok(layout)
    }

    /// Everything that there is, by path.
    pub(super) fn entries(&self) -> &BTreeMap<String, Placed> {
        &self.entries
    }

    /// Whether another package took over what a package has at a place.
    pub(super) fn is_taken(&self, package: usize, place: &str) -> bool {
        let taken = self.taken.get(&package);
        taken.is_some_and(|places| places.contains(place))
    }

    /// The same path without symbolic links on the way to it; none where they lead to no folder.
    pub(super) fn place(&self, path: &str) -> Option<String> {
        let mut done: Vec<String> = Vec::new();
        let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            if todo.is_empty() {
                break;
            }
            match self.entries.get(&done.join("/")).map(|placed| &placed.node) {
                None | Some(Node::Directory) => {}
                Some(Node::File(_)) => return None,
                Some(Node::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    done.pop();
                    if target.starts_with('/') {
                        done.clear();
                    }
                    todo.extend(target.rsplit('/').map(str::to_owned));
                }
            }
        }
        (!done.is_empty()).then(|| done.join("/"))
    }

    /// The links /bin -> usr/bin and so on, before anything is placed below them. Only those whose
    /// folders a package uses.
    fn merge_usr(&mut self, packages: &[(&Package, &[Member])]) {
        for name in MERGED {
            let uses = |path: &str| {
                let rest = path.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let user = packages
                .iter()
                .position(|(_, members)| members.iter().any(|m| uses(&m.path)));
            let Some(package) = user else {
                continue;
            };
            let made = |node, mode| Placed {
                package,
                node,
                mode,
                uid: 0,
                gid: 0,
                mtime: crate::archive::FIXED_TIME,
                implied: true,
            };
            for folder in ["usr".to_owned(), format!("usr/{name}")] {
                self.entries
                    .entry(folder)
                    .or_insert_with(|| made(Node::Directory, 0o755));
            }
            let link = made(Node::Symlink(format!("usr/{name}")), 0o777);
            self.entries.insert(name.to_owned(), link);
        }
    }

    /// Folders that a package uses without having them.
    fn parents(
        &mut self,
        place: &str,
        package: usize,
        names: &dyn Fn(usize) -> String,
    ) -> Result<(), LayoutError> {
        for (end, _) in place.match_indices('/') {
            let folder = &place[..end];
            match self.entries.get(folder) {
                None => {
                    self.entries.insert(
                        folder.to_owned(),
                        Placed {
                            package,
                            node: Node::Directory,
                            mode: 0o755,
                            uid: 0,
                            gid: 0,
                            mtime: crate::archive::FIXED_TIME,
                            implied: true,
                        },
                    );
                }
                Some(placed) if placed.node == Node::Directory => {}
                Some(placed) => {
                    return Err(LayoutError::InTheWay {
                        path: folder.to_owned(),
                        package: names(placed.package),
                        other: names(package),
                    });
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        place: String,
        placed: Placed,
        packages: &[(&Package, &[Member])],
    ) -> Result<(), LayoutError> {
        let Some(there) = self.entries.get(&place) else {
            self.entries.insert(place, placed);
            return Ok(());
        };
        let name = |number: usize| packages[number].0.name.clone();
        match (&there.node, &placed.node) {
            // A folder is of everybody who has it, as the first one has it; a link to a folder, or
            // in place of one, leaves things as they are.
            (Node::Directory, Node::Directory) => {
                if there.implied {
                    self.entries.insert(place, placed);
                }
                return Ok(());
            }
            (Node::Directory, Node::Symlink(_)) => return Ok(()),
            (Node::Symlink(_), Node::Directory) if self.is_folder(&place) => return Ok(()),
            (Node::Symlink(one), Node::Symlink(other)) if one == other => {
                return Ok(());
            }
            (Node::File(_) | Node::Symlink(_), Node::File(_) | Node::Symlink(_)) => {}
            _ => {
                return Err(LayoutError::InTheWay {
                    path: place,
                    package: name(there.package),
                    other: name(placed.package),
                });
            }
        }
        let (old, new) = (there.package, placed.package);
        if old == new {
            self.entries.insert(place, placed);
        } else if replaces(packages[new].0, packages[old].0) {
            self.taken.entry(old).or_default().insert(place.clone());
            self.entries.insert(place, placed);
        } else if replaces(packages[old].0, packages[new].0) {
            self.taken.entry(new).or_default().insert(place);
        } else {
            return Err(LayoutError::Both {
                path: place,
                one: name(old),
                other: name(new),
            });
        }
        Ok(())
    }

    fn is_folder(&self, path: &str) -> bool {
        // One more part makes the last one a folder on the way.
        let Some(inside) = self.place(&format!("{path}/x")) else {
            return false;
        };
        let Some((folder, _)) = inside.rsplit_once('/') else {
            return true;
        };
        let node = self.entries.get(folder).map(|placed| &placed.node);
        node == Some(&Node::Directory)
    }
}

#[cfg(test)]
#[path = "tests/layout.rs"]
mod tests;
