//! Statements and a signature brought to where an image was pushed.
//!
//! Each of the two manifests is found in two ways: by the tag under which cosign looks for it, and as
//! a referrer of the image (OCI image specification 1.1, `subject`). Nothing is sent twice for that.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::envelope::{self, Envelope};
use super::payload::{self, Claim};
use super::statement::{PREDICATE_TYPE, Statement};
use super::{PublicKey, SecretKey, Subject};
use crate::model::{Digest, Tag};
use crate::oci::spec::{Descriptor, Manifest, media};
use crate::registry::{Blob, Content, Error, Image, Pusher};

/// The annotation of a layer that is its signature.
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What referrers that are signatures say they are, as cosign names it.
pub const SIGNATURES: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The same of signed statements.
pub const ATTESTATIONS: &str = "application/vnd.dev.cosign.artifact.att.v1+json";

/// The annotation of a layer that says of which kind its bare statement is, as BuildKit writes it.
const BARE_PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The most layers that are read of a manifest of signatures or of statements.
pub(super) const MAX_LAYERS: usize = 64;

/// The largest envelope that is read, in bytes: several times that of an image of 2000 packages.
pub(super) const MAX_ENVELOPE: u64 = 16 << 20;

/// What was attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The manifest that holds the signature; none without a key.
    pub signature: Option<Digest>,
    /// The manifest that holds the statements.
    pub statements: Option<Digest>,
}

/// Attaches statements to an image, and with a key signs them and the image. What others attached
/// stays; what this key attached before is replaced. With nothing new nothing is sent.
///
/// Without a key the statements are attached as they are, as referrers alone: cosign shows only what
/// is signed.
///
/// # Errors
/// The registry's; corrupt where what is there already cannot be read.
pub fn attach(
    pusher: &Pusher,
    subject: &Subject,
    statements: &[Statement],
    key: Option<&SecretKey>,
) -> Result<Attached, Error> {
    let job = Job { pusher, subject };
    let mut sent = vec![match key {
        Some(key) => job.signed(statements, key)?,
        None => job.bare(statements)?,
    }];
    // Last, since who finds a signature may expect all else to be there.
    if let Some(key) = key {
        sent.push(job.signature(key)?);
    }
    let added: Vec<Descriptor> = sent.iter().map(|sent| sent.manifest.clone()).collect();
    let replaced: Vec<Digest> = sent.into_iter().filter_map(|sent| sent.replaced).collect();
    let digest = &subject.manifest.digest;
    pusher
        .client()
        .add_referrers(&subject.reference, digest, &added, &replaced)?;
    let mut digests = added.into_iter().map(|manifest| manifest.digest);
    Ok(Attached {
        statements: digests.next(),
        signature: digests.next(),
    })
}

/// The tag under which cosign looks for what belongs to a manifest: `sha256-HEX.sig`.
pub(super) fn tag(digest: &Digest, kind: &str) -> Option<Tag> {
    Tag::new(format!("sha256-{}.{kind}", digest.hex())).ok()
}

struct Layer {
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

impl Layer {
    fn new<'a>(
        media_type: &str,
        bytes: Vec<u8>,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut descriptor = Descriptor::of(media_type, &bytes);
        let annotations = annotations.into_iter();
        descriptor.annotations = annotations
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { descriptor, bytes }
    }
}

/// A manifest that is there now, and the one that it took the place of.
struct Sent {
    manifest: Descriptor,
    replaced: Option<Digest>,
}

struct Existing {
    manifest: Manifest,
    digest: Digest,
}

struct Job<'a> {
    pusher: &'a Pusher,
    subject: &'a Subject,
}

impl Job<'_> {
    fn bare(&self, statements: &[Statement]) -> Result<Sent, Error> {
        let layers = statements.iter().map(|statement| {
            let annotations = [(BARE_PREDICATE_TYPE, statement.predicate_type())];
            Layer::new(envelope::STATEMENT, statement.bytes().to_vec(), annotations)
        });
        self.send(
            envelope::STATEMENT,
            Vec::new(),
            layers.collect(),
            None,
            None,
        )
    }

    fn signed(&self, statements: &[Statement], key: &SecretKey) -> Result<Sent, Error> {
        let tag = tag(&self.subject.manifest.digest, "att");
        let before = self.existing(tag.as_ref())?;
        let kept = self.kept(before.as_ref(), statements, &key.public())?;
        let layers = statements.iter().map(|statement| {
            let annotations = [
                (SIGNATURE, ""),
                (PREDICATE_TYPE, statement.predicate_type()),
            ];
            Layer::new(
                envelope::MEDIA_TYPE,
                envelope::seal(statement.bytes(), key),
                annotations,
            )
        });
        self.send(ATTESTATIONS, kept, layers.collect(), tag, before)
    }

    /// What a tag of cosign's stands for now.
    fn existing(&self, tag: Option<&Tag>) -> Result<Option<Existing>, Error> {
        let repository = &self.subject.repository;
        let Some(tag) = tag else { return Ok(None) };
        let reference = self.subject.reference.at_tag(tag.clone());
        let found = match self.pusher.client().manifest(&reference) {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let manifest = Manifest::parse(&found.bytes, "it");
        match manifest {
            Ok(manifest) if manifest.layers.len() <= MAX_LAYERS => Ok(Some(Existing {
                manifest,
                digest: found.digest,
            })),
            _ => Err(Error::Corrupt {
                repository: repository.clone(),
                message: format!("the tag {tag} stands for something else than signatures"),
            }),
        }
    }

    /// The layers that stay: all but those of the same kinds that this key signed.
    fn kept(
        &self,
        before: Option<&Existing>,
        statements: &[Statement],
        key: &PublicKey,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut kept = Vec::new();
        for layer in before.iter().flat_map(|before| &before.manifest.layers) {
            let kind = layer.annotations.get(PREDICATE_TYPE).map(String::as_str);
            let mut kinds = statements.iter().map(Statement::predicate_type);
            let ours = layer.media_type == envelope::MEDIA_TYPE
                && kinds.any(|own| Some(own) == kind)
                && layer.size <= MAX_ENVELOPE
                && Envelope::parse(&self.fetch(layer)?)
                    .is_some_and(|envelope| envelope.signed_by(key).is_some());
            if !ours {
                kept.push(layer.clone());
            }
        }
        Ok(kept)
    }

    fn fetch(&self, layer: &Descriptor) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let client = self.pusher.client();
        client.blob(
            &self.subject.repository,
            &layer.into(),
            &mut bytes,
            &|_, _| {},
        )?;
        Ok(bytes)
    }

    fn signature(&self, key: &SecretKey) -> Result<Sent, Error> {
        let tag = tag(&self.subject.manifest.digest, "sig");
        let before = self.existing(tag.as_ref())?;
        let claim = Claim {
            repository: self.subject.repository.to_string(),
            digest: self.subject.manifest.digest.clone(),
        };
        let bytes = claim.to_bytes();
        let signature = STANDARD.encode(key.sign(&bytes));
        let layer = Layer::new(
            payload::MEDIA_TYPE,
            bytes,
            [(SIGNATURE, signature.as_str())],
        );
        let kept = before.iter().flat_map(|before| &before.manifest.layers);
        let kept: Vec<Descriptor> = kept
            .filter(|old| **old != layer.descriptor)
            .cloned()
            .collect();
        self.send(SIGNATURES, kept, vec![layer], tag, before)
    }

    /// Pushes a manifest of these layers that refers to the image.
    fn send(
        &self,
        artifact_type: &str,
        kept: Vec<Descriptor>,
        layers: Vec<Layer>,
        tag: Option<Tag>,
        before: Option<Existing>,
    ) -> Result<Sent, Error> {
        let repository = &self.subject.repository;
        let invalid = |error: crate::oci::Error| Error::Corrupt {
            repository: repository.clone(),
            message: error.to_string(),
        };
        let mut all = kept;
        all.extend(layers.iter().map(|layer| layer.descriptor.clone()));
        // cosign writes an image's configuration, and every registry knows that.
        let diff_ids: Vec<&Digest> = all.iter().map(|layer| &layer.digest).collect();
        let config = json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = Layer::new(media::CONFIG, config.to_string().into_bytes(), []);
        let mut manifest = Manifest::new(config.descriptor.clone(), all);
        manifest.artifact_type = Some(artifact_type.to_owned());
        manifest.subject = Some(self.subject.manifest.clone());
        let bytes = manifest.to_bytes().map_err(invalid)?;
        let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
        descriptor.artifact_type = Some(artifact_type.to_owned());
        let replaced = before
            .map(|before| before.digest)
            .filter(|digest| *digest != descriptor.digest);
        let named = [&manifest.config].into_iter().chain(&manifest.layers);
        let blobs: Vec<Blob> = named.map(Blob::from).collect();
        let mut memory = Memory::default();
        for layer in layers.into_iter().chain([config]) {
            memory.0.insert(layer.descriptor.digest, layer.bytes);
        }
        let image = Image {
            repository,
            manifest: &bytes,
            media_type: media::MANIFEST,
            blobs: &blobs,
            tags: tag.as_slice(),
        };
        self.pusher.push(&image, &memory, &|_, _| {})?;
        Ok(Sent {
            manifest: descriptor,
            replaced,
        })
    }
}

/// Blobs that were just made.
#[derive(Default)]
struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Content for Memory {
    fn open(&self, digest: &Digest, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        let bytes = self.0.get(digest).ok_or(std::io::ErrorKind::NotFound)?;
        let mut cursor = Cursor::new(bytes.clone());
        cursor.set_position(offset);
        Ok(Box::new(cursor))
    }
}
