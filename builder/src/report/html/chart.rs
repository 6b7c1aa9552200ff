//! The run over time: a lane for each thing that went on at once, a bar for each image.
//!
//! Lengths are percentages, so that the drawing fits any width and zooming is only a wider element.

use super::super::table::{count, human_seconds};
use super::lanes::lanes;
use super::markup::{Markup, Percent, shortened};
use super::overview;
use super::timeline::{Attempt, Ended, Work};
use super::view::{View, link, phase, word};

/// The height of a bar, from one lane to the next, and of the axis.
const BAR: usize = 26;
const LANE: usize = 34;
const AXIS: usize = 22;
/// What is shorter than this part of the whole is not drawn apart.
const FINEST: f64 = 0.000_4;

pub(super) fn section(out: &mut Markup, view: &View<'_>) {
    let works = view.timeline.works();
    if works.is_empty() {
        return;
    }
    let timeline = view.timeline;
    let intervals = |begin: f64, end| (begin, timeline.end(end));
    let preparing: Vec<_> = timeline
        .preparations()
        .iter()
        .map(|p| intervals(p.begin, p.end))
        .collect();
    let working: Vec<_> = works.iter().map(|w| intervals(w.begin(), w.end)).collect();
    let (before, lanes_of) = (lanes(&preparing), lanes(&working));
    let number = |lanes: &[usize]| lanes.iter().max().map_or(0, |most| most + 1);
    let (above, workers) = (number(&before), number(&lanes_of));
    let height = AXIS + LANE * (above + workers);

    out.raw("<section id=\"timeline\"><div class=\"title\"><h2>Timeline</h2><span class=\"controls zoom\" hidden>");
    for (way, name, sign) in [("out", "narrower", "−"), ("in", "wider", "+")] {
        out.element(
            "button",
            &[
                ("type", &"button"),
                ("data-zoom", &way),
                ("aria-label", &name),
            ],
            sign,
        );
    }
    out.raw("</span></div><p class=\"legend\">");
    out.text(format_args!(
        "{}, {} at most at once. A bar is an image with its steps",
        count(works.len(), "task"),
        workers
    ));
    if works.iter().any(|w| w.attempts.len() > 1) {
        out.raw("; <span class=\"swatch try\"></span> a failed try and <span class=\"swatch pause\"></span> the pause before the next");
    }
    out.raw(".</p>");
    overview::chains(out, view);
    out.raw("<div class=\"lanes\"><div class=\"lane-names\" aria-hidden=\"true\">");
    for _ in 0..above {
        out.raw("<span>prep</span>");
    }
    for lane in 1..=workers {
        out.element("span", &[], lane);
    }
    out.raw("</div><div class=\"scroll\">");
    out.open(
        "svg",
        &[
            ("class", &"chart"),
            ("width", &"100%"),
            ("height", &height),
            ("role", &"group"),
            ("aria-label", &"timeline"),
        ],
    );
    out.raw(
        "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect class=\"hatch\" width=\"2.5\" height=\"6\"/></pattern></defs>",
    );
    for lane in 0..above + workers {
        out.open(
            "rect",
            &[
                ("class", &"lane"),
                ("y", &(AXIS + LANE * lane)),
                ("width", &"100%"),
                ("height", &(LANE - 4)),
                ("rx", &4),
            ],
        );
        out.close("rect");
    }
    axis(out, view.span, height);
    for (preparation, lane) in timeline.preparations().iter().zip(&before) {
        let (begin, end) = intervals(preparation.begin, preparation.end);
        out.raw("<g class=\"bar prep\">");
        out.element(
            "title",
            &[],
            format_args!("{}: {}", preparation.what, human_seconds(end - begin)),
        );
        bar(out, view, begin, end, AXIS + LANE * lane, "body");
        label(
            out,
            view,
            (begin, end),
            AXIS + LANE * lane,
            &preparation.what,
        );
        out.raw("</g>");
    }
    links(out, view, &lanes_of, above);
    let mut first = true;
    for (work, lane) in works.iter().zip(&lanes_of) {
        first &= !task(out, view, work, AXIS + LANE * (above + lane), first);
    }
    out.raw("</svg></div></div></section>");
}

/// Lines at round times.
fn axis(out: &mut Markup, span: f64, height: usize) {
    const STEPS: [f64; 16] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0,
        3600.0,
    ];
    let fitting = STEPS.into_iter().find(|step| span / step <= 10.0);
    let step = fitting.unwrap_or((span / 10.0).ceil());
    let mut tick = 0_u32;
    while f64::from(tick) * step < span * 0.985 {
        let at = f64::from(tick) * step;
        let x = Percent(at / span);
        out.open(
            "line",
            &[
                ("class", &"tick"),
                ("x1", &x),
                ("x2", &x),
                ("y1", &0),
                ("y2", &height),
            ],
        );
        out.close("line");
        out.open(
            "text",
            &[("class", &"tick"), ("x", &x), ("dx", &4), ("y", &13)],
        );
        out.text(overview::clock(at));
        out.close("text");
        tick += 1;
    }
}

fn bar(out: &mut Markup, view: &View<'_>, begin: f64, end: f64, y: usize, class: &str) {
    out.open(
        "rect",
        &[
            ("class", &class),
            ("x", &Percent(begin / view.span)),
            ("y", &(y + 2)),
            ("width", &Percent((end - begin) / view.span)),
            ("height", &BAR),
            ("rx", &3),
        ],
    );
    out.close("rect");
}

/// A name as far as its bar reaches.
fn label(out: &mut Markup, view: &View<'_>, (begin, end): (f64, f64), y: usize, text: &str) {
    out.open(
        "svg",
        &[
            ("x", &Percent(begin / view.span)),
            ("y", &(y + 2)),
            ("width", &Percent((end - begin) / view.span)),
            ("height", &BAR),
        ],
    );
    out.element("text", &[("x", &6), ("y", &17)], text);
    out.close("svg");
}

/// The bar of a work, where its image is on the page: whether it is.
fn task(out: &mut Markup, view: &View<'_>, work: &Work, y: usize, first: bool) -> bool {
    let Some(image) = view.position(&work.image) else {
        return false;
    };
    let (begin, end) = (work.begin(), view.timeline.end(work.end));
    let (result, ended) = match work.ended {
        Ended::Well => (super::view::class(done(work)), "took"),
        Ended::Badly(_) => ("failed".to_owned(), "failed after"),
        Ended::Cancelled | Ended::Not => ("cancelled".to_owned(), "stopped after"),
    };
    let critical = if view.is_critical(image, work.activity) {
        " critical"
    } else {
        ""
    };
    out.open(
        "a",
        &[
            ("href", &link(image)),
            ("class", &format_args!("bar {result}{critical}")),
            ("data-image", &image),
            // One stop for Tab; arrows lead on from it.
            ("tabindex", &if first { "0" } else { "-1" }),
        ],
    );
    let tries = match work.attempts.len() {
        0 | 1 => String::new(),
        n => format!(", {n} tries"),
    };
    let title = format!(
        "{}: {} {ended} {}, from {} to {}{tries}{}",
        work.image,
        word(work.activity),
        human_seconds(end - begin),
        overview::clock(begin.floor()),
        overview::clock(end.floor()),
        if critical.is_empty() {
            ""
        } else {
            "; on the critical path"
        }
    );
    out.element("title", &[], title);
    bar(out, view, begin, end, y, "body");
    for (i, attempt) in work.attempts.iter().enumerate() {
        let next = work.attempts.get(i + 1).map(|next| next.begin);
        try_of(out, view, attempt, next, y);
    }
    let again = if work.attempts.len() > 1 {
        format!("{} ×{}", work.image, work.attempts.len())
    } else {
        work.image.to_string()
    };
    label(out, view, (begin, end), y, &again);
    out.close("a");
    true
}

fn done(work: &Work) -> super::super::summary::Status {
    use super::super::summary::Status;
    use crate::event::Activity;
    match work.activity {
        Activity::Build => Status::Built,
        Activity::Fetch => Status::Reused,
        Activity::Push => Status::Pushed,
        Activity::Test => Status::Tested,
    }
}

/// The steps of a try, and if it was not the last, that it failed and what was waited.
fn try_of(out: &mut Markup, view: &View<'_>, attempt: &Attempt, next: Option<f64>, y: usize) {
    let end = view.timeline.end(attempt.end);
    if let Some(trouble) = &attempt.trouble {
        out.raw("<g>");
        out.element(
            "title",
            &[],
            format_args!("try {} failed: {}", attempt.number, shortened(trouble, 300)),
        );
        bar(out, view, attempt.begin, end, y, "try");
        if let Some(next) = next {
            bar(out, view, end, next, y, "pause");
        }
        out.raw("</g>");
    }
    for (i, step) in attempt.steps.iter().enumerate() {
        let (begin, end) = (step.begin, step.end.unwrap_or(end));
        if (end - begin) / view.span < FINEST {
            continue;
        }
        out.open(
            "rect",
            &[
                ("class", &if i % 2 == 0 { "step" } else { "step odd" }),
                ("x", &Percent(begin / view.span)),
                ("y", &(y + BAR - 4)),
                ("width", &Percent((end - begin) / view.span)),
                ("height", &6),
            ],
        );
        out.element(
            "title",
            &[],
            format_args!(
                "{}: {}",
                shortened(&step.label, 160),
                human_seconds(end - begin)
            ),
        );
        out.close("rect");
    }
}

/// Lines from each image of a longest chain to the next.
fn links(out: &mut Markup, view: &View<'_>, lanes: &[usize], above: usize) {
    for chain in &view.chains {
        let bar = |image: usize| {
            let name = &view.images[image].report.image;
            let mut works = view.timeline.works().iter().zip(lanes);
            works.find(|(w, _)| phase(w.activity) == chain.activity && w.image == *name)
        };
        for pair in chain.images.windows(2) {
            if let (Some((first, upper)), Some((second, lower))) = (bar(pair[0]), bar(pair[1])) {
                let middle = |lane: &usize| AXIS + LANE * (above + lane) + 2 + BAR / 2;
                out.open(
                    "line",
                    &[
                        ("class", &"link"),
                        ("x1", &Percent(view.timeline.end(first.end) / view.span)),
                        ("y1", &middle(upper)),
                        ("x2", &Percent(second.begin() / view.span)),
                        ("y2", &middle(lower)),
                    ],
                );
                out.close("line");
            }
        }
    }
}
