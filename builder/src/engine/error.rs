use crate::model::secret::masked;
use crate::model::{Class, Diagnostic};
use crate::registry;

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
    /// The system does not let this user speak to the engine.
    #[error("access to the engine at {address} is refused: {reason}")]
    Forbidden {
        /// Where it is.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// No address was given, and none of the usual ones answers.
    #[error("no engine answers: {}", listed(.tried))]
    NoneAnswers {
        /// What went wrong at each address, in the order they were tried.
        tried: Vec<Error>,
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
    #[error("step {number} failed{}: {}", exit_status(*.status), masked(.instruction))]
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
    /// The image that a Dockerfile starts from, or copies from, cannot be had.
    #[error("the base image {reference} cannot be had: {message}")]
    BaseImage {
        /// As the Dockerfile names it.
        reference: String,
        /// The engine's own words.
        message: String,
    },
    /// The network or a registry failed while the image that a Dockerfile starts from was fetched.
    #[error("the base image {reference} could not be fetched: {message}")]
    BaseImageUnwell {
        /// As the Dockerfile names it.
        reference: String,
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
    /// The folder in which the native engine keeps its images cannot be used.
    #[error("the image store {} cannot be used: {reason}", folder.display())]
    Store {
        /// Where it is.
        folder: std::path::PathBuf,
        /// The system's words.
        reason: String,
    },
    /// An image that was expected is not there.
    #[error("the engine has no image {reference}")]
    NoSuchImage {
        /// The image.
        reference: String,
    },
    /// An image cannot be removed, since something in the engine stands on it.
    #[error("{what} is in use: {message}")]
    InUse {
        /// The image or container.
        what: String,
        /// The engine's own words.
        message: String,
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

fn listed(tried: &[Error]) -> String {
    if tried.is_empty() {
        return "there is no address to try".to_owned();
    }
    let words: Vec<_> = tried.iter().map(ToString::to_string).collect();
    words.join("; ")
}

fn exit_status(status: Option<i64>) -> String {
    status
        .map(|s| format!(" with status {s}"))
        .unwrap_or_default()
}

/// Of a registry that takes or keeps images; one that gives them is told as a base image's.
impl From<&registry::Error> for Error {
    fn from(error: &registry::Error) -> Self {
        use registry::Error as E;
        let registry = error.repository().registry().to_owned();
        let message = error.to_string();
        match error {
            E::Unauthorized { .. } | E::Denied { .. } => Self::Unauthorized { registry, message },
            E::Unwell { retry_after, .. } => Self::RegistryUnwell {
                registry,
                message,
                retry_after: *retry_after,
            },
            E::Connection { .. } => Self::RegistryUnwell {
                registry,
                message,
                retry_after: None,
            },
            E::NotFound { .. } | E::Refused { .. } | E::Tls { .. } | E::Corrupt { .. } => {
                Self::RegistryRefused { registry, message }
            }
            E::Local { .. } => Self::Engine { message },
            E::Cancelled { .. } => Self::Connection { message },
        }
    }
}

impl Error {
    /// Decides whether to try again and how to exit.
    pub fn class(&self) -> Class {
        match self {
            Self::Step { .. } | Self::Refused { .. } => Class::Build,
            Self::Context { .. } => Class::Definition,
            Self::RegistryUnwell { .. }
            | Self::BaseImageUnwell { .. }
            | Self::Connection { .. } => Class::Transient,
            Self::Unreachable { .. }
            | Self::Forbidden { .. }
            | Self::NoneAnswers { .. }
            | Self::BaseImage { .. }
            | Self::InUse { .. }
            | Self::Unsuitable { .. }
            | Self::DiskFull { .. }
            | Self::Store { .. }
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
        if let Self::NoneAnswers { tried } = self {
            return none_answers(tried);
        }
        let problem = Diagnostic::new(self.class(), self.to_string()).maybe_hint(self.hint());
        match self {
            Self::Step { message, .. } if !message.is_empty() => problem.note(masked(message)),
            _ => problem,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } | Self::NoneAnswers { .. } => {
                "start Docker or Podman's socket, or name another engine with --engine-url or DOCKER_HOST"
            }
            Self::Forbidden { .. } => {
                "run as root, or add the user to the group that owns the socket \
                 (`sudo usermod -aG docker $USER`) and log in again"
            }
            Self::Unsuitable { .. } => {
                "Docker Engine 20.10 or later or Podman 4 or later is needed"
            }
            Self::DiskFull { .. } => {
                "free space where the engine keeps its data (`kolla clean`; for Docker, `docker system prune`), \
                 then run the same command again: finished images are kept"
            }
            Self::Store { .. } => {
                "it must be a folder that this user may write to, on a file system such as ext4, \
                 xfs or btrfs: name another with --store"
            }
            Self::NoSuchImage { .. } => {
                "build it first, with the same tag and namespace: `kolla build`"
            }
            Self::BaseImage { reference, .. } => {
                return Some(format!(
                    "check the name, pull it into the engine (Docker: `docker pull {reference}`), or \
                     log in to its registry"
                ));
            }
            Self::BaseImageUnwell { .. } => {
                "check that the engine reaches the registry, or load the image into the engine beforehand"
            }
            Self::InUse { .. } => "remove the containers, or let the programs end, that use it",
            Self::Unauthorized { registry, .. } => {
                return Some(format!(
                    "log in with `docker login {registry}`, and check that the account may push to \
                     this namespace"
                ));
            }
            Self::RegistryUnwell { .. } => {
                "the registry may be overloaded: `kolla push` sends only what is missing"
            }
            Self::RegistryRefused { registry, message }
                if message.contains("HTTP response to HTTPS client") =>
            {
                return Some(format!(
                    "the registry speaks plain HTTP: list {registry} as insecure in the engine's \
                     configuration (`insecure-registries` for Docker, registries.conf for Podman)"
                ));
            }
            Self::RegistryRefused { registry, message } if message.contains("x509:") => {
                return Some(format!(
                    "the engine does not trust the registry's certificate: put its authority at \
                     /etc/docker/certs.d/{registry}/ca.crt (Podman: /etc/containers/certs.d)"
                ));
            }
            Self::Connection { .. } => {
                "see whether the engine still runs and what its own log says, then run the same \
                 command again"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// One note per address, and the hints of what went wrong there, each once.
fn none_answers(tried: &[Error]) -> Diagnostic {
    let mut problem = Diagnostic::environment("no container engine answers");
    let mut hints: Vec<String> = Vec::new();
    for error in tried {
        problem = problem.note(error.to_string());
        hints.extend(error.hint().filter(|hint| !hints.contains(hint)));
    }
    hints.into_iter().fold(problem, Diagnostic::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_that_was_tried_is_shown() {
        let error = Error::NoneAnswers {
            tried: vec![
                Error::Unreachable {
                    address: "unix:///a".into(),
                    reason: "there is no such socket".into(),
                },
                Error::Forbidden {
                    address: "unix:///b".into(),
                    reason: "permission denied".into(),
                },
            ],
        };
        let problem = error.diagnostic();
        assert_eq!(problem.notes().len(), 2);
        assert!(problem.hints().iter().any(|h| h.contains("--engine-url")));
        assert!(
            problem
                .hints()
                .iter()
                .any(|h| h.contains("usermod -aG docker"))
        );
        assert!(error.to_string().contains("unix:///a") && error.to_string().contains("unix:///b"));
    }
}
