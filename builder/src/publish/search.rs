use std::collections::BTreeMap;

use crate::model::{Digest, Place, Platform, Reference, Tag};
use crate::oci::spec::{ImageConfig, Index, MAX_CONFIG, Manifest, media};
use crate::registry::{Blob, Client, Error, Repository, each};

/// A published image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Its name in the namespace.
    pub image: String,
    /// All its tags, by name.
    pub tags: Vec<Tag>,
    /// The digest that the tags stand for.
    pub digest: Digest,
    /// Bytes of its layers and its configuration, as they are sent.
    pub size: u64,
    /// When it was made, as its configuration has it, RFC 3339.
    pub created: Option<String>,
    /// The labels of its configuration.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

/// The images of a namespace, by name. Of an image for several platforms, size and labels are those of
/// `platform`, or of the first where it has none for that; artifacts that are no images are left out.
///
/// # Errors
/// Where the registry does not list its repositories, or fails in between. What goes away meanwhile is
/// left out.
pub fn search(client: &Client, place: &Place, platform: &Platform) -> Result<Vec<Found>, Error> {
    let at = |name: &str| place.path(name).ok();
    let Some(any) = at("any") else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}/", place.namespace);
    let repositories = client.repositories(&Repository::of(&any))?;
    let names = repositories
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix));
    let mut names: Vec<&str> = names.filter(|name| !name.contains('/')).collect();
    names.sort_unstable();
    names.dedup();
    let tags = each(&names, |name| {
        let Some(reference) = at(name) else {
            return Ok(Vec::new());
        };
        let tags = there(client.tags(&Repository::of(&reference)))?.unwrap_or_default();
        let tags = tags.iter().filter_map(|tag| Tag::new(tag.as_str()).ok());
        Ok(tags.collect::<Vec<_>>())
    })?;
    let tagged: Vec<(&str, Tag)> = names
        .iter()
        .zip(tags)
        .flat_map(|(name, tags)| tags.into_iter().map(move |tag| (*name, tag)))
        .collect();
    let digests = each(&tagged, |(name, tag)| {
        let reference = at(&format!("{name}:{tag}"));
        reference.map_or(Ok(None), |reference| client.resolve(&reference))
    })?;
    let mut images: BTreeMap<(&str, Digest), Vec<Tag>> = BTreeMap::new();
    for ((name, tag), digest) in tagged.iter().zip(digests) {
        if let Some(digest) = digest {
            images.entry((*name, digest)).or_default().push(tag.clone());
        }
    }
    let images: Vec<_> = images.into_iter().collect();
    let found = each(&images, |((name, digest), tags)| {
        let reference = at(name);
        let Some(reference) = reference.map(|r| r.at_digest(digest.clone())) else {
            return Ok(None);
        };
        let Some((manifest, config)) = image(client, &reference, platform)? else {
            return Ok(None);
        };
        let layers: u64 = manifest
            .layers
            .iter()
            .map(|layer| layer.size)
            .fold(0, u64::saturating_add);
        let mut tags = tags.clone();
        tags.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Ok(Some(Found {
            image: (*name).to_owned(),
            tags,
            digest: digest.clone(),
            size: layers.saturating_add(manifest.config.size),
            created: config.created,
            labels: config.config.labels,
        }))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// The manifest of an image for a platform and its configuration; none where it is no image.
fn image(
    client: &Client,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<(Manifest, ImageConfig)>, Error> {
    let Some(mut fetched) = there(client.manifest(reference))? else {
        return Ok(None);
    };
    if media::is_index(&fetched.media_type) {
        let Ok(index) = Index::parse(&fetched.bytes, "the index") else {
            return Ok(None);
        };
        let one = index.find(platform).or(index.manifests.first());
        let Some(one) = one.map(|one| reference.at_digest(one.digest.clone())) else {
            return Ok(None);
        };
        match there(client.manifest(&one))? {
            Some(manifest) => fetched = manifest,
            None => return Ok(None),
        }
    }
    let Ok(manifest) = Manifest::parse(&fetched.bytes, "the manifest") else {
        return Ok(None);
    };
    if !media::is_config(&manifest.config.media_type) || manifest.config.size > MAX_CONFIG as u64 {
        return Ok(None);
    }
    let blob = Blob {
        digest: manifest.config.digest.clone(),
        size: manifest.config.size,
    };
    let mut bytes = Vec::new();
    let repository = Repository::of(reference);
    if there(client.blob(&repository, &blob, &mut bytes, &|_, _| {}))?.is_none() {
        return Ok(None);
    }
    let config = ImageConfig::parse(&bytes, "the configuration").ok();
    Ok(config.map(|config| (manifest, config)))
}

/// None in place of what is not there.
fn there<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
