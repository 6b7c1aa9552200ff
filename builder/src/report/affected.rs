use serde_json::json;

use super::plan::differences;
use super::table::table;
use crate::plan::{Affected, Comparison};

fn words(affected: &Affected, all: bool) -> String {
    match &affected.before {
        None => "a new image".to_owned(),
        Some(_) => differences(&affected.changes, all).unwrap_or_default(),
    }
}

/// The affected images as a table: image, service, and the reason in a few words, or with `why` in full.
pub fn affected_table(comparison: &Comparison, why: bool, width: Option<u16>) -> String {
    let rows = comparison
        .affected()
        .iter()
        .map(|affected| {
            vec![
                affected.image.to_string(),
                affected.service.to_string(),
                words(affected, why),
            ]
        })
        .collect();
    let last = if why { "WHY" } else { "REASON" };
    table(width, &["IMAGE", "SERVICE", last], rows)
}

/// The affected images by name, one a line, parents first.
pub fn affected_names(comparison: &Comparison) -> String {
    let affected = comparison.affected().iter();
    affected.map(|a| format!("{}\n", a.image)).collect()
}

/// The affected images as JSON; `docs/json.md` describes it. `commit` is what they are compared with.
pub fn affected_json(comparison: &Comparison, revision: &str, commit: &str) -> serde_json::Value {
    let images: Vec<_> = comparison
        .affected()
        .iter()
        .map(|affected| {
            json!({
                "image": affected.image,
                "service": affected.service,
                "how": if affected.before.is_some() { "changed" } else { "added" },
                "reason": words(affected, false),
                "changes": affected.changes,
                "fingerprint": affected.fingerprint,
                "before": affected.before,
                "parents": affected.parents,
            })
        })
        .collect();
    json!({
        "schema": 1,
        "since": revision,
        "commit": commit,
        "images": images,
        "removed": comparison.removed(),
    })
}
