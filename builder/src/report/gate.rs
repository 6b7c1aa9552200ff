//! What a gate found, for people and machines; `docs/json.md` describes the JSON.

use serde::Serialize;

use super::summary::Failure;
use super::table::{human_seconds, human_size, table};
use crate::catalog::Check;
use crate::gate::{Finding, Flake, PackageChange, Verdict, VerdictStatus};
use crate::model::{Class, Fingerprint, ImageId, ImageName, ServiceName};

/// What a run of the gate found.
#[derive(Debug, Clone, Serialize)]
pub struct GateReport {
    /// The version of this shape.
    pub schema: u32,
    /// "gate".
    pub command: &'static str,
    /// Whether everything passed.
    pub ok: bool,
    /// What was used.
    pub engine: String,
    /// Wall time of the whole run, seconds.
    pub seconds: f64,
    /// The revision since which images were affected, where one was given.
    pub since: Option<String>,
    /// Every image that was to be checked, parents first.
    pub images: Vec<GatedImage>,
    /// What did not work at first and was tried again.
    pub flakes: Vec<Flake>,
    /// What is not as it should be and fails nothing.
    pub warnings: Vec<String>,
}

/// What became of one image.
#[derive(Debug, Clone, Serialize)]
pub struct GatedImage {
    /// The image.
    pub image: ImageName,
    /// Its service.
    pub service: ServiceName,
    /// How it ended.
    pub status: GateStatus,
    /// Whether it was built, and why.
    pub reason: String,
    /// Wall time of its build and its checks, seconds.
    pub seconds: Option<f64>,
    /// The engine's name for it.
    pub id: Option<ImageId>,
    /// What it is made of, as one value.
    pub fingerprint: Fingerprint,
    /// Bytes of its files.
    pub size: Option<u64>,
    /// Bytes of the published image's files.
    pub published_size: Option<u64>,
    /// How many packages it has.
    pub packages: Option<usize>,
    /// What each check found; empty where none was made.
    pub checks: Vec<Verdict>,
    /// How its packages differ from those of the published image; none where that is not known.
    pub changes: Option<Vec<PackageChange>>,
    /// Why it could not be checked.
    pub failure: Option<Failure>,
    /// Its Dockerfile, relative to the fleet.
    #[serde(skip)]
    pub dockerfile: String,
}

/// How an image ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateStatus {
    /// All checks passed, or what they found is waived.
    Passed,
    /// A check failed.
    Failed,
    /// It could not be built, or not be checked: `failure` says by whose fault.
    Broken,
    /// An image that it is made from failed.
    Blocked,
    /// The run ended before it was done.
    Cancelled,
}

impl GateStatus {
    /// `passed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }
}

impl GatedImage {
    /// The findings that fail, each with its check.
    pub fn failing(&self) -> impl Iterator<Item = (Check, &Finding)> {
        let failed = |v: &&Verdict| v.status == VerdictStatus::Failed;
        self.checks.iter().filter(failed).flat_map(|verdict| {
            let open = verdict.findings.iter().filter(|f| f.waived.is_none());
            open.map(|finding| (verdict.check, finding))
        })
    }

    /// The findings that are waived, each with its check.
    pub fn waived(&self) -> impl Iterator<Item = (Check, &Finding)> {
        self.checks.iter().flat_map(|verdict| {
            let waived = verdict.findings.iter().filter(|f| f.waived.is_some());
            waived.map(|finding| (verdict.check, finding))
        })
    }

    /// Whether what it ended with is none of the change's fault.
    pub fn is_environment(&self) -> bool {
        let class = self.failure.as_ref().map(|failure| failure.class);
        matches!(class, Some(Class::Environment | Class::Transient))
    }

    fn result(&self) -> String {
        let names = |status: VerdictStatus| -> Vec<&str> {
            let found = self.checks.iter().filter(|v| v.status == status);
            found.map(|v| v.check.name()).collect()
        };
        match (&self.failure, self.status) {
            (
                Some(Failure {
                    blocked_by: Some(by),
                    ..
                }),
                _,
            ) => format!("by {by}"),
            (Some(failure), _) => failure.message.clone(),
            (None, GateStatus::Failed) => names(VerdictStatus::Failed).join(", "),
            (None, GateStatus::Passed) => match names(VerdictStatus::Waived) {
                waived if waived.is_empty() => String::new(),
                waived => format!("waived: {}", waived.join(", ")),
            },
            (None, _) => String::new(),
        }
    }
}

impl GateReport {
    /// The table at the end of a run.
    pub fn table(&self, width: Option<u16>) -> String {
        let rows = self.images.iter().map(|image| {
            vec![
                image.image.to_string(),
                image.status.name().to_uppercase(),
                image.seconds.map(human_seconds).unwrap_or_default(),
                image.size.map(human_size).unwrap_or_default(),
                growth(image),
                moved(image),
                image.result(),
            ]
        });
        let headers = [
            "IMAGE", "RESULT", ">TIME", ">SIZE", ">GROWTH", "PACKAGES", "CHECKS",
        ];
        let rows: Vec<Vec<String>> = rows.collect();
        // Without anything published there is nothing to say of how it differs.
        let compared = self
            .images
            .iter()
            .any(|i| i.published_size.is_some() || i.changes.is_some());
        if compared {
            return table(width, &headers, rows);
        }
        let kept = |row: Vec<String>| -> Vec<String> {
            let cells = row.into_iter().enumerate();
            cells
                .filter(|(i, _)| !matches!(i, 4 | 5))
                .map(|(_, cell)| cell)
                .collect()
        };
        let headers = [&headers[..4], &headers[6..]].concat();
        table(width, &headers, rows.into_iter().map(kept).collect())
    }

    /// One line that says it all: "18 passed, 1 failed, 1 blocked in 12 s".
    pub fn line(&self) -> String {
        const ORDER: [GateStatus; 5] = [
            GateStatus::Passed,
            GateStatus::Failed,
            GateStatus::Broken,
            GateStatus::Blocked,
            GateStatus::Cancelled,
        ];
        let mut counts: Vec<String> = ORDER
            .into_iter()
            .filter_map(|status| {
                let count = self.images.iter().filter(|i| i.status == status).count();
                (count > 0).then(|| format!("{count} {}", status.name()))
            })
            .collect();
        if counts.is_empty() {
            counts.push("nothing to check".to_owned());
        }
        match self.flakes.len() {
            0 => {}
            1 => counts.push("1 flake".to_owned()),
            flakes => counts.push(format!("{flakes} flakes")),
        }
        format!("{} in {}", counts.join(", "), human_seconds(self.seconds))
    }
}

/// `+1.2 MB`, against the published image.
pub(super) fn growth(image: &GatedImage) -> String {
    let (Some(size), Some(before)) = (image.size, image.published_size) else {
        return String::new();
    };
    match size.cmp(&before) {
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", human_size(size - before)),
        std::cmp::Ordering::Less => format!("-{}", human_size(before - size)),
    }
}

/// "2 added, 1 upgraded".
pub(super) fn moved(image: &GatedImage) -> String {
    use crate::catalog::Movement::{Added, Downgraded, Removed, Upgraded};
    let Some(changes) = &image.changes else {
        return String::new();
    };
    let counts = [Added, Removed, Upgraded, Downgraded].into_iter();
    let counts: Vec<String> = counts
        .filter_map(|movement| {
            let count = changes.iter().filter(|c| c.change == movement).count();
            (count > 0).then(|| format!("{count} {}", movement.name()))
        })
        .collect();
    match counts.is_empty() {
        true => "unchanged".to_owned(),
        false => counts.join(", "),
    }
}
