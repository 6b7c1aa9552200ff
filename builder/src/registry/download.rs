use std::io::{self, Read, Write};

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use sha2::Digest as _;

use super::auth::Scope;
use super::exchange::{Answer, Call, Target};
use super::retry::Backoff;
use super::upload::{Blob, STEP};
use super::wire::Payload;
use super::{Client, Error, Repository};
use crate::model::Digest;

/// Bytes read at once.
const BUFFER: usize = 128 * 1024;

impl Client {
    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// All but not found.
    pub fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        super::retry::retrying(&self.shared.options, || {
            self.ask_for_blob(repository, digest, &[Scope::Pull(repository)])
        })
    }

    pub(super) fn ask_for_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        scopes: &[Scope<'_>],
    ) -> Result<bool, Error> {
        let call = Call {
            repository,
            scopes,
            method: Method::HEAD,
            target: Target::Path(&format!("blobs/{digest}")),
            headers: HeaderMap::new(),
            payload: Payload::None,
            commits: false,
            what: &format!("blob {digest}"),
        };
        let answer = self.exchange(&call)?;
        match answer.status() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.failure(&call, answer)),
        }
    }

    /// Fetches a blob into `out`, and after a cut goes on where it was cut. Bytes are written as they
    /// come, at most as many as the blob's size: only when this returns are they known to be the right
    /// ones. `progress` gets bytes so far and in all.
    ///
    /// # Errors
    /// Not found; corrupt where size or digest differ; local where `out` fails.
    pub fn blob(
        &self,
        repository: &Repository,
        blob: &Blob,
        out: &mut dyn Write,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), Error> {
        let mut backoff = Backoff::new(&self.shared.options);
        let mut fetch = Fetch {
            client: self,
            repository,
            blob,
            out,
            progress,
            written: 0,
            hasher: sha2::Sha256::new(),
        };
        let mut kept = 0;
        while let Err(error) = fetch.go_on() {
            if fetch.written >= kept + STEP {
                kept = fetch.written;
                backoff.reset();
            }
            backoff.pause(error)?;
        }
        let found = Digest::from_hasher(fetch.hasher);
        if found != blob.digest {
            return Err(Error::corrupt(
                repository,
                format!("blob {} arrived as {found}", blob.digest),
            ));
        }
        Ok(())
    }
}

struct Fetch<'a> {
    client: &'a Client,
    repository: &'a Repository,
    blob: &'a Blob,
    out: &'a mut dyn Write,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    written: u64,
    hasher: sha2::Sha256,
}

impl Fetch<'_> {
    /// One request, read as far as it goes.
    fn go_on(&mut self) -> Result<(), Error> {
        if self.written > 0 && self.written == self.blob.size {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        if self.written > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.written))
        {
            headers.insert(RANGE, range);
        }
        let call = Call {
            repository: self.repository,
            scopes: &[Scope::Pull(self.repository)],
            method: Method::GET,
            target: Target::Path(&format!("blobs/{}", self.blob.digest)),
            headers,
            payload: Payload::None,
            commits: false,
            what: &format!("blob {}", self.blob.digest),
        };
        let mut answer = self.client.exchange(&call)?;
        let start = match answer.status() {
            200 => 0,
            206 => self.start_of(&answer)?,
            // It does not give parts of what it has; the whole is asked for instead.
            416 if self.written > 0 => {
                let mut whole = call;
                whole.headers.clear();
                answer = self.client.exchange(&whole)?;
                match answer.status() {
                    200 => 0,
                    _ => return Err(self.client.failure(&whole, answer)),
                }
            }
            _ => return Err(self.client.failure(&call, answer)),
        };
        let length = answer.header(CONTENT_LENGTH).and_then(|l| l.parse().ok());
        if let Some(length) = length
            && self.blob.size.checked_sub(start) != Some(length)
        {
            return Err(self.wrong_size(start.saturating_add(length)));
        }
        self.read(answer, start)
    }

    /// Where a part begins: `bytes 100-199/200`.
    fn start_of(&self, answer: &Answer) -> Result<u64, Error> {
        let start = answer.header(CONTENT_RANGE).and_then(|range| {
            let range = range.trim().strip_prefix("bytes")?;
            let (start, _) = range.split_once('-')?;
            start.trim().parse().ok()
        });
        match start {
            Some(start) if start <= self.written => Ok(start),
            _ => Err(Error::protocol(
                self.repository,
                206,
                &format!(
                    "it sends another part of {} than was asked for",
                    self.blob.digest
                ),
            )),
        }
    }

    /// Reads an answer that begins at byte `start`; what is there already is dropped. The digest at
    /// the end is over what was written.
    fn read(&mut self, answer: Answer, start: u64) -> Result<(), Error> {
        let url = answer.url;
        let mut reader = answer.response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        let mut at = start;
        let mut told = self.written;
        loop {
            self.client.going_on(self.repository)?;
            let count = match reader.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.broken(self.repository, &url, error)),
            };
            if count == 0 {
                break;
            }
            let skip = usize::try_from(self.written.saturating_sub(at)).unwrap_or(usize::MAX);
            at = at.saturating_add(count as u64);
            if at > self.blob.size {
                return Err(self.wrong_size(at));
            }
            let fresh = buffer[..count].get(skip..).unwrap_or_default();
            self.out
                .write_all(fresh)
                .map_err(|error| Error::local(self.repository, &error))?;
            self.hasher.update(fresh);
            self.written += fresh.len() as u64;
            if self.written - told >= STEP || self.written == self.blob.size {
                told = self.written;
                (self.progress)(self.written, self.blob.size);
            }
        }
        if at < self.blob.size {
            // Without a length the end of an answer and a cut look alike.
            return Err(Error::Connection {
                repository: self.repository.clone(),
                message: format!(
                    "blob {} ended after {at} of {} bytes",
                    self.blob.digest, self.blob.size
                ),
            });
        }
        Ok(())
    }

    fn wrong_size(&self, found: u64) -> Error {
        Error::corrupt(
            self.repository,
            format!(
                "blob {} has another size: expected {} bytes, found {found} or more",
                self.blob.digest, self.blob.size
            ),
        )
    }
}
