use std::time::Duration;

use serde_json::json;

use super::table::{human_size, table};
use crate::publish::Found;

/// What is told of published images beside what the registry has.
#[derive(Debug)]
pub struct Listed<'a> {
    /// The image.
    pub found: &'a Found,
    /// How long ago it was made, where it says.
    pub age: Option<Duration>,
}

/// Published images as a table. Tags by fingerprint, which are for machines, are left out where an
/// image has others.
pub fn search_table(images: &[Listed<'_>], width: Option<u16>) -> String {
    let rows = images
        .iter()
        .map(|listed| {
            let all = listed.found.tags.iter().map(|tag| tag.as_str());
            let people: Vec<&str> = all.clone().filter(|tag| !is_by_fingerprint(tag)).collect();
            let tags = if people.is_empty() {
                // All of it would take the table's whole width.
                all.map(|tag| tag.get(..15).unwrap_or(tag).to_owned() + "...")
                    .collect::<Vec<_>>()
                    .join("\n")
            } else {
                people.join("\n")
            };
            vec![
                listed.found.image.clone(),
                tags,
                human_size(listed.found.size),
                listed.age.map(human_age).unwrap_or_default(),
            ]
        })
        .collect();
    table(width, &["IMAGE", "TAG", ">SIZE", ">AGE"], rows)
}

/// Published images as JSON; `docs/json.md` describes it.
pub fn search_json(
    repository: &str,
    images: &[Listed<'_>],
    fingerprint: &str,
) -> serde_json::Value {
    let images: Vec<_> = images
        .iter()
        .map(|listed| {
            let found = listed.found;
            json!({
                "image": found.image,
                "tags": found.tags,
                "digest": found.digest,
                "size": found.size,
                "created": found.created,
                "age": listed.age.map(|age| age.as_secs()),
                "fingerprint": found.labels.get(fingerprint),
            })
        })
        .collect();
    json!({ "schema": 1, "namespace": repository, "images": images })
}

fn is_by_fingerprint(tag: &str) -> bool {
    let digits = tag.strip_prefix("fp-");
    digits.is_some_and(|d| d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `5 min`, `3 h`, `12 days`: one unit, rounded down.
fn human_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 59, 60, 3_599, 3_600, 172_799, 172_800];
        let told = ages.map(|s| human_age(Duration::from_secs(s)));
        assert_eq!(
            told,
            ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 days"]
        );
    }
}
