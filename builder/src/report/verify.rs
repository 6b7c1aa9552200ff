use serde_json::{Value, json};

use super::Failure;
use super::table::table;
use crate::model::{Class, Diagnostic, Digest, ImageName, Reference};
use crate::supply::{Finding, Verdict};

/// A published image that was checked.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The image.
    pub image: ImageName,
    /// What it was looked for by.
    pub reference: Reference,
    /// What was found, or why nothing was.
    pub outcome: Result<Verdict, Diagnostic>,
}

impl Verified {
    /// Whether all is as it should be.
    pub fn is_good(&self) -> bool {
        self.outcome.as_ref().is_ok_and(Verdict::is_good)
    }

    /// Of which class its failure is; none where all is good.
    pub fn class(&self) -> Option<Class> {
        match &self.outcome {
            Ok(verdict) if verdict.is_good() => None,
            Ok(_) => Some(Class::Build),
            Err(problem) => Some(problem.class()),
        }
    }

    /// All that is missing or wrong.
    pub fn problems(&self) -> Vec<Diagnostic> {
        let verdict = match &self.outcome {
            Ok(verdict) => verdict,
            Err(problem) => return vec![problem.in_image(&self.image)],
        };
        let told = [
            told("signature", &verdict.signature),
            told("provenance", &verdict.provenance),
            told("SBOM", &verdict.sbom),
        ];
        let told = told.into_iter().flatten();
        told.map(|text| Diagnostic::new(Class::Build, text).in_image(&self.image))
            .collect()
    }
}

fn told<T>(what: &str, finding: &Finding<T>) -> Option<String> {
    match finding {
        Finding::Good(_) => None,
        Finding::Missing => Some(format!("no {what}")),
        Finding::Wrong { reason } => Some(format!("{what}: {reason}")),
    }
}

fn cell<T>(finding: &Finding<T>, good: impl Fn(&T) -> String) -> String {
    match finding {
        Finding::Good(found) => good(found),
        Finding::Missing => "missing".to_owned(),
        Finding::Wrong { .. } => "wrong".to_owned(),
    }
}

/// What was checked as a table: image, tag, digest, signature, provenance, SBOM.
pub fn verify_table(checked: &[Verified], width: Option<u16>) -> String {
    let rows = checked
        .iter()
        .map(|one| {
            let tag = one.reference.tag().map(ToString::to_string);
            let mut row = vec![one.image.to_string(), tag.unwrap_or_default()];
            match &one.outcome {
                Ok(verdict) => {
                    let mut digest = verdict.digest.hex();
                    digest.truncate(12);
                    row.extend([
                        digest,
                        cell(&verdict.signature, |_| "good".to_owned()),
                        cell(&verdict.provenance, |_| "good".to_owned()),
                        cell(&verdict.sbom, |found| {
                            super::count(found.packages, "package")
                        }),
                    ]);
                }
                Err(problem) => {
                    let word = match problem.class() {
                        Class::Build => "missing",
                        _ => "not checked",
                    };
                    row.extend([word, "", "", ""].map(str::to_owned));
                }
            }
            row
        })
        .collect();
    let headers = ["IMAGE", "TAG", "DIGEST", "SIGNATURE", "PROVENANCE", "SBOM"];
    table(width, &headers, rows)
}

/// What was checked as JSON; `docs/json.md` describes it.
pub fn verify_json(
    checked: &[Verified],
    key: &Digest,
    failure: impl Fn(&Diagnostic) -> Failure,
) -> Value {
    let images: Vec<Value> = checked
        .iter()
        .map(|one| {
            let verdict = one.outcome.as_ref().ok();
            json!({
                "image": one.image,
                "reference": one.reference,
                "digest": verdict.map(|v| &v.digest),
                "ok": one.is_good(),
                "signature": verdict.map(|v| &v.signature),
                "provenance": verdict.map(|v| &v.provenance),
                "sbom": verdict.map(|v| &v.sbom),
                "failure": one.outcome.as_ref().err().map(&failure),
            })
        })
        .collect();
    json!({
        "schema": 1,
        "command": "verify",
        "ok": checked.iter().all(Verified::is_good),
        "key": key,
        "images": images,
    })
}
