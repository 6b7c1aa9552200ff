//! A gate's report as JUnit XML: a suite for each image, a case for each check.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun,
    TestSuite,
};

use super::gate::{GateReport, GateStatus, GatedImage};
use crate::gate::{Finding, Flake, Verdict, VerdictStatus};

/// The case that stands for an image's build, and for its being looked at.
const BUILD: &str = "build";

/// Writes the report.
///
/// # Errors
/// Those of the writer of XML.
pub fn junit(report: &GateReport) -> Result<String, SerializeError> {
    let mut junit = Report::new("kolla gate");
    junit.set_time(seconds(report.seconds));
    for image in &report.images {
        let flakes = report.flakes.iter().filter(|f| f.image == image.image);
        junit.add_test_suite(suite(image, &flakes.collect::<Vec<_>>()));
    }
    junit.to_string()
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn suite(image: &GatedImage, flakes: &[&Flake]) -> TestSuite {
    let mut suite = TestSuite::new(image.image.as_str());
    suite.set_time(seconds(image.seconds.unwrap_or_default()));
    suite.add_property(Property::new("fingerprint", image.fingerprint.to_string()));
    suite.add_test_case(case(image, BUILD, build(image, flakes)));
    for verdict in &image.checks {
        suite.add_test_case(case(image, verdict.check.name(), status(verdict)));
    }
    suite
}

fn case(image: &GatedImage, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(image.image.as_str());
    case.set_time(Duration::ZERO);
    case
}

fn build(image: &GatedImage, flakes: &[&Flake]) -> TestCaseStatus {
    let Some(failure) = &image.failure else {
        if image.status == GateStatus::Cancelled {
            return skipped("the run ended before it was done");
        }
        let mut status = TestCaseStatus::success();
        for flake in flakes {
            let mut rerun = TestRerun::new(NonSuccessKind::Error);
            rerun
                .set_message(flake.reason.as_str())
                .set_type("transient");
            status.add_rerun(rerun);
        }
        return status;
    };
    if let Some(by) = &failure.blocked_by {
        return skipped(&format!("{by}, which it is made from, failed"));
    }
    // An error is what the change cannot be blamed for.
    let mut status = TestCaseStatus::non_success(match image.is_environment() {
        true => NonSuccessKind::Error,
        false => NonSuccessKind::Failure,
    });
    status
        .set_message(failure.message.as_str())
        .set_type(failure.class.to_string());
    if !failure.hints.is_empty() {
        status.set_description(failure.hints.join("\n"));
    }
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let messages = |findings: &[&Finding]| -> String {
        let lines = findings.iter().flat_map(|finding| {
            let notes = finding.notes.iter().map(String::as_str);
            std::iter::once(finding.message.as_str()).chain(notes)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    match verdict.status {
        VerdictStatus::Passed => TestCaseStatus::success(),
        VerdictStatus::Skipped => TestCaseStatus::skipped(),
        VerdictStatus::Waived => {
            let reasons = verdict.findings.iter().filter_map(|finding| {
                let waived = finding.waived.as_ref()?;
                Some(format!(
                    "{}: waived until {}: {}",
                    finding.message, waived.until, waived.reason
                ))
            });
            skipped(&reasons.collect::<Vec<_>>().join("\n"))
        }
        VerdictStatus::Failed => {
            let open: Vec<&Finding> = verdict
                .findings
                .iter()
                .filter(|f| f.waived.is_none())
                .collect();
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let first = open.first().map_or("", |finding| finding.message.as_str());
            status.set_message(first).set_type(verdict.check.name());
            status.set_description(messages(&open));
            status
        }
    }
}
