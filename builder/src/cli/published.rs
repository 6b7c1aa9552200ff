//! Published images, which need not be built again.

use std::collections::BTreeMap;

use super::{Invocation, places};
use crate::model::{Diagnostic, Diagnostics, Fingerprint, ImageName, Reference, Tag};
use crate::plan::{self, Inputs};
use crate::publish::Releases;
use crate::registry::Repository;

/// How often a registry is asked: without its answer there is still the way of building.
const ATTEMPTS: u32 = 3;

/// Looks for images where the settings say. A registry that does not answer is warned of, and what it
/// may have is built.
pub(super) fn look_up(
    wanted: &[(&ImageName, &Fingerprint)],
    invocation: Invocation<'_>,
) -> Result<BTreeMap<ImageName, Reference>, Diagnostics> {
    let Invocation {
        settings,
        environment,
        console,
    } = invocation;
    if wanted.is_empty() || settings.places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let client = places::stranger(environment, Some(ATTEMPTS))?;
    for place in &settings.places {
        let Some((image, fingerprint)) = wanted.first() else {
            continue;
        };
        let any = place.reference(image, &Tag::of_fingerprint(fingerprint));
        places::log_in(&client, &Repository::of(&any), environment)?;
    }
    let published = plan::look_up(&client, &settings.places, wanted);
    for (place, error) in &published.silent {
        console.warn(
            &Diagnostic::environment(format!(
                "no published images are taken from {place}: {error}"
            ))
            .hint("what it may have is built; --local looks for published images nowhere"),
        );
    }
    Ok(published.found)
}

/// What the images of the current releases were made from, where there are such. It is for explanations
/// only: where it cannot be had, less is explained.
pub(super) fn inputs(invocation: Invocation<'_>) -> BTreeMap<ImageName, Inputs> {
    let mut all = BTreeMap::new();
    for place in &invocation.settings.places {
        let Ok(pusher) = places::pusher(place, invocation.environment, Some(ATTEMPTS)) else {
            continue;
        };
        let releases = Releases {
            pusher: &pusher,
            place,
        };
        for (image, inputs) in releases.inputs().unwrap_or_default() {
            all.entry(image).or_insert(inputs);
        }
    }
    all
}
