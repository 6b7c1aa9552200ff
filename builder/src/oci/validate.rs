//! A second opinion on a layout: everything that can be recomputed is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::compress::Decoder;
use super::hash::Hashing;
use super::layout::{BLOBS, INDEX, Layout, MARK, config_document, open_regular, read_document};
use super::spec::{Descriptor, Index, MAX_MANIFEST, Manifest, media};
use crate::model::Digest;

/// The most bytes of a layer that is decompressed.
const MAX_LAYER: u64 = 256 << 30;

/// How deep indices may lie in each other.
const MAX_NESTING: usize = 8;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// Looks at a whole layout: every digest and size, each layer against its diff id, media types,
/// what is named and missing, what is there and not named. Files and folders called as in
/// `besides` may stand in the layout's root. Blobs are read in parallel and never held in memory.
/// No findings means that all is well.
pub fn validate(root: &Path, besides: &[&str]) -> Vec<Finding> {
    let mut walk = Walk {
        root,
        findings: Vec::new(),
        named: BTreeMap::new(),
        diff_ids: BTreeMap::new(),
    };
    let names = [&[MARK, INDEX, BLOBS[0]], besides].concat();
    walk.unknown(root, &names);
    walk.unknown(&root.join(BLOBS[0]), &BLOBS[1..]);
    match Layout::open(root) {
        Err(error) => walk.find(root.join(MARK), error.to_string()),
        Ok(layout) => match layout.index() {
            Err(error) => walk.find(root.join(INDEX), error.to_string()),
            Ok(index) => walk.index(&layout, &index, 0),
        },
    }
    let stored = walk.stored();
    let blobs = walk.blobs();
    for digest in walk.named.keys().filter(|digest| !stored.contains(*digest)) {
        let problem = "it is named, and missing".to_owned();
        walk.findings.push(Finding {
            path: blobs.join(digest.hex()),
            problem,
        });
    }
    let found: Vec<_> = stored
        .par_iter()
        .flat_map_iter(|digest| walk.blob(digest))
        .collect();
    let mut findings = walk.findings;
    findings.extend(found);
    findings.sort();
    findings.dedup();
    findings
}

struct Walk<'a> {
    root: &'a Path,
    findings: Vec<Finding>,
    /// What names each blob.
    named: BTreeMap<Digest, Vec<Descriptor>>,
    /// The diff ids that each layer should have.
    diff_ids: BTreeMap<Digest, BTreeSet<Digest>>,
}

impl Walk<'_> {
    fn find(&mut self, path: PathBuf, problem: impl Into<String>) {
        self.findings.push(Finding {
            path,
            problem: problem.into(),
        });
    }

    fn blobs(&self) -> PathBuf {
        self.root.join(BLOBS[0]).join(BLOBS[1])
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Finds what is in a folder beside what may be.
    fn unknown(&mut self, folder: &Path, names: &[&str]) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.find(folder.to_path_buf(), error.to_string()),
        };
        for entry in entries {
            match entry {
                Err(error) => self.find(folder.to_path_buf(), error.to_string()),
                Ok(entry) if names.iter().any(|name| entry.file_name() == **name) => {}
                Ok(entry) => self.find(entry.path(), "it does not belong here"),
            }
        }
    }

    /// The blobs that are there.
    fn stored(&mut self) -> BTreeSet<Digest> {
        let (folder, mut stored) = (self.blobs(), BTreeSet::new());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.find(folder, error.to_string());
                return stored;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.find(folder.clone(), error.to_string());
                    continue;
                }
            };
            let name = entry.file_name();
            let digest = name.to_str().and_then(|n| Digest::parse(n).ok());
            match digest.filter(|d| name == d.hex().as_str()) {
                Some(digest) => drop(stored.insert(digest)),
                None => self.find(
                    entry.path(),
                    "its name is not a digest: it does not belong here",
                ),
            }
        }
        stored
    }

    fn index(&mut self, layout: &Layout, index: &Index, nesting: usize) {
        for descriptor in &index.manifests {
            let path = self.path(&descriptor.digest);
            let seen = self.named.contains_key(&descriptor.digest);
            self.name(descriptor);
            if seen || !layout.has(descriptor) {
                // What is missing or of another size is found where blobs are looked at.
                continue;
            }
            let document = || read_document(layout, descriptor, MAX_MANIFEST);
            let what = descriptor.digest.to_string();
            if media::is_manifest(&descriptor.media_type) {
                match document().and_then(|bytes| Manifest::parse(&bytes, &what)) {
                    Ok(manifest) => self.manifest(layout, &manifest, &path),
                    Err(error) => self.find(path, error.to_string()),
                }
            } else if !media::is_index(&descriptor.media_type) {
                self.find(path, unknown_type(descriptor));
            } else if nesting == MAX_NESTING {
                self.find(
                    path,
                    format!("indices lie more than {MAX_NESTING} deep in each other"),
                );
            } else {
                match document().and_then(|bytes| Index::parse(&bytes, &what)) {
                    Ok(index) => self.index(layout, &index, nesting + 1),
                    Err(error) => self.find(path, error.to_string()),
                }
            }
        }
    }

    fn manifest(&mut self, layout: &Layout, manifest: &Manifest, path: &Path) {
        self.name(&manifest.config);
        for layer in &manifest.layers {
            self.name(layer);
            if media::layer(&layer.media_type).is_none() {
                self.find(self.path(&layer.digest), unknown_type(layer));
            }
        }
        if !layout.has(&manifest.config) {
            return;
        }
        match config_document(layout, manifest, &path.display().to_string()) {
            Err(error) => self.find(self.path(&manifest.config.digest), error.to_string()),
            Ok((config, _)) => {
                for (layer, diff_id) in manifest.layers.iter().zip(config.rootfs.diff_ids) {
                    self.diff_ids
                        .entry(layer.digest.clone())
                        .or_default()
                        .insert(diff_id);
                }
            }
        }
    }

    fn name(&mut self, descriptor: &Descriptor) {
        let named = self.named.entry(descriptor.digest.clone()).or_default();
        if !named.contains(descriptor) {
            named.push(descriptor.clone());
        }
    }

    /// What is wrong with one blob.
    fn blob(&self, digest: &Digest) -> Vec<Finding> {
        let path = self.path(digest);
        let mut problems = Vec::new();
        let named = self
            .named
            .get(digest)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if named.is_empty() {
            problems.push("nothing names it".to_owned());
        }
        match open_regular(&path) {
            Err(error) => problems.push(error.to_string()),
            Ok(file) => {
                let diff_ids = self.diff_ids.get(digest);
                if let Err(error) = content(digest, file, named, diff_ids, &mut problems) {
                    problems.push(format!("it cannot be read: {error}"));
                }
            }
        }
        let finding = |problem| Finding {
            path: path.clone(),
            problem,
        };
        problems.into_iter().map(finding).collect()
    }
}

fn content(
    digest: &Digest,
    file: fs::File,
    named: &[Descriptor],
    diff_ids: Option<&BTreeSet<Digest>>,
    problems: &mut Vec<String>,
) -> io::Result<()> {
    let mut blob = Hashing::new(file);
    if let Some(diff_ids) = diff_ids {
        let mut decoder = Decoder::new(&mut blob)?;
        let encoding = decoder.encoding();
        let other = |d: &&Descriptor| media::layer(&d.media_type).is_some_and(|e| e != encoding);
        for descriptor in named.iter().filter(other) {
            problems.push(format!(
                "it is called `{}`, and its bytes are {encoding:?}",
                descriptor.media_type
            ));
        }
        let mut tar = Hashing::new((&mut decoder).take(MAX_LAYER));
        match io::copy(&mut tar, &mut io::sink()) {
            Err(error) => problems.push(format!("it cannot be decompressed: {error}")),
            Ok(_) => {
                let (rest, found, count) = tar.finish();
                if count == MAX_LAYER && rest.into_inner().read(&mut [0])? > 0 {
                    problems.push(format!("decompressed it has more than {MAX_LAYER} bytes"));
                }
                for diff_id in diff_ids.iter().filter(|d| **d != found) {
                    problems.push(format!(
                        "decompressed it should have the digest {diff_id}, and has {found}"
                    ));
                }
            }
        }
        decoder.drain()?;
    }
    io::copy(&mut blob, &mut io::sink())?;
    let (_, found, count) = blob.finish();
    if found != *digest {
        problems.push(format!("its digest is {found}"));
    }
    for descriptor in named.iter().filter(|d| d.size != count) {
        problems.push(format!(
            "{} bytes were expected, and {count} found",
            descriptor.size
        ));
    }
    Ok(())
}

fn unknown_type(descriptor: &Descriptor) -> String {
    let found: String = descriptor.media_type.chars().take(120).collect();
    format!("its media type `{}` is not known", found.escape_debug())
}
