use std::io::{self, BufWriter, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::super::{Context, Error};

/// Bytes read from the context before the engine must take some.
const CHUNK: usize = 256 * 1024;
const CHUNKS: usize = 4;

/// The body of a build request: the context, read on a thread of its own as fast as the engine
/// takes it.
pub(super) struct Feed {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
}

/// Becomes known when the context has been read: to its end, or as far as it could be.
pub(super) type Fed = oneshot::Receiver<Result<(), Error>>;

/// Starts reading. Dropping the feed ends the thread at its next chunk.
pub(super) fn start(context: Arc<dyn Context>, compress: bool) -> (Feed, Fed) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let (done, fed) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let result = pump(&*context, compress, &sender);
        if result.is_err() {
            // Cuts the request off: an engine must not take half a context for a whole one.
            drop(sender.blocking_send(Err(io::Error::other("the build context cannot be read"))));
        }
        drop(done.send(result));
    });
    (Feed { chunks }, fed)
}

fn pump(
    context: &dyn Context,
    compress: bool,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), Error> {
    let unreadable = |error: io::Error| Error::Context {
        message: error.to_string(),
    };
    let mut source = Source {
        inner: context.open().map_err(unreadable)?,
        fault: None,
    };
    let out = BufWriter::with_capacity(CHUNK, Chunks(sender));
    let copied = if compress {
        let mut out = GzEncoder::new(out, Compression::fast());
        io::copy(&mut source, &mut out).and_then(|_| out.finish()?.flush())
    } else {
        let mut out = out;
        io::copy(&mut source, &mut out).and_then(|_| out.flush())
    };
    match (source.fault, copied) {
        (Some(message), _) => Err(Error::Context { message }),
        // The other side stopped listening, and says why in its answer.
        (None, _) => Ok(()),
    }
}

/// Remembers that reading failed, to tell it from the engine not taking what was read.
struct Source {
    inner: Box<dyn Read + Send>,
    fault: Option<String>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.fault = Some(error.to_string());
        }
        result
    }
}

struct Chunks<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(buffer)))
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Feed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(waker)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    /// So many bytes, then an error or the end.
    struct Tape(usize, Option<&'static str>);

    impl Context for Tape {
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            let bytes = io::repeat(b'x').take(self.0 as u64);
            Ok(match self.1 {
                Some(message) => Box::new(bytes.chain(Broken(message))),
                None => Box::new(bytes),
            })
        }
    }

    struct Broken(&'static str);

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other(self.0))
        }
    }

    #[tokio::test]
    async fn a_context_arrives_whole() {
        for compress in [false, true] {
            let (feed, fed) = start(Arc::new(Tape(3_000_001, None)), compress);
            let chunks: Vec<_> = feed.try_collect().await.unwrap();
            let bytes = chunks.concat();
            let got = if compress {
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(&bytes[..])
                    .read_to_end(&mut out)
                    .unwrap();
                out
            } else {
                assert!(chunks.iter().all(|c| c.len() <= CHUNK));
                bytes
            };
            assert_eq!(got.len(), 3_000_001);
            assert_eq!(fed.await, Ok(Ok(())));
        }
    }

    #[tokio::test]
    async fn a_fault_in_the_context_is_told_apart_and_cuts_the_request() {
        let (feed, fed) = start(Arc::new(Tape(300_000, Some("disk on fire"))), false);
        let sent: Result<Vec<_>, _> = feed.try_collect().await;
        assert!(sent.is_err());
        let message = "disk on fire".to_owned();
        assert_eq!(fed.await, Ok(Err(Error::Context { message })));
    }

    #[tokio::test]
    async fn an_engine_that_stops_listening_is_no_fault_of_the_context() {
        let (feed, fed) = start(Arc::new(Tape(100_000_000, None)), false);
        drop(feed);
        assert_eq!(fed.await, Ok(Ok(())));
    }
}
