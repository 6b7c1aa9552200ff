//! Engines say what went wrong in prose. Here the prose of Docker and Podman becomes an [`Error`];
//! the tests hold the real sentences.

use std::error::Error as _;

use super::super::Error;
use super::super::text::{clean, full_disk};
use super::progress::Step;

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

/// Why an image could not be fetched.
pub(super) fn pull(reference: &str, message: &str) -> Error {
    let message = tidy(message);
    let reference = reference.to_owned();
    if full_disk(&message).is_some() {
        Error::DiskFull { message }
    } else if is_unwell(&message) {
        Error::BaseImageUnwell { reference, message }
    } else {
        Error::BaseImage { reference, message }
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

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    /// What a message means while a step is under way.
    fn during(number: u32, instruction: &str, message: &str) -> Error {
        build(&Failure {
            message,
            refused: false,
            step: Some(&Step {
                number,
                instruction: instruction.to_owned(),
            }),
            pulling: None,
            recent: &[],
        })
    }

    fn before_any_step(message: &str, refused: bool, pulling: Option<&str>) -> Error {
        build(&Failure {
            message,
            refused,
            step: None,
            pulling,
            recent: &[],
        })
    }

    #[test]
    fn a_failing_command_has_its_status() {
        for (message, expected) in [
            // Docker 20.10 and 26, classic.
            (
                "The command '/bin/sh -c echo hi; exit 7' returned a non-zero code: 7",
                7,
            ),
            // Docker 20.10, BuildKit.
            (
                "executor failed running [/bin/sh -c exit code: 3; exit 7]: exit code: 7",
                7,
            ),
            // Docker 23 and later, BuildKit.
            (
                "failed to solve: process \"/bin/sh -c exit 127\" did not complete successfully: \
                 exit code: 127",
                127,
            ),
            // Podman 4.
            (
                "building at STEP \"RUN exit 7\": while running runtime: exit status 7\n",
                7,
            ),
        ] {
            let error = during(3, "RUN x", message);
            let Error::Step {
                number: 3, status, ..
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!(status, Some(expected), "{message}");
        }
    }

    #[test]
    fn a_step_can_fail_without_a_status() {
        for (instruction, message) in [
            (
                "COPY nosuch /",
                "COPY failed: file not found in build context or excluded by .dockerignore: \
                 stat nosuch: file does not exist",
            ),
            (
                "COPY nosuch /",
                "failed to compute cache key: \"/nosuch\" not found: not found",
            ),
            (
                "COPY nosuch /",
                "building at STEP \"COPY nosuch /\": checking on sources under \
                 \"/var/tmp/libpod_builder1/build\": copier: stat: \"/nosuch\": no such file or directory",
            ),
            (
                "RUN true",
                "unable to find user nosuchuser: no matching entries in passwd file",
            ),
            (
                "RUN [\"/nosuch\"]",
                "failed to create shim task: OCI runtime create failed: runc create failed: unable \
                 to start container process: exec: \"/nosuch\": stat /nosuch: no such file or \
                 directory: unknown",
            ),
        ] {
            let error = during(2, instruction, message);
            assert!(
                matches!(
                    error,
                    Error::Step {
                        number: 2,
                        status: None,
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_dockerfile_can_be_refused() {
        for (message, refused) in [
            (
                "dockerfile parse error line 2: unknown instruction: RUNN",
                true,
            ),
            (
                "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
                true,
            ),
            (
                "failed to parse Dockerfile: file with no instructions",
                true,
            ),
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: file \
                 with no instructions",
                false,
            ),
            ("building: no stages to build", false),
            (
                "Error processing tar file(exit status 1): unexpected EOF",
                true,
            ),
        ] {
            let error = before_any_step(message, refused, None);
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        }
        for (instruction, message) in [
            (
                "FROM kollaglue/BASE:x",
                "invalid reference format: repository name must be lowercase",
            ),
            (
                "FROM kollaglue/BASE:x",
                "creating build container: repository name must be lowercase\n",
            ),
            (
                "RUNN foo",
                "building at STEP \"RUNN \": Build error: Unknown instruction: \"RUNN\"",
            ),
        ] {
            let error = during(1, instruction, message);
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_base_image_can_be_missing_or_out_of_reach() {
        let missing = [
            (
                "FROM a/b:1 AS x",
                "pull access denied for a/b, repository does not exist or may require 'docker login': \
                 denied: requested access to the resource is denied",
            ),
            (
                "FROM a/b:1",
                "manifest for a/b:1 not found: manifest unknown: manifest unknown",
            ),
            (
                "FROM --platform=linux/amd64 a/b:1",
                "Head \"http://h/v2/\": no basic auth credentials",
            ),
            (
                "FROM a/b:1",
                "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example on \
                 10.255.255.53:53: no such host",
            ),
            (
                "COPY --from=a/b:1 /a /b",
                "invalid from flag value a/b:1: Get \"https://registry.example/v2/\": no such host",
            ),
            (
                "COPY --from=a/b:1 /a /b",
                "COPY --from=a/b:1: no stage or image found with that name\n",
            ),
        ];
        for (instruction, message) in missing {
            let error = during(1, instruction, message);
            let Error::BaseImage { reference, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(reference, "a/b:1");
        }
        for message in [
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "received unexpected HTTP status: 503 Service Unavailable",
            "toomanyrequests: You have reached your pull rate limit",
            "Get \"https://h/v2/\": net/http: TLS handshake timeout",
            "Head \"https://h/v2/a/b/manifests/1\": EOF",
            "lookup h on 10.0.0.1:53: server misbehaving",
        ] {
            let error = during(1, "FROM a/b:1", message);
            assert!(matches!(error, Error::BaseImageUnwell { .. }), "{error:?}");
        }
        let message = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: \
                       127.0.0.1:5977/nothing:1: not found";
        let error = before_any_step(message, false, Some("127.0.0.1:5977/nothing:1"));
        assert!(matches!(error, Error::BaseImage { .. }), "{error:?}");
    }

    #[test]
    fn a_full_disk_is_found_wherever_it_is_said() {
        let message = "ApplyLayer exit status 1 stdout:  stderr: write /f: no space left on device";
        assert!(matches!(
            during(2, "ADD f /", message),
            Error::DiskFull { .. }
        ));
        let error = build(&Failure {
            message: "The command 'x' returned a non-zero code: 100",
            refused: false,
            step: None,
            pulling: None,
            recent: &[
                "dpkg: error",
                "E: Write error - write (28: No space left on device)",
            ],
        });
        let message = "E: Write error - write (28: No space left on device)".to_owned();
        assert_eq!(error, Error::DiskFull { message });
        let refused = bollard::errors::Error::DockerResponseServerError {
            status_code: 500,
            message: "mkdir /var/lib/docker/tmp/x: no space left on device".to_owned(),
        };
        assert!(matches!(request(refused, "x"), Error::DiskFull { .. }));
    }

    #[test]
    fn registries_refuse_in_three_ways() {
        let class = |message| push("r.example:500", "r.example:500/timeout/denied", message);
        for message in [
            "no basic auth credentials",
            "unauthorized: authentication required",
            "denied: requested access to the resource is denied",
            "trying to reuse blob sha256:3c at destination: checking whether a blob sha256:3c exists \
             in r.example:500/timeout/denied: unauthorized: authentication required",
            "unexpected status from HEAD request to https://r/v2/: 403 Forbidden",
            "unable to retrieve auth token: invalid username/password: unauthorized",
        ] {
            assert!(
                matches!(class(message), Error::Unauthorized { .. }),
                "{message}"
            );
        }
        for message in [
            "received unexpected HTTP status: 500 Internal Server Error",
            "toomanyrequests: rate exceeded",
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "Get \"http://127.0.0.1:1/v2/\": EOF",
            "read tcp 127.0.0.1:36136->127.0.0.1:33729: read: connection reset by peer",
            "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
            "error parsing HTTP 429 response body: unexpected end of JSON input: \"\"",
        ] {
            assert!(
                matches!(class(message), Error::RegistryUnwell { .. }),
                "{message}"
            );
        }
        for message in [
            "Get \"https://nohost.invalid/v2/\": dial tcp: lookup nohost.invalid: no such host",
            "Get \"https://r/v2/\": http: server gave HTTP response to HTTPS client",
            "Get \"https://r/v2/\": x509: certificate signed by unknown authority",
            "manifest invalid: manifest invalid, r.example:500/timeout/denied",
            "name unknown: repository sha256:500a name not known to registry",
        ] {
            assert!(
                matches!(class(message), Error::RegistryRefused { .. }),
                "{message}"
            );
        }
    }

    #[test]
    fn an_engine_without_buildkit_is_recognised() {
        assert!(lacks_buildkit(
            "buildkit is only supported with experimental mode"
        ));
        assert!(lacks_buildkit(
            "no active session for kolla-1: context deadline exceeded"
        ));
        assert!(!lacks_buildkit(
            "dockerfile parse error line 1: unknown instruction: X"
        ));
    }
}
