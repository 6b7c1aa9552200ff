use super::super::table::human_seconds;
use super::layout::{Edge, Item, Layout, NODE, Place, layout};
use super::markup::{At, Markup};
use super::view::{View, class, link, mark};
use crate::event::Activity;

/// The width of a letter and of what is beside the name in a node.
const LETTER: f64 = 7.3;
const BESIDE: f64 = 36.0;
/// The most letters of a name; its whole is in the tooltip.
const LETTERS: usize = 32;

/// The fleet by what is made from what.
pub(super) fn section(out: &mut Markup, view: &View<'_>) {
    if view.images.is_empty() {
        return;
    }
    let items: Vec<Item> = view
        .images
        .iter()
        .map(|image| Item {
            width: shown(image.report.image.as_str()).chars().count() as f64 * LETTER + BESIDE,
            parents: image.parents.clone(),
            base: image.base,
        })
        .collect();
    let drawing = layout(&items);
    out.raw(
        "<section id=\"graph\"><h2>Graph</h2><p class=\"legend\">Each image is made from the one on its left",
    );
    if drawing.edges.iter().any(|e| e.files_only) {
        out.raw("; where a dashed line leads to it, it takes files from there");
    }
    if drawing.edges.iter().any(|e| e.group.is_some()) {
        out.raw("; all in a box are made from the one beside it");
    }
    out.raw(
        ". <span class=\"controls\">Point at an image to see what it stands on and what stands on it; \
         arrow keys go from image to image.</span></p><div class=\"scroll\">",
    );
    out.open(
        "svg",
        &[
            ("class", &"graph"),
            ("width", &At(drawing.width)),
            ("height", &At(drawing.height)),
            (
                "viewBox",
                &format_args!("0 0 {} {}", At(drawing.width), At(drawing.height)),
            ),
            ("role", &"group"),
            ("aria-label", &"graph of the images"),
        ],
    );
    // What is taken from afar lies behind everything, the longest chain before all other lines.
    let mut edges: Vec<&Edge> = drawing.edges.iter().collect();
    edges.sort_by_key(|edge| (is_critical(view, edge), !edge.files_only));
    for edge in edges {
        draw_edge(out, view, &drawing, edge);
    }
    for (i, place) in drawing.nodes.iter().enumerate() {
        node(out, view, i, *place);
    }
    out.raw("</svg></div></section>");
}

fn shown(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let start: String = name.chars().take(LETTERS - 1).collect();
    format!("{start}…")
}

fn is_critical(view: &View<'_>, edge: &Edge) -> bool {
    edge.to.iter().any(|to| view.is_link(edge.from, *to))
}

fn draw_edge(out: &mut Markup, view: &View<'_>, drawing: &Layout, edge: &Edge) {
    let from = drawing.nodes[edge.from];
    let critical = is_critical(view, edge);
    let mut classes = String::from("edge");
    if edge.files_only {
        classes.push_str(" files");
    }
    if critical {
        classes.push_str(" critical");
    }
    let to: Vec<String> = edge.to.iter().map(ToString::to_string).collect();
    let to = to.join(" ");
    out.open(
        "g",
        &[
            ("class", &classes),
            ("data-from", &edge.from),
            ("data-to", &to),
        ],
    );
    let target = match edge.group {
        Some(group) => {
            out.open(
                "rect",
                &[
                    ("x", &At(group.x)),
                    ("y", &At(group.y)),
                    ("width", &At(group.width)),
                    ("height", &At(group.height)),
                    ("rx", &7),
                ],
            );
            out.close("rect");
            Place {
                y: group.y + 4.0,
                ..group
            }
        }
        None => drawing.nodes[edge.to.first().copied().unwrap_or(edge.from)],
    };
    let (x1, y1) = (from.x + from.width, from.y + NODE / 2.0);
    let (x2, y2) = (target.x, target.y + NODE / 2.0);
    let path = if edge.files_only {
        let bend = ((x2 - x1) / 2.0).max(24.0);
        format!(
            "M{} {}C{} {} {} {} {} {}",
            At(x1),
            At(y1),
            At(x1 + bend),
            At(y1),
            At(x2 - bend),
            At(y2),
            At(x2),
            At(y2)
        )
    } else {
        let turn = edge.turn;
        let down = y2 - y1;
        let round = (down.abs() / 2.0).min(8.0);
        let way = round * down.signum();
        if down.abs() < 0.5 {
            format!("M{} {}H{}", At(x1), At(y1), At(x2))
        } else {
            format!(
                "M{} {}H{}q{round} 0 {round} {way}V{}q0 {way} {round} {way}H{}",
                At(x1),
                At(y1),
                At(turn - round),
                At(y2 - way),
                At(x2),
            )
        }
    };
    out.open("path", &[("d", &path)]);
    out.close("path");
    out.close("g");
}

fn node(out: &mut Markup, view: &View<'_>, image: usize, place: Place) {
    let about = &view.images[image];
    let report = about.report;
    let critical = [Activity::Build, Activity::Test, Activity::Push]
        .into_iter()
        .any(|activity| view.is_critical(image, activity));
    let class = class(report.status);
    let parents: Vec<String> = about.parents.iter().map(ToString::to_string).collect();
    out.open(
        "a",
        &[
            ("href", &link(image)),
            (
                "class",
                &format_args!("node {class}{}", if critical { " critical" } else { "" }),
            ),
            ("data-image", &image),
            ("data-parents", &parents.join(" ")),
            ("tabindex", &if image == 0 { "0" } else { "-1" }),
        ],
    );
    let took = report.seconds.map(human_seconds);
    let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
    out.element(
        "title",
        &[],
        format_args!("{}: {class}{took}", report.image),
    );
    out.open(
        "rect",
        &[
            ("class", &"body"),
            ("x", &At(place.x)),
            ("y", &At(place.y)),
            ("width", &At(place.width)),
            ("height", &At(place.height)),
            ("rx", &5),
        ],
    );
    out.close("rect");
    out.element(
        "text",
        &[
            ("class", &"mark"),
            ("x", &At(place.x + 12.0)),
            ("y", &At(place.y + 16.5)),
        ],
        mark(report.status),
    );
    out.element(
        "text",
        &[("x", &At(place.x + 24.0)), ("y", &At(place.y + 16.5))],
        shown(report.image.as_str()),
    );
    out.close("a");
}
