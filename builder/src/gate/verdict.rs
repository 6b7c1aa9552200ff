use serde::Serialize;

use super::changes::PackageChange;
use crate::catalog::Check;
use crate::inventory::Inventory;
use crate::model::{ImageName, Location};

/// Something that an image does not hold to.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is about: a path, a label, a package, a port; what waivers match.
    pub subject: String,
    /// What is wrong. Never a secret itself.
    pub message: String,
    /// Further lines: the end of a smoke test's output, why a waiver does not count any more.
    pub notes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where what causes it is written, as far as known.
    #[serde(skip)]
    pub location: Option<Location>,
    /// Why it is let pass.
    pub waived: Option<Waived>,
}

/// The waiver that lets a finding pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// Why.
    pub reason: String,
    /// The last day.
    pub until: String,
}

/// What came of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The check.
    pub check: Check,
    /// How it ended.
    pub status: VerdictStatus,
    /// What was found, waived or not.
    pub findings: Vec<Finding>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictStatus {
    /// Nothing was found.
    Passed,
    /// Something was.
    Failed,
    /// Something was, and all of it is let pass.
    Waived,
    /// It is switched off, or there is nothing to check or to compare with.
    Skipped,
}

impl VerdictStatus {
    /// `passed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Waived => "waived",
            Self::Skipped => "skipped",
        }
    }
}

/// All that the checks of one image found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The image.
    pub image: ImageName,
    /// One verdict for each check, in their order.
    pub verdicts: Vec<Verdict>,
    /// What it holds.
    pub inventory: Inventory,
    /// Bytes of the published image.
    pub published_size: Option<u64>,
    /// How its packages differ from the published image's, where those are known.
    pub changes: Option<Vec<PackageChange>>,
}

impl Checked {
    /// The checks that failed.
    pub fn failed(&self) -> Vec<Check> {
        self.verdicts
            .iter()
            .filter(|v| v.status == VerdictStatus::Failed)
            .map(|v| v.check)
            .collect()
    }
}
