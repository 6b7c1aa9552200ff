//! The Debian archive: signed indices, the minimal set of packages, and the root file system that
//! they make before they are configured.
//!
//! Owns the whole way from a suite's name to a tar: whom to trust, what a signed Release says, which
//! packages belong together, and how dpkg would lay them out. Refuses whatever is not signed by a
//! trusted key or is not what the signed text says, and runs nothing: the packages' own scripts run
//! in the image, by the second stage that the tar brings along.

mod bootstrap;
mod database;
mod deb;
mod fetch;
mod index;
mod keyring;
mod layout;
mod members;
mod relation;
mod release;
mod resolve;
mod second_stage;
mod sources;
mod variant;
mod write;

pub use bootstrap::{Request, SuiteState, archive_state, bootstrap};
pub use fetch::Downloads;
pub use keyring::{Keyring, SignatureError};
pub use release::ReleaseError;
pub use sources::{Format, Mirrors};
pub use variant::Variant;
