//! Finds the heredocs that a line opens and reads their bodies.

use std::ops::Range;

use super::ast::Heredoc;
use super::expand;
use super::lex::Lexer;
use super::problems::{Problems, shown};
use super::text::Mapped;
use crate::model::Diagnostic;

/// What a word that opens a heredoc says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) descriptor: u32,
    pub(super) expand: bool,
    pub(super) strip_tabs: bool,
}

/// Reads `3<<-"EOF"` (`^(\d*)<<(-?)\s*([^<]*)$`, the rest one shell word).
pub(super) fn opening(word: &str) -> Option<Opening> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = word[digits..].strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let (name, quoted) = expand::delimiter(rest).ok()??;
    Some(Opening {
        name,
        descriptor: word[..digits].parse().unwrap_or(0),
        expand: !quoted,
        strip_tabs,
    })
}

/// The heredocs that a line of `RUN`, `COPY` or `ADD` opens, and where.
pub(super) fn openings(line: &Mapped) -> Vec<(Opening, Range<usize>)> {
    if !line.text().contains("<<") {
        return Vec::new();
    }
    expand::raw_words(line.text())
        .into_iter()
        .filter_map(|(word, range)| Some((opening(&word)?, line.span(range))))
        .collect()
}

/// Reads the bodies that follow a line, and where the last one ends.
pub(super) fn read(
    text: &str,
    openings: Vec<(Opening, Range<usize>)>,
    lexer: &mut Lexer<'_>,
    problems: &mut Problems<'_>,
) -> (Vec<Heredoc>, Option<usize>) {
    let mut heredocs = Vec::new();
    let mut end = None;
    for (opening, span) in openings {
        let Some((body, closing)) = lexer.heredoc(&opening.name, opening.strip_tabs, problems)
        else {
            problems.add(
                Diagnostic::definition(format!(
                    "heredoc `{}` is never closed",
                    shown(&opening.name)
                ))
                .hint(format!(
                    "end it with a line that is `{}` and nothing else, or quote the `<<` if no \
                     heredoc is meant",
                    shown(&opening.name)
                )),
                span,
            );
            break;
        };
        end = Some(closing.end);
        let raw = &text[body.clone()];
        let content = if opening.strip_tabs {
            raw.split_inclusive('\n')
                .map(|line| line.trim_start_matches('\t'))
                .collect()
        } else {
            raw.to_owned()
        };
        heredocs.push(Heredoc {
            name: opening.name,
            opening: span,
            descriptor: opening.descriptor,
            expand: opening.expand,
            strip_tabs: opening.strip_tabs,
            body,
            content,
        });
    }
    (heredocs, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_read() {
        for (word, expected) in [
            ("<<EOF", Some(("EOF", 0, true, false))),
            ("<<-EOF", Some(("EOF", 0, true, true))),
            ("<<'EOF'", Some(("EOF", 0, false, false))),
            ("<<\"EOF\"", Some(("EOF", 0, false, false))),
            ("<<-'EOF'", Some(("EOF", 0, false, true))),
            ("<<EO\"F\"", Some(("EOF", 0, false, false))),
            ("<< EOF", Some(("EOF", 0, true, false))),
            ("<<- EOF", Some(("EOF", 0, true, true))),
            ("3<<EOF", Some(("EOF", 3, true, false))),
            ("<<eo\\'f", Some(("eo'f", 0, true, false))),
            ("<<'e'o\\'f", Some(("eo'f", 0, false, false))),
            ("<<'one two'", Some(("one two", 0, false, false))),
            ("<<$EOF", Some(("$EOF", 0, true, false))),
            ("<<file.txt", Some(("file.txt", 0, true, false))),
            ("", None),
            ("EOF", None),
            ("<<", None),
            ("<<-", None),
            ("<EOF", None),
            ("<<<EOF", None),
            ("<<EOF sh", None),
            ("<<'EOF", None),
            ("<<EOF\"", None),
            ("x<<EOF", None),
        ] {
            let expected = expected.map(|(name, descriptor, expand, strip_tabs)| Opening {
                name: name.to_owned(),
                descriptor,
                expand,
                strip_tabs,
            });
            assert_eq!(opening(word), expected, "{word}");
        }
    }

    #[test]
    fn lines_are_searched() {
        for (line, expected) in [
            ("RUN <<EOF", vec!["<<EOF"]),
            ("RUN << -EOF", vec!["<< -EOF"]),
            ("RUN <<  EOF  > foo", vec!["<<  EOF"]),
            ("RUN <<EOF <<-'E 2' cat", vec!["<<EOF", "<<-'E 2'"]),
            ("RUN --mount=type=cache,target=/x <<EOF sh", vec!["<<EOF"]),
            ("RUN '<<EOF'", vec![]),
            ("RUN \"<<EOF\"", vec![]),
            ("RUN cat<<EOF", vec![]),
            ("RUN cat <<<EOF", vec![]),
            ("RUN it's <<EOF", vec![]),
            ("RUN ${#x} <<EOF", vec![]),
            ("RUN echo \\<<EOF", vec![]),
            ("RUN $(x) \"a\\\"b\" <<EOF", vec!["<<EOF"]),
        ] {
            let mut mapped = Mapped::default();
            mapped.push(line, 0);
            let found: Vec<_> = openings(&mapped)
                .into_iter()
                .map(|(_, span)| &line[span])
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
