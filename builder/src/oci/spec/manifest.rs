use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{json, media};
use crate::model::{Digest, Platform};
use crate::oci::Error;

/// The largest manifest or index that is read, bytes; registries draw the line there too.
pub const MAX_MANIFEST: usize = 4 << 20;

/// The most layers an image may have; overlay mounts end at about as many.
pub const MAX_LAYERS: usize = 500;

/// The annotation that names an image in a layout's index (image-spec, `annotations.md`).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What a blob is, and how to tell that it is that (image-spec, `descriptor.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    pub media_type: String,
    /// The content's digest.
    #[serde(deserialize_with = "json::digest")]
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Free text by key.
    #[serde(
        default,
        deserialize_with = "json::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on; in indices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFields>,
    /// What a manifest that is no image holds; in lists of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// The descriptor of these bytes.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// What an image runs on, as an index says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFields {
    /// By Go's name.
    pub architecture: String,
    /// `linux`; `unknown` for what is no image.
    pub os: String,
    /// `v7` of `linux/arm/v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl PlatformFields {
    fn text(&self) -> String {
        let mut text = format!("{}/{}", self.os, self.architecture);
        if let Some(variant) = self.variant.as_deref().filter(|v| !v.is_empty()) {
            text.push('/');
            text.push_str(variant);
        }
        text
    }
}

/// One image: its configuration and layers (image-spec, `manifest.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    /// The media type, where the document states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it holds, where that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "json::or_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by key.
    #[serde(
        default,
        deserialize_with = "json::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest of either kind; `what` names it in errors.
    ///
    /// # Errors
    /// When it is too large, no JSON, another schema, an index, or has too many layers.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        let manifest: Self = json::parse(bytes, what, MAX_MANIFEST)?;
        schema(what, manifest.schema_version)?;
        if let Some(stated) = &manifest.media_type
            && !media::is_manifest(stated)
        {
            return Err(wrong_type(what, "a manifest", stated));
        }
        if manifest.layers.len() > MAX_LAYERS {
            return Err(Error::invalid(
                what,
                format!(
                    "it has {} layers, and at most {MAX_LAYERS} can be used",
                    manifest.layers.len()
                ),
            ));
        }
        Ok(manifest)
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// None that a value of this type can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::write(self, "the manifest")
    }

    /// All that it names: the configuration and the layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// The media type, whether stated or by the configuration's.
    pub fn kind(&self) -> &str {
        match &self.media_type {
            Some(stated) => stated,
            None if self.config.media_type == media::DOCKER_CONFIG => media::DOCKER_MANIFEST,
            None => media::MANIFEST,
        }
    }
}

/// Several manifests under one name (image-spec, `image-index.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u32,
    /// The media type, where the document states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "json::or_default")]
    pub manifests: Vec<Descriptor>,
    /// Free text by key.
    #[serde(
        default,
        deserialize_with = "json::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index of either kind; `what` names it in errors.
    ///
    /// # Errors
    /// When it is too large, no JSON, another schema or a manifest.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        let index: Self = json::parse(bytes, what, MAX_MANIFEST)?;
        schema(what, index.schema_version)?;
        match &index.media_type {
            Some(stated) if !media::is_index(stated) => Err(wrong_type(what, "an index", stated)),
            _ => Ok(index),
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// None that a value of this type can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::write(self, "the index")
    }

    /// The manifest for a platform. Where the platform has no variant, the first of its
    /// architecture will do, and `arm64` is `arm64/v8`.
    pub fn find(&self, platform: &Platform) -> Option<&Descriptor> {
        let wanted = platform.to_string();
        let wanted = wanted
            .strip_suffix("arm64/v8")
            .map_or_else(|| wanted.clone(), |os| format!("{os}arm64"));
        let entries = || {
            self.manifests
                .iter()
                .filter_map(|m| m.platform.as_ref().map(|p| (m, p.text())))
        };
        let exact = entries().find(|(_, text)| *text == wanted);
        let loose = || entries().find(|(_, text)| text.starts_with(&format!("{wanted}/")));
        exact.or_else(loose).map(|(manifest, _)| manifest)
    }
}

fn schema(what: &str, version: u32) -> Result<(), Error> {
    match version {
        2 => Ok(()),
        other => Err(Error::invalid(
            what,
            format!("schema version 2 was expected, and {other} found"),
        )),
    }
}

fn wrong_type(what: &str, expected: &str, found: &str) -> Error {
    let found: String = found.chars().take(120).collect();
    Error::invalid(
        what,
        format!(
            "{expected} was expected, and `{}` found",
            found.escape_debug()
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn descriptor(platform: Option<(&str, Option<&str>)>, name: &str) -> Descriptor {
        Descriptor {
            platform: platform.map(|(architecture, variant)| PlatformFields {
                architecture: architecture.into(),
                os: "linux".into(),
                variant: variant.map(str::to_owned),
            }),
            ..Descriptor::of(media::MANIFEST, name.as_bytes())
        }
    }

    #[test]
    fn a_manifest_is_the_same_bytes_each_time() {
        let mut manifest = Manifest::new(
            Descriptor::of(media::CONFIG, b"c"),
            vec![Descriptor::of(media::LAYER_GZIP, b"l")],
        );
        manifest.annotations.insert("b".into(), "2".into());
        manifest.annotations.insert("a".into(), "1".into());
        let bytes = manifest.to_bytes().unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:acac86c0e609ca906f632b0e2dacccb2b77d22b0621f20ebece1a4835b93f6f0","size":1}],"annotations":{"a":"1","b":"2"}}"#);
        assert_eq!(Manifest::parse(&bytes, "m").unwrap(), manifest);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let digest = Digest::of("x");
        let config = format!(r#"{{"mediaType":"c","digest":"{digest}","size":1}}"#);
        let layers = vec![config.clone(); MAX_LAYERS + 1].join(",");
        let table = [
            (String::new(), "EOF"),
            ("[]".into(), "invalid"),
            (format!(r#"{{"schemaVersion":1,"config":{config}}}"#), "schema version 2"),
            (r#"{"schemaVersion":2}"#.into(), "config"),
            (format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#), "layers"),
            (
                format!(r#"{{"schemaVersion":2,"config":{config},"mediaType":"{}"}}"#, media::INDEX),
                "a manifest was expected",
            ),
            (
                r#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"sha256:../../x","size":1}}"#.into(),
                "a digest",
            ),
            (
                format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{}","size":1}}}}"#, digest.hex()),
                "a digest",
            ),
            (
                format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{digest}","size":-1}}}}"#),
                "invalid value",
            ),
            (format!(r#"{{"x":{}"#, "[".repeat(100_000)), "EOF"),
            (" ".repeat(MAX_MANIFEST + 1), "at most"),
        ];
        for (text, reason) in table {
            let error = Manifest::parse(text.as_bytes(), "m")
                .unwrap_err()
                .to_string();
            let shown: String = text.chars().take(60).collect();
            assert!(error.contains(reason), "{shown}: {error}");
        }
    }

    #[test]
    fn a_platform_finds_its_manifest() {
        let index = Index::new(vec![
            descriptor(None, "none"),
            descriptor(Some(("arm", Some("v6"))), "v6"),
            descriptor(Some(("arm", Some("v7"))), "v7"),
            descriptor(Some(("amd64", None)), "amd64"),
            descriptor(Some(("arm64", Some("v8"))), "arm64"),
        ]);
        for (platform, name) in [
            ("linux/amd64", Some("amd64")),
            ("linux/arm64", Some("arm64")),
            ("linux/arm64/v8", Some("arm64")),
            ("linux/arm/v7", Some("v7")),
            ("linux/arm", Some("v6")),
            ("linux/s390x", None),
        ] {
            let found = index.find(&Platform::parse(platform).unwrap());
            assert_eq!(
                found.map(|d| &d.digest),
                name.map(Digest::of).as_ref(),
                "{platform}"
            );
        }
    }
}
