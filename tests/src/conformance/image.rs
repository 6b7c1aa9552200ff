//! An image as it lies in an archive of `docker save` or in an OCI layout.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A configuration and its layers, uncompressed, lowest first.
#[derive(Debug)]
pub struct Image {
    /// The configuration.
    pub config: Value,
    /// The layers, as tar.
    pub layers: Vec<Vec<u8>>,
}

type Files = BTreeMap<String, Vec<u8>>;

impl Image {
    /// Of an archive that `docker save` writes for one image.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn from_archive(archive: &[u8]) -> Result<Self, String> {
        let mut files = Files::new();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(|e| e.to_string())? {
            let mut entry = entry.map_err(|e| e.to_string())?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            files.insert(path.trim_start_matches("./").to_owned(), bytes);
        }
        Self::of(&files)
    }

    /// Of a folder that is an OCI image layout of one image.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn from_layout(folder: &Path) -> Result<Self, String> {
        let mut files = Files::new();
        for (path, _) in crate::fleet::files(folder) {
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            files.insert(name, fs::read(&path).map_err(|e| e.to_string())?);
        }
        Self::of(&files)
    }

    fn of(files: &Files) -> Result<Self, String> {
        let (config, layers) = if files.contains_key("index.json") {
            layout(files)?
        } else {
            docker(files)?
        };
        let layers = layers
            .into_iter()
            .map(unpacked)
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = layers
            .iter()
            .map(|layer| format!("sha256:{}", hex::encode(Sha256::digest(layer))))
            .collect();
        if config["rootfs"]["diff_ids"] != serde_json::json!(ids) {
            return Err(format!(
                "the layers are {ids:?}, the configuration has {}",
                config["rootfs"]["diff_ids"]
            ));
        }
        Ok(Self { config, layers })
    }
}

type Parts<'a> = (Value, Vec<&'a [u8]>);

fn layout(files: &Files) -> Result<Parts<'_>, String> {
    let blob = |descriptor: &Value| -> Result<&[u8], String> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let bytes = file(files, &format!("blobs/{}", digest.replacen(':', "/", 1)))?;
        let found = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        if found != digest || descriptor["size"] != bytes.len() {
            return Err(format!(
                "the blob {descriptor} is {found}, {} bytes",
                bytes.len()
            ));
        }
        Ok(bytes)
    };
    let mut manifest = json(file(files, "index.json")?)?;
    while let Some(inner) = manifest.get("manifests") {
        if inner.as_array().map(Vec::len) != Some(1) {
            return Err(format!("not one manifest but {inner}"));
        }
        manifest = json(blob(&inner[0])?)?;
    }
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let layers = layers.iter().map(blob).collect::<Result<_, _>>()?;
    Ok((json(blob(&manifest["config"])?)?, layers))
}

fn docker(files: &Files) -> Result<Parts<'_>, String> {
    let manifest = json(file(files, "manifest.json")?)?;
    let path = |value: &Value| file(files, value.as_str().unwrap_or_default());
    let layers = manifest[0]["Layers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let layers = layers.iter().map(path).collect::<Result<_, _>>()?;
    Ok((json(path(&manifest[0]["Config"])?)?, layers))
}

fn file<'a>(files: &'a Files, name: &str) -> Result<&'a [u8], String> {
    let found = files.get(name).ok_or_else(|| format!("no file {name}"))?;
    Ok(found)
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let read = match bytes {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            zstd::stream::read::Decoder::new(bytes).and_then(|mut d| d.read_to_end(&mut out))
        }
        _ => return Ok(bytes.to_vec()),
    };
    read.map_err(|e| e.to_string())?;
    Ok(out)
}
