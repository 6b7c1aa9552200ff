//! Images and their references, in the layout's index.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::super::{Error, StoredImage};
use super::{Layer, Lock, Store};
use crate::model::{Digest, ImageId, Reference};
// A name is a whole reference here.
use crate::oci::spec::{
    Descriptor, ImageConfig, Index, Manifest, PlatformFields, REF_NAME as NAME, media,
};

/// An image and its references.
pub(in super::super) type Named = (Arc<Image>, Vec<String>);

/// Images read before, by the digest of their manifest: nothing of them ever changes.
pub(super) type Known = HashMap<Digest, Arc<Image>>;

/// The index as it was read last. Every image that is built or tagged asks for it, so reading it
/// anew each time would make a fleet cost the square of its size.
#[derive(Debug)]
pub(super) struct LastIndex {
    device: u64,
    /// A change is another file under the name, and while this one is open its number is no other's.
    inode: u64,
    _file: File,
    index: Arc<Index>,
}

/// An image with all that its manifest names.
#[derive(Debug, Clone)]
pub(in super::super) struct Image {
    /// Its manifest as the index names it.
    pub(in super::super) descriptor: Descriptor,
    /// The manifest.
    pub(in super::super) manifest: Manifest,
    /// The configuration.
    pub(in super::super) config: ImageConfig,
    /// Seconds since 1970 when it came into the store.
    pub(in super::super) since: i64,
}

impl Image {
    /// The digest of its configuration, by which engines know an image.
    pub(in super::super) fn id(&self) -> ImageId {
        ImageId::new(self.manifest.config.digest.to_string())
    }
}

impl Store {
    /// The file of a blob.
    pub(in super::super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    /// Keeps bytes as a blob.
    pub(in super::super) fn put_blob(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let path = self.blob_path(&digest);
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        self.write(&path, bytes)?;
        Ok(digest)
    }

    /// Gives a file that has this digest its place among the blobs.
    pub(in super::super) fn adopt_blob(
        &self,
        file: &std::path::Path,
        digest: &Digest,
    ) -> Result<(), Error> {
        let path = self.blob_path(digest);
        std::fs::rename(file, &path).map_err(|e| self.error(&path, &e))
    }

    /// The two files that make the folder an image layout.
    pub(super) fn begin_layout(&self) -> Result<(), Error> {
        let marker = self.folder.join("oci-layout");
        if !marker.exists() {
            self.write(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        self.edit(|_| ())
    }

    fn index_path(&self) -> PathBuf {
        self.folder.join("index.json")
    }

    fn index(&self) -> Result<Arc<Index>, Error> {
        let path = self.index_path();
        let failed = |e: &std::io::Error| self.error(&path, e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Arc::new(Index::new(Vec::new())));
            }
            Err(e) => return Err(failed(&e)),
        };
        let here = file.metadata().map_err(|e| failed(&e))?;
        if let Ok(last) = self.index.lock()
            && let Some(last) = &*last
            && (last.device, last.inode) == (here.dev(), here.ino())
        {
            return Ok(last.index.clone());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        let index = Index::parse(&bytes, "the store's index").map_err(|e| broken(&e))?;
        let index = Arc::new(index);
        if let Ok(mut last) = self.index.lock() {
            *last = Some(LastIndex {
                device: here.dev(),
                inode: here.ino(),
                _file: file,
                index: index.clone(),
            });
        }
        Ok(index)
    }

    /// Changes the index, one at a time.
    fn edit(&self, change: impl FnOnce(&mut Index)) -> Result<(), Error> {
        let lock = self.folder.join("index.lock");
        let _lock = Lock::exclusive(&lock).map_err(|e| self.error(&lock, &e))?;
        let before = self.index()?;
        let mut index = Index::clone(&before);
        change(&mut index);
        if index != *before || !self.index_path().exists() {
            let bytes = index.to_bytes().map_err(|e| broken(&e))?;
            self.write(&self.index_path(), &bytes)?;
        }
        Ok(())
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Arc<Image>, Error> {
        if let Ok(known) = self.images.lock()
            && let Some(image) = known.get(&descriptor.digest)
        {
            return Ok(image.clone());
        }
        let path = self.blob_path(&descriptor.digest);
        let failed = |e: &std::io::Error| self.error(&path, e);
        let bytes = std::fs::read(&path).map_err(|e| failed(&e))?;
        let since = std::fs::metadata(&path)
            .and_then(|m| m.modified())
            .map_err(|e| failed(&e))?;
        let since = since
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let what = descriptor.digest.to_string();
        let manifest = Manifest::parse(&bytes, &what).map_err(|e| broken(&e))?;
        let path = self.blob_path(&manifest.config.digest);
        let bytes = std::fs::read(&path).map_err(|e| self.error(&path, &e))?;
        let what = manifest.config.digest.to_string();
        let config = ImageConfig::parse(&bytes, &what).map_err(|e| broken(&e))?;
        config.fits(&manifest, &what).map_err(|e| broken(&e))?;
        let mut descriptor = descriptor.clone();
        descriptor.annotations.clear();
        let image = Arc::new(Image {
            descriptor,
            manifest,
            config,
            since,
        });
        if let Ok(mut known) = self.images.lock() {
            known.insert(image.descriptor.digest.clone(), image.clone());
        }
        Ok(image)
    }

    /// Every image with its references. One that cannot be read is left out: it is rebuilt.
    pub(in super::super) fn images(&self) -> Result<Vec<Named>, Error> {
        let mut all: BTreeMap<String, Named> = BTreeMap::new();
        for descriptor in &self.index()?.manifests {
            if let Ok(image) = self.read(descriptor) {
                let id = image.id().to_string();
                let entry = all.entry(id).or_insert_with(|| (image, Vec::new()));
                entry.1.extend(descriptor.annotations.get(NAME).cloned());
            }
        }
        Ok(all.into_values().collect())
    }

    /// The same as engines tell it.
    pub(in super::super) fn stored(&self, label: &str) -> Result<Vec<StoredImage>, Error> {
        let images = self.images()?.into_iter();
        let labelled = images.filter(|(image, _)| image.config.config.labels.contains_key(label));
        Ok(labelled
            .map(|(image, names)| StoredImage {
                id: image.id(),
                references: names
                    .iter()
                    .filter_map(|n| Reference::parse(n).ok())
                    .collect(),
                labels: image.config.config.labels.clone(),
                created: image.since,
                size: self.size(&image),
            })
            .collect())
    }

    fn size(&self, image: &Image) -> u64 {
        let layers = image.config.rootfs.diff_ids.iter();
        layers
            .filter_map(|id| self.layer(id))
            .map(|layer| layer.size)
            .sum()
    }

    /// The image with a reference.
    pub(in super::super) fn named(&self, reference: &str) -> Result<Option<Arc<Image>>, Error> {
        let index = self.index()?;
        let found = index.manifests.iter().find(|d| {
            d.annotations
                .get(NAME)
                .is_some_and(|name| name == reference)
        });
        found.map(|descriptor| self.read(descriptor)).transpose()
    }

    /// The image with an id.
    pub(in super::super) fn image(&self, id: &ImageId) -> Result<Option<Arc<Image>>, Error> {
        let found = self
            .images()?
            .into_iter()
            .find(|(image, _)| image.id() == *id);
        Ok(found.map(|(image, _)| image))
    }

    /// The layers of an image, lowest first; nothing if one of them is not here.
    pub(in super::super) fn layers_of(&self, image: &Image) -> Option<Vec<Layer>> {
        image
            .config
            .rootfs
            .diff_ids
            .iter()
            .map(|id| self.layer(id))
            .collect()
    }

    /// Keeps an image under a reference, in the place of the one that had it.
    pub(in super::super) fn put_image(
        &self,
        config: &ImageConfig,
        layers: &[Layer],
        reference: &str,
    ) -> Result<ImageId, Error> {
        let bytes = config.to_bytes().map_err(|e| broken(&e))?;
        let digest = self.put_blob(&bytes)?;
        let config_blob = Descriptor::new(media::CONFIG, digest, bytes.len() as u64);
        let blobs = layers.iter().map(|layer| layer.blob.clone()).collect();
        let bytes = Manifest::new(config_blob, blobs)
            .to_bytes()
            .map_err(|e| broken(&e))?;
        self.put_manifest(&bytes, media::MANIFEST, config, reference)
    }

    /// The same for a manifest whose blobs are all here.
    pub(in super::super) fn put_manifest(
        &self,
        bytes: &[u8],
        media_type: &str,
        config: &ImageConfig,
        reference: &str,
    ) -> Result<ImageId, Error> {
        let digest = self.put_blob(bytes)?;
        let mut descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        descriptor.platform = Some(PlatformFields {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        });
        let image = self.read(&descriptor)?;
        self.name(&descriptor, reference)?;
        Ok(image.id())
    }

    fn name(&self, descriptor: &Descriptor, reference: &str) -> Result<(), Error> {
        let mut descriptor = descriptor.clone();
        descriptor
            .annotations
            .insert(NAME.to_owned(), reference.to_owned());
        self.edit(|index| {
            forget(index, reference);
            index.manifests.push(descriptor);
            index
                .manifests
                .sort_by(|a, b| a.annotations.get(NAME).cmp(&b.annotations.get(NAME)));
        })
    }

    /// Gives an image one more reference.
    pub(in super::super) fn tag(&self, id: &ImageId, reference: &Reference) -> Result<(), Error> {
        let missing = || Error::NoSuchImage {
            reference: id.to_string(),
        };
        let image = self.image(id)?.ok_or_else(missing)?;
        self.name(&image.descriptor, &reference.to_string())
    }

    /// Takes a reference away.
    pub(in super::super) fn untag(&self, reference: &Reference) -> Result<(), Error> {
        self.edit(|index| forget(index, &reference.to_string()))
    }
}

/// Takes a name from the image that has it.
fn forget(index: &mut Index, reference: &str) {
    index
        .manifests
        .retain(|d| d.annotations.get(NAME).is_none_or(|name| name != reference));
}

fn broken(error: &crate::oci::Error) -> Error {
    Error::Engine {
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_changes_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(), ()].map(|()| Store::open(folder.path(), false).unwrap());
        let config = ImageConfig::new("amd64");
        for (store, name) in [(&ours, "a:1"), (&theirs, "b:1"), (&ours, "c:1")] {
            store.put_image(&config, &[], name).unwrap();
        }
        let held = |store: &Store, name: &str| store.named(name).unwrap().is_some();
        for store in [&ours, &theirs] {
            assert!(["a:1", "b:1", "c:1"].iter().all(|name| held(store, name)));
        }
        theirs
            .untag(&Reference::parse("example.org/a:1").unwrap())
            .unwrap();
        assert!(held(&ours, "a:1"));
        let name = theirs.index().unwrap().manifests[0].annotations[NAME].clone();
        theirs.untag(&Reference::parse(&name).unwrap()).unwrap();
        assert!(!held(&ours, &name));
    }
}
