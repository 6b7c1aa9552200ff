//! Settings: flags over `KOLLA_*` variables over kolla.toml over the user's own file over defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Environment;
use super::args::GlobalArgs;
use crate::catalog::{Customization, Customizations, GatePolicy, GateTable, toml::read};
use crate::model::{
    Diagnostic, Diagnostics, Location, Namespace, Place, Platform, Reference, Registry, Source, Tag,
};
use crate::schedule::RetryPolicy;

/// The namespace that the fleet is published in, unless kolla.toml says otherwise.
const RELEASE_NAMESPACE: &str = "kollaglue";

/// `kolla.toml`, and the user's own `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    release_namespace: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
    registry: Option<Spanned<String>>,
    upstream: Option<Spanned<String>>,
    tags: Option<Vec<Spanned<String>>>,
    base_image: Option<Spanned<String>>,
    mirror: Option<Spanned<String>>,
    platform: Option<Spanned<String>>,
    engine: Option<Spanned<String>>,
    engine_url: Option<Spanned<String>>,
    store: Option<Spanned<String>>,
    compression: Option<Spanned<String>>,
    jobs: Option<Spanned<u32>>,
    retries: Option<Spanned<u32>>,
    cache_dir: Option<Spanned<String>>,
    #[serde(default)]
    overrides: Vec<Spanned<String>>,
    #[serde(default)]
    overlays: Vec<Spanned<String>>,
    #[serde(default)]
    vars: toml::Table,
    #[serde(default)]
    images: BTreeMap<Spanned<String>, ImageChange>,
    gate: Option<GateTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageChange {
    #[serde(default)]
    packages: PackageChange,
    #[serde(default)]
    args: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageChange {
    #[serde(default)]
    add: Vec<Spanned<String>>,
    #[serde(default)]
    remove: Vec<Spanned<String>>,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Flag(&'static str),
    Variable(String),
    File(Location),
    /// Found above the working directory.
    Above,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Variable(name) => write!(f, "{name}"),
            Self::File(location) => {
                write!(f, "{}", location.path().display())?;
                location.line().map_or(Ok(()), |line| write!(f, ":{line}"))
            }
            Self::Above => f.write_str("found above the working directory"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Origin {
    /// Puts a problem with a value where the value was written.
    pub(super) fn blame(&self, problem: Diagnostic) -> Diagnostic {
        match self {
            Self::File(location) => problem.at(location.clone()),
            Self::Flag(flag) => problem.note(format!("given with {flag}")),
            Self::Variable(name) => problem.note(format!("given by {name}")),
            Self::Above | Self::Default => problem,
        }
    }
}

/// Everything that is set, for `kolla config`: name, value and origin.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The settings in force.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) root: PathBuf,
    pub(super) release_namespace: Namespace,
    pub(super) namespace: Namespace,
    pub(super) registry: Option<Registry>,
    /// Where published images are looked for, in this order; none without a registry.
    pub(super) places: Vec<Place>,
    /// Empty where the commit is to be the tag.
    pub(super) tags: Vec<Tag>,
    pub(super) release: bool,
    pub(super) base_image: String,
    /// Where a base image comes from that the fleet's own file does not name.
    pub(super) own_base_image: Option<Origin>,
    /// Whether everything must be as kolla.lock pins it.
    pub(super) locked: bool,
    pub(super) mirror: Option<String>,
    pub(super) platform: Platform,
    pub(super) engine: EngineChoice,
    pub(super) engine_url: Option<String>,
    store: Option<PathBuf>,
    pub(super) compression: CompressionChoice,
    /// Files that hold secrets, by id.
    pub(super) secrets: BTreeMap<String, PathBuf>,
    /// Seconds since 1970 that no time in an image is later than.
    pub(super) source_date_epoch: i64,
    pub(super) jobs: usize,
    pub(super) retry: RetryPolicy,
    cache_dir: Option<PathBuf>,
    pub(super) overrides: Vec<PathBuf>,
    pub(super) custom: Customizations,
    pub(super) shown: Vec<Shown>,
}

struct Resolver<'a> {
    environment: &'a Environment,
    /// The fleet's file first, then the user's own.
    files: Vec<(Source, ConfigFile)>,
    shown: Vec<Shown>,
    problems: Diagnostics,
}

impl Resolver<'_> {
    /// The text of a setting from the highest place that has it.
    fn text(
        &mut self,
        name: &'static str,
        flag: &'static str,
        given: Option<&str>,
        in_file: impl Fn(&ConfigFile) -> Option<(String, std::ops::Range<usize>)>,
    ) -> Option<(String, Origin)> {
        if let Some(value) = given {
            return Some((value.to_owned(), Origin::Flag(flag)));
        }
        let variable = format!("KOLLA_{}", name.to_uppercase());
        if let Some(value) = self
            .environment
            .variables
            .get(&variable)
            .filter(|v| !v.is_empty())
        {
            return Some((value.clone(), Origin::Variable(variable)));
        }
        self.files.iter().find_map(|(source, file)| {
            let (value, span) = in_file(file)?;
            Some((value, Origin::File(source.location(span))))
        })
    }

    fn show(&mut self, name: &'static str, value: impl fmt::Display, origin: Origin) {
        self.shown.push(Shown {
            name,
            value: value.to_string(),
            origin,
        });
    }

    /// A setting that is parsed; with a mistake in it, the default, and the mistake is kept.
    fn parsed<T: fmt::Display>(
        &mut self,
        name: &'static str,
        found: Option<(String, Origin)>,
        default: T,
        parse: impl Fn(&str) -> Result<T, Diagnostic>,
    ) -> T {
        let (value, origin) = match found {
            None => (default, Origin::Default),
            Some((text, origin)) => match parse(&text) {
                Ok(value) => (value, origin),
                Err(problem) => {
                    self.problems.push(origin.blame(problem));
                    (default, origin)
                }
            },
        };
        self.show(name, &value, origin);
        value
    }

    /// The same for a setting without a default.
    fn optional<T: fmt::Display>(
        &mut self,
        name: &'static str,
        found: Option<(String, Origin)>,
        parse: impl Fn(&str) -> Result<T, Diagnostic>,
    ) -> Option<T> {
        let (text, origin) = match found {
            // An empty value takes back what a lower place says.
            Some((text, origin)) if !text.is_empty() => (text, origin),
            other => {
                self.show(
                    name,
                    "",
                    other.map_or(Origin::Default, |(_, origin)| origin),
                );
                return None;
            }
        };
        match parse(&text) {
            Ok(value) => {
                self.show(name, &value, origin);
                Some(value)
            }
            Err(problem) => {
                self.problems.push(origin.blame(problem));
                None
            }
        }
    }
}

fn spanned(value: Option<&Spanned<String>>) -> Option<(String, std::ops::Range<usize>)> {
    value.map(|v| (v.get_ref().clone(), v.span()))
}

fn number(value: Option<&Spanned<u32>>) -> Option<(String, std::ops::Range<usize>)> {
    value.map(|v| (v.get_ref().to_string(), v.span()))
}

impl Settings {
    /// Puts flags, variables and files together.
    ///
    /// # Errors
    /// All problems at once, each with the place that its value comes from.
    pub(super) fn resolve(
        args: &GlobalArgs,
        environment: &Environment,
    ) -> Result<Self, Diagnostics> {
        let (root, root_origin) = root(args, environment);
        let mut resolver = Resolver {
            environment,
            files: Vec::new(),
            shown: Vec::new(),
            problems: Diagnostics::default(),
        };
        let fleet_file = args.config.clone().or_else(|| {
            environment
                .variables
                .get("KOLLA_CONFIG_FILE")
                .map(PathBuf::from)
        });
        if let Some(file) = &fleet_file
            && !file.is_file()
        {
            return Err(Diagnostic::definition("there is no such file")
                .at(Location::file(file))
                .note("given with --config or KOLLA_CONFIG_FILE")
                .into());
        }
        let user_file = environment
            .config_home()
            .map(|home| home.join("kolla/config.toml"));
        let fleet_file = fleet_file.or_else(|| Some(root.join("kolla.toml")));
        for path in [&fleet_file, &user_file].into_iter().flatten() {
            if path.is_file() {
                let loaded = load(path);
                resolver.files.extend(resolver.problems.take(loaded));
            }
        }
        check_variables(environment, &mut resolver.problems);
        let r = &mut resolver;
        r.show("root", root.display(), root_origin);
        let read: Vec<String> = r
            .files
            .iter()
            .map(|(source, _)| source.path().display().to_string())
            .collect();
        r.show("files", read.join(", "), Origin::Default);
        let release_default = Namespace::new(RELEASE_NAMESPACE)?;
        let found = r.text("release_namespace", "", None, |f| {
            spanned(f.release_namespace.as_ref())
        });
        let release_namespace = r.parsed("release_namespace", found, release_default, |t| {
            Namespace::new(t)
        });
        let found = r.text("namespace", "--namespace", args.namespace.as_deref(), |f| {
            spanned(f.namespace.as_ref())
        });
        let namespace = r.parsed("namespace", found, release_namespace.clone(), |t| {
            Namespace::new(t)
        });
        let found = r.text("registry", "--registry", args.registry.as_deref(), |f| {
            spanned(f.registry.as_ref())
        });
        let registry = r.optional("registry", found, |t| Registry::new(t));
        let found = r.text("upstream", "--upstream", args.upstream.as_deref(), |f| {
            spanned(f.upstream.as_ref())
        });
        let upstream = Place {
            registry: None,
            namespace: release_namespace.clone(),
        };
        let upstream = r.parsed("upstream", found, upstream, Place::parse);
        let places = if args.local {
            Vec::new()
        } else {
            places(registry.as_ref(), &namespace, upstream)
        };
        let tags = tags(r, args);
        let found = r.text(
            "base_image",
            "--base-image",
            args.base_image.as_deref(),
            |f| spanned(f.base_image.as_ref()),
        );
        let of_fleet = fleet_file.map(|file| Source::new(file, "").path().to_path_buf());
        let is_own = |origin: &Origin| match origin {
            Origin::File(at) => Some(at.path()) != of_fleet.as_deref(),
            _ => true,
        };
        let own_base_image = found
            .as_ref()
            .map(|(_, origin)| origin.clone())
            .filter(is_own);
        let base_image = r.optional("base_image", found, Reference::parse);
        let found = r.text("mirror", "--mirror", args.mirror.as_deref(), |f| {
            spanned(f.mirror.as_ref())
        });
        let mirror = r.optional("mirror", found, mirror_url);
        let found = r.text("platform", "--platform", args.platform.as_deref(), |f| {
            spanned(f.platform.as_ref())
        });
        let platform = r.parsed("platform", found, Platform::host(), Platform::parse);
        let found = r.text(
            "engine_url",
            "--engine-url",
            args.engine_url.as_deref(),
            |f| spanned(f.engine_url.as_ref()),
        );
        let engine_url = r.optional("engine_url", found, |t| Ok(t.to_owned()));
        let found = r.text("engine", "--engine", args.engine.as_deref(), |f| {
            spanned(f.engine.as_ref())
        });
        let engine = r.parsed("engine", found, EngineChoice::Auto, EngineChoice::parse);
        let found = r.text(
            "compression",
            "--compression",
            args.compression.as_deref(),
            |f| spanned(f.compression.as_ref()),
        );
        let compression = r.parsed(
            "compression",
            found,
            CompressionChoice::Gzip,
            CompressionChoice::parse,
        );
        let secrets = secrets(r, &args.secrets);
        let source_date_epoch = source_date_epoch(r);
        let found = r.text("jobs", "--jobs", args.jobs.as_deref(), |f| {
            number(f.jobs.as_ref())
        });
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = r.parsed("jobs", found, cpus, |t| match t.parse() {
            Ok(n @ 1..=256) => Ok(n),
            _ => Err(
                Diagnostic::definition(format!("`{t}` is not a number of jobs"))
                    .hint("a number from 1 to 256"),
            ),
        });
        let found = r.text("retries", "--retries", args.retries.as_deref(), |f| {
            number(f.retries.as_ref())
        });
        let retries = r.parsed(
            "retries",
            found,
            RetryPolicy::default().retries,
            |t| match t.parse() {
                Ok(n @ 0..=20) => Ok(n),
                _ => Err(
                    Diagnostic::definition(format!("`{t}` is not a number of retries"))
                        .hint("a number from 0 to 20"),
                ),
            },
        );
        let cache_home = environment.cache_home().map(|home| home.join("kolla"));
        let cache_dir = folder(
            r,
            "cache_dir",
            "--cache-dir",
            args.cache_dir.as_deref(),
            |f| spanned(f.cache_dir.as_ref()),
            cache_home,
        );
        let store = folder(
            r,
            "store",
            "--store",
            args.store.as_deref(),
            |f| spanned(f.store.as_ref()),
            cache_dir.as_ref().map(|cache| cache.join("store")),
        );
        let overrides = paths(r, "overrides", "--override", &args.overrides, |f| {
            &f.overrides
        });
        let overlays = paths(r, "overlays", "--overlay", &args.overlays, |f| &f.overlays);
        let mut custom = customizations(&resolver.files, user_file.as_deref(), overlays);
        // The fleet's own file is first. A user's own defaults are for fleets that have none.
        let gate = resolver.files.iter().find_map(|(source, file)| {
            let table = file.gate.as_ref()?;
            Some(GatePolicy::of(table, source))
        });
        let gate = gate.and_then(|gate| resolver.problems.take(gate));
        custom.gate = gate.unwrap_or_default();
        let Resolver {
            problems, shown, ..
        } = resolver;
        problems.or_ok(Self {
            root,
            release_namespace,
            namespace,
            registry,
            places,
            tags,
            release: args.release,
            own_base_image,
            locked: args.locked,
            base_image: base_image.map(|r| r.to_string()).unwrap_or_default(),
            mirror,
            platform,
            engine,
            engine_url,
            store,
            compression,
            secrets,
            source_date_epoch,
            jobs,
            retry: RetryPolicy {
                retries,
                ..RetryPolicy::default()
            },
            cache_dir,
            overrides,
            custom,
            shown,
        })
    }
}

impl Settings {
    /// Where the native engine keeps its images.
    ///
    /// # Errors
    /// Where neither a setting nor a home directory says.
    pub(super) fn store(&self) -> Result<&Path, Diagnostic> {
        match &self.store {
            Some(store) => Ok(store),
            None => self.cache_dir(),
        }
    }

    /// Where sources, logs and records are kept.
    ///
    /// # Errors
    /// Where neither a setting nor a home directory says.
    pub(super) fn cache_dir(&self) -> Result<&Path, Diagnostic> {
        self.cache_dir.as_deref().ok_or_else(|| {
            Diagnostic::environment("there is no home directory to keep the cache in")
                .hint("set HOME, or name a folder with --cache-dir")
        })
    }
}

/// Where to look for published images: what is to be published there, then upstream, which is in the
/// same registry unless it names another. Without any registry nothing is asked over the network.
fn places(registry: Option<&Registry>, namespace: &Namespace, upstream: Place) -> Vec<Place> {
    let target = registry.map(|registry| Place {
        registry: Some(registry.clone()),
        namespace: namespace.clone(),
    });
    let upstream = Place {
        registry: upstream.registry.or_else(|| registry.cloned()),
        ..upstream
    };
    let mut places: Vec<Place> = target.into_iter().collect();
    if upstream.registry.is_some() && !places.contains(&upstream) {
        places.push(upstream);
    }
    places
}

/// What builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineChoice {
    /// Docker or Podman where one answers, else the native engine.
    Auto,
    /// Docker or Podman.
    Docker,
    /// The native engine.
    Native,
}

impl EngineChoice {
    fn parse(text: &str) -> Result<Self, Diagnostic> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "native" => Ok(Self::Native),
            _ => Err(
                Diagnostic::definition(format!("`{}` is not an engine", text.escape_debug()))
                    .hint("it is auto, docker or native"),
            ),
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Docker => "docker",
            Self::Native => "native",
        })
    }
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompressionChoice {
    /// What every engine and registry knows.
    Gzip,
    /// Smaller and faster, for Docker from 23 and containerd from 1.5.
    Zstd,
}

impl CompressionChoice {
    fn parse(text: &str) -> Result<Self, Diagnostic> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Diagnostic::definition(format!(
                "`{}` is no compression",
                text.escape_debug()
            ))
            .hint("it is gzip or zstd")),
        }
    }
}

impl fmt::Display for CompressionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// `--secret id=ID,src=FILE`.
fn secrets(r: &mut Resolver<'_>, given: &[String]) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for text in given {
        let mut fields = BTreeMap::new();
        let good = text.split(',').all(|field| match field.split_once('=') {
            Some((name @ ("id" | "type"), value)) => fields.insert(name, value).is_none(),
            Some(("src" | "source", value)) => fields.insert("src", value).is_none(),
            _ => false,
        });
        match (fields.get("id"), fields.get("src"), fields.get("type")) {
            (Some(id), Some(file), None | Some(&"file")) if good => {
                all.insert((*id).to_owned(), PathBuf::from(file));
            }
            _ => r.problems.push(
                Diagnostic::definition(format!("`{}` is no secret", text.escape_debug()))
                    .hint("write --secret id=ID,src=FILE"),
            ),
        }
    }
    all
}

/// What `SOURCE_DATE_EPOCH` says (<https://reproducible-builds.org/specs/source-date-epoch>).
/// Without it times are fixed, so that the same definitions give the same image from any commit.
fn source_date_epoch(r: &mut Resolver<'_>) -> i64 {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let default = i64::try_from(crate::archive::FIXED_TIME).unwrap_or(0);
    let found = r.environment.get(NAME);
    let found = found.map(|text| (text, Origin::Variable(NAME.to_owned())));
    r.parsed("source_date_epoch", found, default, |text| {
        match text.parse() {
            Ok(seconds @ 0..=253_402_300_799) => Ok(seconds),
            _ => Err(Diagnostic::definition(format!("`{text}` is no time"))
                .hint("SOURCE_DATE_EPOCH is a number of seconds since 1970")),
        }
    })
}

/// A folder, relative to the file that names it.
fn folder(
    r: &mut Resolver<'_>,
    name: &'static str,
    flag: &'static str,
    given: Option<&Path>,
    in_file: impl Fn(&ConfigFile) -> Option<(String, std::ops::Range<usize>)>,
    default: Option<PathBuf>,
) -> Option<PathBuf> {
    let given = given.map(|path| path.display().to_string());
    let found = r.text(name, flag, given.as_deref(), in_file);
    let (path, origin) = match found {
        None => (default?, Origin::Default),
        Some((text, origin)) => {
            let base = match &origin {
                Origin::File(location) => location.path().parent().map(Path::to_path_buf),
                _ => None,
            };
            (base.unwrap_or_default().join(text), origin)
        }
    };
    r.show(name, path.display(), origin);
    Some(path)
}

fn load(path: &Path) -> Result<(Source, ConfigFile), Diagnostic> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Diagnostic::environment(format!("cannot read: {e}")).at(Location::file(path))
    })?;
    let source = Source::new(path, text);
    let file = read(&source)?;
    Ok((source, file))
}

/// The folder given, else the nearest above the working directory that looks like a fleet.
fn root(args: &GlobalArgs, environment: &Environment) -> (PathBuf, Origin) {
    if let Some(root) = &args.root {
        return (root.clone(), Origin::Flag("--root"));
    }
    if let Some(root) = environment.get("KOLLA_ROOT") {
        return (
            PathBuf::from(root),
            Origin::Variable("KOLLA_ROOT".to_owned()),
        );
    }
    let here = Path::new(".");
    let fleet =
        |folder: &Path| folder.join("services").is_dir() || folder.join("kolla.toml").is_file();
    if fleet(here) {
        return (here.to_path_buf(), Origin::Default);
    }
    let mut above = environment.working_directory.ancestors().skip(1);
    match above.find(|folder| fleet(folder)) {
        Some(folder) => (folder.to_path_buf(), Origin::Above),
        None => (here.to_path_buf(), Origin::Default),
    }
}

fn tags(r: &mut Resolver<'_>, args: &GlobalArgs) -> Vec<Tag> {
    let (texts, origins): (Vec<String>, Vec<Origin>) = if !args.tags.is_empty() {
        args.tags
            .iter()
            .map(|t| (t.clone(), Origin::Flag("--tag")))
            .unzip()
    } else if let Some(value) = r
        .environment
        .variables
        .get("KOLLA_TAGS")
        .filter(|v| !v.is_empty())
    {
        let origin = Origin::Variable("KOLLA_TAGS".into());
        value
            .split(',')
            .map(|t| (t.trim().to_owned(), origin.clone()))
            .unzip()
    } else {
        r.files
            .iter()
            .find_map(|(source, file)| Some((source, file.tags.as_ref()?)))
            .into_iter()
            .flat_map(|(source, tags)| {
                tags.iter()
                    .map(move |t| (t.get_ref().clone(), Origin::File(source.location(t.span()))))
            })
            .unzip()
    };
    let mut tags: Vec<Tag> = Vec::new();
    for (text, origin) in texts.iter().zip(&origins) {
        match Tag::new(text.as_str()) {
            Ok(tag) if tags.contains(&tag) => {}
            Ok(tag) => tags.push(tag),
            Err(problem) => r.problems.push(origin.blame(problem)),
        }
    }
    let shown = if texts.is_empty() {
        "the commit".to_owned()
    } else {
        texts.join(", ")
    };
    r.show(
        "tags",
        shown,
        origins.into_iter().next().unwrap_or(Origin::Default),
    );
    tags
}

/// Lists of paths: those of the files first, then the flags', since later ones win. Paths in a file
/// are relative to it.
fn paths(
    r: &mut Resolver<'_>,
    name: &'static str,
    flag: &'static str,
    given: &[PathBuf],
    in_file: impl Fn(&ConfigFile) -> &Vec<Spanned<String>>,
) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut origin = Origin::Default;
    for (source, file) in r.files.iter().rev() {
        for path in in_file(file) {
            origin = Origin::File(source.location(path.span()));
            all.push(
                source
                    .path()
                    .parent()
                    .unwrap_or(Path::new(""))
                    .join(path.get_ref()),
            );
        }
    }
    if !given.is_empty() {
        origin = Origin::Flag(flag);
        all.extend(given.iter().cloned());
    }
    let shown: Vec<String> = all.iter().map(|p| p.display().to_string()).collect();
    r.show(name, shown.join(", "), origin);
    all
}

fn customizations(
    files: &[(Source, ConfigFile)],
    users_own: Option<&Path>,
    overlays: Vec<PathBuf>,
) -> Customizations {
    let mut custom = Customizations {
        overlays,
        ..Customizations::default()
    };
    // The fleet's own file is first in the list and counts most, so it is laid on last.
    for (source, file) in files.iter().rev() {
        custom.vars.extend(file.vars.clone());
        for (name, change) in &file.images {
            custom.images.push((
                name.get_ref().clone(),
                source.location(name.span()),
                Customization {
                    file: source.clone(),
                    // The user's own file is there for all fleets.
                    optional: users_own == Some(source.path()),
                    packages_add: change.packages.add.clone(),
                    packages_remove: change.packages.remove.clone(),
                    args: change.args.clone(),
                },
            ));
        }
    }
    custom
}

fn mirror_url(text: &str) -> Result<String, Diagnostic> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err(
            Diagnostic::definition(format!("`{}` is not a mirror", text.escape_debug()))
                .hint("a mirror is the URL of a distribution's archive, http:// or https://"),
        );
    };
    if rest
        .split('/')
        .next()
        .is_some_and(|authority| authority.contains('@'))
    {
        // The image's own package sources would carry it.
        return Err(
            Diagnostic::definition("credentials do not belong in the mirror's address")
                .hint("they would end up in the images: use a mirror that needs none"),
        );
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Diagnostic::definition(
            "a mirror's address has no white space",
        ));
    }
    Ok(text.to_owned())
}

/// A slip in a variable's name would otherwise pass silently. Names far from ours may belong to
/// somebody else.
fn check_variables(environment: &Environment, problems: &mut Diagnostics) {
    const KNOWN: [&str; 20] = [
        "KOLLA_ROOT",
        "KOLLA_CONFIG_FILE",
        "KOLLA_RELEASE_NAMESPACE",
        "KOLLA_NAMESPACE",
        "KOLLA_REGISTRY",
        "KOLLA_TAGS",
        "KOLLA_BASE_IMAGE",
        "KOLLA_MIRROR",
        "KOLLA_PLATFORM",
        "KOLLA_ENGINE",
        "KOLLA_ENGINE_URL",
        "KOLLA_STORE",
        "KOLLA_COMPRESSION",
        "KOLLA_JOBS",
        "KOLLA_RETRIES",
        "KOLLA_CACHE_DIR",
        "KOLLA_KEY_PASSWORD",
        // Those of the containers' own contract, which may be set on the same machine.
        "KOLLA_CONFIG",
        "KOLLA_CONFIG_STRATEGY",
        "KOLLA_BOOTSTRAP",
    ];
    for name in environment
        .variables
        .keys()
        .filter(|name| !KNOWN.contains(&name.as_str()))
    {
        let Some(own) = name.strip_prefix("KOLLA_") else {
            continue;
        };
        let near = KNOWN.iter().find(|known| {
            let known = known.trim_start_matches("KOLLA_");
            known.len() > 3 && strsim::damerau_levenshtein(own, known) == 1
        });
        if let Some(near) = near {
            problems.push(
                Diagnostic::definition(format!("unknown variable {name}"))
                    .hint(format!("did you mean {near}?")),
            );
        }
    }
}
