//! How an image came to be: SLSA's provenance, version 1. `docs/supply-chain.md` describes what the
//! fields of [`BUILD_TYPE`] mean.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Value, json};

use super::Subject;
use super::statement::{PROVENANCE, Statement};
use crate::model::{Digest, Fingerprint, ImageName, Platform, Reference};

/// What kind of build the parameters are of.
pub const BUILD_TYPE: &str = "https://openstack.org/kolla/image@v1";

/// Who built it, where nobody says otherwise: a machine that nobody vouches for.
pub const UNKNOWN_BUILDER: &str = "https://openstack.org/kolla/builder/unknown@v1";

/// One thing that a build took in (SLSA's `ResourceDescriptor`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Dependency {
    /// Where it is from.
    uri: String,
    /// By algorithm: `sha256`, `gitCommit`.
    digest: BTreeMap<&'static str, String>,
    /// What it is in the build.
    name: String,
}

impl Dependency {
    /// An image that this one is made from: a parent of the fleet, or a base image.
    pub fn image(name: &str, reference: &Reference, digest: &Digest) -> Self {
        Self {
            uri: format!("docker://{}@{digest}", reference.repository()),
            digest: BTreeMap::from([("sha256", digest.hex())]),
            name: name.to_owned(),
        }
    }

    /// A commit of a git repository; `uri` is the repository's, `https://host/path`.
    pub fn commit(name: &str, uri: &str, commit: &str) -> Self {
        let plain = uri.strip_prefix("git+").unwrap_or(uri);
        Self {
            uri: format!("git+{plain}@{commit}"),
            digest: BTreeMap::from([("gitCommit", commit.to_owned())]),
            name: name.to_owned(),
        }
    }

    /// A file that was fetched, or a pinned state of an archive.
    pub fn file(name: &str, uri: &str, digest: &Digest) -> Self {
        Self {
            uri: uri.to_owned(),
            digest: BTreeMap::from([("sha256", digest.hex())]),
            name: name.to_owned(),
        }
    }
}

/// What is known of a build. Everything in it goes into the statement: with times in it, the bytes
/// differ from build to build.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The image by name.
    pub image: ImageName,
    /// What it is for.
    pub platform: Platform,
    /// What it was made from, as one value.
    pub fingerprint: Fingerprint,
    /// What it took in, in any order.
    pub dependencies: Vec<Dependency>,
    /// Who built it: a URI that the reader knows, or [`UNKNOWN_BUILDER`].
    pub builder: String,
    /// The URI of this run, such as a CI job's page.
    pub invocation: Option<String>,
    /// When it began and ended.
    pub times: Option<(SystemTime, SystemTime)>,
}

impl Provenance {
    /// Says it of an image.
    pub fn statement(&self, subject: &Subject) -> Statement {
        let mut dependencies = self.dependencies.clone();
        dependencies.sort();
        dependencies.dedup();
        let mut metadata = BTreeMap::new();
        if let Some(invocation) = &self.invocation {
            metadata.insert("invocationId", invocation.clone());
        }
        if let Some((begun, ended)) = self.times {
            let text = |time| humantime::format_rfc3339_seconds(time).to_string();
            metadata.insert("startedOn", text(begun));
            metadata.insert("finishedOn", text(ended));
        }
        let predicate = json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "image": self.image,
                    "platform": self.platform.to_string(),
                },
                "internalParameters": { "fingerprint": self.fingerprint },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": self.builder,
                    "version": { "kolla": env!("CARGO_PKG_VERSION") },
                },
                "metadata": metadata,
            },
        });
        Statement::new(subject, PROVENANCE, &predicate)
    }
}

/// What a provenance that was read says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) image: String,
    pub(super) fingerprint: String,
    pub(super) builder: String,
}

impl Claims {
    /// Reads a predicate.
    ///
    /// # Errors
    /// What about it is not as it should be.
    pub(super) fn parse(predicate: &Value) -> Result<Self, &'static str> {
        let text = |pointer: &str| {
            let found = predicate.pointer(pointer)?.as_str()?;
            (found.len() <= 2048).then(|| found.to_owned())
        };
        if text("/buildDefinition/buildType").as_deref() != Some(BUILD_TYPE) {
            return Err("it tells of another kind of build");
        }
        Ok(Self {
            image: text("/buildDefinition/externalParameters/image")
                .ok_or("it does not name the image")?,
            fingerprint: text("/buildDefinition/internalParameters/fingerprint")
                .ok_or("it has no fingerprint")?,
            builder: text("/runDetails/builder/id").ok_or("it does not say who built it")?,
        })
    }
}
