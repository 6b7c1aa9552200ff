//! Digests and sizes of what flows by.

use std::io::{self, Read, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::Digest as _;

use crate::model::Digest;

/// What is handed to the hashing thread at once, bytes.
const PIECE: usize = 256 << 10;

/// How many pieces may wait for it.
const WAITING: usize = 8;

/// A writer or reader that counts and hashes what passes.
pub struct Hashing<T> {
    inner: T,
    hasher: sha2::Sha256,
    count: u64,
}

impl<T> Hashing<T> {
    /// Nothing has passed yet.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: sha2::Sha256::new(),
            count: 0,
        }
    }

    /// Bytes that have passed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The inner value, the digest and the count.
    pub fn finish(self) -> (T, Digest, u64) {
        (self.inner, Digest::from_hasher(self.hasher), self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

/// A writer that counts what passes, and hashes it on a thread of its own. What passes is copied
/// once; at most 2 MiB wait.
pub struct HashingBeside<W> {
    inner: W,
    piece: Vec<u8>,
    count: u64,
    pieces: SyncSender<Vec<u8>>,
    hasher: JoinHandle<Digest>,
}

impl<W: Write> HashingBeside<W> {
    /// Nothing has passed yet.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn new(inner: W) -> io::Result<Self> {
        let (pieces, incoming) = sync_channel::<Vec<u8>>(WAITING);
        let hasher = std::thread::Builder::new()
            .name("hash".to_owned())
            .spawn(move || {
                let mut hasher = sha2::Sha256::new();
                incoming.iter().for_each(|piece| hasher.update(&piece));
                Digest::from_hasher(hasher)
            })?;
        Ok(Self {
            inner,
            piece: Vec::with_capacity(PIECE),
            count: 0,
            pieces,
            hasher,
        })
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.pieces.send(piece).map_err(|_| stopped())
    }

    /// The inner value, the digest and the count.
    ///
    /// # Errors
    /// When the thread has died.
    pub fn finish(mut self) -> io::Result<(W, Digest, u64)> {
        self.hand_over()?;
        drop(self.pieces);
        let digest = self.hasher.join().map_err(|_| stopped())?;
        Ok((self.inner, digest, self.count))
    }
}

fn stopped() -> io::Error {
    io::Error::other("the thread that hashes has stopped")
}

impl<W: Write> Write for HashingBeside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count += count as u64;
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            rest = later;
            if self.piece.len() == PIECE {
                self.hand_over()?;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn both_hash_what_passes() {
        for size in [0, 1, PIECE - 1, PIECE, 3 * PIECE + 7] {
            let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let mut here = Hashing::new(Vec::new());
            let mut beside = HashingBeside::new(Vec::new()).unwrap();
            for piece in bytes.chunks(10_007) {
                here.write_all(piece).unwrap();
                beside.write_all(piece).unwrap();
            }
            let expected = (bytes.clone(), Digest::of(&bytes), size as u64);
            assert_eq!(here.finish(), expected);
            assert_eq!(beside.finish().unwrap(), expected);
            let mut reader = Hashing::new(bytes.as_slice());
            io::copy(&mut reader, &mut io::sink()).unwrap();
            assert_eq!(reader.finish().1, expected.1);
        }
    }
}
