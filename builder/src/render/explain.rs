//! Tera's errors as diagnostics.

use std::collections::HashMap;

use tera::ErrorKind;

use crate::model::{Diagnostic, Source, did_you_mean, nearest};

/// Finds the place of an error in the text that the user wrote.
pub(super) fn explain(error: &tera::Error, sources: &HashMap<String, Source>) -> Diagnostic {
    let problem = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let range = report.span().range.clone();
            match sources.get(report.filename()) {
                Some(source) => undefined(report.message(), source.text().get(range.clone()))
                    .unwrap_or_else(|| with_hint(report.message()))
                    .at(source.location(range)),
                None => with_hint(report.message()),
            }
        }
        ErrorKind::MissingParent { current, parent } => {
            let problem =
                Diagnostic::definition(format!("there is no template `{parent}` to extend"))
                    .maybe_hint(did_you_mean(parent, sources.keys().map(String::as_str)));
            match sources.get(current) {
                Some(source) => {
                    let start = source.text().find(parent.as_str()).unwrap_or(0);
                    problem.at(source.location(start..start + parent.len()))
                }
                None => problem,
            }
        }
        ErrorKind::TemplateNotFound(name) => {
            Diagnostic::definition(format!("there is no template `{name}`"))
                .maybe_hint(did_you_mean(name, sources.keys().map(String::as_str)))
        }
        ErrorKind::Msg(text) => from_report(text, sources),
        other => with_hint(&other.to_string()),
    };
    let mut problem = problem;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        problem = problem.note(inner.to_string());
        cause = inner.source();
    }
    problem
}

/// Our own functions put their hint behind a unit separator, since Tera carries text alone.
fn with_hint(message: &str) -> Diagnostic {
    let (message, hint) = match message.split_once('\u{1f}') {
        Some((message, hint)) => (message, Some(hint.trim().to_owned())),
        None => (message, None),
    };
    let mut message = message.trim().trim_end_matches('.').to_owned();
    // Tera begins with a capital letter, our fragments do not.
    let mut letters = message.chars();
    if let (Some(first), Some(second)) = (letters.next(), letters.next())
        && first.is_ascii_uppercase()
        && (second.is_lowercase() || second == ' ')
    {
        message.replace_range(..1, &first.to_ascii_lowercase().to_string());
    }
    let hint = hint.or_else(|| nearest_of_listed(&message));
    Diagnostic::definition(message).maybe_hint(hint)
}

/// Tera's own filters, which it does not list, and ours.
const FILTERS: [&str; 37] = [
    "abs",
    "capitalize",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "join",
    "json",
    "keys",
    "last",
    "length",
    "lower",
    "newlines_to_br",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "shell",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "values",
];

/// The variables that `render` gives to every template.
const VARIABLES: [&str; 7] = [
    "base_image",
    "image",
    "packages",
    "platform",
    "service",
    "user",
    "vars",
];

/// A filter complains of the type of an undefined variable where the variable's name is at fault.
fn undefined(message: &str, text: Option<&str>) -> Option<Diagnostic> {
    if !message.ends_with("but got `undefined`") {
        return None;
    }
    let text = text?.trim_start_matches(['{', '%', '-', ' ']);
    let name = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    if name.is_empty() || VARIABLES.contains(&name) {
        return None;
    }
    Some(
        Diagnostic::definition(format!("`{name}` is not defined"))
            .maybe_hint(did_you_mean(name, VARIABLES)),
    )
}

/// Tera ends "variable `x` is not defined" with all there are; the nearest of them is the one meant.
fn nearest_of_listed(message: &str) -> Option<String> {
    let (what, known) = message.split_once(" is not defined. Available ")?;
    let name = what.split('`').nth(1)?;
    let (_, known) = known.split_once(": ")?;
    let near = nearest(name, known.split(", "))?;
    Some(format!("did you mean `{near}`?"))
}

/// Unknown filters, functions and components come as a finished report:
/// `error: MESSAGE`, then `--> [NAME:LINE:COLUMN]`.
fn from_report(text: &str, sources: &HashMap<String, Source>) -> Diagnostic {
    let mut lines = text.lines().map(str::trim);
    let message = lines
        .clone()
        .find_map(|line| line.strip_prefix("error: "))
        .or_else(|| lines.clone().find(|line| !line.is_empty()))
        .unwrap_or(text);
    let problem = with_hint(message);
    let place = lines.find_map(|line| {
        let (_, place) = line.split_once("--> ")?;
        let mut parts = place.trim_matches(['[', ']']).rsplitn(3, ':');
        let (_column, line, name) = (parts.next()?, parts.next()?, parts.next()?);
        let source = sources.get(name)?;
        let line: usize = line.parse().ok()?;
        let start = source.start_of_line(line);
        let unknown = message.split('`').nth(1)?;
        Some(match source.text()[start..].find(unknown) {
            Some(at) => source.location(start + at..start + at + unknown.len()),
            None => source.line(line),
        })
    });
    let known: &[&str] = if message.contains("filter") {
        &FILTERS
    } else if message.contains("function") {
        &["image", "range", "throw"]
    } else {
        &[]
    };
    let near = message
        .split('`')
        .nth(1)
        .and_then(|name| nearest(name, known.iter().copied()));
    let problem = problem.maybe_hint(near.map(|near| format!("did you mean `{near}`?")));
    match place {
        Some(place) => problem.at(place),
        None => problem,
    }
}
