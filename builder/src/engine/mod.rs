//! What builds and holds images, behind one small trait.
//!
//! An engine knows nothing of fleets, plans or fingerprint rules: it builds one context into one
//! image, tags, pushes and runs. Futures may be dropped at any moment; an engine then stops what it
//! was doing and leaves no container behind.

pub mod docker;
pub mod native;
mod error;
mod text;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use error::Error;

use crate::context::BuildContext;
use crate::model::{Digest, ImageId, Platform, Reference};
pub use crate::oci::layer::Visitor;
use crate::oci::spec::ImageConfig;
use crate::registry::Credentials;

/// The build context of one image, as an uncompressed tar that can be read more than once.
pub trait Context: Send + Sync {
    /// Starts reading from the beginning.
    ///
    /// # Errors
    /// Fails when a file of the context cannot be opened.
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>>;
}

impl Context for BuildContext {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(BuildContext::open(self))
    }
}

/// One image to build.
#[derive(Clone)]
pub struct BuildRequest {
    /// The context; its Dockerfile is the entry `Dockerfile`.
    pub context: Arc<dyn Context>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels put on the image over those of its Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// What to build for.
    pub platform: Platform,
    /// The reference the finished image gets, before anything else does.
    pub reference: Reference,
    /// Whether the engine's own step cache may be used.
    pub cache: bool,
}

/// What an engine reports while it builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A step began: its number from 1, how many there are, and its text.
    Step {
        /// From 1.
        number: u32,
        /// As far as known; at least `number`.
        total: u32,
        /// `RUN kolla-install keystone`.
        instruction: String,
    },
    /// A line of output, without its line break.
    Log(String),
}

/// An image that an engine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// The engine's name for it.
    pub id: ImageId,
    /// Everything it is tagged as.
    pub references: Vec<Reference>,
    /// The labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970 when it was made.
    pub created: i64,
    /// Unpacked bytes, with those it shares with its parents.
    pub size: u64,
}

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// "Docker Engine", "Podman Engine".
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it was reached.
    pub address: String,
    /// What builds the images: "BuildKit", "classic", "Buildah".
    pub builder: String,
    /// What it runs on.
    pub platform: Platform,
}

/// A container to run to its end.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The image.
    pub image: ImageId,
    /// The command; it replaces entry point and command of the image.
    pub command: Vec<String>,
    /// Whether it may use a network.
    pub network: bool,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// Its exit status.
    pub status: i64,
    /// What it printed, both streams together, at most the last 64 KiB.
    pub output: String,
}

/// Where images are exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder, made or added to, in the form of the OCI image layout.
    Layout(PathBuf),
    /// A file in the form that `docker save` writes.
    Archive(PathBuf),
}

/// Something that an interrupted run left in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// "container", "image".
    pub kind: &'static str,
    /// The engine's identifier.
    pub id: String,
    /// What it is, for people.
    pub description: String,
    /// Bytes that removing it may free, where known.
    pub size: u64,
}

/// How much may stay of what could be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time it is.
    pub now: std::time::SystemTime,
    /// How long something may have been of no use.
    pub unused_for: Option<std::time::Duration>,
    /// Bytes.
    pub size: Option<u64>,
}

/// Builds images and holds them.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What it is; the first call that shows whether it answers.
    async fn info(&self) -> Result<Info, Error>;

    /// The images carrying the label `key`, with any value.
    async fn images(&self, label: &str) -> Result<Vec<StoredImage>, Error>;

    /// Builds one image and tags it with the request's reference; the tag appears only when
    /// everything succeeded.
    async fn build(
        &self,
        request: &BuildRequest,
        events: &(dyn Fn(BuildEvent) + Send + Sync),
    ) -> Result<ImageId, Error>;

    /// Gives an image one more reference; repeating it changes nothing.
    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error>;

    /// Takes a reference away, and with the last one the image, unless something uses it. A
    /// reference that is not there is not an error.
    async fn untag(&self, reference: &Reference) -> Result<(), Error>;

    /// Sends an image to the registry that `references` name, all of one repository, and returns the
    /// manifest's digest. The engine need not know the image by them, and does not afterwards if it
    /// did not before. `progress` gets bytes sent so far and in all.
    async fn push(
        &self,
        image: &ImageId,
        references: &[Reference],
        credentials: Option<&Credentials>,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Digest, Error>;

    /// Fetches an image by a digest, and gives it `name`, which is the only name it gets.
    async fn pull(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        name: &Reference,
    ) -> Result<ImageId, Error>;

    /// Writes images with all their layers, each under these names. A file appears whole or not at
    /// all.
    async fn export(
        &self,
        images: &[(ImageId, Vec<Reference>)],
        destination: &Destination,
    ) -> Result<(), Error>;

    /// Runs a container of an image to its end and removes it.
    async fn run(&self, request: &RunRequest) -> Result<RunResult, Error>;

    /// Shows a visitor every file of an image, as a container of it would see them, and returns how
    /// the image is to be run. Nothing is run, and nothing is unpacked.
    async fn walk(&self, image: &ImageId, visitor: Arc<dyn Visitor>) -> Result<ImageConfig, Error>;

    /// Containers and untagged images that carry the label `key` and that nothing uses any more.
    async fn leftovers(&self, label: &str) -> Result<Vec<Leftover>, Error>;

    /// Removes one of them.
    async fn remove(&self, leftover: &Leftover) -> Result<(), Error>;

    /// Takes away what the engine keeps for later and is beyond the limits, or only tells of it.
    /// An engine that cleans up by itself has nothing to do here.
    async fn clean(&self, limits: &Limits, dry_run: bool) -> Result<Vec<Leftover>, Error> {
        let _ = (limits, dry_run);
        Ok(Vec::new())
    }

    /// Waits until what dropped futures left to be cleaned up is gone. To be called before the
    /// program ends; nothing may be under way beside it.
    async fn settle(&self) {}
}
