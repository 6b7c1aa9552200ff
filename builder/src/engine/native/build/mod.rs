//! From a Dockerfile and its context to an image in the store.
//!
//! Runs on a thread of its own from beginning to end: helpers end with the thread that started
//! them. Stages are built in the order of the file, those that the last one does not need not at
//! all; a layer is hashed and compressed while the next step runs.

mod context;
mod copy;
mod layer;
mod meta;
mod remote;
mod run;
mod state;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::text::full_disk;
use super::super::{BuildEvent, BuildRequest, Error};
use super::step::{Action, Cancel, Failure, Launcher, Spec};
use super::store::{Key, Layer, Lock, Scratch, Store};
use crate::dockerfile::{self, Base, Dockerfile, ExpandError, Expander, Instruction, Kind, Word};
use crate::model::{ImageId, Platform, Source};
use crate::oci::compress::Compression;
use crate::oci::layer::normalise;
use crate::oci::spec::{Config, ImageConfig, RootFs};
use context::Unpacked;
use layer::Pending;
use state::State;

pub(super) use layer::Packers;
pub(super) use state::with_path;

/// Fetches an image that is not in the store, and returns it once it is.
pub(super) type Pull<'a> = &'a dyn Fn(&str, &Platform) -> Result<Arc<super::store::Image>, Error>;

/// What all builds share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) packers: Arc<Packers>,
    pub(super) launcher: Launcher,
    /// What times in images are clamped to, in seconds since 1970.
    pub(super) clamp: i64,
    /// The same as history tells it.
    pub(super) created: String,
    pub(super) compression: Compression,
    /// Name servers for steps.
    pub(super) resolv_conf: String,
    /// Proxy variables for steps.
    pub(super) proxies: Vec<(String, String)>,
    /// Secrets by id, and the files that hold them.
    pub(super) secrets: BTreeMap<String, PathBuf>,
    pub(super) platform: Platform,
}

/// Builds the image of a request.
pub(super) fn build(
    shared: &Shared,
    request: &BuildRequest,
    cancel: &Cancel,
    pull: Pull<'_>,
    events: &mut dyn FnMut(BuildEvent),
) -> Result<ImageId, Error> {
    let scratch = shared.store.scratch()?;
    let folder = scratch.path().join("context");
    let (context, text) = Unpacked::new(&*request.context, folder)?;
    let source = Source::new("Dockerfile", text);
    let dockerfile = dockerfile::parse(&source).map_err(|p| refused(&p))?;
    let mut args = request.args.clone();
    for (name, value) in platform_args(&shared.platform, &request.platform) {
        args.entry(name.to_owned()).or_insert(value);
    }
    dockerfile.image_uses(&args).map_err(|p| refused(&p))?;
    let needed = dockerfile
        .needed_stages(None, &args)
        .map_err(|p| refused(&p))?;
    let total = needed
        .iter()
        .map(|stage| dockerfile.stages()[*stage].instructions.len() + 1)
        .sum();
    let mut builder = Builder {
        shared,
        request,
        cancel,
        pull,
        events,
        scratch: &scratch,
        context,
        globals: dockerfile.global_scope(&args),
        dockerfile,
        args,
        stages: HashMap::new(),
        images: HashMap::new(),
        number: 0,
        total,
        instruction: String::new(),
        place: String::new(),
        source,
        fetched: 0,
        held: RefCell::default(),
    };
    let mut last = None;
    for stage in needed {
        last = Some(builder.stage(stage)?);
    }
    let state = last.ok_or_else(|| Error::Refused {
        message: "the Dockerfile has no stage".to_owned(),
    })?;
    builder.finish(state)
}

/// What problems of a Dockerfile look like in the words of an engine.
fn refused(problems: &crate::model::Diagnostics) -> Error {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            let place = problem
                .location()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("{place}: {}", problem.message())
        })
        .collect();
    Error::Refused {
        message: lines.join("; "),
    }
}

/// The values of the arguments about platforms, where a stage or `FROM` asks for them.
fn platform_args(host: &Platform, target: &Platform) -> Vec<(&'static str, String)> {
    let variant = |platform: &Platform| {
        platform
            .to_string()
            .split('/')
            .nth(2)
            .unwrap_or_default()
            .to_owned()
    };
    vec![
        ("BUILDPLATFORM", host.to_string()),
        ("BUILDOS", "linux".to_owned()),
        ("BUILDARCH", host.architecture().to_owned()),
        ("BUILDVARIANT", variant(host)),
        ("BUILDOSVERSION", String::new()),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", "linux".to_owned()),
        ("TARGETARCH", target.architecture().to_owned()),
        ("TARGETVARIANT", variant(target)),
        ("TARGETOSVERSION", String::new()),
        ("TARGETSTAGE", "default".to_owned()),
    ]
}

/// One build under way.
struct Builder<'a> {
    shared: &'a Shared,
    request: &'a BuildRequest,
    cancel: &'a Cancel,
    pull: Pull<'a>,
    events: &'a mut dyn FnMut(BuildEvent),
    scratch: &'a Scratch,
    context: Unpacked,
    dockerfile: Dockerfile,
    /// Build arguments and those about platforms.
    args: BTreeMap<String, String>,
    /// What is declared before the first `FROM`.
    globals: BTreeMap<String, String>,
    /// Stages that are done.
    stages: HashMap<usize, State>,
    /// Images that are copied from, by their reference.
    images: HashMap<String, State>,
    number: u32,
    total: usize,
    /// The step that goes on.
    instruction: String,
    /// Where it is written.
    place: String,
    /// The text that it is written in: the Dockerfile, or what an image's `ONBUILD` put off.
    source: Source,
    /// Downloads so far, each of which gets a folder.
    fetched: usize,
    /// Locks of the caches that the step uses.
    held: RefCell<Vec<Lock>>,
}

impl Builder<'_> {
    fn announce(&mut self, text: &str, span: &Range<usize>) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        self.number += 1;
        self.instruction = one_line(text);
        self.place = self.source.location(span.clone()).to_string();
        (self.events)(BuildEvent::Step {
            number: self.number,
            total: u32::try_from(self.total)
                .unwrap_or(u32::MAX)
                .max(self.number),
            instruction: self.instruction.clone(),
        });
        Ok(())
    }

    /// A failure of the step that goes on.
    fn failed(&self, status: Option<i64>, message: impl Into<String>) -> Error {
        let message = message.into();
        let colon = if message.is_empty() { "" } else { ": " };
        Error::Step {
            number: self.number,
            instruction: self.instruction.clone(),
            status,
            message: format!("{}{colon}{message}", self.place),
        }
    }

    /// What is wrong with a part of the Dockerfile, with its place.
    fn refuse(&self, span: &Range<usize>, message: impl std::fmt::Display) -> Error {
        Error::Refused {
            message: format!("{}: {message}", self.source.location(span.clone())),
        }
    }

    /// A stage, built now unless it is.
    fn stage(&mut self, index: usize) -> Result<State, Error> {
        if let Some(done) = self.stages.get(&index) {
            return Ok(done.clone());
        }
        let outside = (
            std::mem::replace(&mut self.source, self.dockerfile.source().clone()),
            std::mem::take(&mut self.instruction),
            std::mem::take(&mut self.place),
        );
        let state = self.build_stage(index)?;
        (self.source, self.instruction, self.place) = outside;
        self.stages.insert(index, state.clone());
        Ok(state)
    }

    fn build_stage(&mut self, index: usize) -> Result<State, Error> {
        let stage = self.dockerfile.stages()[index].clone();
        let from = &stage.from.span;
        let text = self
            .source
            .text()
            .get(from.clone())
            .unwrap_or("FROM")
            .to_owned();
        self.announce(&text, from)?;
        let base = self.dockerfile.base(index, &self.args);
        let Some((base, platform)) = base else {
            return Err(self.refuse(from, "what it starts from cannot be told"));
        };
        let platform = match platform {
            Some(text) => Platform::parse(&text).map_err(|p| self.refuse(from, p.message()))?,
            None => self.request.platform.clone(),
        };
        let mut state = match base {
            // Nothing is for any platform: what is made of it is for the one asked for.
            Base::Scratch => self.begin_empty(&self.request.platform),
            Base::Stage(earlier) => self.stage(earlier)?,
            Base::Image(reference) => self.begin_with(&reference, &platform)?,
        };
        state.own_command = false;
        let mut triggers = Vec::new();
        for text in std::mem::take(&mut state.config.on_build) {
            triggers.push(self.trigger(&text)?);
        }
        self.total += triggers.len();
        for (instruction, source) in triggers {
            let own = std::mem::replace(&mut self.source, source);
            self.instruction(&mut state, &instruction, index)?;
            self.source = own;
        }
        for instruction in &stage.instructions {
            self.instruction(&mut state, instruction, index)?;
        }
        Ok(state)
    }

    fn instruction(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        stage: usize,
    ) -> Result<(), Error> {
        self.announce(&instruction.original, &instruction.span)?;
        if let Some(error) = state.layers.iter().find_map(|layer| layer.failure()) {
            return Err(error);
        }
        self.dispatch(state, instruction, stage)
    }

    fn begin_empty(&self, platform: &Platform) -> State {
        State {
            config: Config::default(),
            author: None,
            history: Vec::new(),
            layers: Vec::new(),
            key: Key::of([
                b"scratch".as_slice(),
                platform.to_string().as_bytes(),
                &self.shared.clamp.to_le_bytes(),
            ]),
            platform: platform.clone(),
            args: Vec::new(),
            own_command: false,
            created: self.shared.created.clone(),
        }
    }

    fn begin_with(&mut self, reference: &str, platform: &Platform) -> Result<State, Error> {
        let store = &self.shared.store;
        let name = normal(reference);
        let found = store.named(&name)?.filter(|image| {
            image.config.architecture == platform.architecture() && store.layers_of(image).is_some()
        });
        let image = match found {
            Some(image) => image,
            None => (self.pull)(reference, platform).map_err(|e| self.placed(e))?,
        };
        let layers = store.layers_of(&image).ok_or_else(|| Error::BaseImage {
            reference: reference.to_owned(),
            message: "a layer of it is not in the store".to_owned(),
        })?;
        let clamp = self.shared.clamp.to_le_bytes();
        let ids: Vec<String> = layers
            .iter()
            .map(|layer| layer.diff_id.to_string())
            .collect();
        let parts = [b"image".as_slice(), &clamp];
        Ok(State {
            config: image.config.config.clone(),
            author: image.config.author.clone(),
            history: image.config.history.clone(),
            key: Key::of(parts.into_iter().chain(ids.iter().map(String::as_bytes))),
            layers: layers.into_iter().map(Pending::ready).collect(),
            ..self.begin_empty(platform)
        })
    }

    /// An error of a base image, with the place that names it.
    fn placed(&self, error: Error) -> Error {
        let place = |message: String| format!("{}: {message}", self.place);
        match error {
            Error::BaseImage { reference, message } => Error::BaseImage {
                reference,
                message: place(message),
            },
            Error::BaseImageUnwell { reference, message } => Error::BaseImageUnwell {
                reference,
                message: place(message),
            },
            Error::Refused { message } => Error::Refused {
                message: place(message),
            },
            other => other,
        }
    }

    /// What an image's `ONBUILD` put off, and the text that it is in.
    fn trigger(&self, text: &str) -> Result<(Instruction, Source), Error> {
        // A stage of any name may be meant, of the Dockerfile that starts from the image.
        let source = Source::new("ONBUILD", format!("FROM scratch\nONBUILD {text}\n"));
        let parsed = dockerfile::parse(&source).map_err(|p| refused(&p))?;
        match parsed.stages()[0].instructions.first().map(|i| &i.kind) {
            Some(Kind::Onbuild(trigger)) => Ok(((**trigger).clone(), source)),
            _ => Err(Error::Refused {
                message: format!("ONBUILD of the base image is no instruction: {text}"),
            }),
        }
    }

    fn dispatch(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        stage: usize,
    ) -> Result<(), Error> {
        match &instruction.kind {
            Kind::Run(run) => self.run(state, instruction, run, stage),
            Kind::Copy(transfer) => self.copy(state, instruction, transfer, stage),
            Kind::Add(transfer) => self.copy(state, instruction, transfer, stage),
            Kind::Workdir(path) => self.workdir(state, path),
            Kind::Onbuild(trigger) => {
                let text = self.source.text();
                let original = text.get(trigger.span.clone()).unwrap_or(&trigger.original);
                state.config.on_build.push(if trigger.heredocs.is_empty() {
                    trigger.original.clone()
                } else {
                    original.to_owned()
                });
                Ok(())
            }
            _ => self.meta(state, instruction),
        }
    }

    fn workdir(&mut self, state: &mut State, path: &Word) -> Result<(), Error> {
        let written = self.expand(state, path)?;
        let path = state.absolute(&written);
        let path = match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let told = if written.starts_with('/') {
            &written
        } else {
            &path
        };
        let told = format!("WORKDIR {told}");
        state.config.working_dir.clone_from(&path);
        if path == "/" {
            state.note(told, false);
            return Ok(());
        }
        let user = state.config.user.clone();
        let parts = [b"WORKDIR".as_slice(), path.as_bytes(), user.as_bytes()];
        let key = Key::of([state.key.as_str().as_bytes()].into_iter().chain(parts));
        let owner = (!user.is_empty()).then(|| super::step::Owner(user.clone()));
        let action = Action::Folder {
            path: path.clone(),
            owner,
        };
        self.step(state, key, action)?;
        state.note(told, true);
        Ok(())
    }

    /// Does a step that changes files, unless its result is there, and puts its layer on top.
    fn step(&mut self, state: &mut State, key: Key, action: Action) -> Result<(), Error> {
        let layer = self.layer(state, &key, action)?;
        state.layers.push(layer);
        state.key = key;
        Ok(())
    }

    fn layer(&mut self, state: &State, key: &Key, action: Action) -> Result<Arc<Pending>, Error> {
        let store = &self.shared.store;
        let lock = loop {
            if self.request.cache
                && let Some(layer) = store.step(key)
            {
                return Ok(Pending::ready(layer));
            }
            match store.lock_step(key)? {
                Some(lock) => break lock,
                // Another build is at this very step.
                None if self.cancel.is_cancelled() => return Err(cancelled()),
                None => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        };
        if self.request.cache
            && let Some(layer) = store.step(key)
        {
            return Ok(Pending::ready(layer));
        }
        let scratch = store.scratch()?;
        let is_run = matches!(action, Action::Run(_));
        let spec = Spec {
            snapshots: store.snapshots(),
            lower: state.lower(),
            scratch: scratch.path().to_path_buf(),
            user_marks: store.user_marks,
            action,
        };
        let mut lines = super::super::text::Lines::default();
        let (events, mut full) = (&mut *self.events, None);
        let mut tell = |line: String| {
            full = full_disk(&line).map(str::to_owned).or(full.take());
            events(BuildEvent::Log(line));
        };
        let ran = self.shared.launcher.run(&spec, self.cancel, |bytes| {
            lines.push(bytes, &mut tell);
        });
        lines.finish(tell);
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        match ran {
            Ok(0) => {}
            Ok(status) => {
                if let Some(message) = full.or_else(|| store.says_full()) {
                    return Err(Error::DiskFull { message });
                }
                let message = if is_run { "" } else { "the helper ended early" };
                return Err(self.failed(Some(i64::from(status)), message));
            }
            Err(failure) => return Err(self.step_failure(failure)),
        }
        let upper = scratch.path().join("upper");
        normalise(&upper, self.shared.clamp).map_err(|e| store.error(&upper, &e))?;
        let snapshot = Layer::new_snapshot();
        store.adopt(&upper, &snapshot)?;
        self.shared.packers.start(
            store,
            snapshot,
            key.clone(),
            lock,
            self.shared.clamp,
            self.shared.compression,
        )
    }

    fn step_failure(&self, failure: Failure) -> Error {
        use rustix::io::Errno;
        let code = failure.code.map(Errno::from_raw_os_error);
        match code {
            Some(Errno::NOSPC | Errno::DQUOT) => Error::DiskFull {
                message: failure.message,
            },
            _ if failure.asked_wrong => self.failed(failure.status.map(i64::from), failure.message),
            Some(Errno::PERM | Errno::ACCESS) => Error::Store {
                folder: self.shared.store.folder().to_path_buf(),
                reason: failure.message,
            },
            _ => Error::Engine {
                message: failure.message,
            },
        }
    }

    /// A word with its variables expanded.
    fn expand(&self, state: &State, word: &Word) -> Result<String, Error> {
        let variables = state.variables();
        Expander::new(&variables, self.dockerfile.escape())
            .expand(&word.text)
            .map(|expansion| expansion.text)
            .map_err(|e| self.cannot_expand(word, &e))
    }

    /// The words that a word becomes.
    fn expand_words(&self, state: &State, word: &Word) -> Result<Vec<String>, Error> {
        let variables = state.variables();
        Expander::new(&variables, self.dockerfile.escape())
            .expand(&word.text)
            .map(|expansion| expansion.words)
            .map_err(|e| self.cannot_expand(word, &e))
    }

    fn cannot_expand(&self, word: &Word, error: &ExpandError) -> Error {
        self.refuse(&word.span, format!("{}; {}", error.message, error.hint))
    }

    /// Waits for all layers and keeps the image.
    fn finish(self, state: State) -> Result<ImageId, Error> {
        let layers = state.layers.iter().map(|layer| layer.wait());
        let layers = layers.collect::<Result<Vec<Layer>, Error>>()?;
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let mut config = state.config;
        config.labels.extend(self.request.labels.clone());
        state::with_path(&mut config.env);
        if config.working_dir.is_empty() {
            config.working_dir = "/".to_owned();
        }
        let platform = &state.platform;
        let mut image = ImageConfig::new(platform.architecture());
        image.variant = platform.to_string().split('/').nth(2).map(str::to_owned);
        image.created = Some(self.shared.created.clone());
        image.author = state.author;
        image.config = config;
        image.rootfs = RootFs::new(layers.iter().map(|layer| layer.diff_id.clone()).collect());
        image.history = state.history;
        let reference = self.request.reference.to_string();
        self.shared.store.put_image(&image, &layers, &reference)
    }
}

/// A reference in full, as the store has it.
fn normal(reference: &str) -> String {
    match crate::model::Reference::parse(reference) {
        Ok(parsed) => parsed.to_string(),
        Err(_) => reference.to_owned(),
    }
}

fn cancelled() -> Error {
    Error::Connection {
        message: "nobody waits for the build any more".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
