use rayon::prelude::*;

use super::super::args::{TableFormat, VerifyArgs};
use super::super::console::Console;
use super::super::settings::Settings;
use super::super::{Ending, Environment, diagnostics, fleet, keys, places, version};
use super::session;
use crate::model::{Class, Diagnostic, Diagnostics, ImageName, Place, Reference};
use crate::registry::{Client, Error, Repository};
use crate::report::{self, Verified, count};
use crate::supply::{self, Expected, PublicKey};

/// Images that are checked at once: most of the time is spent waiting for the registry.
const AT_ONCE: usize = 8;

pub(in super::super) fn run(
    args: &VerifyArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let place = Place::parse(&args.place)?;
    let signed_as = args.signed_as.as_deref().map(Place::parse).transpose()?;
    let key = keys::public(args.key.as_deref(), &settings.root)?;
    let tags = match settings.tags.as_slice() {
        [] => vec![version::commit_tag(&settings.root)?],
        tags => tags.to_vec(),
    };
    let images = images(&args.images, settings)?;
    let attempts = settings.retry.retries.saturating_add(1);
    let client = places::stranger(environment, Some(attempts))?;
    let wanted: Vec<Wanted> = images
        .iter()
        .flat_map(|image| {
            tags.iter().map(|tag| Wanted {
                image,
                reference: place.reference(image, tag),
                signed_as: signed_as.as_ref().map(|place| place.reference(image, tag)),
            })
        })
        .collect();
    if let Some(first) = wanted.first() {
        places::log_in(&client, &Repository::of(&first.reference), environment)?;
    }
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(AT_ONCE.max(settings.jobs))
        .build()
        .map_err(|e| Diagnostic::environment(format!("cannot start threads: {e}")))?;
    let checked: Vec<Verified> = threads.install(|| {
        let one = |wanted: &Wanted<'_>| check(&client, &key, wanted);
        wanted.par_iter().map(one).collect()
    });
    finish(&checked, &key, args.format, console)
}

struct Wanted<'a> {
    image: &'a ImageName,
    reference: Reference,
    signed_as: Option<Reference>,
}

/// Those named; by patterns, or where none is named, those of the fleet.
fn images(given: &[String], settings: &Settings) -> Result<Vec<ImageName>, Diagnostics> {
    let named: Result<Vec<ImageName>, Diagnostic> = given.iter().map(ImageName::new).collect();
    match named {
        Ok(named) if !named.is_empty() => Ok(named),
        _ => {
            let graph = fleet::graph(settings)?;
            let selection = fleet::select(&graph, given)?;
            let chosen = graph
                .nodes()
                .filter(|node| selection.chosen().contains(node.image()));
            Ok(chosen.map(|node| node.image().clone()).collect())
        }
    }
}

fn check(client: &Client, key: &PublicKey, wanted: &Wanted<'_>) -> Verified {
    let expected = Expected {
        key,
        image: wanted.image,
        signed_as: wanted.signed_as.as_ref(),
    };
    let outcome = supply::verify(client, &wanted.reference, expected);
    Verified {
        image: wanted.image.clone(),
        reference: wanted.reference.clone(),
        outcome: outcome.map_err(|error| problem(&error, &wanted.reference)),
    }
}

/// Why an image could not be checked.
fn problem(error: &Error, reference: &Reference) -> Diagnostic {
    if let Error::NotFound { .. } = error {
        return Diagnostic::new(Class::Build, format!("{reference} is not in the registry"));
    }
    let registry = error.repository().registry().to_owned();
    let class = match error {
        Error::NotFound { .. } | Error::Corrupt { .. } | Error::Refused { .. } => Class::Build,
        Error::Unwell { .. } | Error::Connection { .. } => Class::Transient,
        Error::Cancelled { .. } => Class::Interrupted,
        Error::Unauthorized { .. }
        | Error::Denied { .. }
        | Error::Tls { .. }
        | Error::Local { .. } => Class::Environment,
    };
    let problem = Diagnostic::new(class, error.to_string());
    match error {
        Error::Unauthorized { .. } | Error::Denied { .. } => {
            problem.hint(format!("`docker login {registry}` says who you are"))
        }
        _ => problem,
    }
}

fn finish(
    checked: &[Verified],
    key: &PublicKey,
    format: TableFormat,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let unreachable = |one: &Verified| match &one.outcome {
        Err(problem) if problem.class() != Class::Build => Some(problem.clone()),
        _ => None,
    };
    let silent: Vec<Diagnostic> = checked.iter().filter_map(unreachable).collect();
    // A registry that told of no image is one problem, not one an image.
    if !silent.is_empty() && silent.len() == checked.len() {
        return Err(silent.into_iter().take(1).collect());
    }
    let problems: Vec<Diagnostic> = checked.iter().flat_map(Verified::problems).collect();
    match format {
        TableFormat::Table => {
            console.result(&report::verify_table(checked, console.width()))?;
        }
        TableFormat::Json => {
            let json = report::verify_json(checked, &key.id(), session::failure);
            console.result(&format!("{json:#}\n"))?;
        }
    }
    if !problems.is_empty() {
        console.error_text("\n");
    }
    for problem in &problems {
        console.error_text(&diagnostics::render(problem, false));
    }
    let good = checked.iter().filter(|one| one.is_good()).count();
    console.say(&format!(
        "\n{good} of {} good, by the key {}",
        count(checked.len(), "image"),
        key.id()
    ));
    let worst = checked.iter().filter_map(Verified::class);
    Ok(worst
        .max_by_key(|class| super::super::exit_status(*class))
        .map_or(Ending::Good, Ending::Failed))
}
