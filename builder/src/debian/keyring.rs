//! Whom to believe: OpenPGP keys, and what they have signed.

use std::time::{Duration, SystemTime};

use pgp::composed::{
    CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedPublicSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

/// The keys of the Debian archive and of its security archive, from debian-archive-keyring.
const DEBIAN: [&str; 6] = [
    include_str!("keys/debian-archive-bookworm-automatic.asc"),
    include_str!("keys/debian-archive-bookworm-security-automatic.asc"),
    include_str!("keys/debian-archive-bookworm-stable.asc"),
    include_str!("keys/debian-archive-trixie-automatic.asc"),
    include_str!("keys/debian-archive-trixie-security-automatic.asc"),
    include_str!("keys/debian-archive-trixie-stable.asc"),
];

/// How far a signer's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(24 * 3600);

const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Public keys whose signatures count.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

/// Why a text is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Not OpenPGP keys.
    #[error("expected OpenPGP public keys, armoured or binary: {0}")]
    Keys(String),
    /// Not a text with a signature.
    #[error("expected a text signed in clear by OpenPGP: {0}")]
    Unsigned(String),
    /// Signed, but by nobody who is trusted.
    #[error("no trusted key has signed it; signed by {0}")]
    Unknown(String),
    /// The key may not sign any more, or not yet, or not at all.
    #[error("the key {key} that signed it {reason}")]
    Unusable {
        /// Its fingerprint.
        key: String,
        /// "has expired", "is revoked".
        reason: &'static str,
    },
    /// The text is not what was signed.
    #[error("the signature by the key {key} is bad: the text was changed")]
    Bad {
        /// The fingerprint of the key.
        key: String,
    },
    /// The signature itself is not acceptable.
    #[error("the signature by the key {key} {reason}")]
    Refused {
        /// The fingerprint of the key.
        key: String,
        /// "has expired", "uses a broken hash".
        reason: &'static str,
    },
}

impl Keyring {
    /// The keys of the Debian archive.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn debian() -> Result<Self, SignatureError> {
        Self::parse(DEBIAN.concat().as_bytes())
    }

    /// Reads keys: any number of armoured blocks, or the binary form.
    ///
    /// # Errors
    /// When it is neither, or holds no key.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let wrong = |e: &dyn std::fmt::Display| SignatureError::Keys(e.to_string());
        let mut keys = Vec::new();
        let mut take = |found: &mut dyn Iterator<Item = pgp::errors::Result<SignedPublicKey>>| {
            for key in found {
                keys.push(key.map_err(|e| wrong(&e))?);
            }
            Ok(())
        };
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(ARMOUR) => {
                for (start, _) in text.match_indices(ARMOUR) {
                    let block = &text[start..];
                    let end = block[ARMOUR.len()..].find(ARMOUR).map(|e| e + ARMOUR.len());
                    let block = &block[..end.unwrap_or(block.len())];
                    let (mut found, _) =
                        SignedPublicKey::from_string_many(block).map_err(|e| wrong(&e))?;
                    take(&mut found)?;
                }
            }
            _ => {
                let mut found = SignedPublicKey::from_bytes_many(bytes).map_err(|e| wrong(&e))?;
                take(&mut found)?;
            }
        }
        if keys.is_empty() {
            return Err(SignatureError::Keys("there is no key in it".to_owned()));
        }
        Ok(Self { keys })
    }

    /// The signed text of a message in the cleartext signature framework (RFC 9580, section 7), if
    /// at least one key of this ring has signed it and may do so at the time `now`. Nothing of the
    /// message but what is returned is signed.
    ///
    /// # Errors
    /// The most telling reason, where no signature counts.
    pub fn verify(&self, message: &[u8], now: SystemTime) -> Result<String, SignatureError> {
        let unsigned = |e: &dyn std::fmt::Display| SignatureError::Unsigned(e.to_string());
        let text = std::str::from_utf8(message).map_err(|e| unsigned(&e))?;
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(|e| unsigned(&e))?;
        let signed = message.signed_text();
        let mut worst = None;
        let mut strangers = Vec::new();
        for signature in message.signatures() {
            let mut known = false;
            for key in &self.keys {
                match key_of(key, signature, now) {
                    None => continue,
                    Some(Ok(signer)) => {
                        match check(signature, signer, &signed, now) {
                            Ok(()) => return Ok(signed.replace("\r\n", "\n")),
                            Err(error) => worst = Some(error),
                        };
                    }
                    Some(Err(error)) => worst = Some(error),
                }
                known = true;
            }
            if !known {
                strangers.extend(issuers(signature));
            }
        }
        Err(worst.unwrap_or_else(|| {
            SignatureError::Unknown(if strangers.is_empty() {
                "nobody".to_owned()
            } else {
                strangers.join(", ")
            })
        }))
    }
}

/// Either part of a key that can sign.
enum Signer<'a> {
    Primary(&'a SignedPublicKey),
    Sub(&'a SignedPublicSubKey),
}

impl Signer<'_> {
    fn fingerprint(&self) -> String {
        match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Sub(key) => key.fingerprint(),
        }
        .to_string()
        .to_uppercase()
    }

    fn created(&self) -> SystemTime {
        match self {
            Self::Primary(key) => key.created_at(),
            Self::Sub(key) => key.created_at(),
        }
        .into()
    }
}

fn issuers(signature: &Signature) -> Vec<String> {
    let by_fingerprint = signature.issuer_fingerprint();
    if by_fingerprint.is_empty() {
        let ids = signature.issuer_key_id().into_iter();
        return ids.map(|id| id.to_string().to_uppercase()).collect();
    }
    let prints = by_fingerprint.into_iter();
    prints.map(|f| f.to_string().to_uppercase()).collect()
}

fn issued_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        return signature.issuer_key_id().contains(&&key.legacy_key_id());
    }
    fingerprints.contains(&&key.fingerprint())
}

/// The part of `key` that says to have made the signature, if it may sign at the time `now`; none
/// if it is a stranger's.
fn key_of<'a>(
    key: &'a SignedPublicKey,
    signature: &Signature,
    now: SystemTime,
) -> Option<Result<Signer<'a>, SignatureError>> {
    let signer = if issued_by(signature, key) {
        Signer::Primary(key)
    } else {
        Signer::Sub(
            key.public_subkeys
                .iter()
                .find(|sub| issued_by(signature, *sub))?,
        )
    };
    Some(match usable(key, &signer, now) {
        Ok(()) => Ok(signer),
        Err(reason) => Err(SignatureError::Unusable {
            key: signer.fingerprint(),
            reason,
        }),
    })
}

/// Whether a key may sign (RFC 9580, sections 5.2.3.13, 5.2.3.29 and 10.1.5): it, and the primary
/// key above it, are vouched for by the primary key, not revoked, and within their time.
fn usable(key: &SignedPublicKey, signer: &Signer<'_>, now: SystemTime) -> Result<(), &'static str> {
    let revocations = key.details.revocation_signatures.iter();
    if revocations
        .filter(|r| r.typ() == Some(SignatureType::KeyRevocation))
        .any(|r| r.verify_key(&key.primary_key).is_ok())
    {
        return Err("is revoked");
    }
    let own = key.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && issued_by(signature, key)
                && signature
                    .verify_certification(&key.primary_key, Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    let direct = key.details.direct_signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::Key)
            && signature.verify_key(&key.primary_key).is_ok()
    });
    let primary = newest(own.chain(direct), now).ok_or("is not vouched for by itself")?;
    within(primary, key.created_at().into(), now)?;
    match signer {
        Signer::Primary(_) if primary.key_flags().sign() => Ok(()),
        Signer::Primary(_) => Err("is not for signing"),
        Signer::Sub(sub) => {
            let valid =
                |s: &&Signature| s.verify_subkey_binding(&key.primary_key, &sub.key).is_ok();
            let of_type = |t| sub.signatures.iter().filter(move |s| s.typ() == Some(t));
            if of_type(SignatureType::SubkeyRevocation).any(|s| valid(&s)) {
                return Err("is revoked");
            }
            let binding = newest(of_type(SignatureType::SubkeyBinding).filter(valid), now)
                .ok_or("is not vouched for by its primary key")?;
            within(binding, sub.created_at().into(), now)?;
            if !binding.key_flags().sign() {
                return Err("is not for signing");
            }
            // A key that signs must agree to be a subkey, or anybody could claim its signatures.
            match binding.embedded_signature() {
                Some(back)
                    if back
                        .verify_primary_key_binding(&sub.key, &key.primary_key)
                        .is_ok() =>
                {
                    Ok(())
                }
                _ => Err("does not acknowledge its primary key"),
            }
        }
    }
}

fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    now: SystemTime,
) -> Option<&'a Signature> {
    signatures
        .filter(|s| {
            s.created()
                .is_some_and(|t| SystemTime::from(t) <= now + SKEW)
        })
        .filter(|s| !is_over(s, now))
        .max_by_key(|s| s.created())
}

fn is_over(signature: &Signature, now: SystemTime) -> bool {
    let lifetime = signature
        .signature_expiration_time()
        .map_or(0, |d| d.as_secs());
    match signature.created() {
        Some(created) if lifetime > 0 => {
            SystemTime::from(created) + Duration::from_secs(u64::from(lifetime)) <= now
        }
        _ => false,
    }
}

fn within(vouched: &Signature, created: SystemTime, now: SystemTime) -> Result<(), &'static str> {
    if created > now + SKEW {
        return Err("is not valid yet");
    }
    let lifetime = vouched.key_expiration_time().map_or(0, |d| d.as_secs());
    if lifetime > 0 && created + Duration::from_secs(u64::from(lifetime)) <= now {
        return Err("has expired");
    }
    Ok(())
}

fn check(
    signature: &Signature,
    signer: Signer<'_>,
    text: &str,
    now: SystemTime,
) -> Result<(), SignatureError> {
    let key = signer.fingerprint();
    let refused = |reason| SignatureError::Refused {
        key: signer.fingerprint(),
        reason,
    };
    if !matches!(
        signature.typ(),
        Some(SignatureType::Text | SignatureType::Binary)
    ) {
        return Err(refused("is not one over a text"));
    }
    if !matches!(
        signature.hash_alg(),
        Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512)
    ) {
        return Err(refused(
            "uses a hash that is not trusted: expected SHA-256, -384 or -512",
        ));
    }
    let created = signature.created().map(SystemTime::from);
    let created = created.ok_or_else(|| refused("does not say when it was made"))?;
    if created > now + SKEW {
        return Err(refused(
            "is from the future: is the clock of this machine right?",
        ));
    }
    if created < signer.created() {
        return Err(refused("is older than the key"));
    }
    if is_over(signature, now) {
        return Err(refused("has expired"));
    }
    match signer {
        Signer::Primary(primary) => signature.verify(primary, text.as_bytes()),
        Signer::Sub(sub) => signature.verify(sub, text.as_bytes()),
    }
    .map_err(|_| SignatureError::Bad { key })
}

#[cfg(test)]
#[path = "tests/keyring.rs"]
pub(super) mod tests;
