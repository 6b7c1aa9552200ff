use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Class, Diagnostic, Digest};

/// The most that is told of what is wrong with a document, in characters: it may quote the document.
const MAX_REASON: usize = 200;

/// What can go wrong with an image on disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Something is not what its specification says.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// Which document or blob.
        what: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// Content that does not have the digest under which it is known.
    #[error("{what} should have the digest {expected}, and has {found}")]
    Digest {
        /// Which blob or layer.
        what: String,
        /// The digest it was asked for by.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A blob that is named but not there.
    #[error("blob {digest} is missing in {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
}

impl Error {
    /// An error of the system at a path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        Self::Invalid {
            what: what.into(),
            reason,
        }
    }

    /// The same as a problem to show.
    pub fn diagnostic(&self) -> Diagnostic {
        let problem = Diagnostic::new(Class::Environment, self.to_string());
        match self {
            Self::Io { .. } => problem,
            _ => problem.hint("fetch or build the image again: what is stored of it is damaged"),
        }
    }
}

/// Puts the path in front of a message, and keeps the kind.
pub(crate) fn at(path: &Path, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
