//! Engines say what went wrong in prose. Here the prose of Docker and Podman becomes an [`Error`];
//! the tests hold the real sentences.

use std::error::Error as _;

use super::super::Error;
use super::progress::Step;
use super::text::clean;

/// What is known about a build that failed.
pub(super) struct Failure<'a> {
    /// The engine's words.
    pub(super) message: &'a str,
    /// Whether the request itself was refused, before anything was built.
    pub(super) refused: bool,
    /// The step that failed, or else the last that began.
    pub(super) step: Option<&'a Step>,
    /// The image whose description was being fetched.
    pub(super) pulling: Option<&'a str>,
    /// The last lines that were printed.
    pub(super) recent: &'a [&'a str],
}

/// Why a build failed.
pub(super) fn build(failure: &Failure<'_>) -> Error {
    let message = tidy(failure.message);
    // A command that finds the disk full only exits with some status; what it printed tells.
    if let Some(line) =
        full_disk(&message).or_else(|| failure.recent.iter().find_map(|line| full_disk(line)))
    {
        return Error::DiskFull {
            message: line.to_owned(),
        };
    }
    let number = failure.step.map_or(0, |step| step.number);
    let instruction = failure
        .step
        .map(|step| step.instruction.clone())
        .unwrap_or_default();
    if let Some(status) = exit_status(&message) {
        return Error::Step {
            number,
            instruction,
            status: Some(status),
            message,
        };
    }
    if is_grammar(&message) {
        return Error::Refused { message };
    }
    if let Some(reference) = wanted_image(failure, &message) {
        return if is_unwell(&message) {
            Error::BaseImageUnwell { reference, message }
        } else {
            Error::BaseImage { reference, message }
        };
    }
    if message.contains("context canceled") {
        return Error::Connection { message };
    }
    match failure.step {
        Some(_) => Error::Step {
            number,
            instruction,
            status: None,
            message,
        },
        None if failure.refused => Error::Refused { message },
        None => Error::Engine { message },
    }
}

/// Whether the engine has no BuildKit, or none that can be used through this connection.
pub(super) fn lacks_buildkit(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("no active session")
        || message.contains("buildkit")
            && [
                "not supported",
                "only supported",
                "not enabled",
                "experimental",
                "disabled",
            ]
            .iter()
            .any(|words| message.contains(words))
}

/// Why a push failed; `repository` is left out of the search for telling words.
pub(super) fn push(registry: &str, repository: &str, message: &str) -> Error {
    let message = tidy(message);
    let registry = registry.to_owned();
    let telling = message.replace(repository, "");
    let lower = telling.to_lowercase();
    if full_disk(&telling).is_some() {
        Error::DiskFull { message }
    } else if is_unwell(&telling) {
        Error::RegistryUnwell {
            registry,
            message,
            retry_after: None,
        }
    } else if has_status(&telling, &[401, 403])
        || [
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
            "denied",
            "forbidden",
            "insufficient_scope",
            "invalid username/password",
            "incorrect username or password",
        ]
        .iter()
        .any(|words| lower.contains(words))
    {
        Error::Unauthorized { registry, message }
    } else {
        Error::RegistryRefused { registry, message }
    }
}

/// Why any other request failed; `what` is the image or container it was about.
pub(super) fn request(error: bollard::errors::Error, what: &str) -> Error {
    use bollard::errors::Error as Bollard;
    match error {
        Bollard::DockerResponseServerError {
            status_code,
            message,
        } => {
            let message = tidy(&message);
            let what = what.to_owned();
            match status_code {
                _ if full_disk(&message).is_some() => Error::DiskFull { message },
                404 => Error::NoSuchImage { reference: what },
                409 => Error::InUse { what, message },
                _ => Error::Engine { message },
            }
        }
        Bollard::DockerStreamError { error } => {
            let message = tidy(&error);
            match full_disk(&message) {
                Some(_) => Error::DiskFull { message },
                None => Error::Engine { message },
            }
        }
        Bollard::JsonDataError { .. } | Bollard::JsonSerdeError { .. } => Error::Engine {
            message: format!("its answer cannot be read: {error}"),
        },
        Bollard::RequestTimeoutError => Error::Connection {
            message: "no answer came in time".to_owned(),
        },
        other => Error::Connection {
            message: chain(&other),
        },
    }
}

/// An error and its causes in one line, each said once.
pub(super) fn chain(error: &bollard::errors::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    clean(text.as_bytes())
}

/// The operating system's error at the bottom, if that is what it was.
pub(super) fn system_error(error: &bollard::errors::Error) -> Option<&std::io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.raw_os_error().is_some()
        {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

fn tidy(message: &str) -> String {
    let lines: Vec<_> = message.lines().map(|line| clean(line.as_bytes())).collect();
    lines.join("\n").trim().to_owned()
}

fn full_disk(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let line = line.to_lowercase();
        line.contains("no space left on device") || line.contains("disk quota exceeded")
    })
}

/// The number behind the words that the builders use for a command that failed.
fn exit_status(message: &str) -> Option<i64> {
    [
        // Docker's classic builder.
        "returned a non-zero code: ",
        // BuildKit, up to Docker 20.10 behind `executor failed running [...]`, since then behind
        // `process "..." did not complete successfully`.
        "exit code: ",
        // Podman.
        "while running runtime: exit status ",
    ]
    .iter()
    .find_map(|words| {
        let (_, rest) = message.rsplit_once(words)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

/// Whether the Dockerfile itself cannot be understood.
fn is_grammar(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "dockerfile parse error",
        "failed to parse dockerfile",
        "unknown instruction",
        "file with no instructions",
        "the dockerfile cannot be empty",
        "no build stage in current context",
        "no stages to build",
        "no from statement found",
        "invalid reference format",
        "repository name must be lowercase",
        "failed to process \"",
        "is not a valid stage name",
        "invalid name for build stage",
        "circular dependency detected",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The image that could not be had, if that is why the build failed.
fn wanted_image(failure: &Failure<'_>, message: &str) -> Option<String> {
    if let Some(reference) = failure.pulling {
        return Some(reference.to_owned());
    }
    let instruction = &failure.step?.instruction;
    let mut words = instruction.split_whitespace();
    match words.next()?.to_ascii_uppercase().as_str() {
        "FROM" => words
            .find(|word| !word.starts_with("--"))
            .map(str::to_owned),
        "COPY"
            if message.starts_with("invalid from flag value")
                || message.contains("no stage or image found") =>
        {
            words
                .find_map(|word| word.strip_prefix("--from="))
                .map(str::to_owned)
        }
        _ => None,
    }
}

/// Whether the network or a server is at fault, so that trying again may help.
fn is_unwell(message: &str) -> bool {
    let lower = message.to_lowercase();
    has_status(
        message,
        &[408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524],
    ) || message
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word == "EOF")
        || [
            "toomanyrequests",
            "too many requests",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
            "connection reset",
            "connection refused",
            "connection closed",
            "closed network connection",
            "broken pipe",
            "timeout",
            "timed out",
            "deadline exceeded",
            "temporary failure",
            "server misbehaving",
            "network is unreachable",
            "no route to host",
            "goaway",
            "stream error",
        ]
        .iter()
        .any(|words| lower.contains(words))
}

/// Whether one of the HTTP status codes stands in the text as a word of its own.
fn has_status(message: &str, codes: &[u16]) -> bool {
    message
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() == 3)
        .any(|word| word.parse().is_ok_and(|code| codes.contains(&code)))
}
