use std::fs::File;
use std::io;
use std::path::Path;

use super::{WriteOptions, write};
use crate::model::Digest;
use crate::oci::compress::{Compression, Encoder};
use crate::oci::hash::HashingBeside;
use crate::oci::spec::Descriptor;

/// A layer that was written and compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// The digest of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// Bytes of the tar.
    pub uncompressed_size: u64,
    /// How many entries; 0 where the layer changes nothing.
    pub entries: u64,
    /// How the blob is compressed.
    pub compression: Compression,
}

impl Packed {
    /// The blob's descriptor, of an OCI layer.
    pub fn descriptor(&self) -> Descriptor {
        let media_type = self.compression.encoding().layer();
        Descriptor::new(media_type, self.digest.clone(), self.size)
    }
}

/// Writes a directory as a layer's blob. Every file is read once; the tar's hash, the compression
/// on at most `threads` threads, and the blob's hash run beside the walk. The file is not synced.
///
/// # Errors
/// Those of [`write`](super::write()) and of the file.
pub fn pack(
    root: &Path,
    options: &WriteOptions,
    compression: Compression,
    threads: usize,
    blob: File,
) -> io::Result<Packed> {
    let blob = HashingBeside::new(blob)?;
    let mut tar = HashingBeside::new(Encoder::new(blob, compression, threads))?;
    let written = write(root, options, &mut tar)?;
    let (encoder, diff_id, uncompressed_size) = tar.finish()?;
    let (_, digest, size) = encoder.finish()?.finish()?;
    Ok(Packed {
        diff_id,
        digest,
        size,
        uncompressed_size,
        entries: written.entries,
        compression,
    })
}
