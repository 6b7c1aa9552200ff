//! Layers that are being packed while the next step runs.

use std::sync::{Arc, Condvar, Mutex};

use super::super::super::Error;
use super::super::store::{Key, Layer, Lock, Store};
use crate::oci::compress::Compression;
use crate::oci::layer::{WriteOptions, pack};

/// A layer of an image under way: its files are in place, its digest may not be known yet.
#[derive(Debug)]
pub(super) struct Pending {
    snapshot: String,
    state: Mutex<Option<Result<Layer, Error>>>,
    done: Condvar,
}

impl Pending {
    /// A layer that is there.
    pub(super) fn ready(layer: Layer) -> Arc<Self> {
        Arc::new(Self {
            snapshot: layer.snapshot.clone(),
            state: Mutex::new(Some(Ok(layer))),
            done: Condvar::new(),
        })
    }

    /// The folder of its files.
    pub(super) fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// What went wrong, if that is known already.
    pub(super) fn failure(&self) -> Option<Error> {
        let state = self.state.lock().ok()?;
        state
            .as_ref()
            .and_then(|result| result.as_ref().err().cloned())
    }

    /// Waits until it is packed.
    pub(super) fn wait(&self) -> Result<Layer, Error> {
        let gone = || Error::Engine {
            message: "packing a layer was cut off".to_owned(),
        };
        let mut state = self.state.lock().map_err(|_| gone())?;
        loop {
            if let Some(result) = state.as_ref() {
                return result.clone();
            }
            state = self.done.wait(state).map_err(|_| gone())?;
        }
    }

    fn finish(&self, result: Result<Layer, Error>) {
        if let Ok(mut state) = self.state.lock() {
            *state = Some(result);
        }
        self.done.notify_all();
    }
}

/// Packs layers, a few at a time.
#[derive(Debug)]
pub(in super::super) struct Packers {
    free: Mutex<usize>,
    freed: Condvar,
    /// Threads that each compresses on.
    threads: usize,
}

impl Packers {
    pub(in super::super) fn new(cores: usize) -> Self {
        Self {
            free: Mutex::new(cores.max(1)),
            freed: Condvar::new(),
            threads: cores.max(1),
        }
    }

    /// Starts packing a snapshot; the step's lock is kept until it is recorded.
    pub(super) fn start(
        self: &Arc<Self>,
        store: &Arc<Store>,
        snapshot: String,
        key: Key,
        lock: Lock,
        clamp: i64,
        compression: Compression,
    ) -> Result<Arc<Pending>, Error> {
        let pending = Arc::new(Pending {
            snapshot: snapshot.clone(),
            state: Mutex::new(None),
            done: Condvar::new(),
        });
        let (packers, store, promise) = (self.clone(), store.clone(), pending.clone());
        let work = move || {
            packers.take();
            let result = packers.pack(&store, &snapshot, &key, clamp, compression);
            packers.give_back();
            if result.is_err() {
                store.discard(&snapshot);
            }
            drop(lock);
            promise.finish(result);
        };
        let started = std::thread::Builder::new()
            .name("pack".to_owned())
            .spawn(work);
        started.map_err(|e| Error::Engine {
            message: format!("no thread can be started: {e}"),
        })?;
        Ok(pending)
    }

    fn pack(
        &self,
        store: &Store,
        snapshot: &str,
        key: &Key,
        clamp: i64,
        compression: Compression,
    ) -> Result<Layer, Error> {
        let scratch = store.scratch()?;
        let blob = scratch.path().join("blob");
        let failed = |e: std::io::Error| store.error(&blob, &e);
        let file = std::fs::File::create_new(&blob).map_err(failed)?;
        let options = WriteOptions {
            clamp,
            overlay: store.overlay(),
            root_entry: false,
        };
        let folder = store.snapshot_path(snapshot);
        let packed = pack(&folder, &options, compression, self.threads, file).map_err(failed)?;
        store.adopt_blob(&blob, &packed.digest)?;
        let layer = Layer {
            diff_id: packed.diff_id.clone(),
            blob: packed.descriptor(),
            snapshot: snapshot.to_owned(),
            size: packed.uncompressed_size,
        };
        store.record(key, &layer)?;
        Ok(layer)
    }

    fn take(&self) {
        if let Ok(mut free) = self.free.lock() {
            while *free == 0 {
                match self.freed.wait(free) {
                    Ok(again) => free = again,
                    Err(_) => return,
                }
            }
            *free -= 1;
        }
    }

    fn give_back(&self) {
        if let Ok(mut free) = self.free.lock() {
            *free += 1;
        }
        self.freed.notify_one();
    }
}
