//! Where the releases of a namespace are kept: in a repository of it, each as an artifact by its id.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use super::Release;
use crate::model::{Class, Diagnostic, Digest, ImageName, Place, Reference, Tag};
use crate::oci::spec::{Descriptor, Manifest, media};
use crate::plan::Inputs;
use crate::registry::{Blob, Client, Content, Error, Image, Pusher, Repository, each};

/// The repository of a namespace that its releases are in.
pub const REPOSITORY: &str = "kolla-releases";
/// What the artifacts say they are.
pub const ARTIFACT: &str = "application/vnd.openstack.kolla.release.v1+json";
/// What the part of an artifact is that says what its images were made from.
const INPUTS: &str = "application/vnd.openstack.kolla.inputs.v1+json";
/// The tag of the release whose images have the tags now.
const CURRENT: &str = "current";
/// Annotations of the artifacts: the first two are of the image specification.
const CREATED: &str = "org.opencontainers.image.created";
const REVISION: &str = "org.opencontainers.image.revision";
const TAGS: &str = "org.openstack.kolla.release.tags";
const IMAGES: &str = "org.openstack.kolla.release.images";
/// An artifact without a configuration has this one (OCI image specification 1.1, "Guidance for an
/// Empty Descriptor").
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// The largest release that is read, in bytes: several times that of 200 images of 1,000 packages.
const MAX_RELEASE: u64 = 256 << 20;

/// A release in a list, by what its artifact is annotated with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listing {
    /// Its id.
    pub id: String,
    /// When it was published, RFC 3339; empty where that is not told.
    pub created: String,
    /// The commit of its definitions; empty where there is none.
    pub commit: String,
    /// What its images are called.
    pub tags: Vec<String>,
    /// How many images it has.
    pub images: u64,
}

/// The releases of a namespace.
#[derive(Clone, Copy)]
pub struct Releases<'a> {
    /// What they are kept by.
    pub pusher: &'a Pusher,
    /// The namespace.
    pub place: &'a Place,
}

impl Releases<'_> {
    pub(super) fn client(&self) -> &Client {
        self.pusher.client()
    }

    pub(super) fn at(&self, tag: &str) -> Result<Reference, Diagnostic> {
        self.place.path(&format!("{REPOSITORY}:{tag}"))
    }

    /// The ids of all releases, the oldest first.
    ///
    /// # Errors
    /// The registry's; none at all are no error.
    pub fn ids(&self) -> Result<Vec<String>, Diagnostic> {
        let repository = Repository::of(&self.at(CURRENT)?);
        let mut tags = match self.client().tags(&repository) {
            Ok(tags) => tags,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(problem(&error)),
        };
        tags.retain(|tag| tag != CURRENT && Tag::new(tag.as_str()).is_ok());
        tags.sort();
        Ok(tags)
    }

    /// All releases, the oldest first, and the id of the current one.
    ///
    /// # Errors
    /// The registry's.
    pub fn list(&self) -> Result<(Vec<Listing>, Option<String>), Diagnostic> {
        let ids = self.ids()?;
        let tags: Vec<String> = ids.into_iter().chain([CURRENT.to_owned()]).collect();
        let found = each(&tags, |tag| {
            let Ok(reference) = self.at(tag) else {
                return Ok(None);
            };
            match self.client().manifest(&reference) {
                Ok(found) => Ok(Some((found.digest.clone(), listing(tag, &found.bytes)))),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let mut found = found.map_err(|error| problem(&error))?;
        let current = found.pop().flatten();
        let found: Vec<_> = found.into_iter().flatten().collect();
        let current = current.and_then(|(digest, _)| {
            let same = found.iter().find(|(other, _)| *other == digest);
            same.and_then(|(_, listing)| Some(listing.as_ref()?.id.clone()))
        });
        let listed = found.into_iter().filter_map(|(_, listing)| listing);
        Ok((listed.collect(), current))
    }

    /// A release by its id.
    ///
    /// # Errors
    /// The registry's; a definition error where there is none of that name, or it is no release.
    pub fn read(&self, id: &str) -> Result<Release, Diagnostic> {
        let tag = Tag::new(id)?;
        let none = || {
            Diagnostic::definition(format!("there is no release `{id}` in {}", self.place))
                .hint("`kolla releases` lists them")
        };
        self.fetch(tag.as_str())?.ok_or_else(none)
    }

    /// The release whose images have the tags.
    ///
    /// # Errors
    /// As [`Self::read`]; none is no error.
    pub fn current(&self) -> Result<Option<Release>, Diagnostic> {
        self.fetch(CURRENT)
    }

    /// What the images of the current release were made from; empty where there is none, or that is not
    /// told.
    ///
    /// # Errors
    /// The registry's.
    pub fn inputs(&self) -> Result<BTreeMap<ImageName, Inputs>, Diagnostic> {
        let Some((_, bytes)) = self.part(CURRENT, INPUTS)? else {
            return Ok(BTreeMap::new());
        };
        let all: BTreeMap<String, Inputs> = serde_json::from_slice(&bytes).unwrap_or_default();
        let named = |(name, inputs): (String, Inputs)| Some((ImageName::new(name).ok()?, inputs));
        Ok(all.into_iter().filter_map(named).collect())
    }

    fn fetch(&self, tag: &str) -> Result<Option<Release>, Diagnostic> {
        let Some((what, bytes)) = self.part(tag, ARTIFACT)? else {
            return Ok(None);
        };
        Release::parse(&bytes, &what).map(Some)
    }

    /// One part of an artifact, with the artifact's reference; none where there is no such artifact, or no
    /// such part of what else it is.
    fn part(&self, tag: &str, kind: &str) -> Result<Option<(String, Vec<u8>)>, Diagnostic> {
        let reference = self.at(tag)?;
        let what = reference.to_string();
        let found = match self.client().manifest(&reference) {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(problem(&error)),
        };
        let other = |why: &str| {
            Diagnostic::definition(format!("{what} is no release: {why}"))
                .hint("`kolla releases` lists those of a namespace")
        };
        let manifest =
            Manifest::parse(&found.bytes, &what).map_err(|error| other(&error.to_string()))?;
        if manifest.artifact_type.as_deref() != Some(ARTIFACT) {
            return Err(other("it is another artifact"));
        }
        let Some(layer) = manifest.layers.iter().find(|l| l.media_type == kind) else {
            return Ok(None);
        };
        if layer.size > MAX_RELEASE {
            return Err(other("it is too large"));
        }
        let mut bytes = Vec::new();
        self.client()
            .blob(
                &Repository::of(&reference),
                &Blob::from(layer),
                &mut bytes,
                &|_, _| {},
            )
            .map_err(|error| problem(&error))?;
        Ok(Some((what, bytes)))
    }

    /// Keeps a release under its id, with what its images were made from.
    ///
    /// # Errors
    /// The registry's.
    pub fn keep(
        &self,
        release: &Release,
        inputs: &BTreeMap<&str, &Inputs>,
    ) -> Result<(), Diagnostic> {
        let internal = |e: &dyn std::fmt::Display| Diagnostic::new(Class::Internal, e.to_string());
        let text = release.to_json();
        let inputs = serde_json::to_vec(inputs).map_err(|e| internal(&e))?;
        let config = Descriptor::of(EMPTY.0, EMPTY.1);
        let parts = [(ARTIFACT, text.as_bytes()), (INPUTS, inputs.as_slice())];
        let layers: Vec<_> = parts
            .map(|(kind, bytes)| Descriptor::of(kind, bytes))
            .into();
        let mut manifest = Manifest::new(config, layers);
        let blobs: Vec<Blob> = manifest.blobs().map(Blob::from).collect();
        manifest.artifact_type = Some(ARTIFACT.to_owned());
        manifest.annotations = BTreeMap::from([
            (CREATED.to_owned(), release.created.clone()),
            (
                REVISION.to_owned(),
                release.commit.clone().unwrap_or_default(),
            ),
            (TAGS.to_owned(), release.tags.join(" ")),
            (IMAGES.to_owned(), release.images.len().to_string()),
        ]);
        let bytes = manifest.to_bytes().map_err(|e| internal(&e))?;
        let id = Tag::new(release.id.as_str())?;
        let image = Image {
            repository: &Repository::of(&self.at(CURRENT)?),
            manifest: &bytes,
            media_type: media::MANIFEST,
            blobs: &blobs,
            tags: &[id],
        };
        let content = Parts([EMPTY.1, text.as_bytes(), &inputs]);
        self.pusher
            .push(&image, &content, &|_, _| {})
            .map(drop)
            .map_err(|error| problem(&error))
    }

    /// Says that there is no current release, where the registry takes tags away.
    ///
    /// # Errors
    /// The registry's.
    pub fn forget_current(&self) -> Result<(), Diagnostic> {
        match self.client().delete(&self.at(CURRENT)?) {
            Ok(()) | Err(Error::NotFound { .. } | Error::Refused { .. }) => Ok(()),
            Err(error) => Err(problem(&error)),
        }
    }

    /// Says that a release that is kept is the one whose images have the tags.
    ///
    /// # Errors
    /// The registry's.
    pub fn make_current(&self, id: &str) -> Result<(), Diagnostic> {
        let kept = self.client().manifest(&self.at(id)?);
        let kept = kept.map_err(|error| problem(&error))?;
        self.client()
            .tag(&self.at(CURRENT)?, &kept)
            .map_err(|error| problem(&error))
    }
}

/// None of what is no release.
fn listing(id: &str, manifest: &[u8]) -> Option<Listing> {
    let manifest = Manifest::parse(manifest, id).ok()?;
    let text = |name: &str| {
        let found = manifest.annotations.get(name).cloned().unwrap_or_default();
        // Anybody who may push writes them, and they are shown.
        found
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect::<String>()
    };
    (manifest.artifact_type.as_deref() == Some(ARTIFACT)).then(|| Listing {
        id: id.to_owned(),
        created: text(CREATED),
        commit: text(REVISION),
        tags: text(TAGS).split_whitespace().map(str::to_owned).collect(),
        images: text(IMAGES).parse().unwrap_or(0),
    })
}

pub(super) fn problem(error: &Error) -> Diagnostic {
    crate::engine::Error::from(error).diagnostic()
}

/// Blobs in memory.
struct Parts<'a>([&'a [u8]; 3]);

impl Content for Parts<'_> {
    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let found = self.0.iter().find(|bytes| Digest::of(bytes) == *digest);
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut bytes = Cursor::new(found.to_vec());
        bytes.set_position(offset);
        Ok(Box::new(bytes))
    }
}
