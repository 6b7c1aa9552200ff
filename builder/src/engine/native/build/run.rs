//! `RUN`.

use super::super::super::Error;
use super::super::step::{self, Action, Mount, MountKind, Run, Tree};
use super::super::store::{Key, Lock};
use super::Builder;
use super::state::{State, with_path};
use crate::dockerfile::{self, Base, Command, Instruction, UseKind, Word};
use crate::model::Digest;

/// The host name that BuildKit's steps see.
const HOSTNAME: &str = "buildkitsandbox";

/// A step's network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Host,
    None,
}

impl Builder<'_> {
    pub(super) fn run(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        run: &dockerfile::Run,
        stage: usize,
    ) -> Result<(), Error> {
        for name in ["security", "device"] {
            if let Some(value) = instruction.flag(name)
                && !(name == "security" && value.text == "sandbox")
            {
                let message = format!("`--{name}={}` is not supported", value.text);
                return Err(self.refuse(&instruction.span, message));
            }
        }
        let network = self.network(state, instruction)?;
        let (mut mounts, mut parts) = (Vec::new(), Vec::new());
        let arguments = self.command(state, instruction, run, &mut mounts, &mut parts)?;
        for mount in &run.mounts {
            self.mount(state, mount, stage, &mut mounts, &mut parts)?;
        }
        let environment = self.environment(state);
        let told: Vec<u8> = serde_json::to_vec(&(
            &arguments,
            &environment,
            &state.config.working_dir,
            &state.config.user,
            network == Network::None,
            &parts,
        ))
        .map_err(|e| self.failed(None, e.to_string()))?;
        let key = Key::of([state.key.as_str().as_bytes(), b"RUN", &told]);
        let mut environment = environment;
        let given = self.request.args.iter();
        let given = given.filter(|(name, _)| dockerfile::is_proxy_arg(name));
        let shared = self
            .shared
            .proxies
            .iter()
            .map(|(name, value)| (name, value));
        for (name, value) in given.chain(shared) {
            if !environment
                .iter()
                .any(|e| e.split('=').next() == Some(name))
            {
                environment.push(format!("{name}={value}"));
            }
        }
        let directory = match state.config.working_dir.as_str() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let history = self.history(state, &arguments);
        let action = Action::Run(Box::new(Run {
            arguments,
            environment,
            directory,
            user: state.config.user.clone(),
            isolated: network == Network::None,
            hostname: HOSTNAME.to_owned(),
            mounts,
            resolv_conf: self.shared.resolv_conf.clone(),
        }));
        let done = self.step(state, key, action);
        self.held.borrow_mut().clear();
        done?;
        state.note(history, true);
        Ok(())
    }

    fn network(&self, state: &State, instruction: &Instruction) -> Result<Network, Error> {
        let Some(word) = instruction.flag("network") else {
            return Ok(Network::Host);
        };
        match self.expand(state, word)?.as_str() {
            // The host's own: there is no bridge without a daemon that makes one.
            "default" | "host" => Ok(Network::Host),
            "none" => Ok(Network::None),
            other => Err(self.refuse(
                &word.span,
                format!("there is no network `{other}`: it is default, host or none"),
            )),
        }
    }

    /// The words to execute; scripts with a `#!` line become a file to mount.
    fn command(
        &mut self,
        state: &State,
        instruction: &Instruction,
        run: &dockerfile::Run,
        mounts: &mut Vec<Mount>,
        parts: &mut Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let line = match &run.command {
            Command::Exec(words) => {
                return Ok(words.iter().map(|word| word.text.clone()).collect());
            }
            Command::Shell(line) => &line.text,
        };
        let Some(first) = instruction.heredocs.first() else {
            return Ok(state.with_shell(line));
        };
        let source = self.source.text();
        let word = line.trim();
        let alone = instruction.heredocs.len() == 1
            && word
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .starts_with("<<")
            && source.get(first.opening.clone()) == Some(word);
        if !alone {
            let mut all = line.clone();
            for heredoc in &instruction.heredocs {
                all.push('\n');
                all.push_str(source.get(heredoc.body.clone()).unwrap_or_default());
                all.push_str(&heredoc.name);
            }
            return Ok(state.with_shell(&all));
        }
        if !first.content.starts_with("#!") {
            return Ok(state.with_shell(&first.content));
        }
        let folder = self.own_folder()?;
        self.write_heredoc(&folder, &first.name, &first.content, 0o755)?;
        mounts.push(Mount {
            target: "/dev/pipes".to_owned(),
            kind: MountKind::Bind {
                tree: Tree::Folder(folder),
                source: "/".to_owned(),
                writable: false,
            },
        });
        parts.push(first.content.clone());
        Ok(state.with_shell(&format!("/dev/pipes/{}", first.name)))
    }

    /// What a step's command finds in its environment.
    fn environment(&self, state: &State) -> Vec<String> {
        let mut all = state.config.env.clone();
        with_path(&mut all);
        for arg in state.args.iter().filter(|arg| !arg.hidden) {
            let Some(value) = &arg.value else { continue };
            let text = format!("{}={value}", arg.name);
            let same = |v: &&mut String| v.split('=').next() == Some(arg.name.as_str());
            match all.iter_mut().find(same) {
                Some(there) => *there = text,
                None => all.push(text),
            }
        }
        all
    }

    fn history(&self, state: &State, arguments: &[String]) -> String {
        let mut words = Vec::new();
        if !state.args.is_empty() {
            words.push(format!("|{}", state.args.len()));
            for arg in &state.args {
                let env = state.env(&arg.name);
                let value = match &arg.value {
                    Some(value) if !arg.hidden => value,
                    _ => env.unwrap_or_default(),
                };
                words.push(format!("{}={value}", arg.name));
            }
        }
        words.extend(arguments.iter().cloned());
        format!("RUN {}", words.join(" "))
    }

    fn mount(
        &mut self,
        state: &State,
        mount: &dockerfile::Mount,
        stage: usize,
        mounts: &mut Vec<Mount>,
        parts: &mut Vec<String>,
    ) -> Result<(), Error> {
        let option = |name: &str| -> Result<Option<String>, Error> {
            mount
                .option(name)
                .map(|word| self.expand(state, word))
                .transpose()
        };
        let switch = |name: &str| -> Result<Option<bool>, Error> {
            let given = mount
                .options
                .iter()
                .rev()
                .find(|option| option.name == name);
            let value = match given {
                None => return Ok(None),
                Some(option) => match &option.value {
                    Some(word) => self.expand(state, word)?,
                    None => "true".to_owned(),
                },
            };
            Ok(Some(matches!(
                value.to_lowercase().as_str(),
                "1" | "t" | "true"
            )))
        };
        let number = |name: &str, radix: u32| -> Result<Option<u32>, Error> {
            let Some(text) = option(name)? else {
                return Ok(None);
            };
            match u32::from_str_radix(&text, radix) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.refuse(&mount.span, format!("`{text}` is no {name}"))),
            }
        };
        let kind = option("type")?.map_or_else(|| "bind".to_owned(), |kind| kind.to_lowercase());
        let target = option("target")?;
        let needs_target = || {
            target
                .clone()
                .filter(|target| !target.is_empty())
                .map(|target| state.absolute(target.trim_end_matches('/')))
                .ok_or_else(|| {
                    self.refuse(
                        &mount.span,
                        format!("a mount of type {kind} needs a target"),
                    )
                })
        };
        let placed = match kind.as_str() {
            "bind" => {
                let target = needs_target()?;
                let source = option("source")?.unwrap_or_else(|| "/".to_owned());
                let writable =
                    switch("readwrite")?.unwrap_or(false) || switch("readonly")? == Some(false);
                let from = mount.option("from").cloned();
                let (tree, told) = match from.filter(|from| !from.text.is_empty()) {
                    None => {
                        let told = self.context.digest(&source, false)?;
                        (Tree::Folder(self.context.folder().to_path_buf()), told)
                    }
                    Some(from) => self.tree(&from, UseKind::MountFrom, stage)?,
                };
                parts.push(format!("bind {target} {source} {writable} {told}"));
                Mount {
                    target,
                    kind: MountKind::Bind {
                        tree,
                        source,
                        writable,
                    },
                }
            }
            "cache" => {
                let target = needs_target()?;
                let source = option("source")?.unwrap_or_else(|| "/".to_owned());
                let from = mount.option("from").cloned();
                let id = option("id")?.unwrap_or_else(|| target.clone());
                let readonly = switch("readonly")?.unwrap_or(false);
                let (uid, gid) = (
                    number("uid", 10)?.unwrap_or(0),
                    number("gid", 10)?.unwrap_or(0),
                );
                let mode = number("mode", 8)?.unwrap_or(0o755);
                let sharing = option("sharing")?.unwrap_or_else(|| "shared".to_owned());
                let from = match from.filter(|from| !from.text.is_empty()) {
                    Some(from) => Some(self.tree(&from, UseKind::MountFrom, stage)?),
                    None => None,
                };
                let told = from.as_ref().map_or("", |(_, told)| told.as_str());
                let name = format!("{id} {uid} {gid} {source} {told}");
                let beginning = from.as_ref().map(|(tree, _)| (tree, source.as_str()));
                let folder = self.cache(&name, uid, gid, mode, beginning)?;
                let folder = self.share(&sharing, folder)?;
                // What is in it is no part of what a step depends on.
                parts.push(format!(
                    "cache {target} {id} {uid} {gid} {mode:o} {readonly}"
                ));
                Mount {
                    target,
                    kind: MountKind::Cache { folder, readonly },
                }
            }
            "tmpfs" => {
                let target = needs_target()?;
                let size =
                    match option("size")? {
                        Some(text) => Some(bytes(&text).ok_or_else(|| {
                            self.refuse(&mount.span, format!("`{text}` is no size"))
                        })?),
                        None => None,
                    };
                parts.push(format!("tmpfs {target} {size:?}"));
                Mount {
                    target,
                    kind: MountKind::Tmpfs { size },
                }
            }
            "secret" => {
                if let Some(env) = mount.option("env") {
                    return Err(self.refuse(
                        &env.span,
                        "`env` of a secret mount is not supported: read the file",
                    ));
                }
                let target = option("target")?;
                let id = option("id")?
                    .or_else(|| Some(target.as_deref()?.rsplit('/').next()?.to_owned()))
                    .ok_or_else(|| self.refuse(&mount.span, "a secret mount needs an id"))?;
                let target =
                    state.absolute(&target.unwrap_or_else(|| format!("/run/secrets/{id}")));
                let Some(file) = self.shared.secrets.get(&id) else {
                    if switch("required")?.unwrap_or(false) {
                        return Err(self.failed(
                            None,
                            format!("the secret `{id}` is not given: --secret id={id},src=FILE"),
                        ));
                    }
                    parts.push(format!("secret {id} {target} not given"));
                    return Ok(());
                };
                let content = std::fs::read(file).map_err(|e| {
                    self.failed(None, format!("the secret `{id}` cannot be read: {e}"))
                })?;
                let mode = number("mode", 8)?.unwrap_or(0o400);
                let (uid, gid) = (
                    number("uid", 10)?.unwrap_or(0),
                    number("gid", 10)?.unwrap_or(0),
                );
                parts.push(format!("secret {id} {target} {mode:o} {uid} {gid}"));
                Mount {
                    target,
                    kind: MountKind::Secret {
                        content,
                        mode,
                        uid,
                        gid,
                    },
                }
            }
            other => {
                let message = format!("mounts of type `{other}` are not supported");
                return Err(self.refuse(&mount.span, message));
            }
        };
        mounts.push(placed);
        Ok(())
    }

    /// A tree to read from, and what stands for its content.
    pub(super) fn tree(
        &mut self,
        from: &Word,
        kind: UseKind,
        stage: usize,
    ) -> Result<(Tree, String), Error> {
        let named = self.dockerfile.source_of(from, kind, stage);
        let named = named.unwrap_or_else(|| Base::Image(from.text.clone()));
        let state = match named {
            Base::Scratch => self.begin_empty(&self.request.platform),
            Base::Stage(index) => self.stage(index)?,
            Base::Image(reference) => {
                if let Some(known) = self.images.get(&reference) {
                    known.clone()
                } else {
                    let platform = self.request.platform.clone();
                    let state = self.begin_with(&reference, &platform)?;
                    self.images.insert(reference, state.clone());
                    state
                }
            }
        };
        Ok((Tree::Layers(state.lower()), state.key.as_str().to_owned()))
    }

    /// The folder of a cache mount, made as it is first asked for: empty, or with what a folder of
    /// another tree holds.
    fn cache(
        &self,
        id: &str,
        uid: u32,
        gid: u32,
        mode: u32,
        beginning: Option<(&Tree, &str)>,
    ) -> Result<std::path::PathBuf, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let store = &self.shared.store;
        let folder = store
            .folder()
            .join("caches")
            .join(&Digest::of(id).hex()[..32]);
        if folder.is_dir() {
            return Ok(folder);
        }
        let scratch = store.scratch()?;
        let mut new = scratch.path().join("cache");
        match beginning {
            None => std::fs::create_dir(&new).map_err(|e| store.error(&new, &e))?,
            Some((tree, path)) => {
                self.copy_tree(tree, path, scratch.path())?;
                new = scratch.path().join("upper/cache");
            }
        }
        let made = std::os::unix::fs::chown(&new, Some(uid), Some(gid))
            .and_then(|()| std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)));
        made.map_err(|e| store.error(&new, &e))?;
        match std::fs::rename(&new, &folder) {
            Ok(()) => Ok(folder),
            // Another step was faster.
            Err(_) if folder.is_dir() => Ok(folder),
            Err(e) => Err(store.error(&folder, &e)),
        }
    }

    /// Copies what a folder of a tree holds to `upper/cache` in a scratch folder.
    fn copy_tree(&self, tree: &Tree, path: &str, scratch: &std::path::Path) -> Result<(), Error> {
        let source = step::Source {
            tree: tree.clone(),
            path: path.to_owned(),
            glob: false,
            unpack: false,
        };
        let spec = step::Spec {
            snapshots: self.shared.store.snapshots(),
            lower: Vec::new(),
            scratch: scratch.to_path_buf(),
            user_marks: self.shared.store.user_marks,
            action: Action::Transfer(step::Transfer {
                sources: vec![source],
                destination: "/cache/".to_owned(),
                owner: None,
                mode: None,
                parents: false,
                excludes: Vec::new(),
            }),
        };
        match self.shared.launcher.run(&spec, self.cancel, |_| {}) {
            Ok(0) => Ok(()),
            Ok(status) => Err(self.failed(None, format!("a helper ended with {status}"))),
            Err(failure) => Err(self.step_failure(failure)),
        }
    }

    /// A cache as `sharing` has it: `locked` waits for the step that uses it, `private` takes
    /// another folder then.
    fn share(
        &self,
        sharing: &str,
        folder: std::path::PathBuf,
    ) -> Result<std::path::PathBuf, Error> {
        let store = &self.shared.store;
        let private = match sharing.to_lowercase().as_str() {
            "private" => true,
            "locked" => false,
            _ => return Ok(folder),
        };
        for number in 0.. {
            let mut one = folder.clone().into_os_string();
            if private && number > 0 {
                one.push(format!("-{number}"));
            }
            let path = std::path::PathBuf::from(one);
            let mut lock = path.clone().into_os_string();
            lock.push(".lock");
            let lock = std::path::PathBuf::from(lock);
            let taken = Lock::try_exclusive(&lock).map_err(|e| store.error(&lock, &e))?;
            if let Some(lock) = taken {
                std::fs::create_dir_all(&path).map_err(|e| store.error(&path, &e))?;
                self.held.borrow_mut().push(lock);
                return Ok(path);
            }
            if self.cancel.is_cancelled() {
                return Err(super::cancelled());
            }
            if !private {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        Ok(folder)
    }
}

/// `64m`, `1g`: a size in bytes.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let number: u64 = lower[..end].parse().ok()?;
    let shift = match lower[end..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}
