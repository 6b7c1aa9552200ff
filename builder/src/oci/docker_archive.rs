//! The archive that `docker save` writes and `docker load` and `podman load` read.
//!
//! It is written in one go: `manifest.json`, then each configuration and layer once, named by
//! configuration digest and diff id. Layers stay in gzip, which Docker takes since 1.10; those in
//! Zstandard, which Docker 20.10 does not know, are decompressed on the way. The same images give
//! the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use serde::Serialize;

use super::Error;
use super::compress::Decoder;
use super::hash::Hashing;
use super::layout::{BlobSource, config_document};
use super::spec::media::{self, Encoding};
use super::spec::{Descriptor, Manifest};
use crate::archive::FIXED_TIME;
use crate::model::Digest;

/// The most bytes of a layer that is decompressed.
const MAX_LAYER: u64 = 256 << 30;

/// An image to write.
#[derive(Debug, Clone)]
pub struct ArchiveImage {
    /// Its manifest.
    pub manifest: Manifest,
    /// What it is called, `registry/path:tag` each.
    pub tags: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    config: String,
    repo_tags: &'a [String],
    layers: Vec<String>,
}

/// Writes images into one archive.
///
/// # Errors
/// When blobs are missing or are not what the manifests say; those of the source and of `out`. What
/// was written until then is of no use.
pub fn write(
    images: &[ArchiveImage],
    source: &dyn BlobSource,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (mut entries, mut configs, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for image in images {
        let what = format!("the manifest of {}", image.tags.join(", "));
        let (config, bytes) = config_document(source, &image.manifest, &what)?;
        let digest = &image.manifest.config.digest;
        let diff_ids = config.rootfs.diff_ids;
        entries.push(Entry {
            config: config_name(digest),
            repo_tags: &image.tags,
            layers: diff_ids.iter().map(layer_name).collect(),
        });
        configs.push((digest.clone(), bytes));
        layers.extend(image.manifest.layers.iter().zip(diff_ids));
    }
    let list =
        serde_json::to_vec(&entries).map_err(|e| Error::invalid("manifest.json", e.to_string()))?;
    let mut tar = tar::Builder::new(out);
    append(
        &mut tar,
        "manifest.json",
        list.len() as u64,
        &mut list.as_slice(),
    )?;
    let mut written = BTreeSet::new();
    for (digest, bytes) in configs {
        let name = config_name(&digest);
        if written.insert(name.clone()) {
            append(&mut tar, &name, bytes.len() as u64, &mut bytes.as_slice())?;
        }
    }
    for (layer, diff_id) in layers {
        if written.insert(layer_name(&diff_id)) {
            add_layer(&mut tar, source, layer, &diff_id)?;
        }
    }
    tar.finish().map_err(Error::io("the archive"))
}

fn config_name(digest: &Digest) -> String {
    format!("{}.json", digest.hex())
}

fn layer_name(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

fn add_layer(
    tar: &mut tar::Builder<&mut dyn Write>,
    source: &dyn BlobSource,
    layer: &Descriptor,
    diff_id: &Digest,
) -> Result<(), Error> {
    let name = layer_name(diff_id);
    let blob = || source.open(&layer.digest);
    match media::layer(&layer.media_type) {
        Some(Encoding::Plain | Encoding::Gzip) => {
            let mut content = Hashing::new(blob()?.take(layer.size));
            append(tar, &name, layer.size, &mut content)?;
            check("blob", &layer.digest, content.finish().1)
        }
        Some(Encoding::Zstd) => {
            // The size stands before the content; reading twice takes no room.
            let io = || Error::io(layer.digest.to_string());
            let decoded = || -> Result<_, Error> {
                let decoder = Decoder::new(blob()?.take(layer.size)).map_err(io())?;
                Ok(Hashing::new(decoder.take(MAX_LAYER)))
            };
            let mut first = decoded()?;
            let size = io::copy(&mut first, &mut io::sink()).map_err(io())?;
            check("layer", diff_id, first.finish().1)?;
            let mut second = decoded()?;
            append(tar, &name, size, &mut second)?;
            check("layer", diff_id, second.finish().1)
        }
        None => {
            let found: String = layer.media_type.chars().take(120).collect();
            Err(Error::invalid(
                format!("layer {}", layer.digest),
                format!(
                    "its media type `{}` is not one of a layer",
                    found.escape_debug()
                ),
            ))
        }
    }
}

fn check(what: &str, expected: &Digest, found: Digest) -> Result<(), Error> {
    if *expected == found {
        return Ok(());
    }
    Err(Error::Digest {
        what: format!("{what} {expected}"),
        expected: expected.clone(),
        found,
    })
}

/// Adds a file of exactly this size.
fn append(
    tar: &mut tar::Builder<&mut dyn Write>,
    name: &str,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(FIXED_TIME);
    header.set_size(size);
    let mut content = Counting { content, count: 0 };
    tar.append_data(&mut header, name, &mut content)
        .map_err(Error::io(name))?;
    if content.count != size {
        return Err(Error::invalid(
            name,
            format!("{size} bytes were expected, and {} found", content.count),
        ));
    }
    Ok(())
}

/// The archive's writer takes as many bytes as it gets, whatever its header says.
struct Counting<'a> {
    content: &'a mut dyn Read,
    count: u64,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
