#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Read, Write};

use super::{Compression, Decoder, Encoder, Encoding, sniff};

const KINDS: [Compression; 3] = [Compression::GZIP, Compression::ZSTD, Compression::None];

/// Half text, half noise, the same each time.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend_from_slice(&state.to_le_bytes());
        bytes.extend_from_slice(b"the words");
    }
    bytes.truncate(size);
    bytes
}

fn encode(compression: Compression, bytes: &[u8], threads: usize, writes: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), compression, threads);
    for piece in bytes.chunks(writes) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    Decoder::new(bytes)?.read_to_end(&mut decoded)?;
    Ok(decoded)
}

#[test]
fn threads_and_writes_do_not_show() {
    for compression in KINDS {
        let block = compression.block();
        for size in [0, 1, block, 2 * block + 17] {
            let bytes = sample(size);
            let one = encode(compression, &bytes, 1, usize::MAX);
            assert_eq!(decode(&one).unwrap(), bytes, "{compression:?} {size}");
            for (threads, writes) in [
                (1, 65_537),
                (2, block),
                (3, 512),
                (16, block + 1),
                (0, 4096),
            ] {
                let other = encode(compression, &bytes, threads, writes);
                assert!(one == other, "{compression:?} {size} {threads} {writes}");
            }
        }
    }
}

#[test]
fn what_comes_out_is_what_its_name_says() {
    let bytes = sample(3 << 20);
    for compression in KINDS {
        let encoded = encode(compression, &bytes, 2, 1 << 16);
        assert_eq!(sniff(&encoded), compression.encoding());
        assert_eq!(
            Decoder::new(encoded.as_slice()).unwrap().encoding(),
            compression.encoding()
        );
        if compression != Compression::None {
            assert!(
                encoded.len() < bytes.len() * 3 / 4,
                "{compression:?} {}",
                encoded.len()
            );
        }
    }
    // One member: a reader of the first only has everything.
    let gzip = encode(Compression::GZIP, &bytes, 2, 1 << 16);
    let mut first = Vec::new();
    flate2::read::GzDecoder::new(gzip.as_slice())
        .read_to_end(&mut first)
        .unwrap();
    assert_eq!(first, bytes);
}

#[test]
fn several_members_and_frames_are_read_to_the_end() {
    let (a, b) = (sample(1000), sample(5));
    for compression in [Compression::GZIP, Compression::ZSTD] {
        let mut both = encode(compression, &a, 1, 100);
        both.extend(encode(compression, &b, 1, 100));
        assert_eq!(decode(&both).unwrap(), [a.clone(), b.clone()].concat());
    }
    let mut skipped = vec![0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    skipped.extend(encode(Compression::ZSTD, &a, 1, 100));
    assert_eq!(decode(&skipped).unwrap(), a);
}

#[test]
fn damage_is_an_error_and_never_other_bytes() {
    let bytes = sample(200_000);
    for compression in [Compression::GZIP, Compression::ZSTD] {
        let good = encode(compression, &bytes, 1, 1 << 16);
        for cut in [3, 9, 12, good.len() / 2, good.len() - 1] {
            let result = decode(&good[..cut]);
            // Three bytes are too few to be told from bare ones.
            let bare = cut == 3 && compression == Compression::ZSTD;
            assert!(result.is_err() || bare, "{compression:?} cut at {cut}");
        }
        let mut flipped = good.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x55;
        assert!(decode(&flipped).is_err(), "{compression:?}");
    }
    // A window of 2^41 bytes is not set aside.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00];
    assert!(decode(&huge).is_err());
}

#[test]
fn an_error_of_the_inner_writer_comes_out() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(self.0);
            self.0 -= count;
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = sample(12 << 20);
    for compression in KINDS {
        for room in [0, 100, 2 << 20] {
            let mut encoder = Encoder::new(Full(room), compression, 2);
            let result = encoder
                .write_all(&bytes)
                .and_then(|()| encoder.finish().map(drop));
            assert_eq!(
                result.unwrap_err().kind(),
                io::ErrorKind::StorageFull,
                "{compression:?} {room}"
            );
        }
    }
}

#[test]
fn encoders_inside_of_rayon_do_not_wait_for_each_other() {
    use rayon::prelude::*;
    let bytes = sample(6 << 20);
    let one = encode(Compression::GZIP, &bytes, 1, 1 << 20);
    let all: Vec<bool> = (0..8)
        .into_par_iter()
        .map(|_| encode(Compression::GZIP, &bytes, 2, 1 << 20) == one)
        .collect();
    assert!(all.iter().all(|same| *same));
    assert_eq!(
        Encoding::Gzip.layer(),
        super::super::spec::media::LAYER_GZIP
    );
}
