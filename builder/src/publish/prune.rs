//! What a namespace need not keep: images that no kept release and no person's tag names.

use std::collections::{BTreeMap, BTreeSet};

use super::Releases;
use super::keep::problem;
use crate::model::{Diagnostic, Digest, Reference, Tag};
use crate::registry::{Error, Repository, each};

/// What is to go: nobody who pulls by a tag misses any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Releases that are not kept, by id.
    pub releases: Vec<String>,
    /// Manifests, by digest, the signatures and statements of each before it.
    pub manifests: Vec<Reference>,
}

impl Releases<'_> {
    /// Finds what goes when the newest `keep` releases stay, and the current one. Looked at are the images
    /// of all releases.
    ///
    /// # Errors
    /// The registry's; and of a release that cannot be read, since what it names is not known.
    pub fn surplus(&self, keep: usize) -> Result<Surplus, Diagnostic> {
        let (all, current) = self.list()?;
        let old = all.len().saturating_sub(keep);
        let mut kept: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
        let mut surplus = Surplus::default();
        for (at, listing) in all.iter().enumerate() {
            let stays = at >= old || current.as_ref() == Some(&listing.id);
            if !stays {
                surplus.releases.push(listing.id.clone());
            }
            for (image, released) in self.read(&listing.id)?.images {
                let digests = kept.entry(image).or_default();
                if stays {
                    digests.insert(released.digest);
                }
            }
        }
        let images: Vec<(String, BTreeSet<Digest>)> = kept.into_iter().collect();
        let found = each(&images, |(image, kept)| {
            self.surplus_of(image, kept.clone())
        });
        let found = found.map_err(|error| problem(&error))?;
        surplus.manifests = found.into_iter().flatten().collect();
        Ok(surplus)
    }

    fn surplus_of(&self, image: &str, mut kept: BTreeSet<Digest>) -> Result<Vec<Reference>, Error> {
        let Ok(repository) = self.place.path(image) else {
            return Ok(Vec::new());
        };
        let client = self.pusher.client();
        let tags = match client.tags(&Repository::of(&repository)) {
            Ok(tags) => tags,
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut by_fingerprint = BTreeSet::new();
        let mut attached: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        for tag in tags.iter().filter_map(|tag| Tag::new(tag.as_str()).ok()) {
            let Some(digest) = client.resolve(&repository.at_tag(tag.clone()))? else {
                continue;
            };
            // `sha256-HEX`, `sha256-HEX.sig`, `sha256-HEX.att` belong to the manifest with that digest.
            match tag.as_str().strip_prefix("sha256-") {
                Some(rest) => {
                    let hex = rest.split('.').next().unwrap_or_default();
                    attached.entry(hex.to_owned()).or_default().push(digest);
                }
                None if tag.is_of_fingerprint() => drop(by_fingerprint.insert(digest)),
                None => drop(kept.insert(digest)),
            }
        }
        let gone = by_fingerprint.into_iter().filter(|d| !kept.contains(d));
        let with_attached = gone.flat_map(|digest| {
            let mut all = attached.remove(&digest.hex()).unwrap_or_default();
            all.push(digest);
            all
        });
        Ok(with_attached
            .map(|digest| repository.at_digest(digest))
            .collect())
    }

    /// Takes it away. What is gone already is as good.
    ///
    /// # Errors
    /// The registry's; some of it may be gone then.
    pub fn remove(&self, surplus: &Surplus) -> Result<(), Diagnostic> {
        let mut manifests = surplus.manifests.clone();
        for id in &surplus.releases {
            let reference = self.at(id)?;
            let found = self.client().resolve(&reference);
            let digest = found.map_err(|error| problem(&error))?;
            manifests.extend(digest.map(|digest| reference.at_digest(digest)));
        }
        // One after the other: the statements of a manifest go before it.
        for manifest in &manifests {
            match self.client().delete(manifest) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error @ Error::Refused { .. }) => {
                    return Err(problem(&error)
                        .hint("this registry takes no images away: see its own documentation; for docker-registry, `storage: {delete: {enabled: true}}`"));
                }
                Err(error) => return Err(problem(&error)),
            }
        }
        Ok(())
    }
}
