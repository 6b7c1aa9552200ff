use super::super::table::count;
use super::markup::{Markup, shortened};
use crate::gate::{Checked, Finding, Verdict, VerdictStatus};

/// What the gate found of an image: every check and its findings, and how packages differ from those
/// of the published image.
pub(super) fn section(out: &mut Markup, checked: &Checked) {
    out.raw("<h4>Checks</h4><table class=\"steps checks\"><tbody>");
    for verdict in &checked.verdicts {
        row(out, verdict);
    }
    out.raw("</tbody></table>");
    let Some(changes) = checked.changes.as_ref().filter(|all| !all.is_empty()) else {
        return;
    };
    out.raw("<details class=\"changes\"><summary>Packages <span>");
    out.text(count(changes.len(), "change"));
    out.raw("</span></summary><ul>");
    for change in changes {
        out.element("li", &[], change.describe());
    }
    out.raw("</ul></details>");
}

/// What fails an image, in the fewest words.
pub(super) fn failed(out: &mut Markup, checked: &Checked) {
    let failed = |v: &&Verdict| v.status == VerdictStatus::Failed;
    for verdict in checked.verdicts.iter().filter(failed) {
        for finding in verdict.findings.iter().filter(|f| f.waived.is_none()) {
            out.raw("<p class=\"of\">");
            out.text(verdict.check.name());
            out.raw(": ");
            out.text(shortened(&finding.message, 600));
            out.raw("</p>");
        }
    }
}

fn row(out: &mut Markup, verdict: &Verdict) {
    // The colours are those of images that ended so.
    let class = match verdict.status {
        VerdictStatus::Passed => "built",
        VerdictStatus::Failed => "failed",
        VerdictStatus::Waived => "blocked",
        VerdictStatus::Skipped => "skipped",
    };
    out.raw("<tr><td>");
    let name = verdict.status.name();
    out.element("span", &[("class", &format_args!("pill {class}"))], name);
    out.raw("</td>");
    out.element("td", &[("class", &"code")], verdict.check.name());
    out.raw("<td>");
    for finding in &verdict.findings {
        self::finding(out, finding);
    }
    out.raw("</td></tr>");
}

fn finding(out: &mut Markup, finding: &Finding) {
    out.raw("<p>");
    out.text(shortened(&finding.message, 600));
    if let Some(waived) = &finding.waived {
        out.raw(" <small>");
        out.text(format_args!(
            "waived until {}: {}",
            waived.until, waived.reason
        ));
        out.raw("</small>");
    } else if let Some(hint) = &finding.hint {
        out.raw(" <small>");
        out.text(shortened(hint, 600));
        out.raw("</small>");
    }
    out.raw("</p>");
}
