use serde_json::{Value, json};

use super::table::{human_size, table};
use crate::publish::{Difference, Listing, Release};

/// The images of a release: name, bytes, digest, and the tags that stood for something else before.
pub fn release_table(release: &Release, width: Option<u16>) -> String {
    let rows = release.images.iter().map(|(image, released)| {
        let moved = released
            .before
            .iter()
            .filter(|(_, was)| was.as_ref() != Some(&released.digest))
            .map(|(tag, _)| tag.as_str())
            .collect::<Vec<_>>();
        vec![
            image.clone(),
            human_size(released.size),
            moved.join(" "),
            released.digest.to_string(),
        ]
    });
    table(
        width,
        &["IMAGE", ">SIZE", "TAGS MOVED", "DIGEST"],
        rows.collect(),
    )
}

/// The releases of a namespace, the newest first; that whose images have the tags is marked.
pub fn releases_table(releases: &[Listing], current: Option<&str>, width: Option<u16>) -> String {
    let rows = releases.iter().rev().map(|release| {
        let mark = if Some(release.id.as_str()) == current {
            "current"
        } else {
            ""
        };
        vec![
            release.id.clone(),
            mark.to_owned(),
            release.images.to_string(),
            release.tags.join(" "),
            release.commit.chars().take(12).collect(),
        ]
    });
    table(
        width,
        &["RELEASE", "", ">IMAGES", "TAGS", "COMMIT"],
        rows.collect(),
    )
}

/// The same for machines; `docs/json.md` describes it.
pub fn releases_json(place: &str, releases: &[Listing], current: Option<&str>) -> Value {
    json!({ "schema": 1, "namespace": place, "current": current, "releases": releases })
}

/// What differs between two releases: each image, what it grew by, and its packages.
pub fn differences_table(differences: &[Difference], width: Option<u16>) -> String {
    let rows = differences.iter().map(|difference| {
        let sign = if difference.growth < 0 { "-" } else { "+" };
        vec![
            difference.image.clone(),
            difference.how.to_owned(),
            format!("{sign}{}", human_size(difference.growth.unsigned_abs())),
            difference.packages.join("\n"),
        ]
    });
    table(width, &["IMAGE", "IS", ">SIZE", "PACKAGES"], rows.collect())
}

/// The same for machines; `docs/json.md` describes it.
pub fn differences_json(old: &Release, new: &Release, differences: &[Difference]) -> Value {
    json!({ "schema": 1, "from": old.id, "to": new.id, "images": differences })
}
