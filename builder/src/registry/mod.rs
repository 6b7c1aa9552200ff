//! The distribution protocol (OCI distribution specification 1.1 and Docker's token authentication),
//! spoken by blocking calls from threads of the caller.
//!
//! Owns where a registry is and whether its word is trusted, authentication, retries of single
//! requests, and the resuming of what was cut. Checks every byte against the digest that was asked
//! for. Refuses to know what is in an image: which platform of an index is meant, and where blobs are
//! kept, is the caller's; so are retries of whole images.

mod address;
mod auth;
mod challenge;
mod client;
mod copy;
mod credentials;
mod download;
mod each;
mod endpoint;
mod error;
mod exchange;
mod keychain;
mod left_open;
mod list;
mod manifest;
pub mod media;
mod options;
mod pieces;
mod push;
mod referrers;
mod retry;
mod shared;
mod upload;
mod wire;

#[cfg(test)]
mod tests;

pub use address::Repository;
pub use client::Client;
pub use credentials::Credentials;
pub use each::each;
pub use error::Error;
pub use keychain::{Anonymous, Keychain};
pub use manifest::Manifest;
pub use options::{Clock, Options, Proxy, Sleep};
pub use push::{Image, Pusher};
pub use upload::{Blob, Content};
