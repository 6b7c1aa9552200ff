use std::fmt;

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    LineEnding,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::sealed::{self, Fault};
use crate::model::{Diagnostic, Digest};

const MAKE_ONE: &str = "`kolla keygen` and `cosign generate-key-pair` make a pair of keys";

/// A key that signs: ECDSA on P-256, as cosign makes them. Its memory is wiped when it goes, and its
/// `Debug` shows none of it.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new one.
    pub fn generate() -> Self {
        loop {
            let mut bytes: [u8; 32] = rand::random();
            // One in 2^32 is not below the order of the curve.
            let key = SigningKey::from_slice(&bytes);
            bytes.zeroize();
            if let Ok(key) = key {
                return Self(key);
            }
        }
    }

    /// Reads a private key in cosign's form, which its password opens.
    ///
    /// # Errors
    /// A definition error when it is of another form, or the password of another key; never with
    /// anything of either in it.
    pub fn open(pem: &str, password: &str) -> Result<Self, Diagnostic> {
        let secret = sealed::open(pem, password.as_bytes()).map_err(|fault| match fault {
            Fault::Form(what) => {
                Diagnostic::definition(format!("this is not a private key of cosign's: {what}"))
                    .hint(MAKE_ONE)
            }
            Fault::Password => Diagnostic::definition("the password does not open this key"),
        })?;
        SigningKey::from_pkcs8_der(&secret).map(Self).map_err(|_| {
            Diagnostic::definition("this is not a private key of ECDSA on P-256").hint(MAKE_ONE)
        })
    }

    /// The key in cosign's form, sealed by a password; other bytes each time.
    ///
    /// # Errors
    /// None that a key can cause.
    pub fn seal(&self, password: &str) -> Result<Zeroizing<String>, Diagnostic> {
        let failed = || {
            Diagnostic::new(
                crate::model::Class::Internal,
                "the key could not be encrypted",
            )
        };
        let secret = self.0.to_pkcs8_der().map_err(|_| failed())?;
        sealed::seal(secret.as_bytes(), password.as_bytes()).map_err(|_| failed())
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// A signature of the SHA-256 of a message, in DER; the same for the same message (RFC 6979).
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

/// A key that checks signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a public key in PEM (RFC 7468, section 13), as cosign writes it.
    ///
    /// # Errors
    /// A definition error when it is none, or not of ECDSA on P-256.
    pub fn parse(pem: &str) -> Result<Self, Diagnostic> {
        let found = pem.trim();
        let wrong = |what: &str| Err(Diagnostic::definition(what).hint(MAKE_ONE));
        if found.len() > sealed::MAX_FILE || !found.starts_with("-----BEGIN ") {
            return wrong("this is not a public key in PEM");
        }
        if found.contains("PRIVATE KEY-----") {
            return wrong("this is a private key, and a public key was expected");
        }
        match VerifyingKey::from_public_key_pem(found) {
            Ok(key) => Ok(Self(key)),
            Err(_) => wrong("this is not a public key of ECDSA on P-256"),
        }
    }

    /// The key in PEM.
    ///
    /// # Errors
    /// None that a key can cause.
    pub fn to_pem(&self) -> Result<String, Diagnostic> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| {
            Diagnostic::new(
                crate::model::Class::Internal,
                "the key could not be written",
            )
        })
    }

    /// What tells it from other keys: the SHA-256 of its DER.
    pub fn id(&self) -> Digest {
        let der = self.0.to_public_key_der();
        Digest::of(der.map(|der| der.into_vec()).unwrap_or_default())
    }

    /// Whether this key's other half signed a message; `signature` is DER.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_der(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}
