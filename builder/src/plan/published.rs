use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Fingerprint, ImageName, Place, Reference, Tag};
use crate::registry::{Client, Error};

/// Requests that are on their way at once.
const AT_ONCE: usize = 16;

/// What came of looking for published images.
#[derive(Debug, Default)]
pub struct Published {
    /// The images found, each by its digest, at the first place that has it.
    pub found: BTreeMap<ImageName, Reference>,
    /// Places that gave no answer, and why.
    pub silent: Vec<(Place, Error)>,
}

/// Looks for images by the tags of their fingerprints: one request for each image and place, until it
/// is found. A place that fails is not asked again; one that refuses an image may have others.
pub fn look_up(
    client: &Client,
    places: &[Place],
    wanted: &[(&ImageName, &Fingerprint)],
) -> Published {
    let next = AtomicUsize::new(0);
    let published = Mutex::new(Published::default());
    let silent = Mutex::new(BTreeSet::new());
    let refused = Mutex::new(BTreeMap::new());
    let is_silent = |place: &Place| silent.lock().is_ok_and(|silent| silent.contains(place));
    let look = |image: &ImageName, fingerprint: &Fingerprint| {
        let tag = Tag::of_fingerprint(fingerprint);
        for place in places.iter().filter(|place| !is_silent(place)) {
            let named = place.reference(image, &tag);
            match client.resolve(&named) {
                Ok(Some(digest)) => return Some(named.at_digest(digest)),
                Ok(None) => {}
                // What some registries say of a repository that is not there.
                Err(error @ (Error::Unauthorized { .. } | Error::Denied { .. })) => {
                    if let Ok(mut refused) = refused.lock() {
                        refused.entry(place.clone()).or_insert(error);
                    }
                }
                Err(error) => {
                    let first = silent.lock().is_ok_and(|mut s| s.insert(place.clone()));
                    if let Ok(mut published) = published.lock()
                        && first
                    {
                        published.silent.push((place.clone(), error));
                    }
                }
            }
        }
        None
    };
    let work = || {
        while let Some((image, fingerprint)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(found) = look(image, fingerprint)
                && let Ok(mut published) = published.lock()
            {
                published.found.insert((*image).clone(), found);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(wanted.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut published = published.into_inner().unwrap_or_default();
    for (place, error) in refused.into_inner().unwrap_or_default() {
        if !published.found.values().any(|found| place.holds(found)) {
            published.silent.push((place, error));
        }
    }
    published
}
