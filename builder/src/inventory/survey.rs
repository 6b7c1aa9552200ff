use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Inventory;
use super::copyright::{self, MAX_COPYRIGHT};
use super::dpkg::{self, MAX_STATUS};
use super::notable::{self, Cache, Privileged};
use super::package::PackageKind;
use super::python::{self, MAX_METADATA};
use crate::oci::layer::{File, FileKind, Visitor};

const STATUS: &str = "var/lib/dpkg/status";
const PASSWD: &str = "etc/passwd";
/// The most of `/etc/passwd` that is read, bytes.
const MAX_PASSWD: u64 = 1 << 20;
/// The most files of one kind that are told by name.
const MAX_TOLD: usize = 10_000;

/// Takes an inventory while the files of an image go by.
#[derive(Debug, Default)]
pub struct Survey(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    inventory: Inventory,
    caches: BTreeMap<String, Cache>,
    licences: BTreeMap<String, String>,
}

impl Survey {
    /// The inventory of what was seen.
    pub fn finish(&self) -> Inventory {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            mut inventory,
            caches,
            licences,
        } = std::mem::take(&mut *state);
        for package in &mut inventory.packages {
            if package.kind == PackageKind::Deb {
                package.licence = licences.get(&package.name).cloned();
            }
        }
        inventory.packages.sort();
        inventory.privileged.sort();
        inventory.secrets.sort();
        inventory.caches = caches.into_values().collect();
        inventory
    }
}

/// Whether it is the record of a Python package.
fn dist_info(path: &str) -> Option<&str> {
    let folder = path.strip_suffix("/METADATA")?;
    folder.ends_with(".dist-info").then_some(folder)
}

impl Visitor for Survey {
    fn wants(&self, file: &File) -> Option<u64> {
        let path = file.path.as_str();
        if path == STATUS {
            // One more than is taken, so that a file that is too long is told from one that fits.
            Some(MAX_STATUS as u64 + 1)
        } else if path == PASSWD {
            Some(MAX_PASSWD)
        } else if dist_info(path).is_some() {
            Some(MAX_METADATA as u64 + 1)
        } else if copyright::package_of(path).is_some() {
            Some(MAX_COPYRIGHT as u64)
        } else {
            notable::suspicious(file)
        }
    }

    fn visit(&self, file: &File, content: Option<&[u8]>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.file(file, content);
    }
}

impl State {
    fn file(&mut self, file: &File, content: Option<&[u8]>) {
        if file.kind == FileKind::Directory {
            return;
        }
        let path = file.path.as_str();
        let inventory = &mut self.inventory;
        inventory.files += 1;
        inventory.size = inventory.size.saturating_add(file.size);
        if let Some(found) = Privileged::of(file)
            && inventory.privileged.len() < MAX_TOLD
        {
            inventory.privileged.push(found);
        }
        if let Some(folder) = notable::cache_of(path)
            && self.caches.len() < MAX_TOLD
        {
            let cache = self
                .caches
                .entry(folder.to_owned())
                .or_insert_with(|| Cache {
                    folder: format!("/{folder}"),
                    files: 0,
                    size: 0,
                });
            cache.files += 1;
            cache.size = cache.size.saturating_add(file.size);
        }
        let Some(content) = content else { return };
        if path == STATUS {
            match dpkg::parse(content) {
                Ok(packages) => inventory.packages.extend(packages),
                Err(error) => inventory.unreadable.push(format!("/{path}: {error}")),
            }
        } else if path == PASSWD {
            inventory.accounts = accounts(content);
        } else if let Some(folder) = dist_info(path) {
            match python::parse(content, &format!("/{folder}")) {
                Ok(package) => inventory.packages.push(package),
                Err(_) if inventory.unreadable.len() >= MAX_TOLD => {}
                Err(error) => inventory
                    .unreadable
                    .push(format!("/{}: {error}", path.escape_debug())),
            }
        } else if let Some(package) = copyright::package_of(path) {
            if let Some(licences) = copyright::licences(content) {
                self.licences.insert(package.to_owned(), licences);
            }
        } else if let Some(secret) = notable::secret(file, content)
            && inventory.secrets.len() < MAX_TOLD
        {
            inventory.secrets.push(secret);
        }
    }
}

/// Names and user ids (passwd(5)); lines that are none are passed over, as the system does.
fn accounts(passwd: &[u8]) -> Vec<(String, u32)> {
    let text = String::from_utf8_lossy(passwd);
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(account).take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_of_what_went_by() {
        let survey = Survey::default();
        let see = |path: &str, mode: u32, content: &[u8]| {
            let file = File {
                path: path.to_owned(),
                kind: FileKind::File,
                mode,
                uid: 0,
                gid: 42,
                size: content.len() as u64,
                target: None,
                capabilities: path.ends_with("ping"),
            };
            let wanted = survey.wants(&file);
            survey.visit(&file, wanted.map(|_| content));
        };
        see(
            STATUS,
            0o644,
            b"Package: bash\nStatus: install ok installed\nVersion: 5\n",
        );
        see(
            PASSWD,
            0o644,
            b"root:x:0:0::/root:\nbroken\nnova:x:42436:1::/:\n",
        );
        see("usr/bin/sudo", 0o4755, b"ELF");
        see("usr/bin/wall", 0o2755, b"ELF");
        see("usr/bin/ping", 0o755, b"ELF");
        see("var/lib/apt/lists/a", 0o644, b"12");
        see("var/lib/apt/lists/b", 0o644, b"345");
        see(
            "usr/lib/x.dist-info/METADATA",
            0o644,
            b"Name: x\nVersion: 1\n",
        );
        see("usr/lib/y.dist-info/METADATA", 0o644, b"Name: y\n");
        see(
            "usr/share/doc/bash/copyright",
            0o644,
            b"Format: 1\nLicense: GPL-3+\n",
        );
        let found = survey.finish();
        let names: Vec<_> = found.packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["bash", "x"]);
        assert_eq!(found.packages[0].licence.as_deref(), Some("GPL-3+"));
        assert_eq!(
            (found.uid("nova"), found.uid("broken")),
            (Some(42436), None)
        );
        let described: Vec<_> = found.privileged.iter().map(Privileged::describe).collect();
        assert_eq!(described, ["with capabilities", "setuid root", "setgid 42"]);
        assert_eq!((found.caches[0].files, found.caches[0].size), (2, 5));
        assert_eq!(
            found.unreadable,
            ["/usr/lib/y.dist-info/METADATA: a package has no version"]
        );
        assert_eq!(found.files, 10);
    }
}
