//! An image under way: what the instructions so far have made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::store::Key;
use super::layer::Pending;
use crate::model::Platform;
use crate::oci::spec::{Config, History};

/// What runs commands where `SHELL` says nothing else.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Where commands are looked for where `ENV` says nothing else, as in Docker's own images.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Adds the usual `PATH`, in front, where there is none.
pub(in super::super) fn with_path(env: &mut Vec<String>) {
    if !env.iter().any(|v| v.starts_with("PATH=")) {
        env.insert(0, format!("PATH={PATH}"));
    }
}

/// The image that a stage has become.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) author: Option<String>,
    pub(super) history: Vec<History>,
    /// Lowest first.
    pub(super) layers: Vec<Arc<Pending>>,
    /// Stands for the file system so far.
    pub(super) key: Key,
    /// What `ARG` declared so far, in order.
    pub(super) args: Vec<Arg>,
    /// What it is for.
    pub(super) platform: Platform,
    /// Whether this stage had a `CMD` of its own, which an `ENTRYPOINT` leaves alone.
    pub(super) own_command: bool,
    /// The time that history tells.
    pub(super) created: String,
}

/// A build argument that was declared.
#[derive(Debug, Clone)]
pub(super) struct Arg {
    pub(super) name: String,
    /// Nothing where it was given none and has no default.
    pub(super) value: Option<String>,
    /// Whether an `ENV` after it has its name: of the two, the later one counts.
    pub(super) hidden: bool,
}

impl State {
    /// The names of its layers, topmost first, as an overlay takes them.
    pub(super) fn lower(&self) -> Vec<String> {
        let layers = self.layers.iter().rev();
        layers.map(|layer| layer.snapshot().to_owned()).collect()
    }

    /// Notes an instruction in the history.
    pub(super) fn note(&mut self, created_by: String, made_layer: bool) {
        self.history.push(History {
            created: Some(self.created.clone()),
            created_by: Some(created_by),
            author: None,
            comment: None,
            empty_layer: !made_layer,
        });
    }

    /// The variables that words are expanded with.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let pair = |v: &String| {
            let (name, value) = v.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let mut all: BTreeMap<String, String> = self.config.env.iter().filter_map(pair).collect();
        if !all.contains_key("PATH") {
            all.insert("PATH".to_owned(), PATH.to_owned());
        }
        for arg in self.args.iter().filter(|arg| !arg.hidden) {
            if let Some(value) = &arg.value {
                all.insert(arg.name.clone(), value.clone());
            }
        }
        all
    }

    /// The value of an environment variable of the image.
    pub(super) fn env(&self, name: &str) -> Option<&str> {
        self.config
            .env
            .iter()
            .find_map(|v| v.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sets an environment variable of the image, in the place that it had.
    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        with_path(&mut self.config.env);
        for arg in self.args.iter_mut().filter(|arg| arg.name == name) {
            arg.hidden = true;
        }
        let text = format!("{name}={value}");
        let is_it = |v: &&mut String| v.split('=').next() == Some(name);
        match self.config.env.iter_mut().find(is_it) {
            Some(there) => *there = text,
            None => self.config.env.push(text),
        }
    }

    /// A command line handed to the stage's shell.
    pub(super) fn with_shell(&self, line: &str) -> Vec<String> {
        let mut words = match &self.config.shell {
            Some(shell) => shell.clone(),
            None => SHELL.map(str::to_owned).to_vec(),
        };
        words.push(line.to_owned());
        words
    }

    /// A path seen from the working folder, made absolute and clean; a slash at its end stays.
    pub(super) fn absolute(&self, path: &str) -> String {
        let mut all = String::new();
        if !path.starts_with('/') {
            all.push_str(&self.config.working_dir);
        }
        all.push('/');
        all.push_str(path);
        let mut parts: Vec<&str> = Vec::new();
        for part in all.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let is_folder = path.ends_with('/') || path == "." || path.ends_with("/.");
        let slash = if is_folder && !parts.is_empty() {
            "/"
        } else {
            ""
        };
        format!("/{}{slash}", parts.join("/"))
    }
}
