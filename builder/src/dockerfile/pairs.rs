//! `name=value`, for ENV, LABEL and ARG.

use std::ops::Range;

use super::ast::{Arg, Pair};
use super::instruction::{Parts, missing};
use super::problems::{Problems, shown};
use super::text::{Word, is_blank};
use crate::model::Diagnostic;

/// Words in which quotes group and the escape character protects; both stay in the text.
fn quoted_words(parts: &Parts<'_>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = parts.text().char_indices();
    let at = |i: usize| parts.rest.start + i;
    while let Some((i, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(start..at(i));
            }
            continue;
        }
        start.get_or_insert(at(i));
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == parts.escape && quote != Some('\'') => {
                chars.next();
            }
            _ => {}
        }
    }
    if let Some(start) = start {
        words.push(start..parts.rest.end);
    }
    words
}

/// Splits `name=value`.
fn split_pair(parts: &Parts<'_>, range: &Range<usize>) -> Option<(Word, Word)> {
    let equals = range.start + parts.line.text()[range.clone()].find('=')?;
    let mut value = parts.line.word(equals + 1..range.end);
    if value.text.is_empty() {
        let end = parts.line.span(equals..equals + 1).end;
        value.span = end..end;
    }
    Some((parts.line.word(range.start..equals), value))
}

fn blank_name(parts: &Parts<'_>, range: &Range<usize>, problems: &mut Problems<'_>) {
    problems.add(
        Diagnostic::definition("there is no name before the `=`").hint("write `name=value`"),
        parts.line.span(range.clone()),
    );
}

pub(super) fn pairs(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Pair>> {
    let words = quoted_words(parts);
    let Some(first) = words.first() else {
        missing(
            parts,
            "a name and a value",
            &format!("`{} name=value`", parts.name.unwrap_or_default()),
            problems,
        );
        return None;
    };
    if !parts.line.text()[first.clone()].contains('=') {
        let text = parts.text();
        let name_len = text.find(is_blank).unwrap_or(text.len());
        let gap = text[name_len..].find(|c| !is_blank(c));
        let Some(gap) = gap else {
            let name = shown(text);
            problems.add(
                Diagnostic::definition(format!("`{name}` has no value")).hint(format!(
                    "write `{name}=value`, or `{name}=` for an empty one"
                )),
                parts.line.span(parts.rest.clone()),
            );
            return None;
        };
        let start = parts.rest.start;
        return Some(vec![Pair {
            name: parts.line.word(start..start + name_len),
            value: parts.line.word(start + name_len + gap..parts.rest.end),
        }]);
    }
    let mut pairs = Vec::new();
    let mut good = true;
    for range in words {
        match split_pair(parts, &range) {
            Some((name, _)) if name.text.is_empty() => {
                good = false;
                blank_name(parts, &range, problems);
            }
            Some((name, value)) => pairs.push(Pair { name, value }),
            None => {
                good = false;
                let text = shown(&parts.line.text()[range.clone()]);
                problems.add(
                    Diagnostic::definition(format!("`{text}` has no `=`"))
                        .hint("write `name=value`, and quote a value that holds white space"),
                    parts.line.span(range),
                );
            }
        }
    }
    good.then_some(pairs)
}

pub(super) fn args(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Arg>> {
    let words = quoted_words(parts);
    if words.is_empty() {
        missing(
            parts,
            "a name",
            "`ARG name` or `ARG name=default`",
            problems,
        );
        return None;
    }
    let mut args = Vec::new();
    for range in words {
        match split_pair(parts, &range) {
            Some((name, _)) if name.text.is_empty() => {
                blank_name(parts, &range, problems);
                return None;
            }
            Some((name, default)) => args.push(Arg {
                name,
                default: Some(default),
            }),
            None => args.push(Arg {
                name: parts.line.word(range),
                default: None,
            }),
        }
    }
    Some(args)
}
