//! `FROM image AS name`.

use std::ops::Range;

use super::ast::From;
use super::flags::Flag;
use super::instruction::{Parsed, Parts, missing};
use super::problems::{Problems, shown};
use crate::model::Diagnostic;

pub(super) fn parse(
    parts: &Parts<'_>,
    flags: Vec<Flag>,
    problems: &mut Problems<'_>,
) -> Option<Parsed> {
    let words = parts.line.split_blanks(parts.rest.clone());
    let text = |range: &Range<usize>| &parts.line.text()[range.clone()];
    let (image, name) = match words.as_slice() {
        [] => {
            missing(
                parts,
                "an image",
                "`FROM image` or `FROM image AS name`",
                problems,
            );
            return None;
        }
        [image] => (image, None),
        [image, as_word, name] if text(as_word).eq_ignore_ascii_case("as") => (image, Some(name)),
        [_, second, ..] => {
            let hint = if words.iter().any(|word| text(word).starts_with('#')) {
                "a comment needs a line of its own"
            } else if text(second).eq_ignore_ascii_case("as") && words.len() == 2 {
                "a name must follow AS"
            } else {
                "write `FROM image` or `FROM image AS name`"
            };
            problems.add(
                Diagnostic::definition(format!("FROM has {} words", words.len())).hint(hint),
                parts.line.span(second.start..parts.rest.end),
            );
            return None;
        }
    };
    let name = match name.map(|range| parts.line.word(range.clone())) {
        Some(mut word) => {
            let lower = word.text.to_lowercase();
            let good = lower.starts_with(|c: char| c.is_ascii_lowercase())
                && lower
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
            if !good {
                problems.add(
                    Diagnostic::definition(format!(
                        "`{}` cannot be the name of a stage",
                        shown(&word.text)
                    ))
                    .hint("a name begins with a letter and has letters, digits, `-`, `_` and `.`"),
                    word.span,
                );
                return None;
            }
            word.text = lower;
            Some(word)
        }
        None => None,
    };
    let from = From {
        image: parts.line.word(image.clone()),
        platform: flags.into_iter().find_map(|flag| flag.value),
        span: parts.span(),
    };
    Some(Parsed::From(from, name))
}
