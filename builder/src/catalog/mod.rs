//! The fleet as it stands on disk, typed and validated.
//!
//! Owns `services/*/service.toml`, the discovery of images, overlays, and the customisations of
//! `kolla.toml`. Renders nothing and reads no parent: that is written in the Dockerfiles alone.

mod bootstrap;
mod definition;
mod gate;
mod program;
mod service;
pub mod toml;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::toml::Spanned;
use rayon::prelude::*;

pub use definition::{
    Bootstrap, Customization, FileKind, FoundFile, ImageDefinition, KeyFile, Origin,
    SourceDefinition, User,
};
pub use gate::{Check, GatePolicy, GateTable, Growth, Movement, Waiver};
pub use tree::LOCK;

use crate::model::{
    Diagnostic, Diagnostics, Digest, ImageName, Location, ServiceName, Source, did_you_mean,
};
use bootstrap::bootstrap;
use program::program;
use service::{ImageTable, ServiceFile, SourceTable};
use tree::Tree;

/// Every image of the fleet and the templates they share.
#[derive(Debug)]
pub struct Catalog {
    root: PathBuf,
    images: BTreeMap<ImageName, Arc<ImageDefinition>>,
    templates: Vec<(String, Source)>,
    vars: ::toml::Table,
}

/// What the user's configuration says about the fleet.
#[derive(Debug, Clone, Default)]
pub struct Customizations {
    /// Folders that shadow files of the tree; a later one shadows an earlier one.
    pub overlays: Vec<PathBuf>,
    /// Values for every template.
    pub vars: ::toml::Table,
    /// Changes of single images, by the name as written and its place.
    pub images: Vec<(String, Location, Customization)>,
    /// What images must hold to where their definitions do not say otherwise.
    pub gate: GatePolicy,
}

impl Catalog {
    /// Reads the fleet below `root`.
    ///
    /// A folder with `services/` is a fleet with definitions; any other folder is a tree of plain
    /// Dockerfiles, each folder with a `Dockerfile` or `Dockerfile.tera` being an image.
    ///
    /// # Errors
    /// All problems of all definitions at once.
    pub fn load(root: &Path, custom: &Customizations) -> Result<Self, Diagnostics> {
        if !root.is_dir() {
            return Err(Diagnostic::definition("no such folder")
                .at(Location::file(root))
                .hint("name the folder that has `services/` in it with --root")
                .into());
        }
        let defined = root.join("services").is_dir();
        let tops: &[&str] = if defined {
            &["services", "templates"]
        } else {
            &[]
        };
        let mut tree = if defined {
            tree::read(root, tops)?
        } else {
            tree::read_plain(root)?
        };
        let mut problems = Diagnostics::default();
        for overlay in &custom.overlays {
            problems.take(tree::overlay(&mut tree, overlay, tops));
        }
        let mut images = BTreeMap::new();
        let found = if defined {
            load_services(root, &tree)
        } else {
            load_plain(root, &tree)
        };
        for image in problems.take(found).into_iter().flatten() {
            let place = Location::file(image.dockerfile.path());
            if let Some(first) = images.insert(image.name.clone(), image) {
                let first: ImageDefinition = first;
                problems.push(
                    Diagnostic::definition(format!("the image `{}` is defined twice", first.name))
                        .at(place)
                        .note_at(
                            "first defined here",
                            Location::file(first.dockerfile.path()),
                        )
                        .hint("an image's name is its folder's name: rename one of them"),
                );
            }
        }
        if images.is_empty() && problems.is_empty() {
            problems.push(
                Diagnostic::definition("no image is defined here")
                    .at(Location::file(root))
                    .hint("a fleet has `services/<service>/service.toml` with a folder for each image, or folders with a Dockerfile; --root names another folder"),
            );
        }
        for (name, place, change) in &custom.images {
            let known = images
                .keys()
                .map(|n| n.as_str().to_owned())
                .collect::<Vec<_>>();
            match images.get_mut(name.as_str()) {
                Some(image) => {
                    problems.take(customize(image, change));
                }
                None if change.optional => {}
                None => problems.push(
                    Diagnostic::definition(format!("there is no image `{name}` to customise"))
                        .at(place.clone())
                        .maybe_hint(did_you_mean(name, known.iter().map(String::as_str))),
                ),
            }
        }
        for image in images.values_mut() {
            image.gate = image.gate.over(&custom.gate);
        }
        let templates = problems.take(load_templates(&tree)).unwrap_or_default();
        problems.or_ok(Self {
            root: root.to_path_buf(),
            images: images
                .into_iter()
                .map(|(name, image)| (name, Arc::new(image)))
                .collect(),
            templates,
            vars: custom.vars.clone(),
        })
    }

    /// The folder it was read from.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The images by name.
    pub fn images(&self) -> &BTreeMap<ImageName, Arc<ImageDefinition>> {
        &self.images
    }

    /// The shared templates by their path below `templates/`.
    pub fn templates(&self) -> &[(String, Source)] {
        &self.templates
    }

    /// Values for every template.
    pub fn vars(&self) -> &::toml::Table {
        &self.vars
    }
}

/// The folders of the crates that a `service.toml` names; none where it is not valid.
pub fn crates(definition: &str) -> Vec<String> {
    let file: Option<ServiceFile> = ::toml::from_str(definition).ok();
    let images = file.into_iter().flat_map(|file| file.images.into_values());
    images
        .flat_map(|image| image.sources)
        .filter_map(|source| Some(source.into_inner().program?.path.into_inner()))
        .collect()
}

fn read_source(disk: &Path) -> Result<Source, Diagnostic> {
    let bytes = std::fs::read(disk).map_err(|e| {
        Diagnostic::environment(format!("cannot read: {e}")).at(Location::file(disk))
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(disk, text)),
        Err(_) => {
            Err(Diagnostic::definition("this file is not UTF-8 text").at(Location::file(disk)))
        }
    }
}

fn load_templates(tree: &Tree) -> Result<Vec<(String, Source)>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let templates = tree
        .iter()
        .filter(|(path, found)| path.ends_with(".tera") && found.kind != FileKind::Directory)
        .filter_map(|(path, found)| Some((path.strip_prefix("templates/")?, found)))
        .filter_map(|(name, found)| {
            let source = problems.take(read_source(&found.disk))?;
            Some((name.to_owned(), source))
        })
        .collect();
    problems.or_ok(templates)
}

/// The entries below a folder, with their paths relative to it.
fn below<'t>(tree: &'t Tree, folder: &str) -> impl Iterator<Item = (&'t str, &'t tree::Found)> {
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let length = prefix.len();
    tree.range(prefix.clone()..)
        .take_while(move |(path, _)| path.starts_with(&prefix))
        .map(move |(path, found)| (&path[length..], found))
}

/// The name of the Dockerfile in an image's folder and whether it is a template.
fn dockerfile_of(tree: &Tree, folder: &str) -> Option<(PathBuf, bool)> {
    let at = |name: &str| {
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        tree.get(&path)
            .filter(|found| found.kind != FileKind::Directory)
            .map(|found| found.disk.clone())
    };
    at("Dockerfile.tera")
        .map(|disk| (disk, true))
        .or_else(|| at("Dockerfile").map(|disk| (disk, false)))
}

fn context_files(tree: &Tree, folder: &str) -> Vec<FoundFile> {
    below(tree, folder)
        .filter(|(path, _)| *path != "Dockerfile.tera" && *path != "Dockerfile")
        .map(|(path, found)| FoundFile {
            path: path.to_owned(),
            disk: found.disk.clone(),
            kind: found.kind.clone(),
        })
        .collect()
}

fn load_plain(root: &Path, tree: &Tree) -> Result<Vec<ImageDefinition>, Diagnostics> {
    let hidden = |folder: &str| {
        folder
            .split('/')
            .any(|part| part.starts_with('.') || part == "target" || part == "node_modules")
    };
    let folders: BTreeSet<&str> = tree
        .keys()
        .filter_map(|path| {
            path.strip_suffix("Dockerfile")
                .or_else(|| path.strip_suffix("Dockerfile.tera"))
        })
        .filter(|folder| folder.is_empty() || folder.ends_with('/'))
        .map(|folder| folder.trim_end_matches('/'))
        .filter(|folder| !hidden(folder))
        .collect();
    let mut problems = Diagnostics::default();
    let mut images = Vec::new();
    for folder in folders {
        let Some((disk, templated)) = dockerfile_of(tree, folder) else {
            continue;
        };
        let image = (|| {
            let path = root.join(folder);
            let own_name = folder.rsplit('/').next().filter(|name| !name.is_empty());
            let name = match own_name {
                Some(name) => name.to_owned(),
                None => path
                    .canonicalize()
                    .ok()
                    .and_then(|p| Some(p.file_name()?.to_str()?.to_owned()))
                    .unwrap_or_else(|| "image".to_owned()),
            };
            let at = |p: Diagnostic| p.at(Location::file(&disk));
            let service = folder
                .split('/')
                .next()
                .filter(|s| !s.is_empty())
                .unwrap_or(&name);
            Ok(ImageDefinition {
                service: ServiceName::new(service).map_err(at)?,
                service_description: String::new(),
                name: ImageName::new(name.as_str()).map_err(at)?,
                description: String::new(),
                packages: Vec::new(),
                smoke: Vec::new(),
                args: BTreeMap::new(),
                vars: ::toml::Table::new(),
                user: None,
                gate: GatePolicy::default(),
                sources: Vec::new(),
                dockerfile: read_source(&disk)?,
                templated,
                files: context_files(tree, folder),
                folder: path,
            })
        })();
        images.extend(problems.take::<_>(image.map_err(|e: Diagnostic| e)));
    }
    problems.or_ok(images)
}

fn load_services(root: &Path, tree: &Tree) -> Result<Vec<ImageDefinition>, Diagnostics> {
    let services: BTreeSet<&str> = below(tree, "services")
        .filter_map(|(path, _)| path.split_once('/').map(|(service, _)| service))
        .collect();
    let loaded: Vec<_> = services
        .into_iter()
        .collect::<Vec<_>>()
        .par_iter()
        .map(|service| load_service(root, tree, service))
        .collect();
    let mut problems = Diagnostics::default();
    let mut images = Vec::new();
    for service in loaded {
        images.extend(problems.take(service).into_iter().flatten());
    }
    problems.or_ok(images)
}

fn load_service(
    root: &Path,
    tree: &Tree,
    service: &str,
) -> Result<Vec<ImageDefinition>, Diagnostics> {
    let folder = format!("services/{service}");
    let folders: BTreeSet<&str> = below(tree, &folder)
        .filter_map(|(path, _)| {
            let (image, file) = path.split_once('/')?;
            matches!(file, "Dockerfile" | "Dockerfile.tera").then_some(image)
        })
        .collect();
    let Some(definition) = tree.get(&format!("{folder}/service.toml")) else {
        if folders.is_empty() {
            return Ok(Vec::new());
        }
        return Err(Diagnostic::definition(format!(
            "the service `{service}` has images but no `service.toml`"
        ))
        .at(Location::file(&folder))
        .hint("write one: docs/definitions.md lists its keys")
        .into());
    };
    let source = read_source(&definition.disk)?;
    let file: ServiceFile = toml::read(&source)?;
    let name = ServiceName::new(service).map_err(|p| p.at(Location::file(source.path())))?;
    let mut problems = Diagnostics::default();
    let user = file.user.as_ref().and_then(|user| {
        let known = user.name.get_ref();
        let valid = !known.is_empty()
            && known.len() <= 32
            && known.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
            && !known.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        if !valid {
            problems.push(
                Diagnostic::definition(format!("`{}` is not a valid user name", known.escape_debug()))
                    .at(source.location(user.name.span()))
                    .hint("a user name has lowercase letters, digits, `_` and `-`, and starts with a letter"),
            );
            return None;
        }
        Some(User {
            name: known.clone(),
            uid: user.uid,
            gid: user.gid.unwrap_or(user.uid),
            home: user.home.clone().unwrap_or_else(|| format!("/var/lib/{known}")),
        })
    });
    for image in &folders {
        if !file.images.keys().any(|key| key.get_ref() == image) {
            problems.push(
                Diagnostic::definition(format!(
                    "`{source}` has no table `[images.{image}]`",
                    source = source.path().display()
                ))
                .at(Location::file(format!("{folder}/{image}")))
                .hint("every folder with a Dockerfile needs a table in its service's definition"),
            );
        }
    }
    let scope = Scope {
        root,
        tree,
        source: &source,
        folder: definition.disk.parent().unwrap_or(Path::new(".")),
        service: &name,
        description: &file.description,
        vars: &file.vars,
        user: user.as_ref(),
    };
    let mut images = Vec::new();
    for (key, table) in file.images {
        let span = key.span();
        let key = key.into_inner();
        let image_folder = format!("{folder}/{key}");
        let Some((disk, templated)) = dockerfile_of(tree, &image_folder) else {
            problems.push(
                Diagnostic::definition(format!("the image `{key}` has no Dockerfile"))
                    .at(source.location(span))
                    .hint(format!("create {image_folder}/Dockerfile.tera"))
                    .maybe_hint(did_you_mean(&key, folders.iter().copied())),
            );
            continue;
        };
        let image = scope
            .image(&key, table, &image_folder, (disk, templated))
            .map_err(|mut found| {
                if let [only] = found.iter().collect::<Vec<_>>().as_slice()
                    && only.location().is_none()
                {
                    found = (*only).clone().at(source.location(span.clone())).into();
                }
                found
            });
        images.extend(problems.take(image));
    }
    problems.or_ok(images)
}

/// What the images of one service share.
struct Scope<'a> {
    /// The fleet's root.
    root: &'a Path,
    tree: &'a Tree,
    source: &'a Source,
    /// The folder that `service.toml` is in.
    folder: &'a Path,
    service: &'a ServiceName,
    description: &'a str,
    vars: &'a ::toml::Table,
    user: Option<&'a User>,
}

impl Scope<'_> {
    fn image(
        &self,
        key: &str,
        table: ImageTable,
        image_folder: &str,
        (disk, templated): (PathBuf, bool),
    ) -> Result<ImageDefinition, Diagnostics> {
        let mut problems = Diagnostics::default();
        let name = problems.take(ImageName::new(key));
        let mut packages = Vec::new();
        for package in &table.packages {
            if problems.take(check_package(package, self.source)).is_some() {
                packages.push(package.get_ref().clone());
            }
        }
        let mut sources: Vec<SourceDefinition> = Vec::new();
        for entry in table.sources {
            let parsed = source_definition(self.source, self.root, self.folder, &entry);
            sources.extend(problems.take(parsed));
        }
        let gate = problems
            .take(GatePolicy::of(&table.gate, self.source))
            .unwrap_or_default();
        let mut vars = self.vars.clone();
        vars.extend(table.vars);
        let dockerfile = problems.take(read_source(&disk));
        let (Some(name), Some(dockerfile)) = (name, dockerfile) else {
            return Err(problems);
        };
        problems.or_ok(ImageDefinition {
            name,
            service: self.service.clone(),
            service_description: self.description.to_owned(),
            description: table.description,
            packages,
            smoke: table.smoke,
            args: table.args,
            vars,
            user: self.user.cloned(),
            gate,
            sources,
            folder: disk.parent().map(Path::to_path_buf).unwrap_or_default(),
            dockerfile,
            templated,
            files: context_files(self.tree, image_folder),
        })
    }
}

/// Package names end up in a shell command: nothing but the characters of a name, a version, an
/// architecture or a release may be in them.
fn check_package(package: &Spanned<String>, source: &Source) -> Result<(), Diagnostic> {
    let name = package.get_ref();
    let good = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-._:~=/@".contains(&b));
    if good {
        return Ok(());
    }
    Err(
        Diagnostic::definition(format!("`{}` is not a package name", name.escape_debug()))
            .at(source.location(package.span()))
            .hint("one name an entry, such as \"python3\" or \"python3=3.13.1-2\""),
    )
}

fn source_definition(
    source: &Source,
    root: &Path,
    service_folder: &Path,
    entry: &Spanned<SourceTable>,
) -> Result<SourceDefinition, Diagnostic> {
    let table = entry.get_ref();
    let here = source.location(entry.span());
    let at = |span: std::ops::Range<usize>| source.location(span);
    let to = table.to.get_ref();
    let inside = !to.is_empty()
        && !to.starts_with('/')
        && to
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if !inside {
        return Err(Diagnostic::definition(format!(
            "`{}` is not a path in the context",
            to.escape_debug()
        ))
        .at(at(table.to.span()))
        .hint("a path relative to the context, without `..`, such as \"files/plugin.tar.gz\""));
    }
    let given = [
        table.url.is_some(),
        table.git.is_some(),
        table.local.is_some(),
        table.bootstrap.is_some(),
        table.program.is_some(),
    ];
    if given.iter().filter(|g| **g).count() != 1 {
        return Err(Diagnostic::definition(
            "a source has exactly one of `url`, `git`, `local`, `bootstrap` and `crate`",
        )
        .at(here)
        .hint("docs/definitions.md shows one of each"));
    }
    for (extra, belongs, with) in [
        (&table.sha256, table.url.is_some(), "url"),
        (&table.commit, table.git.is_some(), "git"),
    ] {
        if let Some(extra) = extra
            && !belongs
        {
            return Err(
                Diagnostic::definition(format!("this belongs to a `{with}` source"))
                    .at(at(extra.span())),
            );
        }
    }
    let origin = if let Some(url) = &table.url {
        let Some(sha256) = &table.sha256 else {
            return Err(Diagnostic::definition("a `url` source needs `sha256`")
                .at(at(url.span()))
                .hint("download it once, look at it, and write what `sha256sum` prints"));
        };
        Origin::Url {
            url: check_url(url, source, &["https://", "http://"])?,
            sha256: Digest::parse(sha256.get_ref()).map_err(|p| p.at(at(sha256.span())))?,
        }
    } else if let Some(git) = &table.git {
        let wrong = "a `git` source needs `commit`, the full commit id";
        let Some(commit) = &table.commit else {
            return Err(Diagnostic::definition(wrong)
                .at(at(git.span()))
                .hint("a branch or a tag may move: `git ls-remote` prints the commit it is at"));
        };
        let id = commit.get_ref();
        let hex = matches!(id.len(), 40 | 64)
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !hex {
            return Err(Diagnostic::definition(format!(
                "`{}` is not a full commit id",
                id.escape_debug()
            ))
            .at(at(commit.span()))
            .hint("40 lowercase hexadecimal digits, as `git rev-parse` prints them"));
        }
        Origin::Git {
            url: check_url(git, source, &["https://", "http://", "ssh://", "file://"])?,
            commit: id.clone(),
        }
    } else if let Some(local) = &table.local {
        let path = within_service(service_folder, local, "a `local` source", source)?;
        Origin::Local { path }
    } else if let Some(table) = &table.bootstrap {
        Origin::Bootstrap(bootstrap(table.get_ref(), source, service_folder)?)
    } else if let Some(table) = &table.program {
        Origin::Crate(Box::new(program(table, source, root)?))
    } else {
        return Err(Diagnostic::definition("a source has exactly one origin").at(here));
    };
    Ok(SourceDefinition {
        to: to.clone(),
        origin,
        declared: here,
    })
}

/// A path of a definition, which is below its service's folder and leads nowhere else.
fn within_service(
    service_folder: &Path,
    text: &Spanned<String>,
    what: &str,
    source: &Source,
) -> Result<PathBuf, Diagnostic> {
    let at = || source.location(text.span());
    let relative = Path::new(text.get_ref());
    let leaves = relative.is_absolute()
        || relative
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_)));
    let path = service_folder.join(relative);
    if leaves {
        return Err(
            Diagnostic::definition(format!("{what} is a path below the service's folder"))
                .at(at())
                .hint("without a leading `/`, and without `..`"),
        );
    }
    let Ok(real) = path.canonicalize() else {
        return Err(Diagnostic::definition(format!("there is no `{}`", path.display())).at(at()));
    };
    let inside = service_folder
        .canonicalize()
        .is_ok_and(|folder| real.starts_with(folder));
    if !inside {
        return Err(Diagnostic::definition(
            "this path leads out of the service's folder over a symbolic link",
        )
        .at(at())
        .hint("copy what is needed into the service's folder"));
    }
    Ok(path)
}

fn check_url(
    url: &Spanned<String>,
    source: &Source,
    schemes: &[&str],
) -> Result<String, Diagnostic> {
    let text = url.get_ref();
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let problem = |message: &str| Diagnostic::definition(message).at(source.location(url.span()));
    let Some(rest) = rest else {
        return Err(problem("this URL's scheme is not supported here")
            .hint(format!("supported: {}", schemes.join(", "))));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    // `ssh://git@host` names an account, which is no secret; a colon before the `@` is a password.
    if authority.contains('@')
        && (!text.starts_with("ssh://")
            || authority
                .rsplit_once('@')
                .is_some_and(|(u, _)| u.contains(':')))
    {
        return Err(problem("credentials do not belong in a definition")
            .hint("use a ~/.netrc, a git credential helper or an ssh key"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(problem("a URL has no white space"));
    }
    Ok(text.clone())
}

fn customize(image: &mut ImageDefinition, change: &Customization) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    let file = &change.file;
    for package in &change.packages_remove {
        let before = image.packages.len();
        image.packages.retain(|p| p != package.get_ref());
        if image.packages.len() == before {
            problems.push(
                Diagnostic::definition(format!(
                    "the image `{}` does not install `{}`",
                    image.name,
                    package.get_ref()
                ))
                .at(file.location(package.span()))
                .maybe_hint(did_you_mean(
                    package.get_ref(),
                    image.packages.iter().map(String::as_str),
                )),
            );
        }
    }
    for package in &change.packages_add {
        if problems.take(check_package(package, file)).is_some()
            && !image.packages.contains(package.get_ref())
        {
            image.packages.push(package.get_ref().clone());
        }
    }
    image.args.extend(change.args.clone());
    problems.or_ok(())
}
