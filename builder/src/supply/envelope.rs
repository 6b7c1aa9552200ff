//! Signed statements: DSSE, version 1 (`secure-systems-lab/dsse`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{PublicKey, SecretKey};

/// The media type of a layer that is an envelope.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// The kind of what is inside: an in-toto statement.
pub(super) const STATEMENT: &str = "application/vnd.in-toto+json";

/// The most signatures that are looked at.
const MAX_SIGNATURES: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// An envelope as it was read; nothing in it is to be believed before [`Envelope::signed_by`].
pub(super) struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

/// Signs a statement.
pub(super) fn seal(statement: &[u8], key: &SecretKey) -> Vec<u8> {
    let document = Document {
        payload_type: STATEMENT.to_owned(),
        payload: STANDARD.encode(statement),
        signatures: vec![Signature {
            keyid: String::new(),
            sig: STANDARD.encode(key.sign(&encoding(STATEMENT, statement))),
        }],
    };
    // A document of strings always has a text.
    serde_json::to_vec(&document).unwrap_or_default()
}

impl Envelope {
    /// Reads an envelope of an in-toto statement; none where it is something else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(bytes).ok()?;
        let known = document.payload_type == STATEMENT;
        let signatures = document.signatures.iter().take(MAX_SIGNATURES);
        known.then_some(Self {
            payload: STANDARD.decode(&document.payload).ok()?,
            signatures: signatures
                .filter_map(|signature| STANDARD.decode(&signature.sig).ok())
                .collect(),
        })
    }

    /// The statement, if this key signed it.
    pub(super) fn signed_by(&self, key: &PublicKey) -> Option<&[u8]> {
        let message = encoding(STATEMENT, &self.payload);
        let mut signatures = self.signatures.iter();
        let good = signatures.any(|signature| key.verifies(&message, signature));
        good.then_some(self.payload.as_slice())
    }
}

/// What is signed: kind and text, neither of which can be taken for the other ("PAE").
fn encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}
