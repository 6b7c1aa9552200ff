use std::time::{Duration, SystemTime};

use super::super::args::{SearchArgs, TableFormat};
use super::super::console::Console;
use super::super::settings::Settings;
use super::super::{Ending, Environment, places};
use super::session;
use crate::archive::FIXED_TIME;
use crate::model::{Class, Diagnostic, Diagnostics};
use crate::plan::FINGERPRINT_LABEL;
use crate::publish::{self, Found};
use crate::registry::{Error, Repository};
use crate::report::{self, Listed, count};

pub(in super::super) async fn run(
    args: &SearchArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let place = match &args.place {
        None => places::own(settings),
        Some(text) => places::named(text, settings)?,
    };
    let any = Repository::of(&place.path("any")?);
    let client = places::client(&place, environment, None)?;

    let cancel = session::cancel_on_signal(console);
    let platform = settings.platform.clone();
    let (asking, asked) = (client.clone(), place.clone());
    let searched = tokio::task::spawn_blocking(move || publish::search(&asking, &asked, &platform));
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
            let json = report::search_json(&place.to_string(), &listed, FINGERPRINT_LABEL);
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
