//! Where images are published, and what speaks to registries.

use std::sync::Arc;

use super::Environment;
use super::engine::registry_options;
use super::keychain::DockerKeychain;
use super::settings::Settings;
use crate::engine;
use crate::model::{Diagnostic, Diagnostics, Place};
use crate::registry::{Client, Error, Keychain as _, Options, Pusher, Repository};

/// Where images are published: publishing without a word on where is more likely a slip than Docker Hub.
pub(super) fn target(settings: &Settings) -> Result<Place, Diagnostic> {
    if settings.registry.is_none() {
        return Err(
            Diagnostic::definition("there is no registry to publish in").hint(
                "name one with --registry, or as `registry` in kolla.toml; `docker.io` is Docker Hub",
            ),
        );
    }
    Ok(own(settings))
}

/// The namespace of the settings, in their registry or, where they name none, in Docker Hub.
pub(super) fn own(settings: &Settings) -> Place {
    Place {
        registry: settings.registry.clone(),
        namespace: settings.namespace.clone(),
    }
}

/// `[REGISTRY/]NAMESPACE`, in the registry of the settings where it names none.
pub(super) fn named(text: &str, settings: &Settings) -> Result<Place, Diagnostic> {
    let named = Place::parse(text)?;
    Ok(Place {
        registry: named.registry.or_else(|| settings.registry.clone()),
        ..named
    })
}

/// What asks registries, logged in nowhere. Each request is tried so often, or as often as usual.
pub(super) fn stranger(
    environment: &Environment,
    attempts: Option<u32>,
) -> Result<Client, Diagnostic> {
    let usual = registry_options(environment)?;
    Ok(Client::new(Options {
        attempts: attempts.unwrap_or(usual.attempts),
        ..usual
    }))
}

/// Logs in where a repository is, if there are credentials for it.
pub(super) fn log_in(
    client: &Client,
    repository: &Repository,
    environment: &Environment,
) -> Result<(), Diagnostic> {
    let credentials = DockerKeychain::new(environment).credentials_for(repository)?;
    client.log_in(repository, credentials.as_ref());
    Ok(())
}

/// What asks the registry of a place, logged in.
pub(super) fn client(
    place: &Place,
    environment: &Environment,
    attempts: Option<u32>,
) -> Result<Client, Diagnostics> {
    let client = stranger(environment, attempts)?;
    log_in(&client, &Repository::of(&place.path("any")?), environment)?;
    Ok(client)
}

/// The same for sending.
pub(super) fn pusher(
    place: &Place,
    environment: &Environment,
    attempts: Option<u32>,
) -> Result<Arc<Pusher>, Diagnostics> {
    Ok(Arc::new(Pusher::new(client(place, environment, attempts)?)))
}

/// What a registry's failure is to a person.
pub(super) fn problem(error: &Error) -> Diagnostic {
    engine::Error::from(error).diagnostic()
}
