//! What is published, as far as a change is held against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::inventory::Package;
use crate::model::{Diagnostic, ImageName, Location, Source};

/// What is known of one published image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Bytes of its files, as an inventory counts them; `None` where that is not known.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its packages; `None` where they are not known.
    #[serde(default)]
    pub packages: Option<Vec<Package>>,
}

/// Published images by name; those that are not published yet are not in it.
pub type Baselines = BTreeMap<ImageName, Baseline>;

#[derive(Deserialize)]
struct Document {
    schema: u32,
    images: BTreeMap<String, Baseline>,
}

/// Reads what `kolla gate --write-baseline` wrote, or any other document of that shape: `schema`, which
/// is 1, and `images`, by name an object with `size` and `packages`, both of which may be missing.
///
/// # Errors
/// When it is no such document.
pub fn parse(source: &Source) -> Result<Baselines, Diagnostic> {
    let document: Document = serde_json::from_str(source.text()).map_err(|error| {
        // serde has the place in its words as well.
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let at = match error.line() {
            0 => Location::file(source.path()),
            line => source.line(line),
        };
        Diagnostic::definition(format!("this is no baseline: {message}"))
            .at(at)
            .hint("docs/gate.md shows one; `kolla gate --write-baseline FILE` writes one")
    })?;
    if document.schema != 1 {
        return Err(Diagnostic::definition(format!(
            "this is a baseline of schema {}, and only 1 is known",
            document.schema
        ))
        .at(Location::file(source.path())));
    }
    let at = |problem: Diagnostic| problem.at(Location::file(source.path()));
    let images = document.images.into_iter();
    images
        .map(|(name, baseline)| Ok((ImageName::new(name.as_str()).map_err(at)?, baseline)))
        .collect()
}

/// The document of these.
pub fn document(baselines: &Baselines) -> serde_json::Value {
    serde_json::json!({ "schema": 1, "images": baselines })
}
