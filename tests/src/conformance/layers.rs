//! Layers put on top of each other in memory, as the OCI image specification's "Image Layer
//! Filesystem Changeset" has it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The files of an image.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// What each path is, by its place in `nodes`; several paths of one place are hard links.
    paths: BTreeMap<String, usize>,
    nodes: Vec<Map<String, Value>>,
}

impl Tree {
    /// Puts a layer on top, and returns what it holds: `PATH KIND`, sorted.
    pub(super) fn apply(&mut self, layer: &[u8]) -> Result<Vec<String>, String> {
        let mut held = Vec::new();
        let mut fresh = BTreeSet::new();
        let mut archive = tar::Archive::new(layer);
        for entry in archive.entries().map_err(|e| e.to_string())? {
            let mut entry = entry.map_err(|e| e.to_string())?;
            let found = Found::read(&mut entry)?;
            held.push(format!("{} {}", found.path, found.kind()));
            let (above, name) = found.path.rsplit_once('/').unwrap_or(("", &found.path));
            if name == ".wh..wh..opq" {
                self.remove_below(above, &fresh);
            } else if let Some(name) = name.strip_prefix(".wh.") {
                let gone = format!("{above}/{name}");
                self.remove_below(&gone, &fresh);
                if !fresh.contains(&gone) {
                    self.paths.remove(&gone);
                }
            } else {
                fresh.insert(found.path.clone());
                self.put(found)?;
            }
        }
        held.sort();
        let mut once = held.clone();
        once.dedup();
        if once != held {
            return Err(format!("a layer holds a path twice: {held:?}"));
        }
        Ok(held)
    }

    fn put(&mut self, found: Found) -> Result<(), String> {
        if found.kind() != "directory" {
            self.remove_below(&found.path, &BTreeSet::new());
        }
        let node = if let Some(target) = &found.hard_link {
            *self.paths.get(target).ok_or_else(|| {
                format!(
                    "{} is a hard link to {target}, which is nowhere",
                    found.path
                )
            })?
        } else {
            self.nodes.push(found.node);
            self.nodes.len() - 1
        };
        self.paths.insert(found.path, node);
        Ok(())
    }

    /// Takes away everything below a path that is not of the layer itself.
    fn remove_below(&mut self, path: &str, fresh: &BTreeSet<String>) {
        let prefix = format!("{path}/");
        self.paths
            .retain(|path, _| !path.starts_with(&prefix) || fresh.contains(path));
    }

    /// All files by path, with what is known of each.
    pub(super) fn report(&self) -> Value {
        let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (path, node) in &self.paths {
            groups.entry(*node).or_default().push(path);
        }
        let files = self.paths.iter().map(|(path, node)| {
            let mut file = self.nodes[*node].clone();
            let group = &groups[node];
            if group.len() > 1 {
                file.insert("links".into(), json!(group));
            }
            (path.clone(), Value::Object(file))
        });
        Value::Object(files.collect())
    }
}

/// An entry of a layer.
struct Found {
    path: String,
    node: Map<String, Value>,
    hard_link: Option<String>,
}

impl Found {
    fn kind(&self) -> &str {
        self.node["type"].as_str().unwrap_or_default()
    }

    fn read(entry: &mut tar::Entry<'_, impl Read>) -> Result<Self, String> {
        let path = absolute(&entry.path_bytes());
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        let mut pax: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for extension in entry
            .pax_extensions()
            .map_err(|e| e.to_string())?
            .into_iter()
            .flatten()
        {
            let extension = extension.map_err(|e| e.to_string())?;
            let key = extension.key().map_err(|e| e.to_string())?.to_owned();
            pax.insert(key, extension.value_bytes().to_vec());
        }
        let number = |key: &str, plain: std::io::Result<u64>| -> Result<u64, String> {
            match pax.get(key) {
                Some(text) => String::from_utf8_lossy(text)
                    .parse()
                    .map_err(|_| format!("{path}: {key}")),
                None => plain.map_err(|e| format!("{path}: {e}")),
            }
        };
        let header = entry.header();
        let kind = header.entry_type();
        let mode = header.mode().map_err(|e| e.to_string())?;
        let mut node = Map::new();
        node.insert("mode".into(), json!(format!("{:04o}", mode & 0o7777)));
        node.insert("uid".into(), json!(number("uid", header.uid())?));
        node.insert("gid".into(), json!(number("gid", header.gid())?));
        let mut hard_link = None;
        let name = match kind {
            tar::EntryType::Directory => "directory",
            tar::EntryType::Symlink => {
                // Linux gives every symbolic link the same mode.
                node.remove("mode");
                node.insert("target".into(), json!(text(&link.unwrap_or_default())));
                "symlink"
            }
            tar::EntryType::Link => {
                hard_link = Some(absolute(&link.unwrap_or_default()));
                "hard link"
            }
            tar::EntryType::Fifo => "fifo",
            tar::EntryType::Char | tar::EntryType::Block => {
                let part =
                    |part: std::io::Result<Option<u32>>| part.ok().flatten().unwrap_or_default();
                let number = format!(
                    "{}:{}",
                    part(header.device_major()),
                    part(header.device_minor())
                );
                node.insert("device".into(), json!(number));
                if kind == tar::EntryType::Char {
                    "character device"
                } else {
                    "block device"
                }
            }
            _ => "file",
        };
        node.insert("type".into(), json!(name));
        for (key, value) in &pax {
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                node.insert(format!("xattr {name}"), json!(hex::encode(value)));
            }
        }
        if name == "file" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            node.insert("size".into(), json!(bytes.len()));
            node.insert("sha256".into(), json!(hex::encode(Sha256::digest(&bytes))));
            // What a step printed is best seen as it is.
            if bytes.len() <= 2048
                && let Ok(text) = String::from_utf8(bytes)
            {
                node.insert("text".into(), json!(text));
            }
        }
        Ok(Self {
            path,
            node,
            hard_link,
        })
    }
}

fn absolute(path: &[u8]) -> String {
    let path = text(path);
    let path = path.trim_start_matches("./").trim_matches('/');
    format!("/{path}")
}

/// Bytes that are no text are shown escaped.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            if matches!(kind, tar::EntryType::Link | tar::EntryType::Symlink) {
                header.set_size(0);
                builder.append_link(&mut header, path, content).unwrap();
            } else {
                header.set_size(content.len() as u64);
                builder
                    .append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn paths(layers: &[&[(&str, tar::EntryType, &str)]]) -> Vec<String> {
        let mut tree = Tree::default();
        for entries in layers {
            tree.apply(&layer(entries)).unwrap();
        }
        tree.paths.into_keys().collect()
    }

    use tar::EntryType::{Directory, Link, Regular};

    #[test]
    fn a_whiteout_takes_a_folder_with_everything_in_it() {
        let lower: &[_] = &[
            ("d/", Directory, ""),
            ("d/f", Regular, "x"),
            ("e", Regular, "x"),
        ];
        assert_eq!(paths(&[lower, &[(".wh.d", Regular, "")]]), ["/e"]);
    }

    #[test]
    fn an_opaque_folder_keeps_what_its_own_layer_brings_in_any_order() {
        let lower: &[_] = &[("d/", Directory, ""), ("d/f", Regular, "x")];
        let upper: &[_] = &[
            ("d/", Directory, ""),
            ("d/g", Regular, "x"),
            ("d/.wh..wh..opq", Regular, ""),
        ];
        assert_eq!(paths(&[lower, upper]), ["/d", "/d/g"]);
    }

    #[test]
    fn a_file_over_a_folder_takes_what_was_in_it() {
        let lower: &[_] = &[("d/", Directory, ""), ("d/f", Regular, "x")];
        assert_eq!(paths(&[lower, &[("d", Regular, "x")]]), ["/d"]);
    }

    #[test]
    fn hard_links_are_told_apart_from_copies() {
        let mut tree = Tree::default();
        let entries = [("a", Regular, "x"), ("b", Link, "a"), ("c", Regular, "x")];
        tree.apply(&layer(&entries)).unwrap();
        let report = tree.report();
        assert_eq!(report["/a"]["links"], json!(["/a", "/b"]));
        assert_eq!(report["/c"].get("links"), None);
    }
}
