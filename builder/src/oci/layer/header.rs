//! The bytes in front of a file in a tar: POSIX `ustar`, and a PAX header where that does not do
//! (POSIX.1-2017, `pax`).

use std::collections::BTreeMap;

pub(super) const BLOCK: usize = 512;

/// The largest number in an octal field of 8 bytes.
const SMALL: u64 = 0o7_777_777;

/// The largest in one of 12 bytes.
const LARGE: u64 = 0o77_777_777_777;

/// What is said of one file.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    /// Relative; a directory's ends with `/`.
    pub(super) path: &'a [u8],
    /// The type flag.
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    pub(super) link: &'a [u8],
    /// Major and minor.
    pub(super) device: Option<(u32, u32)>,
    pub(super) attributes: &'a [(Vec<u8>, Vec<u8>)],
}

/// Adds the header, and where one is needed the PAX header before it.
pub(super) fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut pax = BTreeMap::new();
    let mut number = |key: &str, value: u64, limit: u64| {
        if value <= limit {
            return value;
        }
        pax.insert(key.as_bytes().to_vec(), value.to_string().into_bytes());
        0
    };
    let uid = number("uid", record.uid.into(), SMALL);
    let gid = number("gid", record.gid.into(), SMALL);
    let size = number("size", record.size, LARGE);
    let mtime = u64::try_from(record.mtime).ok().filter(|t| *t <= LARGE);
    if mtime.is_none() {
        pax.insert(b"mtime".to_vec(), record.mtime.to_string().into_bytes());
    }
    let (prefix, name) = split(record.path).unwrap_or_else(|| {
        pax.insert(b"path".to_vec(), record.path.to_vec());
        (b"", plain(record.path))
    });
    let link = if record.link.len() <= 100 && record.link.is_ascii() {
        record.link
    } else {
        pax.insert(b"linkpath".to_vec(), record.link.to_vec());
        plain(record.link)
    };
    for (attribute, value) in record.attributes {
        pax.insert(
            [b"SCHILY.xattr.", attribute.as_slice()].concat(),
            value.clone(),
        );
    }
    if !pax.is_empty() {
        let body = records(&pax);
        let mut header = Fields::new();
        header.text(0, b"PaxHeader");
        header.octal(100, 8, 0o644);
        header.octal(108, 8, 0);
        header.octal(116, 8, 0);
        header.octal(124, 12, body.len() as u64);
        header.octal(136, 12, 0);
        header.0[156] = b'x';
        header.finish(out);
        out.extend_from_slice(&body);
        pad(out);
    }
    let mut header = Fields::new();
    header.text(0, name);
    header.octal(100, 8, record.mode.into());
    header.octal(108, 8, uid);
    header.octal(116, 8, gid);
    header.octal(124, 12, size);
    header.octal(136, 12, mtime.unwrap_or(0));
    header.0[156] = record.kind;
    header.text(157, link);
    if let Some((major, minor)) = record.device {
        header.octal(329, 8, major.into());
        header.octal(337, 8, minor.into());
    }
    header.text(345, prefix);
    header.finish(out);
}

/// Fills up to a whole block.
pub(super) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// Prefix and name of a path, where it fits into the two fields: the longest prefix, as Go has it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let end = path.len().min(156) - usize::from(path.len() <= 156 && path.ends_with(b"/"));
    let slash = path[..end].iter().rposition(|b| *b == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (slash > 0 && (1..=100).contains(&name.len())).then_some((prefix, name))
}

/// What stands in a field whose true content is in the PAX header: nothing that a reader which
/// does not know PAX could take for another file's name.
fn plain(text: &[u8]) -> &[u8] {
    let ascii = text.iter().take(100).take_while(|b| b.is_ascii()).count();
    if ascii == 0 { b"_" } else { &text[..ascii] }
}

/// `LENGTH KEY=VALUE\n`, in which the length counts itself.
fn records(pax: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in pax {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        out.extend_from_slice(length.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

struct Fields([u8; BLOCK]);

impl Fields {
    fn new() -> Self {
        let mut block = [0; BLOCK];
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self(block)
    }

    fn text(&mut self, at: usize, text: &[u8]) {
        self.0[at..at + text.len()].copy_from_slice(text);
    }

    /// Digits up to one before the field's end, where a zero byte stands.
    fn octal(&mut self, at: usize, width: usize, value: u64) {
        let digits = format!("{value:0>width$o}", width = width - 1);
        self.text(at, digits.as_bytes());
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|b| u32::from(*b)).sum();
        self.text(148, format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&self.0);
    }
}
