//! What can go wrong, and the exit status that says so.
//!
//! Messages name files, keys and accounts. None holds what is in a file or in a variable: the
//! configuration has passwords in it, and the log of a container is read by many.

use std::io;
use std::path::{Path, PathBuf};

/// A failure, said in lower case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the configuration says cannot be done.
    #[error("{origin}: {message}")]
    Config {
        /// The file, or the variable, that it was read from.
        origin: String,
        /// The key, what was expected there, what to do.
        message: String,
    },

    /// What is in place is not what the configuration says.
    #[error("{} not as the configuration says: {}", .0.len(), .0.join("; "))]
    Different(Vec<String>),

    /// The way the program was started cannot lead anywhere.
    #[error("{0}")]
    Usage(String),

    /// A link that somebody may have laid to lead the superuser astray.
    #[error(
        "{}: not followed: this link belongs to user {owner}, and only links of the superuser and of \
         the owner of the configuration are followed; name the file itself",
        link.display()
    )]
    Link {
        /// The link.
        link: PathBuf,
        /// Whose it is.
        owner: u32,
    },

    /// The kernel refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was asked of it, as a verb.
        action: &'static str,
        /// For which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },

    /// A file is of a kind that is of no use here.
    #[error("{}: {found}, expected {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },

    /// A program of the image that was needed did not do its work.
    #[error("{program} {how}")]
    Program {
        /// Its name.
        program: String,
        /// What became of it.
        how: String,
        /// The status to end with.
        status: u8,
    },
}

impl Error {
    /// What the program ends with: 1 where the configuration is wrong or differs from what is in
    /// place, 2 where the machine is. kolla-ansible takes 1 of a check for a difference and any
    /// other for a failure.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Different(_) | Self::Usage(_) => 1,
            Self::Link { .. } | Self::Io { .. } | Self::Kind { .. } => 2,
            Self::Program { status, .. } => *status,
        }
    }

    /// For `map_err` behind a call that failed on a file.
    pub(crate) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source: source.into(),
        }
    }

    /// The message with its causes, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// The usual result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
