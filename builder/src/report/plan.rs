use serde_json::json;

use super::table::table;
use crate::model::{ImageName, Reference};
use crate::plan::{Action, Change, Plan, Reason, engine_reference};

/// A plan as a table: image, action, and the reason in a few words, or with `why` in full.
pub fn plan_table(plan: &Plan, why: bool, width: Option<u16>) -> String {
    let rows = plan
        .images()
        .iter()
        .map(|planned| {
            vec![
                planned.image.to_string(),
                planned.action.word().to_owned(),
                words(&planned.action, why),
            ]
        })
        .collect();
    table(
        width,
        &["IMAGE", "ACTION", if why { "WHY" } else { "REASON" }],
        rows,
    )
}

/// The reason for an action in a few words.
pub fn reason(action: &Action) -> String {
    words(action, false)
}

/// The reason for an action: a few words, or every input that changed, one a line.
fn words(action: &Action, all: bool) -> String {
    match action {
        Action::Reuse(_) => "unchanged".to_owned(),
        Action::ReusePublished { at, fetch } => {
            let fetched = if *fetch { ", fetched to build on" } else { "" };
            format!("published in {}{fetched}", at.repository())
        }
        Action::Skip => "nothing that is built needs it".to_owned(),
        Action::Build(Reason::New) => "not built here before".to_owned(),
        Action::Build(Reason::Gone) => "unchanged, but the engine has it no more".to_owned(),
        Action::Build(Reason::Forced) => "--rebuild".to_owned(),
        Action::Build(Reason::Changed(changes)) => differences(changes, all)
            .unwrap_or_else(|| "unchanged, but the engine has it no more".to_owned()),
    }
}

/// The first input that changed, or `all` of them, one a line; none where none did.
pub(super) fn differences(changes: &[Change], all: bool) -> Option<String> {
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [] => None,
        _ if all => Some(lines.join("\n")),
        [only] => Some(only.clone()),
        [first, rest @ ..] => Some(format!("{first}, and {} more", rest.len())),
    }
}

/// A plan as JSON; `docs/json.md` describes it.
pub fn plan_json(plan: &Plan, tags: impl Fn(&ImageName) -> Vec<Reference>) -> serde_json::Value {
    let images: Vec<_> = plan
        .images()
        .iter()
        .map(|planned| {
            let changes = match &planned.action {
                Action::Build(Reason::Changed(changes)) => changes.as_slice(),
                _ => &[],
            };
            json!({
                "image": planned.image,
                "service": planned.service,
                "action": planned.action.word(),
                "reason": reason(&planned.action),
                "changes": changes,
                "fingerprint": planned.fingerprint,
                "engine_reference": engine_reference(&planned.image, &planned.fingerprint),
                "parents": planned.parents,
                "tags": tags(&planned.image),
            })
        })
        .collect();
    json!({ "schema": 1, "builds": plan.builds(), "images": images })
}
