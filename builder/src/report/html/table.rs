use super::super::table::{human_seconds, human_size};
use super::markup::{Markup, Percent, shortened};
use super::view::{View, class, link, mark};

/// Every image in a row, with what it took.
pub(super) fn section(out: &mut Markup, view: &View<'_>) {
    out.raw(
        "<section id=\"images\"><h2>Images</h2><p class=\"legend\"><span class=\"swatch own\"></span> layers of its own \
         <span class=\"swatch inherited\"></span> layers it has from what it is made from</p>\
         <div class=\"scroll\"><table><thead><tr>",
    );
    for (name, key, kind) in [
        ("Image", "name", "text"),
        ("Service", "service", "text"),
        ("Result", "result", "text"),
        ("Time", "seconds", "number"),
        ("Own", "own", "number"),
        ("Size", "size", "number"),
        ("Why", "", ""),
    ] {
        out.open(
            "th",
            &[("scope", &"col"), ("class", &kind), ("data-key", &key)],
        );
        out.text(name);
        out.close("th");
    }
    out.raw("</tr></thead><tbody>");
    let most = |value: fn(&super::view::Image<'_>) -> f64| {
        view.images
            .iter()
            .map(value)
            .fold(f64::MIN_POSITIVE, f64::max)
    };
    let longest = most(|i| i.report.seconds.unwrap_or(0.0));
    let largest = most(|i| i.report.size.unwrap_or(0) as f64);
    for i in 0..view.images.len() {
        row(out, view, i, longest, largest);
    }
    out.raw("</tbody></table><p id=\"none\" hidden>No image is like that.</p></div></section>");
}

fn row(out: &mut Markup, view: &View<'_>, i: usize, longest: f64, largest: f64) {
    let image = &view.images[i];
    let report = image.report;
    let result = class(report.status);
    let why = why(view, i);
    let text = format!(
        "{} {} {result} {why} {}",
        report.image,
        report.service,
        report
            .tags
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    );
    out.open(
        "tr",
        &[
            ("data-image", &i),
            ("data-status", &result),
            ("data-text", &text.to_lowercase()),
            ("data-name", &report.image),
            ("data-service", &report.service),
            ("data-result", &result),
            ("data-seconds", &report.seconds.unwrap_or(-1.0)),
            ("data-own", &image.own.map_or(-1.0, |own| own as f64)),
            ("data-size", &report.size.map_or(-1.0, |size| size as f64)),
        ],
    );
    out.raw("<th scope=\"row\">");
    out.element("a", &[("href", &link(i))], &report.image);
    out.raw("</th>");
    out.element("td", &[], &report.service);
    out.raw("<td>");
    pill(out, report.status);
    out.raw("</td><td class=\"number\">");
    if let Some(seconds) = report.seconds {
        out.text(human_seconds(seconds));
        out.raw("<svg class=\"meter\" width=\"72\" height=\"4\">");
        meter(out, "time", 0.0, seconds / longest);
        out.raw("</svg>");
    }
    out.raw("</td><td class=\"number\">");
    if let Some(own) = image.own {
        out.text(human_size(own));
    }
    out.raw("</td><td class=\"number\">");
    if let Some(size) = report.size {
        let size_part = size as f64 / largest;
        let own = image.own.map(|own| own as f64 / largest);
        out.text(human_size(size));
        out.raw("<svg class=\"meter\" width=\"110\" height=\"4\">");
        let inherited = size_part - own.unwrap_or(0.0);
        meter(out, "inherited", 0.0, inherited);
        if let Some(own) = own {
            meter(out, "own", inherited, own);
        }
        out.raw("</svg>");
    }
    out.raw("</td>");
    out.element("td", &[("class", &"why")], shortened(&why, 160));
    out.close("tr");
}

fn meter(out: &mut Markup, class: &'static str, from: f64, part: f64) {
    out.open(
        "rect",
        &[
            ("class", &class),
            ("x", &Percent(from)),
            ("width", &Percent(part)),
            ("height", &4),
        ],
    );
    out.close("rect");
}

/// A result with its mark.
pub(super) fn pill(out: &mut Markup, status: super::super::summary::Status) {
    let class = class(status);
    out.open("span", &[("class", &format_args!("pill {class}"))]);
    out.element("i", &[("aria-hidden", &"true")], mark(status));
    out.raw(" ");
    out.text(&class);
    out.close("span");
}

/// Why an image ended as it did, or was built at all.
pub(super) fn why(view: &View<'_>, image: usize) -> String {
    let report = view.images[image].report;
    match &report.failure {
        Some(failure) => match &failure.blocked_by {
            Some(by) => format!("blocked by {by}"),
            None => failure.message.clone(),
        },
        None => report.reason.clone(),
    }
}
