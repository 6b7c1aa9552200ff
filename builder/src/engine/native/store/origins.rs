//! Where layers can be had in registries, so that one pushed to another repository need not be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::super::Error;
use super::Store;
use super::layers::json;
use crate::model::{Digest, Reference};
use crate::registry::Repository;

/// A repository of each registry that has a layer, by the registry's name.
type Origins = BTreeMap<String, String>;

impl Store {
    fn origins_path(&self, diff_id: &Digest) -> PathBuf {
        self.folder.join("origins").join(diff_id.hex())
    }

    /// None where nothing is known, or what is noted cannot be read: then the layer is sent.
    fn origins_of(&self, diff_id: &Digest) -> Origins {
        std::fs::read(self.origins_path(diff_id))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// The blobs of layers that a registry has, as far as is known, and in which repository.
    pub(in super::super) fn origins(
        &self,
        layers: &[Digest],
        registry: &str,
    ) -> Vec<(Digest, Reference)> {
        let known = layers.iter().filter_map(|diff_id| {
            let origin = self.origins_of(diff_id).remove(registry)?;
            let blob = self.layer(diff_id)?.blob.digest;
            Some((blob, Reference::parse(&origin).ok()?))
        });
        known.collect()
    }

    /// Notes that the repository of a reference has these layers. What was known of another
    /// repository of the registry stays, but for blobs that it turned out not to give: those `sent`.
    pub(in super::super) fn came_from(
        &self,
        layers: &[Digest],
        reference: &Reference,
        sent: &BTreeSet<Digest>,
    ) -> Result<(), Error> {
        let registry = Repository::of(reference).registry().to_owned();
        for diff_id in layers {
            let Some(layer) = self.layer(diff_id) else {
                continue;
            };
            let mut origins = self.origins_of(diff_id);
            if !origins.contains_key(&registry) || sent.contains(&layer.blob.digest) {
                origins.insert(registry.clone(), reference.repository());
                self.write(&self.origins_path(diff_id), &json(&origins)?)?;
            }
        }
        Ok(())
    }
}
