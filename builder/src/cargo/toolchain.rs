//! The cargo of the machine, and what it is told of the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::archive::FIXED_TIME;
use crate::model::{Class, Diagnostic, Digest};
use crate::process;

/// Variables that cargo, rustup and what they start get: how files are found, how the network and
/// registries are reached, which compiler and linker. No other variable can change a program.
const PASSED: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "LD_LIBRARY_PATH",
];
const PASSED_BELOW: [&str; 7] = [
    "RUSTUP_",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CC_",
];

/// A cargo with its compiler, where it keeps what it downloads, and its environment.
#[derive(Debug, Clone)]
pub struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    home: PathBuf,
    variables: BTreeMap<String, String>,
    version: Arc<OnceCell<String>>,
}

impl Toolchain {
    /// A cargo, the compiler that belongs to it, the folder that is `CARGO_HOME`, and the variables of
    /// the process, of which cargo gets some.
    pub fn new(
        cargo: PathBuf,
        rustc: PathBuf,
        home: PathBuf,
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let passed = |name: &str| {
            PASSED.contains(&name)
                || PASSED_BELOW.iter().any(|start| name.starts_with(start))
                || (name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER"))
        };
        Self {
            cargo,
            rustc,
            home,
            variables: variables
                .iter()
                .filter(|(name, _)| passed(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            version: Arc::default(),
        }
    }

    /// `CARGO_HOME`.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A command of cargo. It is run in `/`, so that no configuration of any folder counts but that of
    /// `CARGO_HOME`.
    pub(super) fn cargo(&self) -> Command {
        let mut command = self.command(&self.cargo);
        command
            .env("RUSTC", &self.rustc)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env_clear()
            .envs(&self.variables)
            .env("CARGO_HOME", &self.home)
            .env("SOURCE_DATE_EPOCH", FIXED_TIME.to_string());
        command
    }

    /// What `rustc --version --verbose` prints: what tells one compiler from another.
    async fn version(&self) -> Result<&str, Diagnostic> {
        let asked = self.version.get_or_try_init(async || {
            let mut command = self.command(&self.rustc);
            command.args(["--version", "--verbose"]);
            match process::output(command).await {
                Ok((status, text)) if status.success() && text.starts_with("rustc ") => Ok(text),
                Ok((status, _)) => Err(Diagnostic::environment(format!(
                    "{} does not work: {status}",
                    self.rustc.display()
                ))
                .hint(format!(
                    "see what `{} --version --verbose` says",
                    self.rustc.display()
                ))),
                Err(error) => Err(Diagnostic::environment(format!(
                    "cannot run {}: {error}",
                    self.rustc.display()
                ))),
            }
        });
        asked.await.map(String::as_str)
    }

    /// The compiler as part of the name of what it made.
    pub(super) async fn compiler(&self) -> Result<Digest, Diagnostic> {
        Ok(Digest::of(self.version().await?))
    }

    /// The machine that the compiler runs on, `x86_64-unknown-linux-gnu`.
    pub(super) async fn host(&self) -> Result<&str, Diagnostic> {
        let version = self.version().await?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        host.map(str::trim).ok_or_else(|| {
            Diagnostic::new(Class::Environment, "the compiler does not say its host")
        })
    }
}

/// A diagnostic for a machine without one.
pub(super) fn missing(what: &str) -> Diagnostic {
    Diagnostic::environment(format!(
        "cannot compile `{what}`: cargo and rustc are not installed"
    ))
    .hint("install Rust: with rustup, or the distribution's packages, on Debian `cargo`")
    .hint("they are looked for in PATH")
}

/// A variable's name for a target: `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER`.
pub(super) fn linker_variable(triple: &str) -> String {
    let triple = triple.to_uppercase().replace('-', "_");
    format!("CARGO_TARGET_{triple}_LINKER")
}

/// The folders that cargo unpacks registries' packages to. Their names differ with the address that
/// a registry is reached at.
pub(super) fn registries(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join("registry").join("src"));
    let entries = entries.into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}
