//! Folders that are OCI image layouts (image-spec, `image-layout.md`).
//!
//! A blob appears under its name only when it is whole: it is written beside, and renamed. Nothing
//! is synced to disk; what a machine that lost power left behind is found by its size or digest.
//! Who writes the index holds a lock on the folder.

mod files;
mod incoming;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::hash::Hashing;
use super::spec::{
    Descriptor, ImageConfig, Index, MAX_CONFIG, MAX_MANIFEST, Manifest, PlatformFields, REF_NAME,
    media,
};
use super::{Error, spec};
use crate::model::Digest;

pub(super) use files::{open_regular, read_bounded};
pub use incoming::Incoming;

/// The file that tells a layout from another folder.
pub(super) const MARK: &str = "oci-layout";
/// The file that lists the images.
pub(super) const INDEX: &str = "index.json";
/// The folder of the blobs, and that of the only algorithm.
pub(super) const BLOBS: [&str; 2] = ["blobs", "sha256"];
/// The version of the format.
const VERSION: &str = "1.0.0";

/// Where blobs come from. What it gives is hostile until its digest has been checked.
pub trait BlobSource {
    /// Opens a blob from its beginning; each call anew.
    ///
    /// # Errors
    /// When there is no such blob, or it cannot be read.
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send + '_>, Error>;
}

/// One folder.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    image_layout_version: String,
}

impl Layout {
    /// Makes a folder a layout without images; what is one already stays as it is.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let layout = Self { root: root.into() };
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(Error::io(&blobs))?;
        let lock = layout.lock()?;
        if !layout.root.join(INDEX).exists() {
            layout.write(INDEX, &Index::new(Vec::new()).to_bytes()?)?;
        }
        if !layout.root.join(MARK).exists() {
            let version = format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}");
            layout.write(MARK, version.as_bytes())?;
        }
        drop(lock);
        Self::open(layout.root)
    }

    /// A folder that is a layout.
    ///
    /// # Errors
    /// When it is none, or one of another version.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let path = root.join(MARK);
        let bytes = read_bounded(&path, 4096)?;
        let mark: Mark = serde_json::from_slice(&bytes)
            .map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))?;
        if mark.image_layout_version != VERSION {
            let found: String = mark.image_layout_version.chars().take(40).collect();
            return Err(Error::invalid(
                path.display().to_string(),
                format!(
                    "version {VERSION} was expected, and `{}` found",
                    found.escape_debug()
                ),
            ));
        }
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn blobs(&self) -> PathBuf {
        self.root.join(BLOBS[0]).join(BLOBS[1])
    }

    /// Whether a blob is there, in its full size.
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        fs::symlink_metadata(self.blob_path(&descriptor.digest))
            .is_ok_and(|found| found.is_file() && found.len() == descriptor.size)
    }

    /// Opens a blob; its content is not checked.
    ///
    /// # Errors
    /// When it is missing, or no plain file.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        match open_regular(&self.blob_path(digest)) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::Missing {
                    path: self.root.clone(),
                    digest: digest.clone(),
                })
            }
            other => other,
        }
    }

    /// Begins a blob whose digest is known at its end.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin(&self) -> Result<Incoming, Error> {
        Incoming::new(&self.blobs())
    }

    /// Stores a document.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, bytes);
        self.take(&descriptor, &mut &*bytes)?;
        Ok(descriptor)
    }

    /// Stores a blob from a stream, unless it is there; it has to be what the descriptor says.
    ///
    /// # Errors
    /// When it is another, and those of the stream and the file system.
    pub fn take(&self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<(), Error> {
        if self.has(descriptor) {
            return Ok(());
        }
        let incoming = self.begin()?;
        let mut file = incoming.file()?;
        copy_checked(descriptor, content, &mut file).map_err(|error| match error {
            Error::Io { source, .. } => Error::io(self.blob_path(&descriptor.digest))(source),
            other => other,
        })?;
        incoming.finish(&descriptor.digest)
    }

    /// The index.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn index(&self) -> Result<Index, Error> {
        let path = self.root.join(INDEX);
        Index::parse(
            &read_bounded(&path, MAX_MANIFEST)?,
            &path.display().to_string(),
        )
    }

    /// Changes the index while nobody else does.
    ///
    /// # Errors
    /// Those of the file system, and of an index that is none.
    pub fn update(&self, change: impl FnOnce(&mut Index)) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut index = self.index()?;
        change(&mut index);
        self.write(INDEX, &index.to_bytes()?)?;
        drop(lock);
        Ok(())
    }

    /// The image of a name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Descriptor>, Error> {
        let named = |d: &Descriptor| d.annotations.get(REF_NAME).is_some_and(|n| n == name);
        Ok(self.index()?.manifests.into_iter().find(named))
    }

    /// Adds an image under a name, with the blobs that are not here yet. An image that had the name
    /// loses it; its blobs stay. The manifest is stored as the bytes given.
    ///
    /// # Errors
    /// When the name is none (image-spec, `annotations.md`), when the manifest, its configuration
    /// and layers do not fit each other, and those of the source and the file system.
    pub fn add_image(
        &self,
        name: &str,
        manifest: &[u8],
        source: &dyn BlobSource,
    ) -> Result<Descriptor, Error> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b"-._:@/+".contains(&b);
        if name.is_empty() || name.len() > 512 || !name.bytes().all(word) {
            return Err(Error::invalid(
                format!("the name `{}`", name.escape_debug()),
                "letters, digits and any of `-._:@/+` were expected",
            ));
        }
        let what = format!("the manifest of {name}");
        let parsed = Manifest::parse(manifest, &what)?;
        let config = read_config(source, &parsed, &what)?;
        for blob in parsed.layers.iter().chain([&parsed.config]) {
            if !self.has(blob) {
                self.take(blob, &mut source.open(&blob.digest)?)?;
            }
        }
        let mut entry = self.put(parsed.kind(), manifest)?;
        entry
            .annotations
            .insert(REF_NAME.to_owned(), name.to_owned());
        entry.platform = Some(PlatformFields {
            architecture: config.architecture,
            os: config.os,
            variant: config.variant,
        });
        let listed = entry.clone();
        self.update(|index| {
            let others = |d: &Descriptor| d.annotations.get(REF_NAME).is_none_or(|n| n != name);
            index.manifests.retain(others);
            index.manifests.push(listed);
            // The order in which images were added would show.
            let key = |d: &Descriptor| (d.annotations.get(REF_NAME).cloned(), d.digest.clone());
            index.manifests.sort_by_key(key);
        })?;
        Ok(entry)
    }

    /// A lock on the folder itself, held until the file is closed.
    fn lock(&self) -> Result<File, Error> {
        let folder = File::open(&self.root).map_err(Error::io(&self.root))?;
        folder.lock().map_err(Error::io(&self.root))?;
        Ok(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        files::replace(&self.root, name, bytes)
    }
}

impl BlobSource for Layout {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send + '_>, Error> {
        Ok(Box::new(self.open_blob(digest)?))
    }
}

/// Reads a document whole, and makes sure that it is the one that the descriptor names.
///
/// # Errors
/// When it is larger than `limit` bytes or another, and those of the source.
pub fn read_document(
    source: &dyn BlobSource,
    descriptor: &Descriptor,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    if descriptor.size > limit as u64 {
        return Err(Error::invalid(
            format!("blob {}", descriptor.digest),
            format!(
                "it has {} bytes, and at most {limit} are read",
                descriptor.size
            ),
        ));
    }
    let mut bytes = Vec::new();
    copy_checked(
        descriptor,
        &mut source.open(&descriptor.digest)?,
        &mut bytes,
    )?;
    Ok(bytes)
}

/// The configuration of a manifest, checked against it.
///
/// # Errors
/// Those of [`read_document`], and when it is of another kind or does not fit.
pub fn read_config(
    source: &dyn BlobSource,
    manifest: &Manifest,
    what: &str,
) -> Result<ImageConfig, Error> {
    config_document(source, manifest, what).map(|(config, _)| config)
}

/// The same, with the bytes.
pub(super) fn config_document(
    source: &dyn BlobSource,
    manifest: &Manifest,
    what: &str,
) -> Result<(ImageConfig, Vec<u8>), Error> {
    let media_type = &manifest.config.media_type;
    if !spec::media::is_config(media_type) {
        let found: String = media_type.chars().take(120).collect();
        return Err(Error::invalid(
            what,
            format!(
                "a configuration of type `{}` was expected, and `{}` found",
                media::CONFIG,
                found.escape_debug()
            ),
        ));
    }
    let bytes = read_document(source, &manifest.config, MAX_CONFIG)?;
    let config = ImageConfig::parse(&bytes, &format!("configuration {}", manifest.config.digest))?;
    config.fits(manifest, what)?;
    Ok((config, bytes))
}

/// Copies exactly what a descriptor names.
pub(super) fn copy_checked(
    descriptor: &Descriptor,
    content: &mut dyn Read,
    out: &mut dyn std::io::Write,
) -> Result<(), Error> {
    let what = format!("blob {}", descriptor.digest);
    let mut reader = Hashing::new(content.take(descriptor.size.saturating_add(1)));
    let io = Error::io(descriptor.digest.to_string());
    std::io::copy(&mut reader, out).map_err(io)?;
    let (_, found, count) = reader.finish();
    if count != descriptor.size {
        let more = if count > descriptor.size {
            "more"
        } else {
            "fewer"
        };
        return Err(Error::invalid(
            what,
            format!("{} bytes were expected, and {more} found", descriptor.size),
        ));
    }
    if found != descriptor.digest {
        return Err(Error::Digest {
            what,
            expected: descriptor.digest.clone(),
            found,
        });
    }
    Ok(())
}
