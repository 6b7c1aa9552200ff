//! The JSON documents of images: descriptors, manifests, indices and configurations.
//!
//! Parsing is bounded and checked; fields that are not known here are passed over, since images of
//! others carry many. Writing always gives the same bytes for the same value: fields in a fixed
//! order, maps sorted, what is empty left out. A document that was fetched is therefore kept as the
//! bytes that came, and never written again from its parsed form.

mod config;
mod json;
mod manifest;
pub mod media;

pub use config::{Config, Healthcheck, History, ImageConfig, MAX_CONFIG, RootFs};
pub use manifest::{
    Descriptor, Index, MAX_LAYERS, MAX_MANIFEST, Manifest, PlatformFields, REF_NAME,
};
