use crate::model::Reference;
use crate::oci::spec::Descriptor;
use crate::registry::{Client, Error, Repository};

/// An image that is in a registry, as that which something is said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub(super) reference: Reference,
    pub(super) repository: Repository,
    pub(super) manifest: Descriptor,
}

impl Subject {
    /// A manifest in the repository of `reference`.
    pub fn new(reference: &Reference, manifest: Descriptor) -> Self {
        Self {
            reference: reference.clone(),
            repository: Repository::of(reference),
            manifest,
        }
    }

    /// What a reference stands for now.
    ///
    /// # Errors
    /// The registry's; not found where there is no such thing.
    pub fn find(client: &Client, reference: &Reference) -> Result<Self, Error> {
        let found = client.manifest(reference)?;
        let size = found.bytes.len() as u64;
        let manifest = Descriptor::new(found.media_type, found.digest, size);
        Ok(Self::new(reference, manifest))
    }

    /// The reference that it was found by.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The manifest.
    pub fn manifest(&self) -> &Descriptor {
        &self.manifest
    }
}
