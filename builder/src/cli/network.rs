//! What archives and registries have at the moment.

use std::sync::Arc;

use super::{Environment, Invocation, places};
use crate::context::Fetcher;
use crate::model::{Diagnostic, Digest, Reference};
use crate::pins::{self, Archive, Suites};
use crate::registry::{Client, Repository};

/// How often a registry is asked.
const ATTEMPTS: u32 = 4;

/// The network as this machine reaches it.
pub(super) struct Network<'a> {
    fetcher: &'a Fetcher,
    client: Client,
    environment: &'a Environment,
}

impl<'a> Network<'a> {
    pub(super) fn new(
        fetcher: &'a Fetcher,
        invocation: Invocation<'a>,
    ) -> Result<Self, Diagnostic> {
        let environment = invocation.environment;
        Ok(Self {
            fetcher,
            client: places::stranger(environment, Some(ATTEMPTS))?,
            environment,
        })
    }
}

impl pins::Network for Network<'_> {
    fn archive(&self, archive: &Archive) -> Result<Suites, Diagnostic> {
        self.fetcher
            .archive_state(&archive.bootstrap, Arc::default())
    }

    fn image(&self, image: &Reference) -> Result<Digest, Diagnostic> {
        let repository = Repository::of(image);
        places::log_in(&self.client, &repository, self.environment)?;
        let found = self.client.resolve(image);
        let found = found.map_err(|error| places::problem(&error))?;
        found.ok_or_else(|| {
            Diagnostic::environment(format!(
                "there is no image `{image}` in {}",
                repository.registry()
            ))
        })
    }
}
