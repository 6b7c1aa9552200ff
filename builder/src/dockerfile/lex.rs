//! Physical lines to logical ones: directives, comments, continuations, and heredoc bodies.

use std::ops::Range;

use super::problems::{Problems, shown};
use super::text::{Mapped, Word};
use crate::model::Diagnostic;

/// The longest line that BuildKit's scanner takes, its line end included.
const MAX_LINE: usize = 65_535;

/// The parser directives at the top of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=docker/dockerfile:1`, the frontend that the file asks for.
    pub syntax: Option<Word>,
    /// `# escape=...`, as written; see [`super::Dockerfile::escape`] for what holds.
    pub escape: Option<Word>,
    /// `# check=skip=all`, options for BuildKit's own linter.
    pub check: Option<Word>,
}

/// Walks over a Dockerfile line by line.
pub(super) struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    escape: char,
    directives: Directives,
    /// What directives are still looked for.
    looking: Looking,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Looking {
    All,
    /// After `#!` only `syntax` counts.
    SyntaxOnly,
    No,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let pos = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            pos,
            escape: '\\',
            directives: Directives::default(),
            looking: Looking::All,
        }
    }

    pub(super) fn escape(&self) -> char {
        self.escape
    }

    pub(super) fn into_directives(self) -> Directives {
        self.directives
    }

    /// The next physical line without its line end.
    fn physical(&mut self, problems: &mut Problems<'_>) -> Option<Range<usize>> {
        if self.pos >= self.text.len() {
            return None;
        }
        let start = self.pos;
        let rest = &self.text[start..];
        let len = rest.find('\n').map_or(rest.len(), |i| i + 1);
        self.pos = start + len;
        if len > MAX_LINE {
            problems.add(
                Diagnostic::definition(format!("line of {len} bytes is longer than {MAX_LINE}"))
                    .hint("break it with a line continuation, or COPY a file"),
                start..start + 1,
            );
        }
        Some(start..start + rest[..len].trim_end_matches(['\r', '\n']).len())
    }

    /// The next instruction's text: continuations joined, comments and empty lines left out.
    ///
    /// A line is continued by the escape character at its end, blanks after it notwithstanding,
    /// unless another escape character stands before it.
    pub(super) fn next_line(&mut self, problems: &mut Problems<'_>) -> Option<Mapped> {
        loop {
            let line = self.physical(problems)?;
            let text = &self.text[line.clone()];
            let start = line.start + (text.len() - text.trim_start().len());
            let first = start..line.end;
            self.directive(first.clone(), problems);
            if self.text[first.clone()].starts_with('#') {
                continue;
            }
            let (content, mut continued) = self.strip_continuation(first);
            let mut logical = Mapped::default();
            logical.push(&self.text[content.clone()], content.start);
            if content.is_empty() && !continued {
                continue;
            }
            while continued {
                let Some(line) = self.physical(problems) else {
                    break;
                };
                let text = self.text[line.clone()].trim_start();
                if text.is_empty() || text.starts_with('#') {
                    continue;
                }
                let (content, more) = self.strip_continuation(line);
                logical.push(&self.text[content.clone()], content.start);
                continued = more;
            }
            if !logical.text().trim().is_empty() {
                return Some(logical);
            }
        }
    }

    fn strip_continuation(&self, line: Range<usize>) -> (Range<usize>, bool) {
        let text = self.text[line.clone()].trim_end_matches([' ', '\t']);
        match text.strip_suffix(self.escape) {
            Some(before) if !before.ends_with(self.escape) => {
                (line.start..line.start + before.len(), true)
            }
            _ => (line, false),
        }
    }

    /// Takes the line as a directive if it is one; the first line that is not ends them.
    fn directive(&mut self, line: Range<usize>, problems: &mut Problems<'_>) {
        if self.looking == Looking::No {
            return;
        }
        if self.text[line.clone()].starts_with("#!") && self.looking == Looking::All {
            self.looking = Looking::SyntaxOnly;
            return;
        }
        let Some((name, value)) = split_directive(&self.text[line.clone()]) else {
            self.looking = Looking::No;
            return;
        };
        let at = |range: Range<usize>| line.start + range.start..line.start + range.end;
        let name_text = self.text[at(name.clone())].to_ascii_lowercase();
        let value = Word {
            text: self.text[at(value.clone())].to_owned(),
            span: at(value),
        };
        let slot = match name_text.as_str() {
            "syntax" => &mut self.directives.syntax,
            "escape" => &mut self.directives.escape,
            "check" => &mut self.directives.check,
            _ => {
                self.looking = Looking::No;
                return;
            }
        };
        if let Some(first) = slot {
            problems.add(
                Diagnostic::definition(format!("second `{name_text}` directive"))
                    .note_at("the first is here", problems.location(first.span.clone()))
                    .hint("remove one of the two"),
                at(name),
            );
            return;
        }
        *slot = Some(value.clone());
        if name_text == "escape" && self.looking == Looking::All {
            match value.text.as_str() {
                "\\" => self.escape = '\\',
                "`" => self.escape = '`',
                other => problems.add(
                    Diagnostic::definition(format!(
                        "`{}` cannot be the escape character",
                        shown(other)
                    ))
                    .hint("it is either a backslash or a backtick"),
                    value.span,
                ),
            }
        }
    }

    /// The body of a heredoc and its closing line, if there is one; reads on to the end if not.
    ///
    /// Bodies are taken as they are: a `#` begins no comment in them and an escape character
    /// continues no line.
    pub(super) fn heredoc(
        &mut self,
        name: &str,
        strip_tabs: bool,
        problems: &mut Problems<'_>,
    ) -> Option<(Range<usize>, Range<usize>)> {
        let start = self.pos;
        loop {
            let body_end = self.pos;
            let line = self.physical(problems)?;
            let mut text = &self.text[line.clone()];
            if strip_tabs {
                text = text.trim_start_matches('\t');
            }
            if text == name {
                return Some((start..body_end, line));
            }
        }
    }
}

/// `# name = value` as the ranges of name and value (`^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$`).
fn split_directive(line: &str) -> Option<(Range<usize>, Range<usize>)> {
    let body = line.strip_prefix('#')?;
    let equals = body.find('=')?;
    let name = body[..equals].trim();
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    let value = body[equals + 1..].trim();
    if !good || value.is_empty() {
        return None;
    }
    let name_start = 1 + (body.len() - body.trim_start().len());
    let after = &body[equals + 1..];
    let value_start = 1 + equals + 1 + (after.len() - after.trim_start().len());
    Some((
        name_start..name_start + name.len(),
        value_start..value_start + value.len(),
    ))
}
