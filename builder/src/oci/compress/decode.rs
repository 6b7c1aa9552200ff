use std::io::{self, BufRead, BufReader, Read};

use super::Encoding;

/// The largest window of a Zstandard frame that is taken, as a power of two: 128 MiB, what the
/// format's own tools take unasked.
const WINDOW_LOG_MAX: u32 = 27;

/// Tells the encoding by the first bytes; at least four are needed to be sure.
pub fn sniff(beginning: &[u8]) -> Encoding {
    match beginning {
        [0x1f, 0x8b, 8, ..] => Encoding::Gzip,
        // A frame, or one that is to be skipped (RFC 8878, section 3.1).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
        _ => Encoding::Plain,
    }
}

/// A reader that decompresses what it reads, whichever of the encodings it is in.
///
/// The bytes it gives are not bounded: whoever reads has to stop.
pub struct Decoder<R: Read> {
    encoding: Encoding,
    inner: Inner<Rejoined<R>>,
}

/// The beginning that was looked at, and the rest.
type Rejoined<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

enum Inner<R: Read> {
    Plain(BufReader<R>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let mut beginning = Vec::with_capacity(4);
        reader.by_ref().take(4).read_to_end(&mut beginning)?;
        let encoding = sniff(&beginning);
        let rejoined = io::Cursor::new(beginning).chain(reader);
        let buffered = BufReader::with_capacity(64 << 10, rejoined);
        let inner = match encoding {
            Encoding::Plain => Inner::Plain(buffered),
            Encoding::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(buffered))),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Inner::Zstd(Box::new(decoder))
            }
        };
        Ok(Self { encoding, inner })
    }

    /// What the first bytes told.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Reads what is left of the encoded bytes, so that a hash beneath sees them all.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn drain(self) -> io::Result<R> {
        let mut buffered = match self.inner {
            Inner::Plain(reader) => reader,
            Inner::Gzip(reader) => reader.into_inner(),
            Inner::Zstd(reader) => reader.finish(),
        };
        loop {
            let count = buffered.fill_buf()?.len();
            if count == 0 {
                return Ok(buffered.into_inner().into_inner().1);
            }
            buffered.consume(count);
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(reader) => reader.read(buffer),
            Inner::Gzip(reader) => reader.read(buffer),
            Inner::Zstd(reader) => reader.read(buffer),
        }
    }
}
