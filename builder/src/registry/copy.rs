use std::io::{self, Read, Write as _};

use super::push::{Image, Pusher};
use super::upload::{Blob, Content};
use super::{Client, Error, Manifest, Repository};
use crate::model::{Digest, Reference, Tag};
use crate::oci::spec;

impl Pusher {
    /// Brings an image from one repository to another, under tags there: blobs are mounted within a
    /// registry, and go through this machine from one registry to another.
    ///
    /// # Errors
    /// The first failure; corrupt where what is there is no image.
    pub fn copy(
        &self,
        from: &Reference,
        to: &Repository,
        tags: &[Tag],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Digest, Error> {
        let client = self.client();
        let source = Repository::of(from);
        let Manifest {
            bytes, media_type, ..
        } = client.manifest(from)?;
        let manifest = spec::Manifest::parse(&bytes, &from.to_string())
            .map_err(|problem| Error::corrupt(&source, problem.to_string()))?;
        let blobs: Vec<Blob> = manifest.blobs().map(Blob::from).collect();
        for blob in &blobs {
            self.has(&source, &blob.digest);
        }
        let image = Image {
            repository: to,
            manifest: &bytes,
            media_type: &media_type,
            blobs: &blobs,
            tags,
        };
        let content = Remote {
            client,
            repository: &source,
            blobs: &blobs,
        };
        self.push(&image, &content, progress)
    }
}

/// The blobs of an image in another registry.
struct Remote<'a> {
    client: &'a Client,
    repository: &'a Repository,
    blobs: &'a [Blob],
}

impl Content for Remote<'_> {
    /// By way of a file without a name: the registry that gives may be cut at other places than the
    /// one that takes.
    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        use std::io::Seek as _;
        let blob = self.blobs.iter().find(|blob| blob.digest == *digest);
        let blob = blob.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut file = tempfile::tempfile()?;
        self.client
            .blob(self.repository, blob, &mut file, &|_, _| {})
            .map_err(io::Error::other)?;
        file.flush()?;
        file.seek(io::SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}
