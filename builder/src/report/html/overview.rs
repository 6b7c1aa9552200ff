use std::time::Duration;

use super::super::table::{count, human_seconds, human_size};
use super::checks;
use super::markup::{Markup, shortened};
use super::timeline::Ended;
use super::view::{View, class, link, mark, word};

/// Lines of a failed step's log that are shown beside the failure.
const END: usize = 20;

/// What ran, where, how it ended, and its figures.
pub(super) fn head(out: &mut Markup, view: &View<'_>) {
    let summary = view.summary;
    out.raw("<header class=\"head\"><p class=\"what\">");
    out.raw("<a class=\"skip\" href=\"#images\">To the table of images</a>");
    out.text(format_args!("kolla {}", summary.command));
    out.raw("</p><h1>");
    out.element(
        "span",
        &[("class", &format_args!("verdict {}", view.verdict()))],
        view.verdict(),
    );
    out.raw(" ");
    out.text(summary.line());
    out.raw("</h1><p class=\"where\">");
    out.text(&summary.engine);
    out.raw(" · ");
    // A minute is fine enough, and needs no fractions.
    let begun = humantime::format_rfc3339_seconds(view.begun).to_string();
    let shown = begun.replace('T', " ").replace('Z', " UTC");
    out.element("time", &[("datetime", &begun)], shown);
    out.raw(" · kolla ");
    out.raw(env!("CARGO_PKG_VERSION"));
    out.raw("</p>");
    proportions(out, view);
    figures(out, view);
    out.raw("</header>");
}

/// A bar of all results.
fn proportions(out: &mut Markup, view: &View<'_>) {
    let all = view.images.len() as f64;
    out.raw("<svg class=\"proportions\" width=\"100%\" height=\"8\" role=\"img\" aria-label=\"results\">");
    let mut before = 0.0;
    for (status, number) in view.counts() {
        let part = number as f64 / all;
        out.open(
            "rect",
            &[
                ("class", &format_args!("strong {}", class(status))),
                ("x", &super::markup::Percent(before)),
                ("width", &super::markup::Percent(part)),
                ("height", &8),
            ],
        );
        out.element("title", &[], format_args!("{number} {}", class(status)));
        out.close("rect");
        before += part;
    }
    out.raw("</svg>");
}

fn figures(out: &mut Markup, view: &View<'_>) {
    out.raw("<dl class=\"figures\">");
    let mut figure = |name: &str, value: &str, note: &str| {
        out.raw("<div><dt>");
        out.text(name);
        out.raw("</dt><dd>");
        out.element("b", &[], value);
        out.element("span", &[], note);
        out.raw("</dd></div>");
    };
    figure("Images", &view.images.len().to_string(), &counts(view));
    let works = view.timeline.works();
    let worked: f64 = works.iter().map(|w| view.timeline.seconds(w)).sum();
    let note = match works {
        [] => String::new(),
        _ => format!(
            "{} of work, {:.1} images at once",
            human_seconds(worked),
            worked / view.span
        ),
    };
    figure("Wall time", &human_seconds(view.summary.seconds), &note);
    if let Some(chain) = view.chains.first() {
        let last = chain.images.last().map(|i| &view.images[*i].report.image);
        let note = last.map(|last| format!("{} to {last}", count(chain.images.len(), "image")));
        let note = note.unwrap_or_default();
        figure("Critical path", &human_seconds(chain.seconds), &note);
    }
    let sizes: Vec<_> = view
        .images
        .iter()
        .filter_map(|i| Some((i.own?, i.report.image.as_str())))
        .collect();
    if let Some((largest, image)) = sizes.iter().max() {
        let sum: u64 = sizes.iter().map(|(own, _)| own).sum();
        let note = format!("the largest of {image}, {}", human_size(*largest));
        figure("Layers", &human_size(sum), &note);
    }
    let tries = works.iter().map(|w| w.attempts.len().saturating_sub(1));
    let tries: usize = tries.sum();
    if tries > 0 {
        figure(
            "Tried again",
            &tries.to_string(),
            "after transient failures",
        );
    }
    out.raw("</dl>");
}

fn counts(view: &View<'_>) -> String {
    let counts = view.counts();
    let words = counts
        .iter()
        .map(|(status, number)| format!("{number} {}", class(*status)));
    words.collect::<Vec<_>>().join(", ")
}

/// What failed, the first first, each with the end of its log.
pub(super) fn failures(out: &mut Markup, view: &View<'_>) {
    let failed = view.failed();
    if failed.is_empty() {
        return;
    }
    out.raw("<section id=\"failures\"><h2>");
    out.raw(if failed.len() == 1 {
        "What failed"
    } else {
        "What failed, the first first"
    });
    out.raw("</h2>");
    for (i, image) in failed.iter().enumerate() {
        failure(out, view, *image, i == 0);
    }
    out.raw("</section>");
}

fn failure(out: &mut Markup, view: &View<'_>, image: usize, open: bool) {
    let report = view.images[image].report;
    out.raw("<details class=\"failure\"");
    out.raw(if open { " open>" } else { ">" });
    out.raw("<summary>");
    out.element("b", &[], &report.image);
    out.raw(" ");
    if let Some(failure) = &report.failure {
        out.text(shortened(&failure.message, 600));
    }
    out.raw("</summary>");
    if let Some(checked) = view.images[image].checked {
        checks::failed(out, checked);
    }
    explanation(out, view, image);
    let blocked: Vec<usize> = (0..view.images.len())
        .filter(|i| {
            let failure = view.images[*i].report.failure.as_ref();
            failure.and_then(|f| f.blocked_by.as_ref()) == Some(&report.image)
        })
        .collect();
    if !blocked.is_empty() {
        out.raw("<p>It blocked ");
        names(out, view, &blocked);
        out.raw(".</p>");
    }
    out.raw("<p class=\"controls\">");
    out.element("a", &[("href", &link(image))], "its steps and its log");
    out.raw("</p></details>");
}

/// Facts beside a failure, what to do, and the end of the log.
pub(super) fn explanation(out: &mut Markup, view: &View<'_>, image: usize) {
    let report = view.images[image].report;
    for work in view.works_on(image) {
        if let Ended::Badly(problem) = &work.ended
            && !problem.notes().is_empty()
        {
            // A place or two, or all that a test printed.
            let few = problem.notes().len() <= 2;
            out.raw(if few { "<p class=\"of\">" } else { "<pre>" });
            for (note, _) in problem.notes() {
                out.text(super::markup::line(note));
                out.raw(if few { "<br>" } else { "\n" });
            }
            out.raw(if few { "</p>" } else { "</pre>" });
        }
    }
    if let Some(log) = view.timeline.log_of(&report.image) {
        let (step, lines) = log.end(END);
        if !lines.is_empty() {
            out.raw("<p class=\"of\">the end of ");
            match step {
                Some(step) => out.element("code", &[], shortened(step, 200)),
                None => out.raw("its log"),
            }
            out.raw("</p><pre class=\"end\">");
            for line in lines {
                out.text(line);
                out.raw("\n");
            }
            out.raw("</pre>");
        }
    }
    let hints = report.failure.as_ref().map(|f| f.hints.as_slice());
    if let Some(path) = &report.log {
        out.raw("<p class=\"of\">the whole log: ");
        out.element("code", &[], path.to_string_lossy());
        out.raw("</p>");
    }
    for hint in hints.unwrap_or_default() {
        out.raw("<p class=\"hint\"><b>help</b> ");
        out.text(hint);
        out.raw("</p>");
    }
}

/// Names of images as links to their details.
pub(super) fn names(out: &mut Markup, view: &View<'_>, images: &[usize]) {
    for (i, image) in images.iter().enumerate() {
        if i > 0 {
            out.raw(", ");
        }
        out.element(
            "a",
            &[("href", &link(*image))],
            &view.images[*image].report.image,
        );
    }
}

/// What narrows the page down; without its script it stays away.
pub(super) fn filters(out: &mut Markup, view: &View<'_>) {
    out.raw(
        "<div class=\"filters controls\" role=\"search\" hidden><label><span>Filter</span> \
         <input type=\"search\" id=\"words\" placeholder=\"name, service, reason\" autocomplete=\"off\" \
         spellcheck=\"false\" accesskey=\"f\" title=\"press / to come here\"></label>\
         <label class=\"tick\"><input type=\"checkbox\" id=\"in-logs\"> in logs too</label>\
         <span class=\"chips\" role=\"group\" aria-label=\"results\">",
    );
    for (status, number) in view.counts() {
        let class = class(status);
        out.open(
            "button",
            &[
                ("type", &"button"),
                ("class", &format_args!("chip {class}")),
                ("aria-pressed", &"false"),
                ("data-status", &class),
            ],
        );
        out.element("i", &[("aria-hidden", &"true")], mark(status));
        out.text(format_args!(" {class} {number}"));
        out.close("button");
    }
    out.raw(
        "</span><button type=\"button\" id=\"reset\" hidden>show all</button>\
         <output id=\"shown\" for=\"words\" aria-live=\"polite\"></output></div>",
    );
}

/// The longest chains in words.
pub(super) fn chains(out: &mut Markup, view: &View<'_>) {
    for chain in &view.chains {
        out.raw("<p class=\"chain\"><span class=\"swatch critical\"></span> Critical path");
        if view.chains.len() > 1 {
            out.text(format_args!(" of the {}", word(chain.activity)));
        }
        out.text(format_args!(", {}: ", human_seconds(chain.seconds)));
        for (i, image) in chain.images.iter().enumerate() {
            if i > 0 {
                out.raw(" → ");
            }
            names(out, view, &[*image]);
        }
        out.raw(". No number of workers makes the run shorter than this.</p>");
    }
}

/// Seconds as a clock shows them: `45 s`, `1:05`, `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let (minutes, rest) = (whole.as_secs() / 60, whole.as_secs() % 60);
    match minutes {
        0 if seconds.fract().abs() > 1e-6 && seconds < 10.0 => format!("{seconds:.1} s"),
        0 => format!("{rest} s"),
        1..60 => format!("{minutes}:{rest:02}"),
        _ => format!("{}:{:02}:{rest:02}", minutes / 60, minutes % 60),
    }
}

pub(super) fn foot(out: &mut Markup) {
    out.raw(
        "<footer><p>Made by <code>kolla --html</code>. This page is whole: it loads nothing and sends nothing.</p></footer>",
    );
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn a_clock_is_short() {
        assert_eq!(
            [0.0, 0.5, 45.0, 65.0, 3723.0].map(clock),
            ["0 s", "0.5 s", "45 s", "1:05", "1:02:03"]
        );
    }
}
