//! A gate's report as Markdown, for a merge request's comment or a job's summary.

use super::gate::{GateReport, GateStatus, GatedImage, growth, moved};
use super::table::{human_seconds, human_size};

/// Services cut comments off at some 65000 characters.
const MOST: usize = 60_000;
/// The most changes of packages that are told of one image.
const CHANGES: usize = 100;

/// Writes the report.
pub fn markdown(report: &GateReport) -> String {
    let mut text = String::from(match report.ok {
        true => "### Gate: passed\n\n",
        false => "### Gate: failed\n\n",
    });
    text += &format!("{}.\n", report.line());
    if report.images.iter().any(GatedImage::is_environment) {
        text += "\nThe environment failed, not the change: run it again when that is well.\n";
    }
    let shown = |image: &&GatedImage| {
        image.status != GateStatus::Passed || image.waived().next().is_some() || {
            let changes = image.changes.as_deref().unwrap_or_default();
            !changes.is_empty()
        }
    };
    let told: Vec<&GatedImage> = report.images.iter().filter(shown).collect();
    if !told.is_empty() {
        text +=
            "\n| image | result | size | growth | packages | checks |\n|---|---|--:|--:|---|---|\n";
    }
    for image in &told {
        let failed: Vec<&str> = {
            let mut names: Vec<&str> = image.failing().map(|(check, _)| check.name()).collect();
            names.dedup();
            names
        };
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            cell(image.image.as_str()),
            mark(image.status),
            image.size.map(human_size).unwrap_or_default(),
            growth(image),
            moved(image),
            cell(&failed.join(", ")),
        );
    }
    for image in &told {
        text += &details(image);
    }
    if !report.flakes.is_empty() {
        text += "\n#### Flakes\n\nThese did not work at first, and are not the change's fault.\n\n";
        for flake in &report.flakes {
            let reason = cell(&flake.reason);
            text += &format!("- {}, try {}: {reason}\n", flake.image, flake.attempt);
        }
    }
    if !report.warnings.is_empty() {
        text += "\n#### Warnings\n\n";
        for warning in &report.warnings {
            text += &format!("- {}\n", cell(warning));
        }
    }
    let passed = report
        .images
        .iter()
        .filter(|i| i.status == GateStatus::Passed);
    let passed: Vec<&str> = passed.map(|i| i.image.as_str()).collect();
    if !passed.is_empty() {
        text += &format!(
            "\nPassed in {}: {}\n",
            human_seconds(report.seconds),
            passed.join(", ")
        );
    }
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        // Half a line could be half of anything.
        text.truncate(text.rfind('\n').unwrap_or(0));
        text += "\n\nThe rest is in the job's other reports.\n";
    }
    text
}

fn mark(status: GateStatus) -> String {
    match status {
        GateStatus::Passed => "passed".to_owned(),
        other => format!("**{}**", other.name()),
    }
}

fn details(image: &GatedImage) -> String {
    let mut text = String::new();
    for (check, finding) in image.failing() {
        text += &format!("- `{}`: {}\n", check, cell(&finding.message));
        for note in &finding.notes {
            text += &format!("  - {}\n", cell(note));
        }
        if let Some(hint) = &finding.hint {
            text += &format!("  - hint: {}\n", cell(hint));
        }
    }
    for (check, finding) in image.waived() {
        if let Some(waived) = &finding.waived {
            text += &format!(
                "- `{}`, waived until {}: {} ({})\n",
                check,
                waived.until,
                cell(&finding.message),
                cell(&waived.reason)
            );
        }
    }
    if let Some(failure) = &image.failure {
        text += &format!("- {}\n", cell(&failure.message));
        for hint in &failure.hints {
            text += &format!("  - hint: {}\n", cell(hint));
        }
    }
    let changes = image.changes.as_deref().unwrap_or_default();
    for change in changes.iter().take(CHANGES) {
        let (kind, how) = (change.kind, change.change.name());
        text += &format!("- {kind} {how}: {}\n", cell(&change.describe()));
    }
    if changes.len() > CHANGES {
        text += &format!("- and {} more packages\n", changes.len() - CHANGES);
    }
    match text.is_empty() {
        true => text,
        false => format!("\n#### {}\n\n{text}", image.image),
    }
}

/// Text of others that is to be seen as it is, on one line: neither markup, nor a mention of anybody,
/// nor the end of a cell.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => cell.push(' '),
            c if c.is_control() => {}
            '&' => cell.push_str("&amp;"),
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '@' => cell.push_str("&#64;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '~' | '#' => {
                cell.push('\\');
                cell.push(c);
            }
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(
            cell("a|b\n<img> @all *x* `y`"),
            "a\\|b &lt;img&gt; &#64;all \\*x\\* \\`y\\`"
        );
        assert_eq!(cell("\u{1b}[31mred"), "\\[31mred");
    }
}
