//! What is attached to an image, held against a key.
//!
//! Everything that is read is hostile: sizes and numbers are bounded, every byte is checked against
//! its digest, and nothing is believed before its signature is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::attach::{MAX_ENVELOPE, MAX_LAYERS, SIGNATURE, tag};
use super::envelope::{self, Envelope};
use super::payload::{self, Claim};
use super::provenance::Claims;
use super::statement::{CYCLONEDX, PREDICATE_TYPE, PROVENANCE, Read};
use super::{PublicKey, Subject, sbom};
use crate::model::{Digest, ImageName, Reference};
use crate::oci::spec::{Descriptor, Manifest};
use crate::registry::{Client, Error, Repository};

const NOT_BY_KEY: &str = "signed, but not by this key, or changed since";

/// How one thing is that should be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Finding<T> {
    /// It is there, and the key vouches for it.
    Good(T),
    /// There is none.
    Missing,
    /// There is one, which is not good; why.
    Wrong {
        /// In a few words.
        reason: String,
    },
}

impl<T> Finding<T> {
    /// Whether it is good.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    fn wrong(reason: impl Into<String>) -> Self {
        Self::Wrong {
            reason: reason.into(),
        }
    }

    /// Of several, the one to tell: a good one, else what is wrong with one that is by this key.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Good(_), _) | (Self::Wrong { .. }, Self::Missing) => self,
            (Self::Wrong { reason }, Self::Wrong { .. }) if reason != NOT_BY_KEY => self,
            _ => other,
        }
    }
}

/// What a good signature says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// As what the image was signed: registry and path.
    #[serde(rename = "as")]
    pub repository: String,
}

/// What a good provenance says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Who built it.
    pub builder: String,
    /// What it was made from, as one value.
    pub fingerprint: String,
}

/// What a good SBOM says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Content {
    /// How many packages there are.
    pub packages: usize,
}

/// What came of checking one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The manifest's.
    pub digest: Digest,
    /// Of the image.
    pub signature: Finding<Signed>,
    /// Its provenance.
    pub provenance: Finding<Origin>,
    /// The list of its packages.
    pub sbom: Finding<Content>,
}

impl Verdict {
    /// Whether all is as it should be.
    pub fn is_good(&self) -> bool {
        self.signature.is_good() && self.provenance.is_good() && self.sbom.is_good()
    }
}

/// What an image should be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whose signature is believed.
    pub key: &'a PublicKey,
    /// The image by name.
    pub image: &'a ImageName,
    /// The repository that it was signed for, where it was copied from there.
    pub signed_as: Option<&'a Reference>,
}

/// Checks what is attached to an image.
///
/// # Errors
/// Not found where there is no such image; the registry's. What is wrong with attachments is no error
/// but part of the verdict.
pub fn verify(
    client: &Client,
    reference: &Reference,
    expected: Expected<'_>,
) -> Result<Verdict, Error> {
    let subject = Subject::find(client, reference)?;
    let check = Check {
        client,
        subject: &subject,
        expected,
    };
    let signature = check.signature()?;
    let (provenance, sbom) = check.statements()?;
    Ok(Verdict {
        digest: subject.manifest.digest.clone(),
        signature,
        provenance,
        sbom,
    })
}

struct Check<'a> {
    client: &'a Client,
    subject: &'a Subject,
    expected: Expected<'a>,
}

/// What could not be read, short of an error of the registry.
type Unreadable = String;

impl Check<'_> {
    fn signature(&self) -> Result<Finding<Signed>, Error> {
        let layers = match self.layers("sig", payload::MEDIA_TYPE)? {
            Ok(layers) => layers,
            Err(reason) => return Ok(Finding::wrong(reason)),
        };
        let mut found = Finding::Missing;
        for layer in layers {
            let one = match self.fetch(&layer, payload::MAX)? {
                Ok(bytes) => self.signed(&layer, &bytes),
                Err(reason) => Finding::wrong(reason),
            };
            found = found.or(one);
        }
        Ok(found)
    }

    /// One signature.
    fn signed(&self, layer: &Descriptor, payload: &[u8]) -> Finding<Signed> {
        let signature = layer.annotations.get(SIGNATURE);
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        if !signature.is_some_and(|s| self.expected.key.verifies(payload, &s)) {
            return Finding::wrong(NOT_BY_KEY);
        }
        let Some(claim) = Claim::parse(payload) else {
            return Finding::wrong("this key signed something else than an image");
        };
        if claim.digest != self.subject.manifest.digest {
            return Finding::wrong(format!(
                "the signature is for another digest, {}",
                claim.digest
            ));
        }
        let name = match self.expected.signed_as {
            Some(reference) => Repository::of(reference).to_string(),
            None => self.subject.repository.to_string(),
        };
        if claim.repository != name {
            return Finding::wrong(format!(
                "the signature is for `{}`, not for `{name}`",
                shown(&claim.repository)
            ));
        }
        Finding::Good(Signed { repository: name })
    }

    fn statements(&self) -> Result<(Finding<Origin>, Finding<Content>), Error> {
        let mut origin = Finding::Missing;
        let mut content = Finding::Missing;
        let layers = match self.layers("att", envelope::MEDIA_TYPE)? {
            Ok(layers) => layers,
            Err(reason) => return Ok((Finding::wrong(reason.clone()), Finding::wrong(reason))),
        };
        for layer in layers {
            // Which of the two it claims to be only decides what is told of it.
            let kind = layer.annotations.get(PREDICATE_TYPE).map(String::as_str);
            match kind {
                Some(PROVENANCE) if !origin.is_good() => {
                    let found = self.statement(&layer, PROVENANCE)?;
                    origin = origin.or(found.map_or_else(Finding::wrong, |s| self.origin(&s)));
                }
                Some(CYCLONEDX) if !content.is_good() => {
                    let found = self.statement(&layer, CYCLONEDX)?;
                    content = content.or(found.map_or_else(Finding::wrong, |s| self.content(&s)));
                }
                _ => {}
            }
        }
        Ok((origin, content))
    }

    /// A statement that the key vouches for, of this image and this kind.
    fn statement(&self, layer: &Descriptor, kind: &str) -> Result<Result<Read, Unreadable>, Error> {
        let bytes = match self.fetch(layer, MAX_ENVELOPE)? {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(envelope) = Envelope::parse(&bytes) else {
            return Ok(Err("it is no signed statement".to_owned()));
        };
        let Some(statement) = envelope.signed_by(self.expected.key) else {
            return Ok(Err(NOT_BY_KEY.to_owned()));
        };
        let digest = &self.subject.manifest.digest;
        Ok(match Read::parse(statement) {
            None => Err("it is no in-toto statement".to_owned()),
            Some(read) if !read.is_about(digest) => Err("it is about another digest".to_owned()),
            Some(read) if read.predicate_type != kind => Err("it is of another kind".to_owned()),
            Some(read) => Ok(read),
        })
    }

    fn origin(&self, statement: &Read) -> Finding<Origin> {
        match Claims::parse(&statement.predicate) {
            Err(reason) => Finding::wrong(reason),
            Ok(claims) if claims.image != self.expected.image.as_str() => {
                Finding::wrong(format!("it is of the image `{}`", shown(&claims.image)))
            }
            Ok(claims) => Finding::Good(Origin {
                builder: shown(&claims.builder),
                fingerprint: shown(&claims.fingerprint),
            }),
        }
    }

    fn content(&self, statement: &Read) -> Finding<Content> {
        match sbom::packages(&statement.predicate, &self.subject.manifest.digest) {
            Err(reason) => Finding::wrong(reason),
            Ok(packages) => Finding::Good(Content { packages }),
        }
    }

    /// The layers of a kind below one of cosign's tags; empty where there is no such tag.
    fn layers(
        &self,
        suffix: &str,
        media_type: &str,
    ) -> Result<Result<Vec<Descriptor>, Unreadable>, Error> {
        let Some(tag) = tag(&self.subject.manifest.digest, suffix) else {
            return Ok(Ok(Vec::new()));
        };
        let reference = self.subject.reference.at_tag(tag.clone());
        let found = match self.client.manifest(&reference) {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(Ok(Vec::new())),
            Err(error) => return damaged(error),
        };
        let what = format!("the manifest {tag}");
        Ok(match Manifest::parse(&found.bytes, &what) {
            Err(error) => Err(error.to_string()),
            Ok(manifest) if manifest.layers.len() > MAX_LAYERS => {
                Err(format!("{what} has more than {MAX_LAYERS} layers"))
            }
            Ok(manifest) => {
                let mut layers = manifest.layers;
                layers.retain(|layer| layer.media_type == media_type);
                Ok(layers)
            }
        })
    }

    fn fetch(&self, layer: &Descriptor, most: u64) -> Result<Result<Vec<u8>, Unreadable>, Error> {
        if layer.size > most {
            return Ok(Err(format!(
                "it has {} bytes, and at most {most} are read",
                layer.size
            )));
        }
        let mut bytes = Vec::new();
        let repository = &self.subject.repository;
        match self
            .client
            .blob(repository, &layer.into(), &mut bytes, &|_, _| {})
        {
            Ok(()) => Ok(Ok(bytes)),
            Err(error) => damaged(error),
        }
    }
}

/// What a registry holds that is not what it should be is the image's failure, not the registry's.
fn damaged<T>(error: Error) -> Result<Result<T, Unreadable>, Error> {
    match error {
        Error::Corrupt { message, .. } => Ok(Err(message)),
        Error::NotFound { what, .. } => Ok(Err(format!("the registry does not have {what}"))),
        error => Err(error),
    }
}

/// Another's words for showing: no control characters, not long.
fn shown(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(200).collect()
}
