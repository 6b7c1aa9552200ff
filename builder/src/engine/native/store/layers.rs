//! Layers, and the steps that made them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::super::super::Error;
use super::{Lock, Store, remove_tree};
use crate::model::Digest;
use crate::oci::spec::Descriptor;

/// A layer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Layer {
    /// The digest of its tar.
    pub(in super::super) diff_id: Digest,
    /// Its blob.
    pub(in super::super) blob: Descriptor,
    /// Its folder in `snapshots`.
    pub(in super::super) snapshot: String,
    /// Bytes of its tar.
    pub(in super::super) size: u64,
}

/// Stands for all that a step's result depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Key(String);

impl Key {
    /// Raise the number when the same input comes to make another layer.
    const SCHEME: &'static str = "kolla-step-1";

    /// The key of what `parts` say, in this order. Their ends are part of it.
    pub(in super::super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = sha2::Sha256::new();
        for part in std::iter::once(Self::SCHEME.as_bytes()).chain(parts) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(Digest::from_hasher(hasher).hex())
    }

    /// Its text.
    pub(in super::super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Layer {
    /// A new name for a snapshot: short, since mount(2) limits the names of all layers together to
    /// one page; and never used before, so that what is mounted elsewhere is left alone.
    pub(in super::super) fn new_snapshot() -> String {
        format!("{:028x}", rand::random::<u128>() >> 16)
    }
}

impl Store {
    fn step_path(&self, key: &Key) -> PathBuf {
        self.folder.join("steps").join(key.as_str())
    }

    fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.folder.join("layers").join(diff_id.hex())
    }

    /// Where a layer's files are.
    pub(in super::super) fn snapshot_path(&self, name: &str) -> PathBuf {
        self.folder.join("snapshots").join(name)
    }

    /// The layer that a step made, if it is done and all of it is still there.
    pub(in super::super) fn step(&self, key: &Key) -> Option<Layer> {
        let path = self.step_path(key);
        let layer: Layer = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        if !self.holds(&layer) {
            return None;
        }
        // When it was last of use, for cleaning by age.
        if let Ok(file) = std::fs::File::open(&path) {
            let _ = rustix::fs::futimens(&file, &now());
        }
        Some(layer)
    }

    /// The layer with this digest, if it is there.
    pub(in super::super) fn layer(&self, diff_id: &Digest) -> Option<Layer> {
        let text = std::fs::read(self.layer_path(diff_id)).ok()?;
        let layer: Layer = serde_json::from_slice(&text).ok()?;
        self.holds(&layer).then_some(layer)
    }

    fn holds(&self, layer: &Layer) -> bool {
        let blob = std::fs::metadata(self.blob_path(&layer.blob.digest));
        blob.is_ok_and(|blob| blob.len() == layer.blob.size)
            && self.snapshot_path(&layer.snapshot).is_dir()
    }

    /// The lock of a step, unless another is at it.
    pub(in super::super) fn lock_step(&self, key: &Key) -> Result<Option<Lock>, Error> {
        let path = self.folder.join("locks").join(key.as_str());
        Lock::try_exclusive(&path).map_err(|e| self.error(&path, &e))
    }

    /// Gives a folder of files its place among the snapshots, under a new name.
    pub(in super::super) fn adopt(
        &self,
        folder: &std::path::Path,
        name: &str,
    ) -> Result<(), Error> {
        let target = self.snapshot_path(name);
        std::fs::rename(folder, &target).map_err(|e| self.error(&target, &e))
    }

    /// Takes a snapshot away that no layer was recorded for.
    pub(in super::super) fn discard(&self, name: &str) {
        remove_tree(&self.snapshot_path(name));
    }

    /// Notes the layer that a step made; from now on the step is done.
    pub(in super::super) fn record(&self, key: &Key, layer: &Layer) -> Result<(), Error> {
        let text = json(layer)?;
        self.write(&self.step_path(key), &text)?;
        self.know(layer)
    }

    /// Notes a layer by its digest.
    pub(in super::super) fn know(&self, layer: &Layer) -> Result<(), Error> {
        let known = self.layer(&layer.diff_id);
        if known.is_some_and(|known| known.blob == layer.blob) {
            return Ok(());
        }
        self.write(&self.layer_path(&layer.diff_id), &json(layer)?)
    }
}

fn now() -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::Engine {
        message: format!("a record cannot be written: {e}"),
    })
}
