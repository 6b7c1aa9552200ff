//! What a registry is asked for.

pub use crate::oci::spec::media::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};

/// Manifests and indices, in the order of preference.
pub const MANIFESTS: [&str; 4] = [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
