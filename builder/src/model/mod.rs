//! The words of the program: types that cannot hold a bad value, shared by every other room.
//!
//! Owns names, image references, digests, fingerprints, platforms and diagnostics. Knows no file,
//! no engine and no clock, and imports nothing from the rest of the crate.

mod diagnostic;
mod digest;
mod name;
mod nearest;
mod place;
mod platform;
mod reference;
pub mod secret;
mod source;

pub use diagnostic::{Class, Diagnostic, Diagnostics};
pub use digest::{Digest, Fingerprint, ImageId};
pub use name::{ImageName, ServiceName};
pub use nearest::{did_you_mean, nearest};
pub use place::Place;
pub use platform::Platform;
pub use reference::{Namespace, Reference, Registry, Tag};
pub use source::{Location, Source};
