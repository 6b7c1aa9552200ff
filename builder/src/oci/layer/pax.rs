//! The records of a PAX header.

use std::io;

use super::number::{bad, decimal, seconds};
use super::sparse;

/// What a PAX header says of the file behind it; what it leaves out stays as the file's own header
/// has it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: sparse::Said,
}

impl Pax {
    /// Reads the records. An empty value takes back what was said; keys that are not known are
    /// passed over.
    pub(super) fn parse(mut rest: &[u8]) -> io::Result<Self> {
        let mut pax = Self::default();
        while !rest.is_empty() {
            let (key, value, after) = record(rest)?;
            rest = after;
            pax.take(key, value)?;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let said = |value: &[u8]| (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = said(value),
            b"linkpath" => self.link = said(value),
            b"uid" => self.uid = said(value).map(|v| decimal(&v)).transpose()?,
            b"gid" => self.gid = said(value).map(|v| decimal(&v)).transpose()?,
            b"size" => self.size = said(value).map(|v| decimal(&v)).transpose()?,
            b"mtime" => self.mtime = said(value).map(|v| seconds(&v)).transpose()?,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.retain(|(n, _)| n != name);
                    self.attributes.push((name.to_vec(), value.to_vec()));
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.take(key, value)?;
                }
            }
        }
        Ok(())
    }
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Key, value and the rest.
fn record(bytes: &[u8]) -> io::Result<Record<'_>> {
    let malformed =
        || bad("a PAX header is malformed: `LENGTH KEY=VALUE` and a line's end were expected");
    let space = bytes
        .iter()
        .take(12)
        .position(|b| *b == b' ')
        .ok_or_else(malformed)?;
    let length = decimal(&bytes[..space])
        .ok()
        .and_then(|n| usize::try_from(n).ok());
    let length = length
        .filter(|n| *n > space + 2 && *n <= bytes.len())
        .ok_or_else(malformed)?;
    let (this, rest) = bytes.split_at(length);
    let text = this[space + 1..]
        .strip_suffix(b"\n")
        .ok_or_else(malformed)?;
    let equals = text.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
    let (key, value) = (&text[..equals], &text[equals + 1..]);
    let name = matches!(key, b"path" | b"linkpath" | b"GNU.sparse.name");
    if key.is_empty() || key.contains(&0) || (name && value.contains(&0)) {
        return Err(malformed());
    }
    Ok((key, value, rest))
}
