use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::shared::lock;
use super::upload::{Blob, Content, Delivery, Upload};
use super::{Client, Error, Repository};
use crate::model::{Digest, Tag};

/// Blobs of one image that are on their way at once.
const AT_ONCE: usize = 4;
/// How often one that waits for another's blob looks whether all work was stopped.
const GLANCE: Duration = Duration::from_millis(200);

/// One image to push.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Where to.
    pub repository: &'a Repository,
    /// The manifest's bytes.
    pub manifest: &'a [u8],
    /// Its media type, one of [`media`](super::media).
    pub media_type: &'a str,
    /// The configuration and the layers that it names.
    pub blobs: &'a [Blob],
    /// What it is to be called; the manifest is there by its digest in any case.
    pub tags: &'a [Tag],
}

impl<'a> Image<'a> {
    fn distinct_blobs(&self) -> Vec<&'a Blob> {
        let mut seen = BTreeSet::new();
        let blobs = self.blobs.iter();
        blobs.filter(|blob| seen.insert(&blob.digest)).collect()
    }

    /// Bytes of the blobs and the manifest.
    fn total(&self) -> u64 {
        let manifest = self.manifest.len() as u64;
        let sizes = self.distinct_blobs().into_iter().map(|blob| blob.size);
        sizes.fold(manifest, u64::saturating_add)
    }
}

/// Pushes images, many at once from as many threads. A blob that several of them share is sent to a
/// registry once, and mounted from there by the others.
#[derive(Debug)]
pub struct Pusher {
    client: Client,
    /// By the registry's address and the blob.
    known: Mutex<HashMap<(String, Digest), Known>>,
    changed: Condvar,
}

/// Repositories of a registry, in relation to one blob.
#[derive(Debug, Default)]
struct Known {
    have: BTreeSet<Repository>,
    getting: BTreeSet<Repository>,
}

impl Pusher {
    /// Pushes by this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// What it pushes by.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A repository is known to have a blob, so that others of its registry can have it from there.
    pub fn has(&self, repository: &Repository, blob: &Digest) {
        let key = (repository.authority().to_owned(), blob.clone());
        let mut known = lock(&self.known);
        let repositories = &mut known.entry(key).or_default().have;
        repositories.insert(repository.clone());
    }

    /// Sends what is missing of an image: blobs in parallel, then the manifest by its tags in their
    /// order, or by its digest where it has none, so that a tag never names what is not there.
    /// `progress` gets bytes done and in all, from several threads; the first may go back when a blob
    /// is sent anew.
    ///
    /// # Errors
    /// The first failure; what was sent before stays in the registry.
    pub fn push(
        &self,
        image: &Image<'_>,
        content: &dyn Content,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Digest, Error> {
        let digest = Digest::of(image.manifest);
        let put = |name: &str| {
            self.client
                .put_manifest(image.repository, name, image.media_type, image.manifest)
        };
        let total = image.total();
        // Who has a manifest has its blobs, or says so when it gets the manifest anew.
        if self.client.has_manifest(image.repository, &digest)? {
            self.remember(image);
            if image.tags.is_empty() {
                progress(total, total);
                return Ok(digest);
            }
        } else {
            self.blobs(image, content, progress)?;
        }
        let names: Vec<String> = match image.tags {
            [] => vec![digest.to_string()],
            tags => tags.iter().map(Tag::to_string).collect(),
        };
        for (index, name) in names.iter().enumerate() {
            match put(name) {
                Err(error) if index == 0 && names_unknown_blob(&error) => {
                    self.forget(image);
                    self.blobs(image, content, progress)?;
                    put(name)?;
                }
                other => other?,
            }
            progress(total, total);
        }
        Ok(digest)
    }

    /// Sends the blobs.
    fn blobs(
        &self,
        image: &Image<'_>,
        content: &dyn Content,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), Error> {
        let blobs = image.distinct_blobs();
        let total = image.total();
        let moved: Vec<AtomicU64> = blobs.iter().map(|_| AtomicU64::new(0)).collect();
        let report = |index: usize, bytes: u64| {
            if moved[index].swap(bytes, Ordering::Relaxed) != bytes {
                let done = moved.iter().map(|m| m.load(Ordering::Relaxed));
                progress(done.fold(0, u64::saturating_add), total);
            }
        };
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let work = || -> Result<(), Error> {
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(blob) = blobs.get(index) else {
                    return Ok(());
                };
                let sent = self.deliver(image.repository, blob, content, &|bytes| {
                    report(index, bytes);
                });
                if sent.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                sent?;
                report(index, blob.size);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..AT_ONCE.min(blobs.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut result = work();
            for thread in threads {
                let ended = thread.join();
                let ended = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(ended);
            }
            result
        })
    }

    /// The repository has every blob of this image.
    fn remember(&self, image: &Image<'_>) {
        for blob in image.blobs {
            self.has(image.repository, &blob.digest);
        }
    }

    /// What was known to be there is not any more: the registry was tidied up meanwhile.
    fn forget(&self, image: &Image<'_>) {
        let mut known = lock(&self.known);
        for blob in image.blobs {
            let key = (image.repository.authority().to_owned(), blob.digest.clone());
            if let Some(blob) = known.get_mut(&key) {
                blob.have.remove(image.repository);
            }
        }
    }

    /// Brings a blob to a repository, unless it is there or somebody is about to.
    fn deliver(
        &self,
        repository: &Repository,
        blob: &Blob,
        content: &dyn Content,
        moved: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let key = (repository.authority().to_owned(), blob.digest.clone());
        let from = {
            let mut known = lock(&self.known);
            loop {
                self.client.going_on(repository)?;
                let blob = known.entry(key.clone()).or_default();
                if blob.have.contains(repository) {
                    return Ok(());
                }
                let wait = if blob.have.is_empty() {
                    !blob.getting.is_empty()
                } else {
                    blob.getting.contains(repository)
                };
                if !wait {
                    blob.getting.insert(repository.clone());
                    break blob.have.first().cloned();
                }
                known = self
                    .changed
                    .wait_timeout(known, GLANCE)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        };
        let mut flight = Flight {
            pusher: self,
            key,
            repository,
            delivered: None,
        };
        let upload = Upload {
            client: &self.client,
            repository,
            blob,
            content,
            from: from.as_ref(),
            moved,
        };
        flight.delivered = Some(upload.run()?);
        Ok(())
    }
}

/// Whether a manifest was refused for a blob that is not there (OCI distribution specification, "Error
/// Codes").
fn names_unknown_blob(error: &Error) -> bool {
    matches!(error, Error::Refused { code, .. }
        if code == "MANIFEST_BLOB_UNKNOWN" || code == "BLOB_UNKNOWN")
}

/// Says, however it ends, that a blob is not on its way any more.
struct Flight<'a> {
    pusher: &'a Pusher,
    key: (String, Digest),
    repository: &'a Repository,
    delivered: Option<Delivery>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut known = lock(&self.pusher.known);
        if let Some(blob) = known.get_mut(&self.key) {
            blob.getting.remove(self.repository);
            if self.delivered.is_some() {
                blob.have.insert(self.repository.clone());
            }
        }
        self.pusher.changed.notify_all();
    }
}
