//! The supply chain of a published image: what is in it, how it came to be, and who says so.
//!
//! Owns keys and signatures in cosign's form, the statements (SLSA's provenance, CycloneDX), how they
//! are attached to an image in a registry, and how they are checked. What is read from a registry is
//! believed only as far as a key vouches for it. Refuses to know where keys and passwords are kept,
//! and what is in an image: that is told by who calls.

mod attach;
mod envelope;
mod key;
mod payload;
mod provenance;
mod sbom;
mod sealed;
mod statement;
mod subject;
mod verify;

#[cfg(test)]
mod tests;

pub use attach::{ATTESTATIONS, Attached, SIGNATURES, attach};
pub use key::{PublicKey, SecretKey};
pub use provenance::{BUILD_TYPE, Dependency, Provenance, UNKNOWN_BUILDER};
pub use sbom::Sbom;
pub use statement::{CYCLONEDX, PROVENANCE, Statement};
pub use subject::Subject;
pub use verify::{Content, Expected, Finding, Origin, Signed, Verdict, verify};
