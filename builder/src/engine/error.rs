use crate::model::{Class, Diagnostic};

/// What can go wrong at an engine. Messages carry the engine's own words, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("cannot reach the engine at {address}: {reason}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// It answers, but cannot do what is needed.
    #[error("the engine at {address} cannot be used: {reason}")]
    Unsuitable {
        /// Where it is.
        address: String,
        /// What is missing.
        reason: String,
    },
    /// A step of a Dockerfile failed.
    #[error("step {number} failed{}: {instruction}", exit_status(*.status))]
    Step {
        /// From 1; 0 where the engine does not say.
        number: u32,
        /// The instruction.
        instruction: String,
        /// The command's exit status, where it was a command that failed.
        status: Option<i64>,
        /// The engine's own words.
        message: String,
    },
    /// The Dockerfile or the context is refused by the builder.
    #[error("the builder refuses the Dockerfile: {message}")]
    Refused {
        /// The engine's own words.
        message: String,
    },
    /// A file of the build context could not be read while it was sent.
    #[error("cannot send the build context: {message}")]
    Context {
        /// The system's words.
        message: String,
    },
    /// No space is left where the engine keeps its images.
    #[error("the engine's disk is full: {message}")]
    DiskFull {
        /// The engine's own words.
        message: String,
    },
    /// An image that was expected is not there.
    #[error("the engine has no image {reference}")]
    NoSuchImage {
        /// The image.
        reference: String,
    },
    /// The registry wants other credentials.
    #[error("{registry} refuses access: {message}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Its own words, through the engine.
        message: String,
    },
    /// The registry is unwell or asks to be left alone for a while; trying again may help.
    #[error("{registry} could not take the image: {message}")]
    RegistryUnwell {
        /// The registry.
        registry: String,
        /// Its own words, through the engine.
        message: String,
        /// Seconds it asked to wait, where it did.
        retry_after: Option<u64>,
    },
    /// The registry refuses this image for good.
    #[error("{registry} refuses the image: {message}")]
    RegistryRefused {
        /// The registry.
        registry: String,
        /// Its own words, through the engine.
        message: String,
    },
    /// The connection to the engine broke.
    #[error("the connection to the engine broke: {message}")]
    Connection {
        /// The system's words.
        message: String,
    },
    /// The engine answered with an error that is none of the above.
    #[error("the engine failed: {message}")]
    Engine {
        /// The engine's own words.
        message: String,
    },
}

fn exit_status(status: Option<i64>) -> String {
    status.map(|s| format!(" with status {s}")).unwrap_or_default()
}

impl Error {
    /// Decides whether to try again and how to exit.
    pub fn class(&self) -> Class {
        match self {
            Self::Step { .. } | Self::Refused { .. } => Class::Build,
            Self::Context { .. } => Class::Definition,
            Self::RegistryUnwell { .. } | Self::Connection { .. } => Class::Transient,
            Self::Unreachable { .. }
            | Self::Unsuitable { .. }
            | Self::DiskFull { .. }
            | Self::NoSuchImage { .. }
            | Self::Unauthorized { .. }
            | Self::RegistryRefused { .. }
            | Self::Engine { .. } => Class::Environment,
        }
    }

    /// How long the other side asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::RegistryUnwell { retry_after, .. } => {
                retry_after.map(std::time::Duration::from_secs)
            }
            _ => None,
        }
    }

    /// The same as a problem to show, with what to do about it.
    pub fn diagnostic(&self) -> Diagnostic {
        let problem = Diagnostic::new(self.class(), self.to_string());
        match self {
            Self::Unreachable { .. } => problem
                .hint("start Docker or Podman's socket, or name another engine with --engine-url or DOCKER_HOST"),
            Self::Unsuitable { .. } => {
                problem.hint("Docker Engine 20.10 or later or Podman 4 or later is needed")
            }
            Self::DiskFull { .. } => problem.hint(
                "free space where the engine keeps its data (`kolla clean`, `docker system prune`), then run the same command again: finished images are kept",
            ),
            Self::NoSuchImage { .. } => {
                problem.hint("build it first, with the same tag and namespace: `kolla build`")
            }
            Self::Unauthorized { registry, .. } => problem.hint(format!(
                "log in with `docker login {registry}`, and check that the account may push to this namespace"
            )),
            Self::RegistryUnwell { .. } => {
                problem.hint("the registry may be overloaded: `kolla push` sends only what is missing")
            }
            Self::Step { message, .. } => {
                if message.is_empty() {
                    problem
                } else {
                    problem.note(message.clone())
                }
            }
            _ => problem,
        }
    }
}
