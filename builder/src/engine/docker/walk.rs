//! Looking into images, by the archive that the engine saves them as: no container is made for it.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::super::{Error, Visitor};
use super::{Docker, PATIENCE, classify};
use crate::model::ImageId;
use crate::oci::{self, saved, spec::ImageConfig};

/// Pieces of the archive that may wait to be read.
const WAITING: usize = 16;

impl Docker {
    pub(super) async fn walk_image(
        &self,
        image: &ImageId,
        visitor: Arc<dyn Visitor>,
    ) -> Result<ImageConfig, Error> {
        // Asked to save an image that is not there, an engine says so in words of its own.
        let image = self.inspect(image.as_str()).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut pieces = Pieces {
            receiver,
            piece: Bytes::new(),
            ended: false,
        };
        let reading = self
            .tasks
            .spawn_blocking(move || saved::walk(&mut pieces, &*visitor));
        let client = self.client.clone().with_timeout(PATIENCE);
        let mut stream = std::pin::pin!(client.export_image(image.as_str()));
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| classify::request(error, image.as_str()))?;
            if sender.send(Some(piece)).await.is_err() {
                break;
            }
        }
        // An archive that ends without this word was cut off.
        let _ = sender.send(None).await;
        drop(sender);
        let walked = reading.await.map_err(|error| Error::Engine {
            message: format!("looking into the image was cut off: {error}"),
        })?;
        walked.map_err(|error: oci::Error| Error::Engine {
            message: error.to_string(),
        })
    }
}

/// The archive as it comes from the engine.
struct Pieces {
    receiver: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
