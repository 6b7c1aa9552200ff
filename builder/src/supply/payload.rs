//! What a signature of an image is over: "simple signing" (`containers/image`,
//! `docs/containers-signature.5.md`), as cosign writes it.

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// The media type of its layer.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The largest that is read, in bytes.
pub(super) const MAX: u64 = 64 * 1024;

const KIND: &str = "cosign container image signature";

/// That some repository holds an image of some digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Registry and path.
    pub(super) repository: String,
    /// The manifest's.
    pub(super) digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct Document {
    critical: Critical,
    optional: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

impl Claim {
    /// The bytes to sign.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let document = Document {
            critical: Critical {
                identity: Identity {
                    reference: self.repository.clone(),
                },
                image: Image {
                    digest: self.digest.clone(),
                },
                kind: KIND.to_owned(),
            },
            optional: None,
        };
        // A document of strings always has a text.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads what was signed; none where it is something else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(bytes).ok()?;
        (document.critical.kind == KIND).then_some(Self {
            repository: document.critical.identity.reference,
            digest: document.critical.image.digest,
        })
    }
}
