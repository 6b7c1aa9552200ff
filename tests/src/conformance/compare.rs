//! Two reports side by side.

use std::collections::BTreeSet;
use std::fmt;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde_json::Value;

/// What differs everywhere, and why that is right.
const EVERYWHERE: [(&str, &str); 3] = [
    (
        "config:ArgsEscaped",
        "Docker's mark for Windows, deprecated in the OCI image specification",
    ),
    (
        "config:Labels:org.openstack.kolla.*",
        "kolla's own labels: an image's name and fingerprint",
    ),
    (
        "history:*:comment",
        "the name of BuildKit's frontend, which did not build the image",
    ),
];

/// BuildKit's name behind the text of a step that it ran; likewise left out of account.
const SIGNATURE: &str = " # buildkit";

/// A difference that is tolerated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    /// A pattern of fields, with `*`.
    field: String,
    /// Why.
    reason: String,
}

/// The differences that are tolerated in a case.
#[derive(Debug)]
pub struct Skips(Vec<GlobMatcher>);

impl Skips {
    /// # Panics
    /// If a pattern is none, or has no reason.
    pub(super) fn new(case: &[Skip]) -> Self {
        let own = case.iter().map(|skip| {
            assert!(!skip.reason.is_empty(), "{} has no reason", skip.field);
            skip.field.as_str()
        });
        let all = EVERYWHERE.iter().map(|(field, _)| *field).chain(own);
        Self(
            all.map(|field| Glob::new(field).unwrap().compile_matcher())
                .collect(),
        )
    }
}

/// A field that two reports do not agree about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `PART:PLACE:NAME`, such as `files:/etc/passwd:mode`.
    pub field: String,
    /// What the judge has.
    pub judge: Option<Value>,
    /// What the candidate has.
    pub candidate: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or("nothing".to_owned(), Value::to_string)
        };
        write!(
            f,
            "{}\n    judge: {}\n    kolla: {}",
            self.field,
            show(&self.judge),
            show(&self.candidate)
        )
    }
}

/// Everything that differs and is not tolerated.
pub fn differences(judge: &Value, candidate: &Value, skips: &Skips) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(judge), Some(candidate), &mut found);
    found.retain(|difference| !skips.0.iter().any(|skip| skip.is_match(&difference.field)));
    found
}

fn walk(
    field: String,
    judge: Option<&Value>,
    candidate: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let below = |name: &str| {
        if field.is_empty() {
            name.to_owned()
        } else {
            format!("{field}:{name}")
        }
    };
    match (judge, candidate) {
        (a, b) if a == b => {}
        (Some(Value::String(a)), Some(Value::String(b)))
            if field.starts_with("history:") && a.strip_suffix(SIGNATURE) == Some(b) => {}
        // Labels that one side alone has may all be tolerated ones.
        (None, Some(Value::Object(all))) if field == "config:Labels" => {
            for (name, value) in all {
                walk(below(name), None, Some(value), found);
            }
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                walk(below(name), a.get(name), b.get(name), found);
            }
        }
        // What a layer holds is a set.
        (Some(Value::Array(a)), Some(Value::Array(b))) if field.starts_with("layers:") => {
            for value in a.iter().filter(|value| !b.contains(value)) {
                walk(
                    below(value.as_str().unwrap_or_default()),
                    Some(&true.into()),
                    None,
                    found,
                );
            }
            for value in b.iter().filter(|value| !a.contains(value)) {
                walk(
                    below(value.as_str().unwrap_or_default()),
                    None,
                    Some(&true.into()),
                    found,
                );
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for i in 0..a.len().max(b.len()) {
                walk(below(&i.to_string()), a.get(i), b.get(i), found);
            }
        }
        _ => found.push(Difference {
            field,
            judge: judge.cloned(),
            candidate: candidate.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(judge: &Value, candidate: &Value) -> Vec<String> {
        let all = differences(judge, candidate, &Skips::new(&[]));
        all.into_iter().map(|difference| difference.field).collect()
    }

    #[test]
    fn every_field_that_differs_is_named() {
        let judge =
            json!({"files": {"/a": {"mode": "0644", "uid": 0}}, "history": [{"created_by": "x"}]});
        let other = json!({"files": {"/a": {"mode": "0755", "uid": 0}}, "history": []});
        assert_eq!(fields(&judge, &other), ["files:/a:mode", "history:0"]);
    }

    #[test]
    fn one_more_file_in_a_layer_is_one_difference() {
        let judge = json!({"layers": [["/a file", "/b file"]]});
        let other = json!({"layers": [["/b file"]]});
        assert_eq!(fields(&judge, &other), ["layers:0:/a file"]);
    }

    #[test]
    fn a_step_may_lack_the_name_of_the_builder_and_nothing_else() {
        let step = |text: &str| json!({"history": [{"created_by": text}]});
        let judge = step("RUN true # buildkit");
        assert_eq!(fields(&judge, &step("RUN true")), Vec::<String>::new());
        assert_eq!(fields(&judge, &step("RUN tru")), ["history:0:created_by"]);
    }

    #[test]
    fn what_is_tolerated_is_not_told() {
        let none = json!({"config": {}});
        let judge = json!({"config": {"Labels": {"a": "1"}}});
        let other = json!({"config": {"Labels": {"a": "1", "org.openstack.kolla.image": "case"}}});
        assert_eq!(fields(&judge, &other), Vec::<String>::new());
        assert_eq!(fields(&none, &other), ["config:Labels:a"]);
    }
}
