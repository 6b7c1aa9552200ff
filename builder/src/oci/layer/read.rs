//! The entries of a tar that somebody else has written.

use std::io::{self, Read};

use super::header::BLOCK;
use super::number::{bad, cut_off, field};
use super::pax::Pax;
use super::sparse::{self, Map};

/// The most bytes of a long name or a PAX header; attributes have 64 KiB at most each.
const MAX_EXTENSION: u64 = 1 << 20;

/// The longest path and link text, bytes: what Linux takes.
const MAX_PATH: usize = 4095;

/// One entry.
#[derive(Debug)]
pub(super) struct Member {
    /// As it stands in the archive; without zero bytes.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Of this many bytes, with a map where the archive does not hold them all.
    File(u64, Option<Map>),
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    /// Major and minor.
    Character(u32, u32),
    Block(u32, u32),
    Directory,
    Fifo,
}

/// A tar as a sequence of members, whose content is read between one and the next.
pub(super) struct Reader<R> {
    input: R,
    /// Bytes of the last member's content that have not been read.
    content: u64,
    /// Zeros behind it.
    padding: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            content: 0,
            padding: 0,
        }
    }

    /// The next entry, or `None` at the end. PAX headers for the whole archive are passed over, as
    /// Docker and containerd do.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut pax = None;
        let (mut long_path, mut long_link) = (None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if pax.is_some() || long_path.is_some() || long_link.is_some() {
                    return Err(bad(
                        "the archive ends behind a header that belongs to a file",
                    ));
                }
                return Ok(None);
            };
            match header[156] {
                b'x' => pax = Some(Pax::parse(&self.extension(&header)?)?),
                b'g' => drop(Pax::parse(&self.extension(&header)?)?),
                b'L' => long_path = Some(name_of(self.extension(&header)?)),
                b'K' => long_link = Some(name_of(self.extension(&header)?)),
                _ => {
                    let mut pax = pax.unwrap_or_default();
                    pax.path = long_path.or(pax.path);
                    pax.link = long_link.or(pax.link);
                    return self.member(&header, pax).map(Some);
                }
            }
        }
    }

    /// What the archive holds of the last entry's content.
    pub(super) fn content(&mut self) -> io::Take<&mut R> {
        // Whoever reads takes all or gives the archive up.
        let left = std::mem::take(&mut self.content);
        self.input.by_ref().take(left)
    }

    /// Reads what is left of the stream, behind the archive's end.
    pub(super) fn drain(mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink()).map(drop)
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.content + self.padding;
        (self.content, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())?;
        if skipped < rest {
            return Err(cut_off());
        }
        Ok(())
    }

    /// A header whose sum is right; `None` at a block of zeros, or where the stream ends.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let stated = field(&block[148..156])?;
        let with_blanks = |sum: &dyn Fn(u8) -> i64| -> i64 {
            let own = |at: usize| (148..156).contains(&at);
            let byte = |(at, b): (usize, &u8)| sum(if own(at) { b' ' } else { *b });
            block.iter().enumerate().map(byte).sum()
        };
        // Some old tools summed the bytes with their sign.
        let unsigned = with_blanks(&i64::from);
        if stated != unsigned && stated != with_blanks(&|b| i64::from(b.cast_signed())) {
            return Err(bad(
                "a header's sum is wrong: this is no tar, or it is damaged",
            ));
        }
        Ok(Some(block))
    }

    /// The content of a header that speaks of the next.
    fn extension(&mut self, header: &[u8; BLOCK]) -> io::Result<Vec<u8>> {
        let size = size_of(header)?;
        if size > MAX_EXTENSION {
            return Err(bad(format!(
                "a name or a PAX header has {size} bytes, and at most {MAX_EXTENSION} are read"
            )));
        }
        self.expect(size);
        let mut bytes = Vec::new();
        self.content().read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(cut_off());
        }
        Ok(bytes)
    }

    fn expect(&mut self, size: u64) {
        self.content = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn member(&mut self, header: &[u8; BLOCK], mut pax: Pax) -> io::Result<Member> {
        let sparse_name = pax.sparse.name.take();
        let path = sparse_name.or(pax.path).unwrap_or_else(|| path_of(header));
        let link = pax.link.unwrap_or_else(|| text(&header[157..257]).to_vec());
        let device = || -> io::Result<(u32, u32)> {
            let part = |bytes: &[u8], limit: i64| match field(bytes)? {
                n if (0..=limit).contains(&n) => Ok(u32::try_from(n).unwrap_or_default()),
                n => Err(bad(format!("a device's number {n} is not one of Linux"))),
            };
            Ok((
                part(&header[329..337], 0xfff)?,
                part(&header[337..345], 0xf_ffff)?,
            ))
        };
        if path.len() > MAX_PATH || link.len() > MAX_PATH {
            return Err(bad(format!(
                "a path or link has more than {MAX_PATH} bytes"
            )));
        }
        let flag = match header[156] {
            // Before POSIX, a directory was told by its name's end.
            0 if path.ends_with(b"/") => b'5',
            0 | b'7' => b'0',
            other => other,
        };
        let kind = match flag {
            b'0' | b'S' => {
                let size = match pax.size {
                    Some(size) => size,
                    None => size_of(header)?,
                };
                if size > i64::MAX.cast_unsigned() {
                    return Err(bad("a file's size is not one"));
                }
                self.file(header, flag, size, pax.sparse)?
            }
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' => device().map(|(major, minor)| Kind::Character(major, minor))?,
            b'4' => device().map(|(major, minor)| Kind::Block(major, minor))?,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                return Err(bad(format!(
                    "entries of type `{}` are not known",
                    char::from(other).escape_default()
                )));
            }
        };
        Ok(Member {
            path,
            kind,
            mode: u32::try_from(field(&header[100..108])? & 0o7777).unwrap_or_default(),
            uid: owner(pax.uid, &header[108..116])?,
            gid: owner(pax.gid, &header[116..124])?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                None => field(&header[136..148])?,
            },
            attributes: pax.attributes,
        })
    }

    fn file(
        &mut self,
        header: &[u8; BLOCK],
        flag: u8,
        size: u64,
        said: sparse::Said,
    ) -> io::Result<Kind> {
        if flag == b'S' {
            let map = sparse::old(header, &mut self.input)?.check(size)?;
            self.expect(size);
            return Ok(Kind::File(map.size, Some(map)));
        }
        self.expect(size);
        let mut content = self.input.by_ref().take(size);
        let Some((map, taken)) = said.map(&mut content)? else {
            return Ok(Kind::File(size, None));
        };
        self.content -= taken;
        let map = map.check(self.content)?;
        Ok(Kind::File(map.size, Some(map)))
    }
}

/// A field up to its first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

fn name_of(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(text(&bytes).len());
    bytes
}

fn path_of(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&header[..100]);
    // GNU's own format has other things where POSIX has the prefix, and star's a shorter one.
    let prefix = match (&header[257..263], &header[508..512]) {
        (b"ustar\0", b"tar\0") => text(&header[345..476]),
        (b"ustar\0", _) => text(&header[345..500]),
        _ => b"",
    };
    if prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn size_of(header: &[u8; BLOCK]) -> io::Result<u64> {
    u64::try_from(field(&header[124..136])?).map_err(|_| bad("a size is negative"))
}

/// The last number stands for "unchanged" where owners are set.
fn owner(said: Option<u64>, bytes: &[u8]) -> io::Result<u32> {
    let number = match said {
        Some(number) => i64::try_from(number).unwrap_or(i64::MAX),
        None => field(bytes)?,
    };
    u32::try_from(number)
        .ok()
        .filter(|n| *n != u32::MAX)
        .ok_or_else(|| bad(format!("an owner's number {number} is not one of Linux")))
}
