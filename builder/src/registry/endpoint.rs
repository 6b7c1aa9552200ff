//! Where a registry answers: by which scheme, and what it wants to know first.

use std::sync::Mutex;

use http::{HeaderMap, Method};
use url::Url;

use super::address::Trust;
use super::auth::Auth;
use super::challenge::Challenge;
use super::client::Shared;
use super::shared::lock;
use super::wire::{Fault, Message, Payload};
use super::{Error, Repository};

/// What was found out about one registry.
#[derive(Default)]
pub(super) struct Endpoint {
    pub(super) auth: Auth,
    base: Mutex<Option<Url>>,
}

impl Endpoint {
    /// `https://HOST/v2/`, asked for once (OCI distribution specification, end-1). A registry that
    /// need not be verified and does not speak TLS may answer by plain HTTP, as for Docker.
    pub(super) fn base(&self, shared: &Shared, repository: &Repository) -> Result<Url, Error> {
        // Held while asking: others would ask the same.
        let mut base = lock(&self.base);
        if let Some(url) = &*base {
            return Ok(url.clone());
        }
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/v2/", repository.authority())).map_err(|error| {
                Error::Connection {
                    repository: repository.clone(),
                    message: error.to_string(),
                }
            })
        };
        let secure = url("https")?;
        let found = match self.ask(shared, &secure) {
            Ok(_) => secure,
            Err(fault @ Fault::Cancelled) => return Err(failed(repository, fault)),
            Err(fault) => {
                let plain = url("http")?;
                if Trust::of(&plain, &shared.options.insecure) == Trust::Verified {
                    return Err(failed(repository, fault));
                }
                match self.ask(shared, &plain) {
                    // What a server of TLS says to plain HTTP.
                    Ok(400) => return Err(failed(repository, fault)),
                    Ok(_) => plain,
                    Err(Fault::Cancelled) => return Err(failed(repository, Fault::Cancelled)),
                    // It does not listen for TLS, so that the other failure is the telling one.
                    Err(other) if matches!(fault, Fault::Tls(_)) => {
                        return Err(failed(repository, other));
                    }
                    Err(_) => return Err(failed(repository, fault)),
                }
            }
        };
        *base = Some(found.clone());
        Ok(found)
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
        Ok(answer.status().as_u16())
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
        Fault::Local(error) => Error::local(&repository, &error),
        Fault::Cancelled => Error::Cancelled { repository },
    }
}
