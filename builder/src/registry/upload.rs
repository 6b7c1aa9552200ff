use std::io::Read;

use http::header::LOCATION;
use http::{HeaderMap, Method};
use url::Url;

use super::auth::Scope;
use super::exchange::{Answer, Call, Target};
use super::left_open::Note;
use super::retry::Backoff;
use super::wire::Payload;
use super::{Client, Error, Repository};
use crate::model::Digest;
use crate::oci::spec::Descriptor;

/// Progress worth telling, and worth having more patience for; bytes.
pub(super) const STEP: u64 = 1 << 20;

/// Blobs up to this size are sent with the request that ends their upload, which saves one; bytes.
pub(super) const WHOLE: u64 = 1 << 20;

/// Which bytes: a configuration or a layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Blob {
    /// Of the bytes as they are stored.
    pub digest: Digest,
    /// How many.
    pub size: u64,
}

impl From<&Descriptor> for Blob {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
        }
    }
}

/// Where blobs are kept on this machine.
pub trait Content: Sync {
    /// Reads a blob from its byte `offset` on.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    fn open(&self, digest: &Digest, offset: u64) -> std::io::Result<Box<dyn Read + Send>>;
}

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It was there.
    Present,
    /// It was taken from another repository of the registry.
    Mounted,
    /// It was sent.
    Sent,
}

/// One blob to bring to one repository.
pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) blob: &'a Blob,
    pub(super) content: &'a dyn Content,
    /// Another repository of the same registry that has it.
    pub(super) from: Option<&'a Repository>,
    /// Gets the bytes that the registry has or that are on their way.
    pub(super) moved: &'a dyn Fn(u64),
}

/// An upload that the registry has opened (OCI distribution specification, "Pushing a blob in
/// chunks").
pub(super) struct Session {
    pub(super) url: Url,
    /// Bytes that the registry says it has.
    pub(super) offset: u64,
    /// The smallest piece that it takes, but for the last.
    pub(super) least: u64,
    /// Whether it was gone on with after a cut.
    pub(super) resumed: bool,
}

pub(super) enum State {
    /// Nothing is open.
    Start,
    /// What the registry has is known.
    Open(Session),
    /// A request was cut, and may have arrived or not.
    Unsure(Session),
    Done(Delivery),
}

/// What came of asking for a blob from another repository.
enum Mount {
    Done,
    /// An upload was opened instead.
    Opened(Session),
    Refused,
}

/// A step that did not work, and where that leaves the upload.
pub(super) struct Setback {
    error: Error,
    state: State,
    /// Worth another try though the error by itself is not.
    again: bool,
}

impl Setback {
    pub(super) fn boxed(error: Error, state: State, again: bool) -> Box<Self> {
        Box::new(Self {
            error,
            state,
            again,
        })
    }

    /// The upload is lost, or had not begun.
    pub(super) fn to_start(error: Error) -> Box<Self> {
        Self::boxed(error, State::Start, false)
    }

    /// Whether the last request arrived is not known.
    pub(super) fn unsure(error: Error, session: Session) -> Box<Self> {
        Self::boxed(error, State::Unsure(session), false)
    }
}

impl Upload<'_> {
    /// Mounts the blob, or looks for it, or sends it. A mount comes first where it may be had: it says
    /// in one request what a look and a mount would say in two.
    pub(super) fn run(&self) -> Result<Delivery, Error> {
        let mut backoff = Backoff::new(&self.client.shared.options);
        let mut opened = None;
        if let Some(from) = self.from {
            match self.mount(from) {
                Ok(Mount::Done) => return Ok(Delivery::Mounted),
                Ok(Mount::Opened(session)) => opened = Some(session),
                Ok(Mount::Refused) => {}
                Err(error) => backoff.pause(error)?,
            }
        }
        loop {
            match self.present() {
                Ok(true) => {
                    if let Some(session) = &opened {
                        self.abandon(session);
                    }
                    return Ok(Delivery::Present);
                }
                Ok(false) => return self.send_noted(opened),
                Err(error) => backoff.pause(error)?,
            }
        }
    }

    pub(super) fn present(&self) -> Result<bool, Error> {
        let scopes = [Scope::Push(self.repository)];
        self.client
            .ask_for_blob(self.repository, &self.blob.digest, &scopes)
    }

    /// Sends the blob, and notes where for as long as it is under way. One that another process left there
    /// is gone on with; how far it came, the registry has to say.
    fn send_noted(&self, opened: Option<Session>) -> Result<Delivery, Error> {
        let folder = self.client.options().uploads.as_deref();
        // What goes with the request that ends its upload cannot be gone on with.
        let folder = folder.filter(|_| self.blob.size > WHOLE);
        let mut note =
            folder.and_then(|folder| Note::claim(folder, self.repository, &self.blob.digest));
        let left = note.as_ref().and_then(Note::found).map(|url| Session {
            url,
            offset: 0,
            least: 0,
            resumed: true,
        });
        // Asked once: an upload that nobody knows any more, or at a place that is no more, begins anew.
        let state = match left.map(|left| self.ask(left)) {
            Some(Ok(state @ (State::Open(_) | State::Done(_)))) => {
                opened.iter().for_each(|session| self.abandon(session));
                state
            }
            _ => opened.map_or(State::Start, State::Open),
        };
        let delivery = self.send(state, note.as_mut())?;
        if let Some(note) = note {
            note.remove();
        }
        Ok(delivery)
    }

    /// Each request is tried as often as any other. What is sent in vain is bounded by how often an
    /// upload may begin anew, which is as often.
    fn send(&self, mut state: State, mut note: Option<&mut Note>) -> Result<Delivery, Error> {
        let options = &self.client.shared.options;
        let mut backoff = Backoff::new(options);
        let mut begun = 0;
        let mut last = None;
        loop {
            self.client.going_on(self.repository)?;
            let step = match state {
                State::Done(delivery) => return Ok(delivery),
                State::Start => match last.take() {
                    Some(error) if begun >= options.attempts => return Err(error),
                    _ => self.start().inspect(|_| {
                        begun += 1;
                        backoff.reset();
                    }),
                },
                State::Open(session) => self.piece(session).inspect(|_| backoff.reset()),
                State::Unsure(session) => self.ask(session),
            };
            state = match step {
                Ok(state) => state,
                Err(setback) => {
                    last = Some(setback.error.clone());
                    if setback.again {
                        backoff.pause_anyway(setback.error)?;
                    } else {
                        backoff.pause(setback.error)?;
                    }
                    setback.state
                }
            };
            if let State::Open(session) = &state {
                (self.moved)(session.offset);
                if let Some(note) = &mut note {
                    note.write(&session.url);
                }
            }
        }
    }

    /// Takes the blob from another repository, if the registry does that.
    fn mount(&self, from: &Repository) -> Result<Mount, Error> {
        let path = format!(
            "blobs/uploads/?mount={}&from={}",
            self.blob.digest,
            from.path()
        );
        let scopes = [Scope::Push(self.repository), Scope::Pull(from)];
        let target = Target::Path(&path);
        let call = self.call(&scopes, Method::POST, target, Payload::Bytes(b""));
        match self.client.exchange(&call) {
            Ok(answer) if answer.status() == 201 => Ok(Mount::Done),
            // It does not mount, and has opened an upload instead.
            Ok(answer) if answer.status() == 202 => self.opened(&answer).map(Mount::Opened),
            Ok(answer) => match self.client.failure(&call, answer) {
                error if error.is_transient() => Err(error),
                _ => Ok(Mount::Refused),
            },
            // The account may do with this repository what it may not with the other.
            Err(Error::Unauthorized { .. } | Error::Denied { .. }) => Ok(Mount::Refused),
            Err(error) => Err(error),
        }
    }

    /// Opens an upload.
    fn start(&self) -> Result<State, Box<Setback>> {
        let failed = Setback::to_start;
        let scopes = [Scope::Push(self.repository)];
        let target = Target::Path("blobs/uploads/");
        let call = self.call(&scopes, Method::POST, target, Payload::Bytes(b""));
        let answer = self.client.exchange(&call).map_err(failed)?;
        match answer.status() {
            202 => self.opened(&answer).map(State::Open).map_err(failed),
            201 => Ok(State::Done(Delivery::Sent)),
            _ => Err(failed(self.client.failure(&call, answer))),
        }
    }

    /// Tells the registry that nothing comes any more. One that does not listen forgets it by itself.
    fn abandon(&self, session: &Session) {
        let scopes = [Scope::Push(self.repository)];
        let target = Target::Url(&session.url);
        let call = self.call(&scopes, Method::DELETE, target, Payload::None);
        let _ = self.client.exchange(&call);
    }

    fn opened(&self, answer: &Answer) -> Result<Session, Error> {
        let Some(location) = answer.header(LOCATION) else {
            return Err(Error::protocol(
                self.repository,
                answer.status(),
                "it opened an upload and did not say where",
            ));
        };
        let least = answer
            .header("oci-chunk-min-length")
            .and_then(|length| length.trim().parse().ok());
        Ok(Session {
            url: self
                .client
                .resolve_location(self.repository, answer, location)?,
            offset: 0,
            least: least.unwrap_or(0),
            resumed: false,
        })
    }

    pub(super) fn call<'c>(
        &'c self,
        scopes: &'c [Scope<'c>],
        method: Method,
        target: Target<'c>,
        payload: Payload<'c>,
    ) -> Call<'c> {
        Call {
            repository: self.repository,
            scopes,
            method,
            target,
            headers: HeaderMap::new(),
            payload,
            commits: false,
            what: "the upload",
        }
    }
}
