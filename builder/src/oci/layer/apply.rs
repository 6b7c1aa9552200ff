use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::OverlayAttributes;
use super::extract::Extract;
use super::number::bad;
use super::read::Reader;
use super::target::Target;
use crate::model::Digest;
use crate::oci::error::at;
use crate::oci::hash::HashingBeside;

/// How a layer is unpacked.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Whose attributes the overlay will use.
    pub overlay: OverlayAttributes,
    /// The most bytes that the files may have together, holes included.
    pub max_size: u64,
    /// The most entries.
    pub max_entries: u64,
    /// What happens where the system refuses a device or an attribute.
    pub refused: Refused,
    /// Whether to give back the digest of the tar.
    pub diff_id: bool,
}

impl ApplyOptions {
    /// At most 64 GiB in four million entries, nothing left out, no digest.
    pub fn new(overlay: OverlayAttributes) -> Self {
        Self {
            overlay,
            max_size: 64 << 30,
            max_entries: 4_000_000,
            refused: Refused::Fail,
            diff_id: false,
        }
    }
}

/// What happens where the system refuses a device or an attribute, as it does in user namespaces
/// and on some file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Applying the layer fails.
    Fail,
    /// It is left out, and told.
    LeaveOut,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many entries.
    pub entries: u64,
    /// Bytes of the files together, holes included.
    pub size: u64,
    /// The digest of the tar, where it was asked for.
    pub diff_id: Option<Digest>,
    /// Whether an entry described the root of the layer itself.
    pub root_entry: bool,
    /// Whether the layer hides everything beneath it. An overlay does not look at this mark in a
    /// layer's root: whoever mounts has to leave out what lies beneath.
    pub opaque_root: bool,
    /// What was left out, the first hundred.
    pub left_out: Vec<LeftOut>,
    /// How much was left out.
    pub left_out_count: u64,
}

/// Something that is in the layer, and not in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The entry's path.
    pub path: String,
    /// What the system said.
    pub reason: String,
}

/// Unpacks a layer's uncompressed tar into an empty directory, in the form that an overlay takes as
/// a lower directory. The stream is read to its end. After an error the directory is of no use.
///
/// Where the tar itself leads through a symbolic link (`lib -> usr/lib`, then `lib/x`), the link is
/// followed inside of the target, as Docker and containerd do, so that the file is at `usr/lib/x`;
/// a link that points outside is read as if the target were the root of the file system. Of two
/// entries with one path the later one holds. A whiteout hides what is beneath and nothing of its
/// own layer. Paths with `..`, hard links to what the layer does not have, and directories named
/// `.wh.*` are refused. Attributes other than file capabilities and `user.*` are passed over, those
/// of overlays above all.
///
/// # Errors
/// Those of the stream and the file system; when the tar is malformed or beyond the bounds.
pub fn apply(tar: &mut dyn Read, target: &Path, options: &ApplyOptions) -> io::Result<Applied> {
    let mut tap = Tap {
        input: tar,
        hasher: options
            .diff_id
            .then(|| HashingBeside::new(io::sink()))
            .transpose()?,
        // Headers, filling and what stands behind the archive; enough for any tar within bounds
        // that is not made to keep its reader busy.
        left: options.max_size.saturating_mul(2).saturating_add(1 << 30),
    };
    let mut extract = Extract {
        target: Target::open(target, options.overlay).map_err(|e| at(target, e))?,
        options,
        applied: Applied::default(),
        buffer: vec![0; 256 << 10],
    };
    let mut reader = Reader::new(BufReader::with_capacity(128 << 10, &mut tap));
    while let Some(member) = reader.next()? {
        let path = String::from_utf8_lossy(&member.path);
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.escape_debug()))
        };
        extract.entry(&member, &mut reader).map_err(named)?;
    }
    reader.drain()?;
    extract.target.finish()?;
    let mut applied = extract.applied;
    if let Some(hasher) = tap.hasher {
        applied.diff_id = Some(hasher.finish()?.1);
    }
    Ok(applied)
}

/// Bounds what is read, and hashes it.
struct Tap<'a> {
    input: &'a mut dyn Read,
    hasher: Option<HashingBeside<io::Sink>>,
    left: u64,
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| bad("the layer's archive is longer than what is allowed"))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.write_all(&buffer[..count])?;
        }
        Ok(count)
    }
}
