//! What refers to a manifest (OCI distribution specification 1.1, "Listing Referrers").

use std::io::Read;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};

use super::auth::Scope;
use super::exchange::{Call, Target};
use super::media;
use super::retry::retrying;
use super::wire::Payload;
use super::{Client, Error, Repository};
use crate::model::{Digest, Reference, Tag};
use crate::oci::spec::{Descriptor, Index, MAX_MANIFEST};

impl Client {
    /// The manifests that refer to one in the repository of `reference`: as the registry lists them,
    /// else as the index lists them that clients keep for registries that do not ("Referrers Tag
    /// Schema"). Of a long list the registry's first page.
    ///
    /// # Errors
    /// Corrupt where the list cannot be read; the registry's, but for not found.
    pub fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let listed = match self.listed_referrers(&Repository::of(reference), subject)? {
            Some(listed) => Some(listed),
            None => self.kept_referrers(reference, subject)?,
        };
        Ok(listed.map(|index| index.manifests).unwrap_or_default())
    }

    /// Sees to it that manifests which were pushed with a `subject` are among its referrers, and those
    /// that they took the place of are not. A registry that lists referrers does so by itself.
    ///
    /// # Errors
    /// As [`Client::referrers`]; the registry's on pushing.
    pub fn add_referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
        added: &[Descriptor],
        replaced: &[Digest],
    ) -> Result<(), Error> {
        let repository = Repository::of(reference);
        if self.listed_referrers(&repository, subject)?.is_some() {
            return Ok(());
        }
        let before = self.kept_referrers(reference, subject)?;
        let before = before.unwrap_or_else(|| Index::new(Vec::new()));
        let mut index = before.clone();
        index.manifests.retain(|listed| {
            let anew = added
                .iter()
                .any(|a| a.digest == listed.digest && a != listed);
            !anew && !replaced.contains(&listed.digest)
        });
        for descriptor in added {
            if !index.manifests.contains(descriptor) {
                index.manifests.push(descriptor.clone());
            }
        }
        if index == before {
            return Ok(());
        }
        let bytes = index
            .to_bytes()
            .map_err(|error| corrupt(&repository, &error))?;
        self.put_manifest(&repository, &tag_text(subject), media::INDEX, &bytes)
    }

    /// The registry's own list; none where it keeps none.
    fn listed_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Index>, Error> {
        let path = format!("referrers/{subject}");
        retrying(&self.shared.options, || {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(media::INDEX));
            let call = Call {
                repository,
                scopes: &[Scope::Pull(repository)],
                method: Method::GET,
                target: Target::Path(&path),
                headers,
                payload: Payload::None,
                commits: false,
                what: &format!("referrers of {subject}"),
            };
            let answer = self.exchange(&call)?;
            match answer.status() {
                200 => {}
                // Registries that know of no such request say so in several ways.
                400 | 404 | 405 | 501 => return Ok(None),
                _ => return Err(self.failure(&call, answer)),
            }
            let url = answer.url;
            let mut bytes = Vec::new();
            let body = answer.response.into_body().into_reader();
            body.take(MAX_MANIFEST as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| self.broken(repository, &url, error))?;
            let index = Index::parse(&bytes, "the list of referrers");
            let index = index.map_err(|error| corrupt(repository, &error))?;
            Ok(Some(index))
        })
    }

    /// The index that clients keep; none where there is none yet.
    fn kept_referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Option<Index>, Error> {
        let repository = Repository::of(reference);
        let tag = Tag::new(tag_text(subject));
        let tag = tag.map_err(|_| Error::protocol(&repository, 0, "the tag is not valid"))?;
        let found = match self.manifest(&reference.at_tag(tag)) {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = Index::parse(&found.bytes, "the index of referrers");
        index
            .map(Some)
            .map_err(|error| corrupt(&repository, &error))
    }
}

/// The tag of the index that clients keep.
fn tag_text(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

fn corrupt(repository: &Repository, error: &crate::oci::Error) -> Error {
    Error::corrupt(repository, error.to_string())
}
