//! Registry credentials, from Docker's configuration and its credential helpers.

use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::Environment;
use crate::model::{Diagnostic, Location};
use crate::registry::{Credentials, Keychain};

/// `config.json` in `DOCKER_CONFIG`, else in `~/.docker`, as Docker's own client reads it.
pub(super) struct DockerKeychain {
    file: Option<PathBuf>,
}

impl DockerKeychain {
    pub(super) fn new(environment: &Environment) -> Self {
        let folder = environment
            .get("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| Some(environment.home()?.join(".docker")));
        Self {
            file: folder.map(|folder| folder.join("config.json")),
        }
    }
}

impl Keychain for DockerKeychain {
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, Diagnostic> {
        let Some(path) = self.file.as_ref().filter(|path| path.exists()) else {
            return Ok(None);
        };
        let at = |problem: Diagnostic| problem.at(Location::file(path));
        let file = std::fs::File::open(path)
            .map_err(|e| at(Diagnostic::environment(format!("cannot read: {e}"))))?;
        match docker_credential::get_credential_from_reader(std::io::BufReader::new(file), registry)
        {
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                Ok(Some(Credentials::Password { username, password }))
            }
            Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::Token(token))),
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
            // The words of Docker's helpers for "I know nothing of this server".
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found") =>
            {
                Ok(None)
            }
            // A helper's output may hold what it was asked for, so none of it is shown.
            Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(at(
                Diagnostic::environment(format!(
                    "the credential helper `{helper}` failed for {registry}"
                ))
                .hint(format!("try it by hand: echo {registry} | {helper} get")),
            )),
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                Err(at(Diagnostic::environment(format!(
                    "the credential helper `docker-credential-{}` cannot be run for {registry}",
                    helper_for(path, registry).unwrap_or_default()
                ))
                .hint(
                    "install the helper that `credHelpers` or `credsStore` names, or take it out",
                )))
            }
            Err(error) => Err(at(Diagnostic::environment(format!(
                "no credentials for {registry}: {error}"
            ))
            .hint(format!("`docker login {registry}` writes this file anew")))),
        }
    }
}

/// The helper that a configuration names for a registry.
fn helper_for(config: &std::path::Path, registry: &str) -> Option<String> {
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(config).ok()?).ok()?;
    let own = config
        .get("credHelpers")
        .and_then(|helpers| helpers.get(registry));
    own.or_else(|| config.get("credsStore"))?
        .as_str()
        .map(str::to_owned)
}
