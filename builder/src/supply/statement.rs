//! What is said of an image: in-toto statements, version 1 (`in-toto/attestation`, `spec/v1`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Subject;
use crate::model::Digest;

/// The kind of SLSA's provenance.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The kind of a CycloneDX document.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What cosign writes.
const OLD_STATEMENT: &str = "https://in-toto.io/Statement/v0.1";

/// The annotation of a layer that says of which kind its statement is, as cosign reads it.
pub(super) const PREDICATE_TYPE: &str = "predicateType";

/// Something said of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    predicate_type: &'static str,
    bytes: Vec<u8>,
}

impl Statement {
    /// Says that a predicate holds for an image.
    pub(super) fn new(subject: &Subject, predicate_type: &'static str, predicate: &Value) -> Self {
        let statement = json!({
            "_type": STATEMENT,
            "subject": [{
                "name": subject.repository.to_string(),
                "digest": { "sha256": subject.manifest.digest.hex() },
            }],
            "predicateType": predicate_type,
            "predicate": predicate,
        });
        Self {
            predicate_type,
            bytes: statement.to_string().into_bytes(),
        }
    }

    /// Its kind: [`PROVENANCE`] or [`CYCLONEDX`].
    pub fn predicate_type(&self) -> &'static str {
        self.predicate_type
    }

    /// The JSON: the same bytes for the same facts.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A statement as it was read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<ReadSubject>,
    pub(super) predicate_type: String,
    pub(super) predicate: Value,
}

#[derive(Serialize, Deserialize)]
struct ReadSubject {
    digest: ReadDigest,
}

#[derive(Serialize, Deserialize)]
struct ReadDigest {
    #[serde(default)]
    sha256: Option<String>,
}

impl Read {
    /// Reads a statement; none where it is something else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_slice(bytes).ok()?;
        [STATEMENT, OLD_STATEMENT]
            .contains(&read.kind.as_str())
            .then_some(read)
    }

    /// Whether it is about this image.
    pub(super) fn is_about(&self, digest: &Digest) -> bool {
        let hex = digest.hex();
        let mut subjects = self.subject.iter();
        subjects.any(|subject| subject.digest.sha256.as_ref() == Some(&hex))
    }
}
