use super::super::table::{count, human_seconds, human_size};
use super::checks;
use super::log::{Entry, Log, shares};
use super::markup::{Markup, Percent, shortened};
use super::overview::{self, clock};
use super::table;
use super::timeline::Work;
use super::view::{View, word};

/// Bytes of logs on a page: it opens within a second or two with so much.
const ALL_LOGS: usize = 8 << 20;

/// What is known of each image, to be opened from anywhere on the page.
pub(super) fn section(out: &mut Markup, view: &View<'_>) {
    let size = |i: usize| log(view, i).map_or(0, Log::bytes);
    let sizes: Vec<usize> = (0..view.images.len()).map(size).collect();
    let room = shares(&sizes, ALL_LOGS);
    out.raw("<section id=\"details\" aria-label=\"details of images\">");
    for (image, room) in room.into_iter().enumerate() {
        article(out, view, image, room);
    }
    out.raw("</section>");
}

fn log<'v>(view: &'v View<'_>, image: usize) -> Option<&'v Log> {
    view.timeline.log_of(&view.images[image].report.image)
}

fn article(out: &mut Markup, view: &View<'_>, image: usize, room: usize) {
    let about = &view.images[image];
    let report = about.report;
    out.open(
        "article",
        &[
            ("id", &format_args!("image-{image}")),
            ("data-image", &image),
            ("tabindex", &"-1"),
            ("aria-label", &report.image),
        ],
    );
    out.raw("<header><h3>");
    out.text(&report.image);
    out.raw("</h3>");
    table::pill(out, report.status);
    out.raw("<a class=\"close controls\" href=\"#-\" aria-label=\"close\" title=\"close (Esc)\">×</a></header>");
    if report.failure.is_some() {
        out.raw("<div class=\"failure\"><p>");
        out.text(table::why(view, image));
        out.raw("</p>");
        overview::explanation(out, view, image);
        out.raw("</div>");
    }
    facts(out, view, image);
    if let Some(checked) = about.checked {
        checks::section(out, checked);
    }
    for work in view.works_on(image) {
        steps(out, view, work);
    }
    whole_log(out, view, image, room);
    out.close("article");
}

fn facts(out: &mut Markup, view: &View<'_>, image: usize) {
    let about = &view.images[image];
    let report = about.report;
    out.raw("<dl>");
    fact(out, "Service", report.service.as_str());
    if report.failure.is_none() {
        fact(out, "Why", &report.reason);
    }
    if let Some(seconds) = report.seconds {
        fact(out, "Time", &human_seconds(seconds));
    }
    if let Some(size) = report.size {
        let text = match about.own {
            Some(own) if about.base.is_some() => format!(
                "{}: {} of its own, {} inherited",
                human_size(size),
                human_size(own),
                human_size(size - own)
            ),
            _ => human_size(size),
        };
        fact(out, "Size", &text);
    }
    for (name, images) in [
        ("Made from", &about.parents),
        ("Made from it", &about.children),
    ] {
        if !images.is_empty() {
            out.element("dt", &[], name);
            out.raw("<dd>");
            overview::names(out, view, images);
            out.raw("</dd>");
        }
    }
    for tag in &report.tags {
        fact(out, "Tag", &tag.to_string());
    }
    for pushed in &report.pushed {
        fact(
            out,
            "Pushed",
            &format!("{} as {}", pushed.reference, pushed.digest),
        );
    }
    if let Some(id) = &report.id {
        fact(out, "Id", id.as_str());
    }
    fact(out, "Fingerprint", &report.fingerprint.to_string());
    out.raw("</dl>");
}

fn fact(out: &mut Markup, name: &'static str, value: &str) {
    if !value.is_empty() {
        out.element("dt", &[], name);
        out.element("dd", &[], value);
    }
}

/// Every try with its steps, and what each took.
fn steps(out: &mut Markup, view: &View<'_>, work: &Work) {
    let whole = view.timeline.seconds(work).max(f64::MIN_POSITIVE);
    for attempt in &work.attempts {
        if attempt.steps.is_empty() && attempt.trouble.is_none() {
            continue;
        }
        let end = view.timeline.end(attempt.end);
        out.raw("<h4>");
        if work.attempts.len() > 1 {
            out.text(format_args!(
                "Try {} of the {}",
                attempt.number,
                word(work.activity)
            ));
        } else {
            out.text(format_args!("Steps of the {}", word(work.activity)));
        }
        out.raw("</h4>");
        if let Some(trouble) = &attempt.trouble {
            out.element("p", &[("class", &"trouble")], shortened(trouble, 600));
        }
        out.raw("<table class=\"steps\"><tbody>");
        for step in &attempt.steps {
            let took = step.end.unwrap_or(end) - step.begin;
            out.raw("<tr><td class=\"number\">");
            out.text(human_seconds(took));
            out.raw("<svg class=\"meter\" width=\"56\" height=\"4\">");
            out.open(
                "rect",
                &[
                    ("class", &"time"),
                    ("width", &Percent(took / whole)),
                    ("height", &4),
                ],
            );
            out.raw("</rect></svg></td>");
            out.element("td", &[("class", &"code")], shortened(&step.label, 300));
            out.raw("</tr>");
        }
        out.raw("</tbody></table>");
    }
}

fn whole_log(out: &mut Markup, view: &View<'_>, image: usize, room: usize) {
    let path = view.images[image].report.log.as_ref();
    let path = path.map(|p| p.to_string_lossy());
    let Some(log) = log(view, image).filter(|log| log.lines() > 0) else {
        return;
    };
    out.raw("<details class=\"log\"><summary>Log <span>");
    out.text(count(log.lines(), "line"));
    out.raw("</span></summary>");
    if let Some(path) = &path {
        out.raw("<p class=\"of\">the whole log: ");
        out.element("code", &[], path);
        out.raw("</p>");
    }
    out.raw(
        "<p class=\"controls search\" hidden><label>Search <input type=\"search\" autocomplete=\"off\" spellcheck=\"false\"></label> \
         <output aria-live=\"polite\"></output></p><div class=\"text\">",
    );
    let excerpt = log.excerpt(room);
    let mut open = false;
    for entry in &excerpt.head {
        self::entry(out, entry, &mut open);
    }
    if excerpt.lost != super::log::Lost::default() {
        close(out, &mut open);
        out.raw("<p class=\"cut\">");
        out.text(count(excerpt.lost.lines, "line"));
        out.raw(" left out here to keep the page small");
        if let Some(path) = &path {
            out.raw("; all are in ");
            out.element("code", &[], path);
        }
        out.raw("</p>");
        if let Some(heading) = &excerpt.lost.heading {
            self::entry(out, heading, &mut open);
        }
    }
    for entry in &excerpt.tail {
        self::entry(out, entry, &mut open);
    }
    close(out, &mut open);
    out.raw("</div></details>");
}

/// Lines run on in one element until something else comes.
fn entry(out: &mut Markup, entry: &Entry, open: &mut bool) {
    match entry {
        Entry::Heading { at, text } => {
            close(out, open);
            out.raw("<h5>");
            out.element("span", &[], clock(at.floor()));
            out.raw(" ");
            out.text(text);
            out.raw("</h5>");
        }
        Entry::Line(text) => {
            if !*open {
                // The parser drops a line break right after the tag.
                out.raw("<pre>\n");
                *open = true;
            }
            out.text(text);
            out.raw("\n");
        }
    }
}

fn close(out: &mut Markup, open: &mut bool) {
    if std::mem::take(open) {
        out.raw("</pre>");
    }
}
