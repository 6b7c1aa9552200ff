//! A run as one page: what `--html FILE` writes.
//!
//! The page is whole in itself. It names no other file and no address, and a policy in its head forbids
//! the browser to load or send anything, and to run any script but its own, which is known by its
//! digest. So it can be kept, sent, and opened from a disk.
//!
//! It is written by plain code rather than a template. Most of it is drawings, whose coordinates are
//! worked out here, and a template would have to pass those through unescaped; this way `markup` is the
//! only pen, and takes unescaped nothing but literals of this program. What logs and definitions say is
//! hostile: it gets into the page as text, and its script reads texts only.
//!
//! | file | makes |
//! |---|---|
//! | `timeline`, `log` | what the page is made from: events and their times |
//! | `view` | all that is worked out before anything is drawn |
//! | `lanes`, `critical`, `layout` | who ran beside whom; the longest chain; where the graph's images stand |
//! | `overview`, `chart`, `graph`, `table`, `details`, `checks` | the parts of the page |
//! | `page.css`, `page.js` | how it looks; what filters, sorts and highlights |

mod chart;
mod checks;
mod critical;
mod details;
#[cfg(test)]
mod fixture;
mod graph;
mod lanes;
mod layout;
mod log;
mod markup;
mod overview;
mod parents;
mod table;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

pub use parents::Parents;
pub use timeline::Timeline;

use super::summary::Summary;
use crate::gate::Checked;
use crate::model::ImageName;
use markup::Markup;
use view::View;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page is made from.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What came of it.
    pub summary: &'a Summary,
    /// Which image is made from which.
    pub parents: &'a Parents,
    /// What happened when.
    pub timeline: &'a Timeline,
    /// What the gate found of images; nothing for other commands.
    pub checked: &'a BTreeMap<ImageName, Checked>,
    /// When it began.
    pub begun: SystemTime,
}

impl Run<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let view = View::new(self);
        let mut out = Markup::default();
        head(&mut out, &view);
        overview::head(&mut out, &view);
        out.raw("<main>");
        overview::failures(&mut out, &view);
        overview::filters(&mut out, &view);
        chart::section(&mut out, &view);
        graph::section(&mut out, &view);
        table::section(&mut out, &view);
        out.raw("</main>");
        details::section(&mut out, &view);
        overview::foot(&mut out);
        out.raw("<script>");
        out.raw(SCRIPT);
        out.raw("</script></body></html>\n");
        out.finish()
    }
}

fn head(out: &mut Markup, view: &View<'_>) {
    out.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        source_of(SCRIPT),
        source_of(STYLE)
    );
    out.open(
        "meta",
        &[
            ("http-equiv", &"Content-Security-Policy"),
            ("content", &policy),
        ],
    );
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    out.raw("<meta name=\"referrer\" content=\"no-referrer\">");
    out.element(
        "title",
        &[],
        format_args!("{}: kolla {}", view.verdict(), view.summary.command),
    );
    // A disk in the colour of the result, to be found among other tabs.
    let colour = if view.summary.ok { "1a7f4b" } else { "cf222e" };
    let icon = format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle cx='4' cy='4' r='3.5' fill='%23{colour}'/%3E%3C/svg%3E"
    );
    out.open("link", &[("rel", &"icon"), ("href", &icon)]);
    out.raw("<style>");
    out.raw(STYLE);
    out.raw("</style></head><body>");
}

/// An inline script or style as the policy names it.
fn source_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest);
    format!("sha256-{digest}")
}
