//! The flags between an instruction's name and its arguments.

use std::ops::Range;

use super::problems::{Problems, near, shown};
use super::text::{Mapped, Word};
use crate::model::Diagnostic;

/// One flag, `--from=base`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The name without the dashes.
    pub name: Word,
    /// What stands after `=`, quotes removed.
    pub value: Option<Word>,
    /// The whole flag.
    pub span: Range<usize>,
}

/// A flag before it is checked, with its value byte by byte.
pub(super) struct Raw {
    /// `--name=value`, quotes removed.
    pub(super) text: Mapped,
    /// The whole flag in the source.
    pub(super) span: Range<usize>,
}

impl Raw {
    fn name(&self) -> Range<usize> {
        2..self.text.text().find('=').unwrap_or(self.text.text().len())
    }

    /// The bytes of the text behind `=`.
    pub(super) fn value(&self) -> Option<Range<usize>> {
        let text = self.text.text();
        text.find('=').map(|i| i + 1..text.len())
    }

    /// The flag's name.
    pub(super) fn is(&self, name: &str) -> bool {
        &self.text.text()[self.name()] == name
    }

    fn flag(&self) -> Flag {
        let name = self.name();
        let value = self.value().map(|value| {
            let equals = self.text.source(value.start - 1);
            Word {
                text: self.text.text()[value].to_owned(),
                span: equals + 1..self.span.end,
            }
        });
        Flag {
            name: self.text.word(name),
            value,
            span: self.span.clone(),
        }
    }
}

/// How a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `--x`, `--x=true`
    Switch,
    /// `--x=value`, once
    Value,
    /// `--x=value`, any number of times
    Values,
}

/// The flags that an instruction takes.
pub(super) type Known = &'static [(&'static str, Shape)];

/// The flags of each instruction (reference of `docker/dockerfile` 1.27).
pub(super) fn known(instruction: &str) -> Known {
    use Shape::{Switch, Value, Values};
    match instruction {
        "ADD" => &[
            ("chown", Value),
            ("chmod", Value),
            ("link", Switch),
            ("keep-git-dir", Switch),
            ("checksum", Value),
            ("unpack", Switch),
            ("exclude", Values),
        ],
        "COPY" => &[
            ("from", Value),
            ("chown", Value),
            ("chmod", Value),
            ("link", Switch),
            ("parents", Switch),
            ("exclude", Values),
        ],
        "FROM" => &[("platform", Value)],
        "HEALTHCHECK" => &[
            ("interval", Value),
            ("timeout", Value),
            ("start-period", Value),
            ("start-interval", Value),
            ("retries", Value),
        ],
        "RUN" => &[
            ("mount", Values),
            ("network", Value),
            ("security", Value),
            ("device", Values),
        ],
        _ => &[],
    }
}

/// Takes the flags off the front of a range of the line, and returns where the rest begins.
///
/// Quotes group and the backslash escapes, whatever the escape directive says; `--` ends the flags.
pub(super) fn extract(line: &Mapped, range: Range<usize>) -> (Vec<Raw>, usize) {
    let mut flags = Vec::new();
    let text = &line.text()[..range.end];
    let mut at = range.start;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        if !text[at..].starts_with("--") {
            return (flags, at);
        }
        let start = at;
        let mut flag = Mapped::default();
        let mut quote = None;
        let mut chars = text[at..].char_indices();
        let mut end = text.len();
        while let Some((i, c)) = chars.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => {
                    end = start + i;
                    break;
                }
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (_, '\\') => {
                    if let Some((i, c)) = chars.next() {
                        push(&mut flag, line, start + i, c);
                    }
                }
                (_, c) => push(&mut flag, line, start + i, c),
            }
        }
        at = end;
        if flag.text() == "--" {
            return (flags, at);
        }
        flags.push(Raw {
            text: flag,
            span: line.span(start..end),
        });
    }
}

fn push(flag: &mut Mapped, line: &Mapped, at: usize, c: char) {
    flag.push(c.encode_utf8(&mut [0; 4]), line.source(at));
}

/// Checks flags against what the instruction knows.
pub(super) fn check(instruction: &str, raw: &[Raw], problems: &mut Problems<'_>) -> Vec<Flag> {
    let known = known(instruction);
    let mut flags: Vec<Flag> = Vec::new();
    for flag in raw.iter().map(Raw::flag) {
        let name = flag.name.text.as_str();
        let Some((_, shape)) = known.iter().find(|(known, _)| *known == name) else {
            problems.add(unknown(instruction, name, known), flag.span);
            continue;
        };
        if *shape != Shape::Values
            && let Some(first) = flags.iter().find(|other| other.name.text == name)
        {
            problems.add(
                Diagnostic::definition(format!("second `--{name}` flag"))
                    .note_at("the first is here", problems.location(first.span.clone()))
                    .hint("it may be given once; remove one of the two"),
                flag.span,
            );
            continue;
        }
        let value = flag.value.as_ref().map(|value| value.text.as_str());
        let wrong = match (shape, value) {
            (Shape::Switch, None) => None,
            (Shape::Switch, Some(v))
                if v.eq_ignore_ascii_case("true") || v.eq_ignore_ascii_case("false") =>
            {
                None
            }
            (Shape::Switch, Some(v)) => Some((
                format!("`{}` is not a value of `--{name}`", shown(v)),
                format!("write `--{name}`, `--{name}=true` or `--{name}=false`"),
            )),
            (Shape::Value | Shape::Values, Some(_)) => None,
            (Shape::Value | Shape::Values, None) => Some((
                format!("`--{name}` has no value"),
                format!("write `--{name}=VALUE`, without white space around the `=`"),
            )),
        };
        match wrong {
            Some((message, hint)) => {
                problems.add(Diagnostic::definition(message).hint(hint), flag.span);
            }
            None => flags.push(flag),
        }
    }
    flags
}

fn unknown(instruction: &str, name: &str, known: Known) -> Diagnostic {
    let problem = Diagnostic::definition(format!("{instruction} has no flag `--{}`", shown(name)));
    if known.is_empty() {
        return problem.hint(format!(
            "{instruction} takes no flags; use the JSON form for an argument that begins with `--`"
        ));
    }
    let lower = name.to_lowercase();
    let names = || known.iter().map(|(name, _)| *name);
    match near(&lower, names()) {
        Some(near) => problem.hint(format!("did you mean `--{near}`?")),
        None => {
            let all: Vec<_> = names().map(|name| format!("--{name}")).collect();
            problem.hint(format!("{instruction} has {}", all.join(", ")))
        }
    }
}
