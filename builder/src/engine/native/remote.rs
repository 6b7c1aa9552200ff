//! Images from registries and to them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::sync::{Arc, Mutex};

use super::super::{Credentials, Error};
use super::build::Shared;
use super::step::Cancel;
use super::store::{Image, Layer, Store, full};
use crate::model::{Digest, ImageId, Platform, Reference};
use crate::oci::compress::Decoder;
use crate::oci::layer::{ApplyOptions, Refused, apply};
use crate::oci::spec::{Descriptor, ImageConfig, Index, Manifest, media};
use crate::registry::{self, Blob, Content, Pusher, Repository};

/// Layers of one image that are fetched at once.
const AT_ONCE: usize = 3;

/// The largest configuration taken, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

/// Sends an image to the repository of these references.
pub(super) fn push(
    store: &Store,
    pusher: &Pusher,
    id: &ImageId,
    references: &[Reference],
    cancel: &Cancel,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Digest, Error> {
    let missing = || Error::NoSuchImage {
        reference: id.to_string(),
    };
    let first = references.first().ok_or_else(missing)?;
    // By its name where it has it: one configuration may have manifests of several compressions.
    let named = store.named(&first.to_string())?;
    let image = match named.filter(|image| image.id() == *id) {
        Some(image) => image,
        None => store.image(id)?.ok_or_else(missing)?,
    };
    let path = store.blob_path(&image.descriptor.digest);
    let manifest = std::fs::read(&path).map_err(|e| store.error(&path, &e))?;
    let blobs: Vec<Blob> = image.manifest.blobs().map(Blob::from).collect();
    let repository = Repository::of(first);
    let tags: Vec<_> = references.iter().filter_map(|r| r.tag().cloned()).collect();
    let layers = &image.config.rootfs.diff_ids;
    for (blob, origin) in store.origins(layers, repository.registry()) {
        pusher.has(&Repository::of(&origin), &blob);
    }
    let content = Blobs {
        store,
        cancel,
        sent: Mutex::default(),
    };
    let sent = registry::Image {
        repository: &repository,
        manifest: &manifest,
        media_type: image.manifest.kind(),
        blobs: &blobs,
        tags: &tags,
    };
    let digest = pusher
        .push(&sent, &content, progress)
        .map_err(|error| Error::from(&error))?;
    let sent = content.sent.into_inner();
    store.came_from(layers, first, &sent.unwrap_or_default())?;
    Ok(digest)
}

/// The store's blobs, readable until nobody waits any more.
struct Blobs<'a> {
    store: &'a Store,
    cancel: &'a Cancel,
    /// Those that the registry could not have from elsewhere.
    sent: Mutex<BTreeSet<Digest>>,
}

impl Content for Blobs<'_> {
    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        if let Ok(mut sent) = self.sent.lock() {
            sent.insert(digest.clone());
        }
        let mut file = File::open(self.store.blob_path(digest))?;
        file.seek(io::SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// An error of a registry that an image comes from.
fn pulling(reference: &str, error: &registry::Error) -> Error {
    let (reference, message) = (reference.to_owned(), error.to_string());
    if let registry::Error::Local { .. } = error {
        return Error::Engine { message };
    }
    if error.is_transient() {
        return Error::BaseImageUnwell { reference, message };
    }
    Error::BaseImage { reference, message }
}

/// Fetches the image that a Dockerfile names.
pub(super) fn pull_base(
    shared: &Shared,
    client: &registry::Client,
    text: &str,
    platform: &Platform,
    login: &dyn Fn(&Repository) -> Result<Option<Credentials>, Error>,
    cancel: &Cancel,
) -> Result<Arc<Image>, Error> {
    let reference = Reference::parse(text).map_err(|problem| Error::Refused {
        message: problem.message().to_owned(),
    })?;
    if reference.is_internal() {
        return Err(Error::BaseImage {
            reference: text.to_owned(),
            message: "it is not in the store".to_owned(),
        });
    }
    pull(
        shared, client, &reference, &reference, platform, login, cancel,
    )
}

/// Fetches an image with all its layers, and keeps it under a name.
pub(super) fn pull(
    shared: &Shared,
    client: &registry::Client,
    reference: &Reference,
    name: &Reference,
    platform: &Platform,
    login: &dyn Fn(&Repository) -> Result<Option<Credentials>, Error>,
    cancel: &Cancel,
) -> Result<Arc<Image>, Error> {
    let text = &reference.to_string();
    let unusable = |message: String| Error::BaseImage {
        reference: text.clone(),
        message,
    };
    let repository = Repository::of(reference);
    client.log_in(&repository, login(&repository)?.as_ref());
    let failed = |error: registry::Error| pulling(text, &error);
    let broken = |error: crate::oci::Error| unusable(error.to_string());
    let mut found = client.manifest(reference).map_err(failed)?;
    if media::is_index(&found.media_type) {
        let index = Index::parse(&found.bytes, text).map_err(broken)?;
        let one = index
            .find(platform)
            .ok_or_else(|| unusable(format!("there is none for {platform}")))?;
        found = client
            .manifest(&reference.at_digest(one.digest.clone()))
            .map_err(failed)?;
    }
    let manifest = Manifest::parse(&found.bytes, text).map_err(broken)?;
    if manifest.config.size > MAX_CONFIG {
        return Err(unusable("its configuration is too large".to_owned()));
    }
    let mut bytes = Vec::new();
    client
        .blob(
            &repository,
            &Blob::from(&manifest.config),
            &mut bytes,
            &|_, _| {},
        )
        .map_err(failed)?;
    let config = ImageConfig::parse(&bytes, text).map_err(broken)?;
    config.fits(&manifest, text).map_err(broken)?;
    if config.architecture != platform.architecture() {
        return Err(unusable(format!(
            "it is for {}, not for {platform}",
            config.architecture
        )));
    }
    let pairs: Vec<_> = manifest
        .layers
        .iter()
        .zip(&config.rootfs.diff_ids)
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> Result<(), Error> {
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some((descriptor, diff_id)) = pairs.get(index) else {
                return Ok(());
            };
            if cancel.is_cancelled() {
                return Err(unusable("nobody waits for it any more".to_owned()));
            }
            fetch_layer(shared, client, &repository, text, descriptor, diff_id)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..AT_ONCE.min(pairs.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut result = work();
        for thread in threads {
            let ended = thread.join();
            result = result.and(ended.unwrap_or_else(|p| std::panic::resume_unwind(p)));
        }
        result
    })?;
    shared
        .store
        .came_from(&config.rootfs.diff_ids, reference, &BTreeSet::new())?;
    shared.store.put_blob(&bytes)?;
    let id: ImageId =
        shared
            .store
            .put_manifest(&found.bytes, &found.media_type, &config, &name.to_string())?;
    shared
        .store
        .image(&id)?
        .ok_or_else(|| unusable("it was taken away again".to_owned()))
}

fn fetch_layer(
    shared: &Shared,
    client: &registry::Client,
    repository: &Repository,
    text: &str,
    descriptor: &Descriptor,
    diff_id: &Digest,
) -> Result<(), Error> {
    let store = &shared.store;
    // The same files by another compression are no use: the manifest names this blob.
    let known = store.layer(diff_id);
    if known.is_some_and(|layer| layer.blob.digest == descriptor.digest) {
        return Ok(());
    }
    let scratch = store.scratch()?;
    let path = scratch.path().join("blob");
    let failed = |e: io::Error| store.error(&path, &e);
    let mut file = File::create_new(&path).map_err(failed)?;
    client
        .blob(repository, &Blob::from(descriptor), &mut file, &|_, _| {})
        .map_err(|error| pulling(text, &error))?;
    let folder = scratch.path().join("files");
    std::fs::create_dir(&folder).map_err(failed)?;
    let mut options = ApplyOptions::new(store.overlay());
    options.diff_id = true;
    if store.user_marks {
        options.refused = Refused::LeaveOut;
    }
    let unusable = |message: String| Error::BaseImage {
        reference: text.to_owned(),
        message,
    };
    let applied = File::open(&path)
        .and_then(Decoder::new)
        .and_then(|mut tar| apply(&mut tar, &folder, &options))
        .map_err(|e| match full(&e) {
            true => failed(e),
            false => unusable(format!("layer {}: {e}", descriptor.digest)),
        })?;
    if applied.diff_id.as_ref() != Some(diff_id) {
        return Err(unusable(format!(
            "layer {} does not unpack to {diff_id}",
            descriptor.digest
        )));
    }
    if applied.opaque_root {
        return Err(unusable(format!(
            "layer {} hides all below it, which is not supported",
            descriptor.digest
        )));
    }
    let snapshot = Layer::new_snapshot();
    store.adopt(&folder, &snapshot)?;
    store.adopt_blob(&path, &descriptor.digest)?;
    store.know(&Layer {
        diff_id: diff_id.clone(),
        blob: descriptor.clone(),
        snapshot,
        size: applied.size,
    })
}
