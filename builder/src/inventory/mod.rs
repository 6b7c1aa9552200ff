//! What is in an image: its packages, and files that say something of how it was made.
//!
//! Everything is read from the image's files as data: nothing of the image is run, so an inventory
//! is the same for every platform, and an image cannot lie about more than its own records. The
//! records are hostile input; what cannot be read of them is told and does not end the rest.

mod copyright;
mod dpkg;
mod notable;
mod package;
mod python;
mod survey;

use std::sync::Arc;

pub use dpkg::parse as parse_dpkg_status;
pub use notable::{Cache, Privileged, Secret};
pub use package::{Malformed, Package, PackageKind, SourcePackage};
pub use python::parse as parse_python_metadata;
pub use survey::Survey;

use crate::engine::{Engine, Error};
use crate::model::ImageId;
use crate::oci::spec::ImageConfig;

/// What an image holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inventory {
    /// How many files it has, directories not counted.
    pub files: u64,
    /// Bytes of its ordinary files together, each name counted: what engines call size differs from
    /// one to the other, this does not.
    pub size: u64,
    /// Its packages, sorted.
    pub packages: Vec<Package>,
    /// Programs that give rights to who starts them, sorted by path.
    pub privileged: Vec<Privileged>,
    /// What package managers left to be used again, sorted by folder.
    pub caches: Vec<Cache>,
    /// What looks like a key or password that should not be there, sorted by path.
    pub secrets: Vec<Secret>,
    /// Its accounts and their user ids, in the order of its `/etc/passwd`.
    pub accounts: Vec<(String, u32)>,
    /// Records that could not be read, each with the reason.
    pub unreadable: Vec<String>,
}

impl Inventory {
    /// Takes the inventory of an image that an engine holds, and returns it with how the image is to
    /// be run.
    ///
    /// # Errors
    /// Those of [`Engine::walk`].
    pub async fn of(engine: &dyn Engine, image: &ImageId) -> Result<(Self, ImageConfig), Error> {
        let survey = Arc::new(Survey::default());
        let config = engine.walk(image, survey.clone()).await?;
        Ok((survey.finish(), config))
    }

    /// The user id of an account.
    pub fn uid(&self, account: &str) -> Option<u32> {
        let found = self.accounts.iter().find(|(name, _)| name == account);
        found.map(|(_, uid)| *uid)
    }
}
