//! Files of which a tar holds the parts that are not zeros (GNU tar's manual, "Storing Sparse
//! Files"): the old format and the three of PAX headers.

use std::io::{self, Read};

use super::header::BLOCK;
use super::number::{bad, cut_off, decimal, field};

/// The most parts a file may have.
const MAX_PARTS: usize = 1 << 20;

/// Where a part begins in the file, and how long it is.
pub(super) type Part = (u64, u64);

/// A sparse file's size and parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) size: u64,
    pub(super) parts: Vec<Part>,
}

impl Map {
    /// Makes sure that the parts lie in the file one behind another, and are as long together as
    /// what the tar holds.
    pub(super) fn check(self, stored: u64) -> io::Result<Self> {
        let (mut end, mut sum) = (0, 0_u64);
        for (offset, length) in &self.parts {
            let next = offset.checked_add(*length).filter(|n| *n <= self.size);
            match next {
                Some(next) if *offset >= end => end = next,
                _ => return Err(bad("the parts of a sparse file overlap or leave the file")),
            }
            sum = sum.saturating_add(*length);
        }
        if sum != stored {
            return Err(bad(format!(
                "the parts of a sparse file have {sum} bytes, and the archive holds {stored}"
            )));
        }
        Ok(self)
    }
}

/// What the records of a PAX header say.
#[derive(Debug, Default)]
pub(super) struct Said {
    major: Option<u64>,
    minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    parts: Vec<Part>,
    /// An offset that waits for its length.
    offset: Option<u64>,
    mapped: bool,
}

impl Said {
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"numblocks" => self.mapped = true,
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(unpaired)?;
                self.add(offset, decimal(value)?)?;
            }
            b"map" => {
                self.mapped = true;
                let mut numbers = value.split(|b| *b == b',').filter(|v| !v.is_empty());
                while let Some(offset) = numbers.next() {
                    let length = numbers.next().ok_or_else(unpaired)?;
                    self.add(decimal(offset)?, decimal(length)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.parts.len() == MAX_PARTS {
            return Err(too_many());
        }
        self.parts.push((offset, length));
        Ok(())
    }

    /// The map, read from in front of the content where version 1.0 has it; with how many bytes
    /// of the content that took.
    pub(super) fn map(self, content: &mut impl Read) -> io::Result<Option<(Map, u64)>> {
        let size = |size: Option<u64>| size.ok_or_else(|| bad("a sparse file has no size"));
        match (self.major, self.minor) {
            (None | Some(0), _) if self.mapped => {
                let (size, parts) = (size(self.size)?, self.parts);
                Ok(Some((Map { size, parts }, 0)))
            }
            (None | Some(0), _) => Ok(None),
            (Some(1), None | Some(0)) => {
                let size = size(self.size)?;
                let (parts, taken) = in_front(content)?;
                Ok(Some((Map { size, parts }, taken)))
            }
            _ => Err(bad("this version of GNU's sparse format is not known")),
        }
    }
}

fn unpaired() -> io::Error {
    bad("the parts of a sparse file are not pairs of offset and length")
}

fn too_many() -> io::Error {
    bad(format!("a sparse file has more than {MAX_PARTS} parts"))
}

/// The map of version 1.0: lines of decimal numbers, filled up to whole blocks.
fn in_front(content: &mut impl Read) -> io::Result<(Vec<Part>, u64)> {
    let mut block = [0; BLOCK];
    let (mut at, mut taken) = (BLOCK, 0);
    let mut line = || -> io::Result<u64> {
        let mut digits = Vec::new();
        loop {
            if at == BLOCK {
                content.read_exact(&mut block).map_err(early)?;
                (at, taken) = (0, taken + BLOCK as u64);
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'\n' => return decimal(&digits),
                _ if digits.len() == 20 => return Err(bad("a sparse file's map is malformed")),
                _ => digits.push(byte),
            }
        }
    };
    let count = line()?;
    if count > MAX_PARTS as u64 {
        return Err(too_many());
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push((line()?, line()?));
    }
    Ok((parts, taken))
}

/// The map of the old format, whose beginning stands in the header, and the rest in blocks behind.
pub(super) fn old(header: &[u8; BLOCK], rest: &mut impl Read) -> io::Result<Map> {
    let size = u64::try_from(field(&header[483..495])?)
        .map_err(|_| bad("a sparse file has a negative size"))?;
    let mut parts = Vec::new();
    some(&header[386..482], &mut parts)?;
    let mut more = header[482] != 0;
    while more {
        let mut block = [0; BLOCK];
        rest.read_exact(&mut block).map_err(early)?;
        some(&block[..504], &mut parts)?;
        more = block[504] != 0;
    }
    Ok(Map { size, parts })
}

fn some(fields: &[u8], parts: &mut Vec<Part>) -> io::Result<()> {
    for pair in fields.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        let number = |bytes| u64::try_from(field(bytes)?).map_err(|_| unpaired());
        if parts.len() == MAX_PARTS {
            return Err(too_many());
        }
        parts.push((number(&pair[..12])?, number(&pair[12..])?));
    }
    Ok(())
}

fn early(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(),
        _ => error,
    }
}
