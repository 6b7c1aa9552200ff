//! Where a registry answers: by which scheme, and what it wants to know first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, Method};
use url::Url;

use super::address::Trust;
use super::auth::Auth;
use super::challenge::Challenge;
use super::client::Shared;
use super::shared::lock;
use super::wire::{Fault, Message, Payload, drain};
use super::{Error, Repository};

/// What was found out about one registry.
#[derive(Default)]
pub(super) struct Endpoint {
    pub(super) auth: Auth,
    found: Mutex<Found>,
    /// How often it was looked for in vain.
    failures: AtomicUsize,
}

#[derive(Default)]
struct Found {
    base: Option<Url>,
    last: Option<Fault>,
}

impl Endpoint {
    /// `https://HOST/v2/`, asked for once (OCI distribution specification, end-1). A registry that
    /// need not be verified and does not speak TLS may answer by plain HTTP, as for Docker.
    pub(super) fn base(&self, shared: &Shared, repository: &Repository) -> Result<Url, Error> {
        let before = self.failures.load(Ordering::Acquire);
        // Held while asking: others would ask the same. Who waited takes a failure for an answer too,
        // or many that wait for a host that does not answer would do so one after the other.
        let mut found = lock(&self.found);
        if let Some(url) = &found.base {
            return Ok(url.clone());
        }
        if self.failures.load(Ordering::Acquire) != before
            && let Some(fault) = &found.last
        {
            return Err(failed(repository, fault.clone()));
        }
        match self.find(shared, repository) {
            Ok(url) => {
                found.base = Some(url.clone());
                Ok(url)
            }
            Err(fault) => {
                found.last = Some(fault.clone());
                self.failures.fetch_add(1, Ordering::Release);
                Err(failed(repository, fault))
            }
        }
    }

    fn find(&self, shared: &Shared, repository: &Repository) -> Result<Url, Fault> {
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/v2/", repository.authority()))
                .map_err(|error| Fault::Connection(error.to_string()))
        };
        let (secure, plain) = (url("https")?, url("http")?);
        let fault = match self.ask(shared, &secure) {
            Ok(_) => return Ok(secure),
            Err(fault) => fault,
        };
        let verified = Trust::of(&plain, &shared.options.insecure) == Trust::Verified;
        if verified || matches!(fault, Fault::Cancelled) {
            return Err(fault);
        }
        match self.ask(shared, &plain) {
            // What a server of TLS says to plain HTTP.
            Ok(400) => Err(fault),
            Ok(_) => Ok(plain),
            Err(Fault::Cancelled) => Err(Fault::Cancelled),
            // Something answers there, but not by TLS: the other failure is the telling one.
            Err(other) if matches!(fault, Fault::Tls(_)) => Err(other),
            Err(_) => Err(fault),
        }
    }

    /// The status, whatever it is: some registries answer this with an error and yet work.
    fn ask(&self, shared: &Shared, url: &Url) -> Result<u16, Fault> {
        let message = Message {
            method: Method::GET,
            headers: HeaderMap::new(),
            payload: Payload::None,
            commits: false,
        };
        let trust = Trust::of(url, &shared.options.insecure);
        let answer = shared.wire.send(url, trust, &message, &shared.options)?;
        if let Some(challenge) = Challenge::read(answer.headers()) {
            self.auth.challenged(challenge);
        }
        let status = answer.status().as_u16();
        drain(answer);
        Ok(status)
    }
}

/// A fault as an error at a repository.
pub(super) fn failed(repository: &Repository, fault: Fault) -> Error {
    let repository = repository.clone();
    match fault {
        Fault::Connection(message) => Error::Connection {
            repository,
            message,
        },
        Fault::Tls(message) => Error::Tls {
            repository,
            message,
        },
        Fault::Local(message) => Error::Local {
            repository,
            message,
        },
        Fault::Cancelled => Error::Cancelled { repository },
    }
}
