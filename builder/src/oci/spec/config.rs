use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::json;
use super::manifest::{MAX_LAYERS, Manifest};
use crate::model::Digest;
use crate::oci::Error;

/// The largest configuration that is read, bytes.
pub const MAX_CONFIG: usize = 8 << 20;

/// How an image was made and is to be run (image-spec, `config.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// By Go's name.
    pub architecture: String,
    /// `v7` of `linux/arm/v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// `linux`.
    pub os: String,
    /// How to run it.
    #[serde(default, deserialize_with = "json::or_default")]
    pub config: Config,
    /// What its file system is made of.
    pub rootfs: RootFs,
    /// How each layer came about, the lowest first.
    #[serde(
        default,
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
}

/// How to run an image. The last four are Docker's own, in use everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// `USER`.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// `EXPOSE`: `80/tcp`.
    #[serde(with = "json::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `ENV`: `NAME=value`, in the order given.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// `ENTRYPOINT`; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// `VOLUME`.
    #[serde(with = "json::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// `WORKDIR`.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// `LABEL`.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// `HEALTHCHECK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `ONBUILD`.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
    /// `SHELL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// `HEALTHCHECK`; durations in nanoseconds, 0 where the engine's default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// For one check.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two checks in that time.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make a container unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What an image's file system is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    /// The digest of each layer's uncompressed tar, the lowest first.
    #[serde(default, deserialize_with = "json::digests")]
    pub diff_ids: Vec<Digest>,
}

impl RootFs {
    /// A file system of these layers.
    pub fn new(diff_ids: Vec<Digest>) -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids,
        }
    }
}

/// How one layer came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it added no layer.
    #[serde(
        deserialize_with = "json::or_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// An image of no layer.
    pub fn new(architecture: impl Into<String>) -> Self {
        Self {
            created: None,
            author: None,
            architecture: architecture.into(),
            variant: None,
            os: "linux".to_owned(),
            config: Config::default(),
            rootfs: RootFs::new(Vec::new()),
            history: Vec::new(),
        }
    }

    /// Reads a configuration; `what` names it in errors.
    ///
    /// # Errors
    /// When it is too large, no JSON, for another operating system, or its history does not fit its
    /// layers.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        let image: Self = json::parse(bytes, what, MAX_CONFIG)?;
        let reason = image.fault();
        match reason {
            Some(reason) => Err(Error::invalid(what, reason)),
            None => Ok(image),
        }
    }

    fn fault(&self) -> Option<String> {
        let layers = self.rootfs.diff_ids.len();
        let word = |text: &str| {
            let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            !text.is_empty() && text.len() <= 64 && text.bytes().all(inner)
        };
        if self.os != "linux" {
            let os: String = self.os.chars().take(40).collect();
            return Some(format!(
                "an image for linux was expected, and one for `{}` found",
                os.escape_debug()
            ));
        }
        if !word(&self.architecture)
            || !self
                .variant
                .as_deref()
                .is_none_or(|v| v.is_empty() || word(v))
        {
            return Some("its architecture is not a plain word such as amd64".to_owned());
        }
        if self.rootfs.kind != "layers" {
            let kind: String = self.rootfs.kind.chars().take(40).collect();
            return Some(format!(
                "a rootfs of type `layers` was expected, and `{}` found",
                kind.escape_debug()
            ));
        }
        if layers > MAX_LAYERS {
            return Some(format!(
                "it has {layers} layers, and at most {MAX_LAYERS} can be used"
            ));
        }
        // Tools that squash or convert images leave the history out altogether.
        let told = self.history.iter().filter(|h| !h.empty_layer).count();
        (!self.history.is_empty() && told != layers)
            .then(|| format!("its history tells of {told} layers, and it has {layers}"))
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// None that a value of this type can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::write(self, "the configuration")
    }

    /// Makes sure that a manifest has as many layers as this says.
    ///
    /// # Errors
    /// When it has not.
    pub fn fits(&self, manifest: &Manifest, what: &str) -> Result<(), Error> {
        let (here, there) = (self.rootfs.diff_ids.len(), manifest.layers.len());
        if here == there {
            return Ok(());
        }
        Err(Error::invalid(
            what,
            format!("it names {there} layers, and its configuration {here}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_configuration_is_written_as_docker_writes_it() {
        let mut image = ImageConfig::new("amd64");
        image.created = Some("1980-01-01T00:00:00Z".into());
        image.config = Config {
            user: "nova".into(),
            exposed_ports: BTreeSet::from(["8774/tcp".into(), "80/tcp".into()]),
            env: vec!["PATH=/bin".into()],
            cmd: Some(vec!["run".into()]),
            labels: BTreeMap::from([("b".into(), "2".into()), ("a".into(), "1".into())]),
            healthcheck: Some(Healthcheck {
                test: vec!["CMD".into(), "true".into()],
                interval: 30_000_000_000,
                ..Healthcheck::default()
            }),
            ..Config::default()
        };
        image.rootfs = RootFs::new(vec![Digest::of("layer")]);
        image.history = vec![
            History {
                created_by: Some("COPY".into()),
                ..History::default()
            },
            History {
                empty_layer: true,
                ..History::default()
            },
        ];
        let bytes = image.to_bytes().unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"{"created":"1980-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"User":"nova","ExposedPorts":{"80/tcp":{},"8774/tcp":{}},"Env":["PATH=/bin"],"Cmd":["run"],"Labels":{"a":"1","b":"2"},"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000}},"rootfs":{"type":"layers","diff_ids":["sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85"]},"history":[{"created_by":"COPY"},{"empty_layer":true}]}"#);
        assert_eq!(ImageConfig::parse(&bytes, "c").unwrap(), image);
    }

    #[test]
    fn what_others_write_is_read() {
        let digest = Digest::of("layer");
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","container":"x","docker_version":"20",
            "config":{{"Hostname":"","Env":null,"Cmd":null,"Volumes":null,"ExposedPorts":{{"1/tcp":{{}}}},
            "Labels":null,"OnBuild":null,"ArgsEscaped":true,"Healthcheck":{{"Test":null}}}},
            "rootfs":{{"type":"layers","diff_ids":["{digest}"]}},
            "history":[{{"created_by":"a","x":1}},{{"empty_layer":true}}],"moby.buildkit.v0":{{}}}}"#
        );
        let image = ImageConfig::parse(text.as_bytes(), "c").unwrap();
        assert_eq!(image.rootfs.diff_ids, [digest]);
        assert_eq!(image.config.cmd, None);
        assert!(image.config.exposed_ports.contains("1/tcp"));
    }

    #[test]
    fn a_history_that_does_not_fit_is_refused() {
        let digest = Digest::of("layer");
        let layers = |ids: &str, rest: &str| {
            format!(
                r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{ids}]}}{rest}}}"#
            )
        };
        let one = format!("\"{digest}\"");
        let many = vec![one.clone(); MAX_LAYERS + 1].join(",");
        assert!(ImageConfig::parse(layers(&one, "").as_bytes(), "c").is_ok());
        for (text, reason) in [
            (
                layers(&one, r#","history":[{"empty_layer":true}]"#),
                "tells of 0 layers",
            ),
            (layers("", r#","history":[{}]"#), "tells of 1 layers"),
            (layers(&many, ""), "at most"),
            (layers("\"sha256:zz\"", ""), "a digest"),
            (layers("", "").replace("linux", "windows"), "for linux"),
            (layers("", "").replace("amd64", "../x"), "architecture"),
            (
                layers("", "").replace("\"layers\"", "\"x\""),
                "type `layers`",
            ),
            (" ".repeat(MAX_CONFIG + 1), "at most"),
        ] {
            let error = ImageConfig::parse(text.as_bytes(), "c")
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
