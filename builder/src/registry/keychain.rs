use super::{Credentials, Repository};
use crate::model::Diagnostic;

/// What Docker's configuration calls the registry of references that name none.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Knows of no credentials.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

impl Keychain for Anonymous {
    fn credentials(&self, _: &str) -> Result<Option<Credentials>, Diagnostic> {
        Ok(None)
    }
}

/// Where credentials for a registry come from.
pub trait Keychain: Send + Sync {
    /// The credentials for a registry's address; none where it is used without any. Docker's own
    /// registry is asked for by its historical name, `https://index.docker.io/v1/`.
    ///
    /// # Errors
    /// When a configuration is unreadable or a helper fails; never with a secret in the message.
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, Diagnostic>;

    /// The credentials for the registry of a repository.
    ///
    /// # Errors
    /// As [`Self::credentials`].
    fn credentials_for(&self, repository: &Repository) -> Result<Option<Credentials>, Diagnostic> {
        self.credentials(if repository.is_docker_hub() {
            DOCKER_HUB
        } else {
            repository.registry()
        })
    }
}
