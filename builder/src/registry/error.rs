use super::Repository;
use super::shared::plain;

/// What can go wrong at a registry. Messages name registry and repository, hold at most a short and
/// cleaned piece of the registry's own words, and never a secret or the query of a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The registry wants to know who asks, and does not accept the answer it got (401).
    #[error("{repository}: the registry wants other credentials: {message}")]
    Unauthorized {
        /// Where.
        repository: Repository,
        /// The registry's words.
        message: String,
    },
    /// The account may not do this (403).
    #[error("{repository}: access is denied: {message}")]
    Denied {
        /// Where.
        repository: Repository,
        /// The registry's words.
        message: String,
    },
    /// It is not there (404).
    #[error("{repository}: the registry does not know {what}{}", behind(.message))]
    NotFound {
        /// Where.
        repository: Repository,
        /// "manifest 13", "blob sha256:…".
        what: String,
        /// The registry's words; empty where it gave none.
        message: String,
    },
    /// The registry is unwell or asks to be left alone for a while (408, 429, 5xx).
    #[error("{repository}: the registry is unwell: {message}")]
    Unwell {
        /// Where.
        repository: Repository,
        /// The status and the registry's words.
        message: String,
        /// Seconds it asked to wait, where it did.
        retry_after: Option<u64>,
    },
    /// The registry refuses the request for good (other 4xx), or answers what the protocol does not
    /// allow.
    #[error("{repository}: the registry refuses: {message}{}", coded(.code))]
    Refused {
        /// Where.
        repository: Repository,
        /// The HTTP status.
        status: u16,
        /// The registry's error code, `MANIFEST_INVALID`; empty where it gave none.
        code: String,
        /// The registry's words.
        message: String,
    },
    /// The registry cannot be reached, or the connection broke.
    #[error("{repository}: the connection failed: {message}")]
    Connection {
        /// Where.
        repository: Repository,
        /// The system's words.
        message: String,
    },
    /// No secure connection comes about.
    #[error("{repository}: no trusted connection: {message}")]
    Tls {
        /// Where.
        repository: Repository,
        /// What is wrong with it.
        message: String,
    },
    /// What arrived is not what was asked for.
    #[error("{repository}: {message}")]
    Corrupt {
        /// Where.
        repository: Repository,
        /// What was expected and found.
        message: String,
    },
    /// A local file could not be read or written.
    #[error("{repository}: {message}")]
    Local {
        /// What was being transferred.
        repository: Repository,
        /// The system's words.
        message: String,
    },
    /// Stopped by the caller.
    #[error("{repository}: stopped")]
    Cancelled {
        /// Where.
        repository: Repository,
    },
}

fn behind(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

fn coded(code: &str) -> String {
    if code.is_empty() {
        String::new()
    } else {
        format!(" ({code})")
    }
}

impl Error {
    /// Whether the same request may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unwell { .. } | Self::Connection { .. })
    }

    /// How long the registry asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Unwell { retry_after, .. } => retry_after.map(std::time::Duration::from_secs),
            _ => None,
        }
    }

    /// Where it happened.
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Unauthorized { repository, .. }
            | Self::Denied { repository, .. }
            | Self::NotFound { repository, .. }
            | Self::Unwell { repository, .. }
            | Self::Refused { repository, .. }
            | Self::Connection { repository, .. }
            | Self::Tls { repository, .. }
            | Self::Corrupt { repository, .. }
            | Self::Local { repository, .. }
            | Self::Cancelled { repository } => repository,
        }
    }

    pub(crate) fn corrupt(repository: &Repository, message: impl Into<String>) -> Self {
        Self::Corrupt {
            repository: repository.clone(),
            message: message.into(),
        }
    }

    pub(super) fn local(repository: &Repository, error: &std::io::Error) -> Self {
        Self::Local {
            repository: repository.clone(),
            message: error.to_string(),
        }
    }

    pub(super) fn cancelled(repository: &Repository) -> Self {
        Self::Cancelled {
            repository: repository.clone(),
        }
    }

    /// The registry broke the protocol.
    pub(super) fn protocol(repository: &Repository, status: u16, message: &str) -> Self {
        Self::Refused {
            repository: repository.clone(),
            status,
            code: String::new(),
            message: message.to_owned(),
        }
    }

    /// An answer whose status is none of those that were hoped for. `body` is the beginning of what
    /// came with it (OCI distribution specification, "Error Codes"), already without secrets; `what`
    /// is what was asked for.
    pub(super) fn from_status(
        repository: &Repository,
        status: u16,
        retry_after: Option<u64>,
        body: &str,
        what: &str,
    ) -> Self {
        let repository = repository.clone();
        let (code, words) = said(body);
        if status == 404 {
            return Self::NotFound {
                repository,
                what: what.to_owned(),
                message: words,
            };
        }
        let message = if words.is_empty() {
            format!("HTTP {status} for {what}")
        } else {
            words
        };
        match status {
            401 => Self::Unauthorized {
                repository,
                message,
            },
            429 | 408 | 500.. => Self::Unwell {
                repository,
                message: format!("HTTP {status}: {message}"),
                retry_after,
            },
            _ if code == "TOOMANYREQUESTS" => Self::Unwell {
                repository,
                message,
                retry_after,
            },
            403 => Self::Denied {
                repository,
                message,
            },
            _ => Self::Refused {
                repository,
                status,
                code,
                message,
            },
        }
    }
}

/// The code and the words of the first error in a registry's answer.
fn said(body: &str) -> (String, String) {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else {
        return (String::new(), plain(body));
    };
    let first = json.pointer("/errors/0").unwrap_or(&json);
    let text = |key: &str| first.get(key).and_then(|v| v.as_str()).unwrap_or_default();
    let words = [text("message"), text("details"), text("error")];
    let words = words.into_iter().find(|t| !t.is_empty());
    (plain(text("code")), plain(words.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reference;

    fn error(status: u16, body: &str) -> Error {
        let Ok(reference) = Reference::parse("reg.example/team/a") else {
            unreachable!("a valid reference")
        };
        Error::from_status(&Repository::of(&reference), status, Some(7), body, "blob x")
    }

    #[test]
    fn statuses_are_classes() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way\n","detail":null}]}"#;
        let refused = error(400, body);
        assert_eq!(
            refused.to_string(),
            "reg.example/team/a: the registry refuses: no [31m way (DENIED)"
        );
        assert!(matches!(error(401, body), Error::Unauthorized { .. }));
        assert!(matches!(error(403, ""), Error::Denied { .. }));
        assert!(matches!(error(404, body), Error::NotFound { .. }));
        for status in [408, 429, 500, 503] {
            let unwell = error(status, "<html>");
            assert!(unwell.is_transient());
            assert_eq!(unwell.retry_after().map(|d| d.as_secs()), Some(7));
        }
        let limited = error(403, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#);
        assert!(limited.is_transient());
    }

    #[test]
    fn a_registry_s_words_are_cut() {
        let long = error(400, &"x".repeat(10_000)).to_string();
        assert!(long.len() < 400, "{}", long.len());
    }
}
