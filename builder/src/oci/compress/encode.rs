use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flate2::{Compress, Crc, FlushCompress, Status};

use super::Compression;

/// gzip's header (RFC 1952, section 2.3): deflate, no flags, no time, no system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The last block of a deflate stream, empty, in the fixed code (RFC 1951, section 3.2.6).
const DEFLATE_END: [u8; 2] = [3, 0];

/// A writer that compresses what it is given, on threads of its own, into another.
///
/// Threads are started when the first full block has come: what is smaller is compressed where
/// [`Encoder::finish`] is called. Not rayon's pool, since an encoder that waits inside of a job of
/// that pool for others of its jobs could wait for ever. At most two blocks more than there are
/// threads are in memory, each once as it came and once compressed.
pub struct Encoder<W: Write> {
    out: W,
    compression: Compression,
    threads: usize,
    block: Vec<u8>,
    started: bool,
    crc: Crc,
    pool: Option<Pool>,
    pending: VecDeque<Receiver<io::Result<Done>>>,
}

struct Pool {
    jobs: SyncSender<Job>,
    workers: Vec<JoinHandle<()>>,
}

struct Job {
    block: Vec<u8>,
    result: Sender<io::Result<Done>>,
}

struct Done {
    bytes: Vec<u8>,
    crc: Crc,
}

impl<W: Write> Encoder<W> {
    /// Compresses into `out` with at most this many threads; 0 means 1.
    pub fn new(out: W, compression: Compression, threads: usize) -> Self {
        Self {
            out,
            compression,
            threads: threads.max(1),
            block: Vec::new(),
            started: false,
            crc: Crc::new(),
            pool: None,
            pending: VecDeque::new(),
        }
    }

    /// As many threads as the machine has cores.
    pub fn on_all_cores(out: W, compression: Compression) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(out, compression, cores)
    }

    /// Compresses what is left, writes the end and gives back the inner writer.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        while !self.pending.is_empty() {
            self.take_oldest()?;
        }
        // A Zstandard file of no frame would not be one.
        let nothing = !self.started && matches!(self.compression, Compression::Zstd { .. });
        if !self.block.is_empty() || nothing {
            let block = std::mem::take(&mut self.block);
            let done = compress(self.compression, block)?;
            self.put(&done)?;
        }
        if let Compression::Gzip { .. } = self.compression {
            self.head()?;
            self.out.write_all(&DEFLATE_END)?;
            self.out.write_all(&self.crc.sum().to_le_bytes())?;
            // The count is kept modulo 2^32, as the format has it.
            self.out.write_all(&self.crc.amount().to_le_bytes())?;
        }
        if let Some(Pool { jobs, workers }) = self.pool.take() {
            drop(jobs);
            for worker in workers {
                worker.join().map_err(|_| stopped())?;
            }
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn head(&mut self) -> io::Result<()> {
        if !self.started && matches!(self.compression, Compression::Gzip { .. }) {
            self.out.write_all(&GZIP_HEADER)?;
        }
        self.started = true;
        Ok(())
    }

    fn put(&mut self, done: &Done) -> io::Result<()> {
        self.head()?;
        self.crc.combine(&done.crc);
        self.out.write_all(&done.bytes)
    }

    fn take_oldest(&mut self) -> io::Result<()> {
        if let Some(oldest) = self.pending.pop_front() {
            let done = oldest.recv().map_err(|_| stopped())??;
            self.put(&done)?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.pending.len() >= self.threads + 2 {
            self.take_oldest()?;
        }
        let block = std::mem::take(&mut self.block);
        let (result, receiver) = channel();
        let pool = match &mut self.pool {
            Some(pool) => pool,
            none => none.insert(Pool::start(self.threads, self.compression)?),
        };
        let job = Job { block, result };
        pool.jobs.send(job).map_err(|_| stopped())?;
        self.pending.push_back(receiver);
        Ok(())
    }
}

impl Pool {
    fn start(threads: usize, compression: Compression) -> io::Result<Self> {
        let (jobs, incoming) = sync_channel::<Job>(threads + 2);
        let incoming = Arc::new(Mutex::new(incoming));
        let start = |_| {
            let incoming = Arc::clone(&incoming);
            std::thread::Builder::new()
                .name("compress".to_owned())
                .spawn(move || work(&incoming, compression))
        };
        let workers = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Self { jobs, workers })
    }
}

fn work(incoming: &Mutex<Receiver<Job>>, compression: Compression) {
    loop {
        let next = match incoming.lock() {
            Ok(incoming) => incoming.recv(),
            Err(_) => return,
        };
        let Ok(Job { block, result }) = next else {
            return;
        };
        // Nobody may be left to take it, when the encoder was given up.
        let _ = result.send(compress(compression, block));
    }
}

fn stopped() -> io::Error {
    io::Error::other("a thread that compresses has stopped")
}

fn compress(compression: Compression, block: Vec<u8>) -> io::Result<Done> {
    let mut crc = Crc::new();
    let bytes = match compression {
        Compression::None => block,
        Compression::Gzip { level } => {
            crc.update(&block);
            deflate(level, &block)?
        }
        Compression::Zstd { level } => {
            let mut encoder = zstd::bulk::Compressor::new(level)?;
            encoder.include_checksum(true)?;
            encoder.compress(&block)?
        }
    };
    Ok(Done { bytes, crc })
}

/// One block as a deflate stream that ends at a byte and goes on: nothing in it refers to what
/// stands before it.
fn deflate(level: u32, block: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = Compress::new(flate2::Compression::new(level.clamp(1, 9)), false);
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let read = usize::try_from(stream.total_in()).map_err(io::Error::other)?;
        let room = out.capacity() - out.len();
        let status = stream
            .compress_vec(&block[read..], &mut out, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        let filled = out.capacity() == out.len();
        match status {
            Status::Ok | Status::BufError if filled => out.reserve(room.max(64 << 10)),
            Status::Ok | Status::BufError if stream.total_in() == block.len() as u64 => {
                return Ok(out);
            }
            _ => return Err(io::Error::other("deflate came to a halt")),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.compression.block();
        if self.block.capacity() == 0 {
            // A block that is not full is the last: most layers are smaller than one.
            self.block
                .reserve_exact(size.min(bytes.len().max(64 << 10)));
        }
        let count = bytes.len().min(size - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == size {
            self.hand_over()?;
        }
        Ok(count)
    }

    /// Does nothing: a block that is not full cannot be written, or the writes would show.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
