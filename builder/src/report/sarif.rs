//! A gate's report as SARIF 2.1.0, which code hosts show beside the lines of a change.

use std::path::Path;

use serde_json::{Value, json};

use super::gate::{GateReport, GatedImage};
use crate::catalog::Check;
use crate::gate::Finding;
use crate::model::{Digest, Location};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Writes the report. Places are relative to `root`, the folder of the fleet.
pub fn sarif(report: &GateReport, root: &Path) -> Value {
    let rules = Check::ALL.map(|check| {
        json!({
            "id": check.name(),
            "shortDescription": { "text": check.description() },
            "defaultConfiguration": { "level": "error" },
        })
    });
    let mut results = Vec::new();
    let mut notifications = Vec::new();
    for image in &report.images {
        let findings = image.failing().chain(image.waived());
        results.extend(findings.map(|(check, finding)| result(image, check, finding, root)));
        if let Some(failure) = image.failure.as_ref().filter(|f| f.blocked_by.is_none()) {
            notifications.push(json!({
                "level": "error",
                "message": { "text": format!("{}: {}", image.image, failure.message) },
            }));
        }
    }
    notifications.extend(report.flakes.iter().map(|flake| {
        json!({
            "level": "note",
            "message": { "text": format!(
                "{}: try {} failed and was repeated: {}", flake.image, flake.attempt, flake.reason
            ) },
        })
    }));
    let worked = !report.images.iter().any(GatedImage::is_environment);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "kolla",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "originalUriBaseIds": { "FLEET": { "description": { "text": "The fleet's folder." } } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": worked,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    })
}

fn result(image: &GatedImage, check: Check, finding: &Finding, root: &Path) -> Value {
    let text = format!("{}: {}", image.image, finding.message);
    let text = finding
        .notes
        .iter()
        .fold(text, |text, note| format!("{text}\n{note}"));
    let rule = Check::ALL.iter().position(|c| *c == check);
    // The same finding in another run, whatever else its message says.
    let key = format!("{} {check} {}", image.image, finding.subject);
    let mut result = json!({
        "ruleId": check.name(),
        "ruleIndex": rule,
        "level": "error",
        "message": { "text": text },
        "locations": [{
            "physicalLocation": place(image, finding.location.as_ref(), root),
            "logicalLocations": [{ "name": image.image, "kind": "module" }],
        }],
        "partialFingerprints": { "kolla/v1": Digest::of(key.as_bytes()).hex() },
    });
    if let Some(waived) = &finding.waived {
        let reason = format!("{} (until {})", waived.reason, waived.until);
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": reason }]);
    }
    result
}

fn place(image: &GatedImage, location: Option<&Location>, root: &Path) -> Value {
    let path = location.map_or(Path::new(&image.dockerfile), Location::path);
    let path = path.strip_prefix(root).unwrap_or(path);
    let mut place = json!({
        "artifactLocation": { "uri": uri(path), "uriBaseId": "FLEET" },
    });
    if let Some(location) = location
        && let (Some(line), Some(column)) = (location.line(), location.column())
    {
        place["region"] = json!({ "startLine": line, "startColumn": column });
    }
    place
}

/// A path as a relative reference (RFC 3986, section 4.2).
fn uri(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = text.trim_start_matches("./").trim_start_matches('/');
    let mut uri = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
