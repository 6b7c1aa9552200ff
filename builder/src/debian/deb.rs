//! The container that a package comes in (deb(5)): an ar archive of a version, an archive of control
//! files and one of the files themselves.
//!
//! The container is read here and not by a crate: the format is fixed to three members in order, and
//! the sizes in it must not make us allocate.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
/// What control files may have in all, unpacked, in bytes.
const MAX_CONTROL: u64 = 64 << 20;
/// What a package's files may have in all, unpacked, in bytes.
const MAX_DATA: u64 = 8 << 30;
/// What a decompressor may take, in KiB: `xz -9` needs 65 MiB.
const MAX_MEMORY: u32 = 256 << 10;
/// Windows of `zstd --long=27` at most: 128 MiB.
const MAX_WINDOW: u32 = 27;
/// More members than that are no package's.
const MAX_MEMBERS: usize = 16;

/// The two archives within a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Control,
    Data,
}

impl Part {
    fn prefix(self) -> &'static str {
        match self {
            Self::Control => "control.tar",
            Self::Data => "data.tar",
        }
    }
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Opens one of the two archives of a package as an uncompressed tar.
///
/// Reading it ends with an error where it is longer than any package's.
pub(super) fn open(path: &Path, part: Part) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let (name, size) = find(&mut file, part)?;
    let limit = match part {
        Part::Control => MAX_CONTROL,
        Part::Data => MAX_DATA,
    };
    let packed = BufReader::with_capacity(128 * 1024, file.take(size));
    let plain: Box<dyn Read> = match name.strip_prefix(part.prefix()) {
        Some("") => Box::new(packed),
        Some(".gz") => Box::new(flate2::bufread::GzDecoder::new(packed)),
        Some(".xz") => Box::new(lzma_rust2::XzReader::new_mem_limit(
            packed, true, MAX_MEMORY,
        )),
        Some(".zst") => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(MAX_WINDOW)?;
            Box::new(decoder)
        }
        _ => {
            return Err(wrong(format!(
                "its member `{name}` is compressed in a way that is not supported: expected .gz, .xz, .zst or none"
            )));
        }
    };
    Ok(Box::new(Bounded {
        inner: plain,
        left: limit,
    }))
}

/// Leaves the file at the start of a member; gives its name and size in bytes.
fn find(file: &mut File, part: Part) -> io::Result<(String, u64)> {
    let end = file.metadata()?.len();
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(wrong(
            "it is not a Debian package: it does not start as an ar archive",
        ));
    }
    let mut at = MAGIC.len() as u64;
    for turn in 0..MAX_MEMBERS {
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        at += HEADER as u64;
        let (name, size) = member(&header)?;
        if size > end - at.min(end) {
            return Err(wrong(format!("its member `{name}` is cut off")));
        }
        if turn == 0 {
            let mut version = [0; 2];
            file.read_exact(&mut version)?;
            if name != "debian-binary" || &version != b"2." {
                return Err(wrong("it is not a Debian package of format 2"));
            }
        }
        if name.starts_with(part.prefix()) {
            return Ok((name, size));
        }
        at += size + size % 2;
        file.seek(SeekFrom::Start(at))?;
    }
    Err(wrong(format!("it has no {}", part.prefix())))
}

fn member(header: &[u8; HEADER]) -> io::Result<(String, u64)> {
    let text = |range: std::ops::Range<usize>| {
        let bytes = &header[range];
        match bytes.is_ascii() {
            true => Ok(String::from_utf8_lossy(bytes).trim_end().to_owned()),
            false => Err(wrong("a header in it is not text")),
        }
    };
    let size = text(48..58)?;
    if &header[58..] != b"`\n" || !size.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("a header in it is damaged"));
    }
    let size = size
        .parse()
        .map_err(|_| wrong("a header in it has no size"))?;
    Ok((text(0..16)?.trim_end_matches('/').to_owned(), size))
}

/// A reader that ends with an error beyond a limit, where `Take` would end as if all were well.
struct Bounded {
    inner: Box<dyn Read>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| wrong("it unpacks to more than a package may have"))?;
        Ok(count)
    }
}

#[cfg(test)]
#[path = "tests/deb.rs"]
pub(super) mod tests;
