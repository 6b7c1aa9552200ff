//! The client against servers in this process that misbehave on demand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod addressing;
mod authentication;
mod cuts;
mod listing;
mod memory;
mod pulling;
mod pushing;
mod referrers;
mod server;

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::model::{Digest, Reference, Tag};
use memory::Memory;
use server::{Reply, Request, Server};

/// Options that do not wait, and what they would have waited.
fn options() -> (Options, Arc<Mutex<Duration>>) {
    let waited = Arc::new(Mutex::new(Duration::ZERO));
    let sum = Arc::clone(&waited);
    let options = Options {
        sleep: Arc::new(move |pause| *sum.lock().unwrap() += pause),
        stall: Duration::from_secs(10),
        ..Options::default()
    };
    (options, waited)
}

fn client() -> Client {
    Client::new(options().0)
}

fn password() -> Credentials {
    Credentials::Password {
        username: "me".into(),
        password: "s3cret".into(),
    }
}

fn reference(server: &Server, name: &str) -> Reference {
    Reference::parse(&format!("{}/{name}", server.address)).unwrap()
}

fn repository(server: &Server, path: &str) -> Repository {
    Repository::of(&reference(server, path))
}

/// Bytes that differ everywhere.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Blobs in memory that count how often they are opened.
#[derive(Default)]
struct Store {
    blobs: HashMap<Digest, Vec<u8>>,
    opened: AtomicUsize,
}

impl Store {
    fn add(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = Blob {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        self.blobs.insert(blob.digest.clone(), bytes);
        blob
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Content for Store {
    fn open(&self, digest: &Digest, offset: u64) -> std::io::Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let bytes = self.blobs.get(digest).ok_or(std::io::ErrorKind::NotFound)?;
        let from = usize::try_from(offset).unwrap();
        Ok(Box::new(Cursor::new(bytes[from..].to_vec())))
    }
}

/// A manifest of these blobs, the first being the configuration.
fn manifest(blobs: &[Blob]) -> Vec<u8> {
    let layers: Vec<_> = blobs[1..]
        .iter()
        .map(|b| serde_json::json!({"digest": b.digest, "size": b.size, "mediaType": "x"}))
        .collect();
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": {"digest": blobs[0].digest, "size": blobs[0].size, "mediaType": "x"},
        "layers": layers,
    }))
    .unwrap()
}

fn quiet(_: u64, _: u64) {}

fn push(
    pusher: &Pusher,
    repository: &Repository,
    blobs: &[Blob],
    store: &Store,
    tags: &[&str],
) -> Result<Digest, Error> {
    let tags: Vec<Tag> = tags.iter().map(|t| Tag::new(*t).unwrap()).collect();
    let image = Image {
        repository,
        manifest: &manifest(blobs),
        media_type: media::MANIFEST,
        blobs,
        tags: &tags,
    };
    pusher.push(&image, store, &quiet)
}

fn pull(client: &Client, repository: &Repository, blob: &Blob) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    client.blob(repository, blob, &mut bytes, &quiet)?;
    Ok(bytes)
}
