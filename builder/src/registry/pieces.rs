//! What is sent while an upload is open, and what is asked after a cut.

use std::io::Read;

use http::HeaderValue;
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};

use super::Error;
use super::auth::Scope;
use super::exchange::{Answer, Target};
use super::shared::end_of_range;
use super::upload::{Delivery, STEP, Session, Setback, State, Upload, WHOLE};
use super::wire::Payload;
use crate::model::Digest;

impl Upload<'_> {
    /// Sends what comes next: all that is left, a chunk of it, or the end.
    pub(super) fn piece(&self, session: Session) -> Result<State, Box<Setback>> {
        let size = self.blob.size;
        let left = size - session.offset;
        let chunk = self.client.options().chunk.unwrap_or(u64::MAX).max(1);
        let length = left.min(chunk.max(session.least));
        let whole = session.offset == 0 && size <= WHOLE && length == size;
        let ends = left == 0 || whole;
        let open = || {
            let inner = self.content.open(&self.blob.digest, session.offset)?;
            Ok(Box::new(Moving {
                inner,
                at: session.offset,
                told: session.offset,
                moved: self.moved,
            }) as Box<dyn Read>)
        };
        let payload = match length {
            0 => Payload::Bytes(b""),
            _ => Payload::Stream(length, &open),
        };
        let mut url = session.url.clone();
        if ends {
            url.query_pairs_mut()
                .append_pair("digest", &self.blob.digest.to_string());
        }
        let method = if ends { Method::PUT } else { Method::PATCH };
        let scopes = [Scope::Push(self.repository)];
        let mut call = self.call(&scopes, method, Target::Url(&url), payload);
        call.commits = ends;
        let octets = HeaderValue::from_static("application/octet-stream");
        call.headers.insert(CONTENT_TYPE, octets);
        // Docker sends none with a blob in one piece, and some registries know only that.
        if !ends && length < size {
            let range = format!("{}-{}", session.offset, session.offset + length - 1);
            if let Ok(range) = HeaderValue::try_from(range) {
                call.headers.insert(CONTENT_RANGE, range);
            }
        }
        let answer = match self.client.exchange(&call) {
            Ok(answer) => answer,
            Err(error) => return Err(Setback::unsure(error, session)),
        };
        match answer.status() {
            200..=299 if ends => self.ended(&answer).map_err(Setback::to_start),
            200..=299 => self.taken(&answer, session, length),
            status => {
                let error = self.client.failure(&call, answer);
                if error.is_transient() {
                    return Err(Setback::unsure(error, session));
                }
                // The upload is gone, or is not where it was thought to be. One that was never cut is
                // refused for what it is, and would be again.
                let again = matches!(status, 404 | 416) || (status == 400 && session.resumed);
                let state = match status {
                    416 => State::Unsure(session),
                    _ => State::Start,
                };
                Err(Setback::boxed(error, state, again))
            }
        }
    }

    fn ended(&self, answer: &Answer) -> Result<State, Error> {
        let found = answer.header("docker-content-digest").map(Digest::parse);
        match found {
            Some(Ok(found)) if found != self.blob.digest => Err(Error::corrupt(
                self.repository,
                format!("the registry took blob {} as {found}", self.blob.digest),
            )),
            _ => Ok(State::Done(Delivery::Sent)),
        }
    }

    /// A chunk has arrived, or as much of it as the registry says.
    fn taken(&self, answer: &Answer, session: Session, length: u64) -> Result<State, Box<Setback>> {
        let sent = session.offset + length;
        // Docker's registry says `0-0` of nothing and of one byte.
        let range = answer.header(RANGE).and_then(end_of_range);
        let offset = match range {
            None => sent,
            Some(0) if sent == 1 => sent,
            Some(end) => end,
        };
        let url = match answer.header(LOCATION) {
            Some(location) => self
                .client
                .resolve_location(self.repository, answer, location)
                .map_err(Setback::to_start)?,
            None => session.url.clone(),
        };
        let taken = offset.checked_sub(session.offset);
        // One that takes a byte at a time would keep us for ever.
        let enough = taken.is_some_and(|taken| taken >= length.min(STEP));
        let open = State::Open(Session {
            url,
            offset,
            ..session
        });
        if enough && offset <= sent {
            return Ok(open);
        }
        let message = format!(
            "it has {offset} bytes of blob {} where {sent} were sent",
            self.blob.digest
        );
        let error = Error::protocol(self.repository, answer.status(), &message);
        let state = if offset <= sent { open } else { State::Start };
        Err(Setback::boxed(error, state, true))
    }

    /// Asks how much of an upload has arrived. Where that is not known any more, the upload begins
    /// anew, unless its very end had arrived.
    pub(super) fn ask(&self, session: Session) -> Result<State, Box<Setback>> {
        let scopes = [Scope::Push(self.repository)];
        let target = Target::Url(&session.url);
        let call = self.call(&scopes, Method::GET, target, Payload::None);
        let answer = match self.client.exchange(&call) {
            Ok(answer) => answer,
            Err(error) => return Err(Setback::unsure(error, session)),
        };
        let known = answer.header(RANGE).and_then(end_of_range);
        match answer.status() {
            200..=299 => {}
            408 | 429 | 500.. => {
                let error = self.client.failure(&call, answer);
                return Err(Setback::unsure(error, session));
            }
            _ => return self.lost(),
        }
        let Some(offset) = known.filter(|offset| *offset <= self.blob.size) else {
            return self.lost();
        };
        let url = answer.header(LOCATION).and_then(|location| {
            let found = self
                .client
                .resolve_location(self.repository, &answer, location);
            found.ok()
        });
        Ok(State::Open(Session {
            url: url.unwrap_or_else(|| session.url.clone()),
            offset,
            least: session.least,
            resumed: true,
        }))
    }

    fn lost(&self) -> Result<State, Box<Setback>> {
        match self.present() {
            Ok(true) => Ok(State::Done(Delivery::Sent)),
            Ok(false) => Ok(State::Start),
            Err(error) => Err(Setback::to_start(error)),
        }
    }
}

/// A blob on its way.
struct Moving<'a> {
    inner: Box<dyn Read + Send>,
    at: u64,
    told: u64,
    moved: &'a dyn Fn(u64),
}

impl Read for Moving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.at += count as u64;
        if self.at - self.told >= STEP {
            self.told = self.at;
            (self.moved)(self.at);
        }
        Ok(count)
    }
}
