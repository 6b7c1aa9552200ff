//! What an engine is sent to build one image from: its files, its sources, and nothing else.
//!
//! Owns which files belong to a context, their digests, ignore rules, sources from elsewhere and
//! their cache. A context is the same to the byte wherever it is made, and nothing in it leads out.

mod fetch;
mod ignore;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use fetch::Fetcher;

use crate::archive::{Body, Entry, EntryKind, TarReader, digest_of, leads_out};
use crate::cargo;
use crate::catalog::{Bootstrap, FileKind, Origin, SourceDefinition};
use crate::graph::Node;
use crate::model::{Diagnostic, Diagnostics, Digest, Location, Source, did_you_mean};
use crate::pins::Pins;
pub use ignore::Ignore;

/// The name of the Dockerfile within a context.
pub const DOCKERFILE: &str = "Dockerfile";

/// A build context that is ready to be sent, as often as needed.
#[derive(Debug, Clone)]
pub struct BuildContext {
    entries: Arc<[Entry]>,
}

impl BuildContext {
    /// A context of these entries; `Dockerfile` should be among them.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self {
            entries: entries.into(),
        }
    }

    /// Its entries, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Starts reading it as an uncompressed tar, from the beginning.
    pub fn open(&self) -> Box<dyn Read + Send> {
        Box::new(TarReader::new(self.entries.iter().cloned()))
    }
}

/// The files of a context with their digests, before its sources are fetched.
#[derive(Debug, Clone)]
pub struct Assembly {
    files: BTreeMap<String, EntryKind>,
    sources: Vec<SourceDefinition>,
}

/// One file of a context as an input of the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileInput {
    /// "file", "executable", "link", "directory", "url", "git", "bootstrap", "crate".
    pub kind: String,
    /// A digest, a link's text, a commit or a declaration: what the content is.
    pub content: String,
    /// What a program is compiled from, of which the content is the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<cargo::Inputs>,
    /// The state of each suite of the archive that a root file system is made from, where they are pinned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pinned: BTreeMap<String, Digest>,
}

impl Assembly {
    /// Reads and digests the files of an image's context. Archives are those that `pins` say.
    ///
    /// # Errors
    /// All problems at once: links that lead out of the context, files that cannot be in one,
    /// COPY and ADD of what is not there.
    pub fn new(node: &Node, pins: &Pins) -> Result<Self, Diagnostics> {
        let definition = node.rendered().definition();
        let mut problems = Diagnostics::default();
        let ignore = problems.take(ignore_rules(node)).unwrap_or_default();
        let mut files = BTreeMap::new();
        for file in definition.files() {
            let rendered = file
                .path
                .strip_suffix(".tera")
                .and_then(|path| Some((path, node.rendered().files().get(path)?)));
            let path = rendered.map_or(file.path.as_str(), |(path, _)| path);
            if ignore.excludes(path) {
                continue;
            }
            let kind = match (rendered, &file.kind) {
                (Some((_, text)), FileKind::File { executable }) => Ok(EntryKind::File {
                    executable: *executable,
                    body: Body::Text(Arc::clone(text)),
                }),
                _ => entry(path, &file.disk, &file.kind),
            };
            if let Some(kind) = problems.take(kind) {
                files.insert(path.to_owned(), kind);
            }
        }
        let mut sources = Vec::new();
        for source in node.rendered().sources() {
            if files.contains_key(&source.to) {
                problems.push(
                    Diagnostic::definition(format!("`{}` is already in the context", source.to))
                        .at(source.declared.clone())
                        .hint("give the source another path in `to`"),
                );
            }
            match &source.origin {
                Origin::Local { path } => {
                    let local = local_files(path, &source.to);
                    files.extend(problems.take(local).into_iter().flatten());
                }
                Origin::Bootstrap(bootstrap) => sources.push(SourceDefinition {
                    origin: Origin::Bootstrap(Bootstrap {
                        pinned: pins.archive(&bootstrap.suite),
                        ..bootstrap.clone()
                    }),
                    ..source.clone()
                }),
                _ => sources.push(source.clone()),
            }
        }
        let assembly = Self { files, sources };
        problems.take(assembly.check_copies(node, &ignore));
        problems.or_ok(assembly)
    }

    /// Every file as an input of the fingerprint, by path.
    pub fn inputs(&self) -> BTreeMap<String, FileInput> {
        let input = |kind: &str, content: String| FileInput {
            kind: kind.to_owned(),
            content,
            made_from: None,
            pinned: BTreeMap::new(),
        };
        let files = self.files.iter().map(|(path, kind)| {
            let value = match kind {
                EntryKind::Directory => input("directory", String::new()),
                EntryKind::Symlink(target) => input("link", target.clone()),
                EntryKind::File { executable, body } => {
                    let digest = match body {
                        Body::Text(text) => Digest::of(text.as_bytes()).to_string(),
                        Body::Disk { digest, .. } => {
                            digest.as_ref().map(ToString::to_string).unwrap_or_default()
                        }
                    };
                    input(if *executable { "executable" } else { "file" }, digest)
                }
            };
            (path.clone(), value)
        });
        let sources = self.sources.iter().map(|source| {
            let value = match &source.origin {
                Origin::Url { sha256, .. } => input("url", sha256.to_string()),
                Origin::Git { commit, .. } => input("git", commit.clone()),
                Origin::Bootstrap(bootstrap) => FileInput {
                    pinned: bootstrap.pinned.clone(),
                    ..input(
                        "bootstrap",
                        serde_json::to_string(bootstrap).unwrap_or_default(),
                    )
                },
                Origin::Crate(program) => FileInput {
                    made_from: Some(program.inputs().clone()),
                    ..input("crate", program.inputs().digest().to_string())
                },
                Origin::Local { path } => input("local", path.display().to_string()),
            };
            (source.to.clone(), value)
        });
        files.chain(sources).collect()
    }

    /// What has to be fetched before the context is whole.
    pub fn sources(&self) -> &[SourceDefinition] {
        &self.sources
    }

    /// The context with a Dockerfile and the fetched sources, in the order of [`Self::sources`].
    ///
    /// # Errors
    /// When a fetched source is not there any more.
    pub fn complete(&self, dockerfile: &str, fetched: &[PathBuf]) -> std::io::Result<BuildContext> {
        let mut files = self.files.clone();
        let text = |text: &str| EntryKind::File {
            executable: false,
            body: Body::Text(text.into()),
        };
        files.insert(DOCKERFILE.to_owned(), text(dockerfile));
        for (source, path) in self.sources.iter().zip(fetched) {
            let body = Body::Disk {
                size: std::fs::metadata(path)?.len(),
                path: path.clone(),
                digest: None,
            };
            files.insert(
                source.to.clone(),
                EntryKind::File {
                    executable: matches!(source.origin, Origin::Crate(_)),
                    body,
                },
            );
        }
        let folders: BTreeSet<String> = files.keys().flat_map(|path| ancestors(path)).collect();
        for folder in folders {
            files.entry(folder).or_insert(EntryKind::Directory);
        }
        let entries = files.into_iter().map(|(path, kind)| Entry { path, kind });
        Ok(BuildContext::new(entries.collect()))
    }

    /// COPY and ADD of paths that the context does not have fail here, not in the middle of a build.
    fn check_copies(&self, node: &Node, ignore: &Ignore) -> Result<(), Diagnostics> {
        let present: BTreeSet<String> = self
            .files
            .keys()
            .cloned()
            .chain(self.sources.iter().map(|s| s.to.clone()))
            .chain([DOCKERFILE.to_owned()])
            .flat_map(|path| ancestors(&path).chain([path.clone()]).collect::<Vec<_>>())
            .collect();
        let mut problems = Diagnostics::default();
        for wanted in node.dockerfile().context_sources() {
            if wanted.variable {
                continue;
            }
            let path = normal(&wanted.path);
            let found = path.is_empty()
                || present.contains(&path)
                || globset::GlobBuilder::new(&path)
                    .literal_separator(true)
                    .build()
                    .map_or(true, |glob| {
                        let matcher = glob.compile_matcher();
                        present.iter().any(|p| matcher.is_match(p))
                    });
            if found {
                continue;
            }
            let problem = Diagnostic::definition(format!("the context has no `{}`", wanted.path))
                .at(wanted.location());
            problems.push(if ignore.excludes(&path) {
                problem.hint("it is excluded by .dockerignore")
            } else {
                problem
                    .maybe_hint(did_you_mean(&path, present.iter().map(String::as_str)))
                    .hint(format!(
                        "the context is the folder {}",
                        Location::file(node.rendered().definition().folder())
                    ))
            });
        }
        problems.or_ok(())
    }
}

fn ignore_rules(node: &Node) -> Result<Ignore, Diagnostic> {
    let files = node.rendered().definition().files();
    let of = |name: &str| files.iter().find(|file| file.path == name);
    match of("Dockerfile.dockerignore").or_else(|| of(".dockerignore")) {
        None => Ok(Ignore::default()),
        Some(file) => {
            let text =
                std::fs::read_to_string(&file.disk).map_err(|e| unreadable(&file.disk, &e))?;
            Ignore::parse(&Source::new(file.disk.clone(), text))
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::environment(format!("cannot read: {error}")).at(Location::file(path))
}

fn entry(path: &str, disk: &Path, kind: &FileKind) -> Result<EntryKind, Diagnostic> {
    match kind {
        FileKind::Directory => Ok(EntryKind::Directory),
        FileKind::Symlink { target } => {
            let text = target.to_str().unwrap_or_default();
            if leads_out(path, target) {
                return Err(Diagnostic::definition(format!(
                    "the symbolic link `{path}` -> `{}` leads out of the build context",
                    target.display()
                ))
                .at(Location::file(disk))
                .hint("copy the file into the image's folder, declare it as a `local` source, or make the link in a RUN step"));
            }
            Ok(EntryKind::Symlink(text.to_owned()))
        }
        FileKind::Special => Err(Diagnostic::definition(format!(
            "`{path}` is a socket, a pipe or a device, which a build context cannot hold"
        ))
        .at(Location::file(disk))
        .hint("remove it, or list it in .dockerignore")),
        FileKind::File { executable } => {
            let (size, digest) = digest_of(disk).map_err(|e| unreadable(disk, &e))?;
            Ok(EntryKind::File {
                executable: *executable,
                body: Body::Disk {
                    path: disk.to_path_buf(),
                    size,
                    digest: Some(digest),
                },
            })
        }
    }
}

/// A `local` source: one file, or a folder with everything below it.
fn local_files(path: &Path, to: &str) -> Result<Vec<(String, EntryKind)>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut found = Vec::new();
    let mut queue = vec![(path.to_path_buf(), to.to_owned())];
    while let Some((disk, inside)) = queue.pop() {
        let looked = (|| {
            let metadata = std::fs::symlink_metadata(&disk).map_err(|e| unreadable(&disk, &e))?;
            if metadata.is_symlink() {
                let target = std::fs::read_link(&disk).map_err(|e| unreadable(&disk, &e))?;
                return entry(&inside, &disk, &FileKind::Symlink { target });
            }
            if metadata.is_dir() {
                for child in std::fs::read_dir(&disk).map_err(|e| unreadable(&disk, &e))? {
                    let child = child.map_err(|e| unreadable(&disk, &e))?;
                    let name = child.file_name();
                    let name = name.to_str().ok_or_else(|| {
                        Diagnostic::definition("a file name that is not UTF-8")
                            .at(Location::file(child.path()))
                    })?;
                    queue.push((child.path(), format!("{inside}/{name}")));
                }
                return Ok(EntryKind::Directory);
            }
            if !metadata.is_file() {
                return entry(&inside, &disk, &FileKind::Special);
            }
            use std::os::unix::fs::PermissionsExt as _;
            let executable = metadata.permissions().mode() & 0o100 != 0;
            entry(&inside, &disk, &FileKind::File { executable })
        })();
        if let Some(kind) = problems.take(looked) {
            found.push((inside, kind));
        }
    }
    problems.or_ok(found)
}

/// The folders above a path: `a/b/c` has `a` and `a/b`.
fn ancestors(path: &str) -> impl Iterator<Item = String> + use<'_> {
    path.match_indices('/').map(|(i, _)| path[..i].to_owned())
}

/// A COPY source as a path of the context: without a leading `/`, `.` parts and a trailing `/`.
/// `..` cannot climb above the context's root, as in Docker.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_sources_are_paths_of_the_context() {
        assert_eq!(normal("./a//b/"), "a/b");
        assert_eq!(normal("/../a/../b"), "b");
        assert_eq!(normal("."), "");
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
