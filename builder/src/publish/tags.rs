//! Looking at what tags stand for, and moving them.

use crate::model::{Digest, Reference};
use crate::oci::spec;
use crate::registry::{Blob, Client, Error, Repository, each};

/// What each of these references stands for now; none where there is no such tag.
///
/// # Errors
/// The registry's.
pub fn current(client: &Client, references: &[Reference]) -> Result<Vec<Option<Digest>>, Error> {
    each(references, |reference| client.resolve(reference))
}

/// What is not in the registry of all that these images, named by digest, consist of; and the bytes of
/// each, as they are sent. Everything is asked for in the image's own repository.
///
/// # Errors
/// The registry's, but for not found.
pub fn missing(client: &Client, images: &[Reference]) -> Result<(Vec<String>, Vec<u64>), Error> {
    let checked = each(images, |image| {
        let manifest = match client.manifest(image) {
            Ok(manifest) => manifest,
            Err(Error::NotFound { .. }) => return Ok((vec![image.to_string()], 0)),
            Err(error) => return Err(error),
        };
        let repository = Repository::of(image);
        let read = spec::Manifest::parse(&manifest.bytes, &image.to_string());
        let read = read.map_err(|error| Error::corrupt(&repository, error.to_string()))?;
        let mut gone = Vec::new();
        let mut size = 0_u64;
        for blob in read.blobs().map(Blob::from) {
            size = size.saturating_add(blob.size);
            if !client.has_blob(&repository, &blob.digest)? {
                gone.push(format!("blob {} of {image}", blob.digest));
            }
        }
        Ok((gone, size))
    })?;
    let (gone, sizes): (Vec<_>, Vec<_>) = checked.into_iter().unzip();
    Ok((gone.into_iter().flatten().collect(), sizes))
}

/// A tag and what it is to stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The tag.
    pub reference: Reference,
    /// A manifest of the same repository; none takes the tag away.
    pub to: Option<Digest>,
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It stands for what it should.
    Done,
    /// The registry takes no tags away: it stands for what it did.
    Kept,
}

/// Moves tags, many at once. Repeating it changes nothing.
///
/// # Errors
/// One of the failures; others may have been moved then.
pub fn move_tags(client: &Client, moves: &[Move]) -> Result<Vec<Moved>, Error> {
    each(moves, |one| {
        let Some(digest) = &one.to else {
            return match client.delete(&one.reference) {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(Moved::Done),
                Err(Error::Refused { .. }) => Ok(Moved::Kept),
                Err(error) => Err(error),
            };
        };
        let manifest = client.manifest(&one.reference.at_digest(digest.clone()))?;
        client.tag(&one.reference, &manifest)?;
        Ok(Moved::Done)
    })
}
