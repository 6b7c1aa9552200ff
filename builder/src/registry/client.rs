use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::options::Options;
use super::shared::lock;
use super::wire::Wire;
use super::{Error, Repository};

/// Speaks to registries. One serves a whole program: clones and threads share its connections, its
/// tokens, and what it found out about each registry.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) wire: Wire,
    /// By the address that is connected to.
    endpoints: Mutex<HashMap<String, Arc<Endpoint>>>,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            shared: Arc::new(Shared {
                wire: Wire::new(&options),
                options,
                endpoints: Mutex::default(),
            }),
        }
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Uses these credentials, or none, for the registry of a repository from now on.
    pub fn log_in(&self, repository: &Repository, credentials: Option<&Credentials>) {
        self.endpoint(repository).auth.log_in(credentials);
    }

    /// Stops all work at once: sets the flag of the options and closes every connection. The client
    /// is of no use afterwards.
    pub fn interrupt(&self) {
        self.shared.options.cancel.store(true, Ordering::Relaxed);
        self.shared.wire.shut_down();
    }

    pub(super) fn endpoint(&self, repository: &Repository) -> Arc<Endpoint> {
        let mut endpoints = lock(&self.shared.endpoints);
        let endpoint = endpoints
            .entry(repository.authority().to_owned())
            .or_default();
        Arc::clone(endpoint)
    }

    /// # Errors
    /// When all work was stopped.
    pub(super) fn going_on(&self, repository: &Repository) -> Result<(), Error> {
        if self.shared.options.cancelled() {
            return Err(Error::cancelled(repository));
        }
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
