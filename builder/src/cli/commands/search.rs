use std::time::{Duration, SystemTime};

use super::super::args::{SearchArgs, TableFormat};
use super::super::console::Console;
use super::super::engine::registry_options;
use super::super::keychain::DockerKeychain;
use super::super::settings::Settings;
use super::super::{Ending, Environment};
use super::session;
use crate::archive::FIXED_TIME;
use crate::model::{Class, Diagnostic, Diagnostics, Namespace, Reference};
use crate::plan::FINGERPRINT_LABEL;
use crate::publish::{self, DOCKER_HUB, Found, Keychain as _};
use crate::registry::{Client, Error, Repository};
use crate::report::{self, Listed, count};

pub(in super::super) async fn run(
    args: &SearchArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let (registry, namespace) = match &args.place {
        None => (settings.registry.clone(), settings.namespace.clone()),
        Some(text) => {
            let no_namespace = || {
                Diagnostic::definition(format!("`{}` is no namespace", text.escape_debug()))
                    .hint("write [REGISTRY/]NAMESPACE, such as registry.example:5000/kollaglue")
            };
            // With an image behind it, it is a reference.
            let any = Reference::parse(&format!("{text}/image")).map_err(|_| no_namespace())?;
            let path = any.path().strip_suffix("/image").ok_or_else(no_namespace)?;
            let own = any.registry().cloned();
            let namespace = Namespace::new(path)?;
            (own.or_else(|| settings.registry.clone()), namespace)
        }
    };
    let place = match &registry {
        Some(registry) => format!("{registry}/{namespace}"),
        None => namespace.to_string(),
    };
    let any = Repository::of(&Reference::parse(&format!("{place}/image"))?);
    let client = Client::new(registry_options(environment)?);
    let address = registry
        .as_ref()
        .map_or(DOCKER_HUB, |registry| registry.as_str());
    let credentials = DockerKeychain::new(environment).credentials(address)?;
    client.log_in(&any, credentials.as_ref());

    let cancel = session::cancel_on_signal(console);
    let platform = settings.platform.clone();
    let asking = client.clone();
    let searched = tokio::task::spawn_blocking(move || {
        publish::search(&asking, registry.as_ref(), &namespace, &platform)
    });
    let found = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            client.interrupt();
            return Ok(Ending::Interrupted);
        }
        found = searched => found
            .map_err(|e| Diagnostic::new(Class::Internal, e.to_string()))?
            .map_err(|error| problem(&any, &error))?,
    };
    let now = SystemTime::now();
    let listed: Vec<Listed<'_>> = found
        .iter()
        .map(|found| Listed {
            age: age(found, now),
            found,
        })
        .collect();
    match args.format {
        TableFormat::Table => {
            if !listed.is_empty() {
                console.result(&report::search_table(&listed, console.width()))?;
                console.say("");
            }
            console.say(&format!("{} in {place}", count(listed.len(), "image")));
        }
        TableFormat::Json => {
            let json = report::search_json(&place, &listed, FINGERPRINT_LABEL);
            console.result(&format!("{json:#}\n"))?;
        }
    }
    Ok(Ending::Good)
}

/// None too for an image whose times are fixed, so that the same files always give the same image.
fn age(found: &Found, now: SystemTime) -> Option<Duration> {
    let created = humantime::parse_rfc3339(found.created.as_deref()?).ok()?;
    let fixed = SystemTime::UNIX_EPOCH + Duration::from_secs(FIXED_TIME);
    if created <= fixed {
        return None;
    }
    Some(now.duration_since(created).unwrap_or_default())
}

fn problem(any: &Repository, error: &Error) -> Diagnostic {
    let registry = any.registry();
    let class = if error.is_transient() {
        Class::Transient
    } else {
        Class::Environment
    };
    let problem = Diagnostic::new(class, format!("cannot list the images at {registry}"))
        .note(error.to_string());
    match error {
        Error::Unauthorized { .. } | Error::Denied { .. } => problem
            .hint(format!(
                "log in with an account that may list them: docker login {registry}"
            ))
            .hint(NO_CATALOG),
        Error::NotFound { .. } | Error::Refused { .. } => problem.hint(NO_CATALOG),
        _ => problem,
    }
}

const NO_CATALOG: &str =
    "Docker Hub and some other registries list nothing by this protocol: look at their web pages";
