//! What is said of published images: how each came to be and what is in it, signed.

use super::super::fleet::Fleet;
use super::super::places::problem;
use super::session::BuiltImage;
use crate::catalog::Origin;
use crate::graph::Parent;
use crate::model::{Diagnostic, Digest, ImageName, Place, Platform};
use crate::publish::Release;
use crate::registry::{Pusher, each};
use crate::supply::{
    self, Dependency, Provenance, Sbom, SecretKey, Statement, Subject, UNKNOWN_BUILDER,
};

/// The distribution that the fleet's packages are of, by the `ID` of its `/etc/os-release`.
const DISTRIBUTION: &str = "debian";

/// Who says it.
pub(super) struct Attester<'a> {
    pub(super) pusher: &'a Pusher,
    pub(super) place: &'a Place,
    pub(super) fleet: &'a Fleet,
    pub(super) platform: &'a Platform,
    pub(super) key: Option<&'a SecretKey>,
    pub(super) builder: Option<&'a str>,
}

impl Attester<'_> {
    /// Attaches to every image of a release what is known of it. Repeating it sends nothing.
    pub(super) fn attest(&self, release: &Release, built: &[BuiltImage]) -> Result<(), Diagnostic> {
        let client = self.pusher.client();
        each(built, |built| {
            let Some(released) = release.images.get(built.image.as_str()) else {
                return Ok(());
            };
            let Ok(repository) = self.place.path(built.image.as_str()) else {
                return Ok(());
            };
            let subject = Subject::find(client, &repository.at_digest(released.digest.clone()))?;
            let mut statements = vec![self.provenance(built, release, &subject)];
            if let Some(content) = &released.content {
                let sbom = Sbom {
                    image: &built.image,
                    distribution: DISTRIBUTION,
                    packages: &content.packages,
                };
                statements.push(sbom.statement(&subject));
            }
            supply::attach(self.pusher, &subject, &statements, self.key).map(drop)
        })
        .map(drop)
        .map_err(|error| problem(&error))
    }

    fn provenance(&self, built: &BuiltImage, release: &Release, subject: &Subject) -> Statement {
        let parents = self.fleet.graph.parents(&built.image).into_iter();
        let parents = parents.filter_map(|parent| {
            let digest = self.digest(parent, release)?;
            let at = self.place.path(parent.as_str()).ok()?;
            Some(Dependency::image(parent.as_str(), &at, &digest))
        });
        let assembly = self.fleet.assemblies.get(&built.image);
        let sources = assembly.into_iter().flat_map(|assembly| assembly.sources());
        let sources = sources.flat_map(|source| match &source.origin {
            Origin::Url { url, sha256 } => vec![Dependency::file(&source.to, url, sha256)],
            Origin::Git { url, commit } => vec![Dependency::commit(&source.to, url, commit)],
            Origin::Bootstrap(bootstrap) => {
                let pinned = bootstrap.pinned.iter();
                pinned.map(|(suite, digest)| state(suite, digest)).collect()
            }
            // Part of the fleet's own commit.
            Origin::Local { .. } | Origin::Crate(_) => Vec::new(),
        });
        let node = self.fleet.graph.node(&built.image);
        let uses = node.into_iter().flat_map(|node| node.uses());
        let outside = uses.filter_map(|used| match &used.target {
            Parent::External(image) => {
                let digest = used.pinned.as_ref().unwrap_or(image).digest()?;
                Some(Dependency::image(&image.to_string(), image, digest))
            }
            Parent::Fleet(_) => None,
        });
        Provenance {
            image: built.image.clone(),
            platform: self.platform.clone(),
            fingerprint: built.fingerprint.clone(),
            dependencies: parents.chain(outside).chain(sources).collect(),
            builder: self.builder.unwrap_or(UNKNOWN_BUILDER).to_owned(),
            invocation: None,
            times: None,
        }
        .statement(subject)
    }

    fn digest(&self, parent: &ImageName, release: &Release) -> Option<Digest> {
        Some(release.images.get(parent.as_str())?.digest.clone())
    }
}

/// A suite of an archive, wherever that is mirrored, by its signed index.
fn state(suite: &str, inrelease: &Digest) -> Dependency {
    Dependency::file(suite, &format!("debian:dists/{suite}/InRelease"), inrelease)
}
