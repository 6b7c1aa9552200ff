//! Image layouts, manifests, configurations and layers, as the OCI image specification has them.
//!
//! Owns the data types of images, the tar of a layer in both directions, compression that gives the
//! same bytes on every machine, folders of blobs, Docker's archive format and a validator. Works on
//! files and streams only: it knows no registry, no engine and no mount, and what it reads is
//! hostile until it has been checked.

pub mod compress;
pub mod docker_archive;
mod error;
pub mod hash;
pub mod layer;
pub mod layout;
pub mod saved;
pub mod spec;
pub mod validate;

pub use error::Error;
