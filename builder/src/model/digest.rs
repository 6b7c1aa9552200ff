use std::fmt;

use sha2::Digest as _;

use super::Diagnostic;

/// A SHA-256 content digest in the form registries use: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A finished hash.
    pub fn from_hasher(hasher: sha2::Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads `sha256:HEX` or plain `HEX`.
    ///
    /// # Errors
    /// A definition error when it is not 64 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let hex_digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut bytes = [0; 32];
        let lower = !hex_digits.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(hex_digits, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(Diagnostic::definition(format!(
                "`{}` is not a SHA-256 digest",
                text.escape_debug()
            ))
            .hint("a digest is `sha256:` and 64 lowercase hexadecimal digits, as `sha256sum` prints them")),
        }
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|problem| serde::de::Error::custom(problem.message()))
    }
}

/// What an image is made of, as one value: equal fingerprints mean an equal image would be built.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// A fingerprint from the digest over an image's inputs.
    pub fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// A definition error when they are not.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        Digest::parse(text).map(Self)
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.hex()
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What an engine calls one of its images: for Docker, `sha256:` and the configuration's digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ImageId(String);

impl ImageId {
    /// The engine's own identifier; it is only ever handed back to the same engine.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identifier as the engine wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_back() {
        let digest = Digest::of("abc");
        assert_eq!(
            digest.to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest.clone()));
        assert_eq!(Digest::parse(&digest.hex()), Ok(digest.clone()));
        for bad in [
            "",
            "sha256:",
            "sha256:zz",
            "md5:abc",
            &digest.hex().to_uppercase(),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }
}
