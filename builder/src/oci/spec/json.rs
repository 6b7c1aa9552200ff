//! How single values stand in the documents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Digest;
use crate::oci::Error;

/// A digest as documents have it: always with its `sha256:`.
#[derive(Clone)]
struct Text(Digest);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Digest::parse(&text) {
            Ok(digest) if text.starts_with("sha256:") => Ok(Self(digest)),
            _ => Err(serde::de::Error::custom(format!(
                "a digest `sha256:HEX` was expected, and `{}` found",
                text.chars().take(80).collect::<String>().escape_debug()
            ))),
        }
    }
}

pub(super) fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    Text::deserialize(deserializer).map(|text| text.0)
}

pub(super) fn digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    let list = Option::<Vec<Text>>::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().map(|t| t.0).collect())
}

/// Go writes `null` for what is empty, and readers take it so.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A set written as an object of empty objects: `{"80/tcp": {}}`.
pub(super) mod set {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Nothing {}

    pub(in super::super) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, Nothing {})))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

/// Reads a document of at most `limit` bytes.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(
    bytes: &[u8],
    what: &str,
    limit: usize,
) -> Result<T, Error> {
    if bytes.len() > limit {
        return Err(Error::invalid(
            what,
            format!("it has {} bytes, and at most {limit} are read", bytes.len()),
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| Error::invalid(what, e.to_string()))
}

/// Writes a document without spaces or a line's end.
pub(super) fn write<T: Serialize>(value: &T, what: &str) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::invalid(what, e.to_string()))
}
