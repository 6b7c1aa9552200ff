//! Docker Engine and Podman's Docker-compatible socket.
//!
//! Owns everything that is said to such an engine and how its answers are understood. Refuses to
//! look for one by itself: where it may be is told by the caller, who knows the environment.

mod address;
mod archive;
mod build;
mod classify;
mod feed;
mod images;
mod leftovers;
mod names;
mod progress;
mod pull;
mod push;
mod room;
mod run;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::ClientVersion;
use bollard::models::SystemVersion;
use tokio_util::task::TaskTracker;

pub use address::{Address, Surroundings, candidates};

use super::{
    BuildEvent, BuildRequest, Destination, Engine, Error, Info, Leftover, RunRequest, RunResult,
    StoredImage, Visitor,
};
use crate::model::{Digest, ImageId, Platform, Reference};
use crate::oci::spec::ImageConfig;
use crate::registry::Credentials;

/// How long an engine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(15);
/// How long it may take for an answer that only needs looking up, on a busy disk.
const ANSWER: Duration = Duration::from_secs(300);
/// How long it may take until a build, a push or a container says its first word; a context of many
/// gigabytes is sent before that. In effect for ever: whoever waits decides how long.
const PATIENCE: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The oldest API that can be spoken: Docker Engine 20.10.
const OLDEST_API: (usize, usize) = (1, 41);
/// The oldest Podman: before it, failures in a build's stream cannot be told from output.
const OLDEST_PODMAN: u32 = 4;

/// An engine that speaks Docker's API.
pub struct Docker {
    client: bollard::Docker,
    address: Address,
    platform: Platform,
    is_podman: bool,
    no_buildkit: AtomicBool,
    tasks: TaskTracker,
}

/// What turns a Dockerfile into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builder {
    BuildKit,
    Classic,
    Buildah,
}

impl Docker {
    /// Connects to the engine at an address and sees what it is.
    ///
    /// # Errors
    /// Fails when nothing answers there, when the system denies access, and when the engine is too
    /// old.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let greeting = address.client(GREETING, bollard::API_DEFAULT_VERSION)?;
        let version = greeting
            .version()
            .await
            .map_err(|error| unanswered(address, &error))?;
        let unsuitable = |reason: String| Error::Unsuitable {
            address: address.to_string(),
            reason,
        };
        let api = version.api_version.as_deref().unwrap_or_default();
        let Some(number) = numbers(api) else {
            return Err(unsuitable("it does not say which API it speaks".to_owned()));
        };
        if number < OLDEST_API {
            return Err(unsuitable(format!(
                "it speaks API {api}, and 1.41 is needed"
            )));
        }
        let podman = podman_version(&version);
        if let Some(podman) = podman {
            let major = podman.split('.').next().and_then(|n| n.parse::<u32>().ok());
            if major.is_none_or(|major| major < OLDEST_PODMAN) {
                return Err(unsuitable(format!(
                    "it is Podman {podman}, and 4 is needed"
                )));
            }
        }
        let os = version.os.as_deref().unwrap_or("linux");
        let arch = version.arch.as_deref().unwrap_or_default();
        let platform = Platform::parse(&format!("{os}/{arch}"))
            .map_err(|_| unsuitable(format!("it runs on {os}/{arch}")))?;
        let spoken = ClientVersion {
            major_version: number.0,
            minor_version: number.1.min(bollard::API_DEFAULT_VERSION.minor_version),
        };
        let client = address
            .client(ANSWER, &spoken)?
            .with_request_modifier(url_safe);
        Ok(Self {
            client,
            address: address.clone(),
            platform,
            is_podman: podman.is_some(),
            no_buildkit: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        })
    }

    /// Connects to the first of several addresses where a fitting engine answers.
    ///
    /// # Errors
    /// With a single candidate its own error; else one that tells what was wrong with each.
    pub async fn discover(candidates: &[Address]) -> Result<Self, Error> {
        let mut tried = Vec::new();
        for address in candidates {
            match Self::connect(address).await {
                Ok(engine) => return Ok(engine),
                Err(error) => tried.push(error),
            }
        }
        match <[Error; 1]>::try_from(tried) {
            Ok([only]) => Err(only),
            Err(tried) => Err(Error::NoneAnswers { tried }),
        }
    }

    /// The same engine, not using BuildKit even where it is there.
    #[must_use]
    pub fn without_buildkit(self) -> Self {
        self.no_buildkit.store(true, Ordering::Relaxed);
        self
    }

    fn builder(&self) -> Builder {
        if self.is_podman {
            Builder::Buildah
        } else if self.no_buildkit.load(Ordering::Relaxed) {
            Builder::Classic
        } else {
            Builder::BuildKit
        }
    }
}

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> Result<Info, Error> {
        let version = self.client.version().await;
        let version = version.map_err(|error| unanswered(&self.address, &error))?;
        let (name, number) = match podman_version(&version) {
            Some(podman) => ("Podman Engine", podman.to_owned()),
            None => ("Docker Engine", version.version.unwrap_or_default()),
        };
        let builder = match self.builder() {
            Builder::BuildKit => "BuildKit",
            Builder::Classic => "classic",
            Builder::Buildah => "Buildah",
        };
        Ok(Info {
            name: name.to_owned(),
            version: number,
            address: self.address.to_string(),
            builder: builder.to_owned(),
            platform: self.platform.clone(),
        })
    }

    async fn images(&self, label: &str) -> Result<Vec<StoredImage>, Error> {
        self.list_images(label).await
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &(dyn Fn(BuildEvent) + Send + Sync),
    ) -> Result<ImageId, Error> {
        self.build_image(request, events).await
    }

    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        self.tag_image(image, reference).await
    }

    async fn untag(&self, reference: &Reference) -> Result<(), Error> {
        self.untag_image(reference).await
    }

    async fn push(
        &self,
        image: &ImageId,
        references: &[Reference],
        credentials: Option<&Credentials>,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Digest, Error> {
        self.push_image(image, references, credentials, progress)
            .await
    }

    async fn pull(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        name: &Reference,
    ) -> Result<ImageId, Error> {
        self.pull_image(reference, credentials, name).await
    }

    async fn export(
        &self,
        images: &[(ImageId, Vec<Reference>)],
        destination: &Destination,
    ) -> Result<(), Error> {
        self.export_images(images, destination).await
    }

    async fn run(&self, request: &RunRequest) -> Result<RunResult, Error> {
        self.run_container(request).await
    }

    async fn walk(&self, image: &ImageId, visitor: Arc<dyn Visitor>) -> Result<ImageConfig, Error> {
        self.walk_image(image, visitor).await
    }

    async fn leftovers(&self, label: &str) -> Result<Vec<Leftover>, Error> {
        self.list_leftovers(label).await
    }

    async fn remove(&self, leftover: &Leftover) -> Result<(), Error> {
        self.remove_leftover(leftover).await
    }

    async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }
}

/// Docker reads the credentials of a request as base64 in the alphabet for URLs, and takes what it
/// cannot read for no credentials at all; the client library writes the ordinary alphabet.
fn url_safe(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    for name in ["X-Registry-Auth", "X-Registry-Config"] {
        if let Some(value) = request.headers_mut().get_mut(name) {
            let safe = value
                .to_str()
                .ok()
                .map(|v| v.replace('+', "-").replace('/', "_"));
            if let Some(mut safe) = safe.and_then(|v| v.parse::<http::HeaderValue>().ok()) {
                safe.set_sensitive(true);
                *value = safe;
            }
        }
    }
    request
}

/// Why an engine did not answer the first request.
fn unanswered(address: &Address, error: &bollard::errors::Error) -> Error {
    use std::io::ErrorKind;
    let reason = match classify::system_error(error).map(std::io::Error::kind) {
        Some(ErrorKind::PermissionDenied) => {
            return Error::Forbidden {
                address: address.to_string(),
                reason: "permission denied".to_owned(),
            };
        }
        Some(ErrorKind::NotFound) => "there is no such socket".to_owned(),
        Some(ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        _ if matches!(error, bollard::errors::Error::RequestTimeoutError) => {
            format!("no answer in {} seconds", GREETING.as_secs())
        }
        _ => classify::chain(error),
    };
    address.unreachable(reason)
}

/// Reads `1.41`.
fn numbers(version: &str) -> Option<(usize, usize)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The version of Podman, if that is what answered.
fn podman_version(version: &SystemVersion) -> Option<&str> {
    let components = version.components.as_deref().unwrap_or_default();
    let podman = components.iter().find(|c| c.name == "Podman Engine")?;
    Some(&podman.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_in_the_alphabet_that_engines_read() {
        let request = http::Request::builder()
            .header("X-Registry-Auth", "ab+/c==")
            .body(bollard::body_full(bytes::Bytes::new()))
            .map(url_safe);
        let header = request
            .ok()
            .and_then(|r| r.headers().get("X-Registry-Auth").cloned());
        assert!(header.is_some_and(|h| h == "ab-_c==" && h.is_sensitive()));
    }
}
