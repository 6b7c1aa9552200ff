use std::io::Read;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};

use super::auth::Scope;
use super::exchange::{Answer, Call, Target};
use super::media;
use super::retry::retrying;
use super::shared::plain;
use super::wire::Payload;
use super::{Client, Error, Repository};
use crate::model::{Digest, Reference};

/// The largest manifest taken, in bytes: what the distribution specification asks registries to take.
const MAX_MANIFEST: u64 = 4 << 20;

/// The header by which a registry says a digest.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A manifest or an index as a registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// One of [`media`].
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
    /// At most 4 MiB.
    pub bytes: Vec<u8>,
}

impl Client {
    /// Fetches the manifest or the index of a reference: by its digest where it has one, else by its
    /// tag, else by `latest`. Which of an index's manifests is meant is the caller's choice.
    ///
    /// # Errors
    /// Not found; corrupt where it is not what the digest says; refused where it is of no known kind.
    pub fn manifest(&self, reference: &Reference) -> Result<Manifest, Error> {
        let repository = Repository::of(reference);
        retrying(&self.shared.options, || {
            let scope = Scope::Pull(&repository);
            let answer = self.ask_manifest(scope, &name(reference), Method::GET)?;
            self.read_manifest(&repository, reference, answer)
        })
    }

    /// The digest of what a reference stands for, without fetching it; none where the registry has
    /// no such thing.
    ///
    /// # Errors
    /// All but not found.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let repository = Repository::of(reference);
        let asked = retrying(&self.shared.options, || {
            self.ask_manifest(Scope::Pull(&repository), &name(reference), Method::HEAD)
        });
        let answer = match asked {
            Ok(answer) => answer,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(digest) = reference.digest() {
            return Ok(Some(digest.clone()));
        }
        match answer.header(CONTENT_DIGEST).map(Digest::parse) {
            Some(Ok(digest)) => Ok(Some(digest)),
            // The header is optional.
            _ => match self.manifest(reference) {
                Ok(manifest) => Ok(Some(manifest.digest)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether a repository that is pushed to has this manifest.
    pub(super) fn has_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let asked = retrying(&self.shared.options, || {
            self.ask_manifest(Scope::Push(repository), &digest.to_string(), Method::HEAD)
        });
        match asked {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ask_manifest(&self, scope: Scope<'_>, name: &str, method: Method) -> Result<Answer, Error> {
        let repository = scope.repository();
        let path = format!("manifests/{name}");
        let mut headers = HeaderMap::new();
        for media_type in media::MANIFESTS {
            headers.append(ACCEPT, HeaderValue::from_static(media_type));
        }
        let call = Call {
            repository,
            scopes: &[scope],
            method,
            target: Target::Path(&path),
            headers,
            payload: Payload::None,
            commits: false,
            what: &format!("manifest {name}"),
        };
        let answer = self.exchange(&call)?;
        match answer.status() {
            200 => Ok(answer),
            _ => Err(self.failure(&call, answer)),
        }
    }

    fn read_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        answer: Answer,
    ) -> Result<Manifest, Error> {
        let corrupt = |message: String| Err(Error::corrupt(repository, message));
        let name = name(reference);
        let length = answer.header(CONTENT_LENGTH).and_then(|l| l.parse().ok());
        let header = answer.header(CONTENT_TYPE).unwrap_or_default();
        let header = header.split(';').next().unwrap_or_default().trim();
        let header = header.to_ascii_lowercase();
        let promised = answer
            .header(CONTENT_DIGEST)
            .and_then(|digest| Digest::parse(digest).ok());
        let too_large = format!("manifest {name} is larger than {MAX_MANIFEST} bytes");
        if length.is_some_and(|length: u64| length > MAX_MANIFEST) {
            return corrupt(too_large);
        }
        let url = answer.url;
        let mut bytes = Vec::new();
        answer
            .response
            .into_body()
            .into_reader()
            .take(MAX_MANIFEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.broken(repository, &url, error))?;
        if bytes.len() as u64 > MAX_MANIFEST {
            return corrupt(too_large);
        }
        let digest = Digest::of(&bytes);
        if let Some(expected) = reference.digest().or(promised.as_ref())
            && *expected != digest
        {
            return corrupt(format!(
                "manifest {name} is not what it should be: expected {expected}, found {digest}"
            ));
        }
        let media_type = match media_type(&header, &bytes) {
            Ok(media_type) => media_type,
            Err(reason) => return corrupt(format!("manifest {name} cannot be used: {reason}")),
        };
        Ok(Manifest {
            media_type: media_type.to_owned(),
            digest,
            bytes,
        })
    }

    /// Gives a manifest of a repository a tag there, or its digest where `reference` has no tag.
    ///
    /// # Errors
    /// As the registry's; refused where it does not hold all that the manifest names.
    pub fn tag(&self, reference: &Reference, manifest: &Manifest) -> Result<(), Error> {
        let name = reference
            .tag()
            .map_or_else(|| manifest.digest.to_string(), ToString::to_string);
        self.put_manifest(
            &Repository::of(reference),
            &name,
            &manifest.media_type,
            &manifest.bytes,
        )
    }

    /// Takes away a tag, or with a digest a manifest and all its tags (OCI distribution specification
    /// 1.1, "Content Management").
    ///
    /// # Errors
    /// Not found; refused by registries that take nothing away.
    pub fn delete(&self, reference: &Reference) -> Result<(), Error> {
        let repository = Repository::of(reference);
        let name = name(reference);
        let path = format!("manifests/{name}");
        retrying(&self.shared.options, || {
            let call = Call {
                repository: &repository,
                scopes: &[Scope::Delete(&repository)],
                method: Method::DELETE,
                target: Target::Path(&path),
                headers: HeaderMap::new(),
                payload: Payload::None,
                commits: false,
                what: &format!("manifest {name}"),
            };
            let answer = self.exchange(&call)?;
            match answer.status() {
                200..300 => Ok(()),
                _ => Err(self.failure(&call, answer)),
            }
        })
    }

    /// Writes a manifest under a digest or a tag.
    pub(super) fn put_manifest(
        &self,
        repository: &Repository,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let content_type = HeaderValue::try_from(media_type)
            .map_err(|_| Error::protocol(repository, 0, "the media type is not valid"))?;
        let digest = Digest::of(bytes);
        let path = format!("manifests/{name}");
        retrying(&self.shared.options, || {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.clone());
            let call = Call {
                repository,
                scopes: &[Scope::Push(repository)],
                method: Method::PUT,
                target: Target::Path(&path),
                headers,
                payload: Payload::Bytes(bytes),
                commits: true,
                what: &format!("manifest {name}"),
            };
            let answer = self.exchange(&call)?;
            if !(200..300).contains(&answer.status()) {
                return Err(self.failure(&call, answer));
            }
            match answer.header(CONTENT_DIGEST).map(Digest::parse) {
                Some(Ok(found)) if found != digest => Err(Error::corrupt(
                    repository,
                    format!("the registry took manifest {name} as {found}, and {digest} was sent"),
                )),
                _ => Ok(()),
            }
        })
    }
}

/// What the protocol calls a reference.
fn name(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_string(),
        (None, None) => "latest".to_owned(),
    }
}

/// The kind of a manifest. Header and text must agree, since one who reads it as something else
/// would find another image in it (OCI image specification 1.1, "Properties" of `mediaType`).
fn media_type(header: &str, bytes: &[u8]) -> Result<&'static str, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Text {
        schema_version: Option<u64>,
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
    }
    let text: Text =
        serde_json::from_slice(bytes).map_err(|error| plain(&format!("not JSON: {error}")))?;
    let known = |name: &str| media::MANIFESTS.into_iter().find(|known| *known == name);
    let kind = match (known(header), &text.media_type) {
        (Some(kind), None) => kind,
        (Some(kind), Some(own)) if own == kind => kind,
        (Some(kind), Some(own)) => {
            return Err(format!(
                "it was sent as {kind}, and calls itself {}",
                plain(own)
            ));
        }
        // Some registries and most plain web servers do not know the type.
        (None, Some(own)) => known(own).ok_or_else(|| format!("unknown kind {}", plain(own)))?,
        (None, None) => return Err(format!("unknown kind `{}`", plain(header))),
    };
    if text.schema_version != Some(2) {
        return Err("its schema is not version 2".to_owned());
    }
    let index = [media::INDEX, media::DOCKER_INDEX].contains(&kind);
    if (index && text.layers.is_some()) || (!index && text.manifests.is_some()) {
        return Err("it is a manifest and an index at once".to_owned());
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_of_one_kind() {
        let oci = media::MANIFEST;
        let own = |kind: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","layers":[]}}"#);
        let good = [
            (oci, own(oci)),
            (oci, r#"{"schemaVersion":2}"#.to_owned()),
            ("application/octet-stream", own(oci)),
            ("", own(oci)),
        ];
        for (header, text) in good {
            assert_eq!(media_type(header, text.as_bytes()), Ok(oci), "{text}");
        }
        let bad = [
            (oci, own(media::INDEX)),
            (
                oci,
                r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#.to_owned(),
            ),
            (
                media::INDEX,
                r#"{"schemaVersion":2,"layers":[]}"#.to_owned(),
            ),
            (oci, r#"{"schemaVersion":1}"#.to_owned()),
            ("text/html", "<html>".to_owned()),
            ("text/html", "{}".to_owned()),
            (
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                "{}".to_owned(),
            ),
        ];
        for (header, text) in bad {
            assert!(media_type(header, text.as_bytes()).is_err(), "{text}");
        }
    }
}
