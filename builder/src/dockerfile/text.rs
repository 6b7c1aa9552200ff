use std::ops::Range;

/// A piece of a Dockerfile's text and where it stands in the source.
///
/// The text is as it was written, quotes and variables included; only line continuations, and the
/// quotes around flags, are gone from it. The span may therefore be longer than the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// The bytes of the source that it came from.
    pub span: Range<usize>,
}

impl Word {
    /// Whether it holds a `$`, so that its meaning depends on variables.
    pub fn has_variable(&self) -> bool {
        self.text.contains('$')
    }
}

/// Text that was put together from parts of the source, and still knows each byte's origin.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapped {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// Where the part begins in the text.
    at: usize,
    /// Where it begins in the source.
    from: usize,
}

impl Mapped {
    /// Appends what stands at `from` in the source.
    pub(super) fn push(&mut self, text: &str, from: usize) {
        if text.is_empty() {
            return;
        }
        let at = self.text.len();
        let follows = self
            .parts
            .last()
            .is_some_and(|last| last.from + (at - last.at) == from);
        if !follows {
            self.parts.push(Part { at, from });
        }
        self.text.push_str(text);
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the byte at `at` comes from; for the end of the text, the end of its last byte.
    pub(super) fn source(&self, at: usize) -> usize {
        if at >= self.text.len() && at > 0 {
            return self.source_before(at);
        }
        let after = self.parts.partition_point(|part| part.at <= at);
        match after.checked_sub(1).and_then(|i| self.parts.get(i)) {
            Some(part) => part.from + (at - part.at),
            None => 0,
        }
    }

    /// Where the byte before `at` ends in the source.
    fn source_before(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        let after = self.parts.partition_point(|part| part.at < at);
        match after.checked_sub(1).and_then(|i| self.parts.get(i)) {
            Some(part) => part.from + (at - part.at),
            None => self.parts.first().map_or(0, |part| part.from),
        }
    }

    /// The bytes of the source behind a range of the text.
    pub(super) fn span(&self, range: Range<usize>) -> Range<usize> {
        let start = self.source(range.start);
        if range.is_empty() {
            return start..start;
        }
        start..self.source_before(range.end).max(start)
    }

    /// A range of the text as a word.
    pub(super) fn word(&self, range: Range<usize>) -> Word {
        Word {
            text: self.text[range.clone()].to_owned(),
            span: self.span(range),
        }
    }

    /// The range without white space at its ends.
    pub(super) fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        let text = text.trim();
        start..start + text.len()
    }

    /// Runs of anything but blanks, as ranges of the text.
    pub(super) fn split_blanks(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut words = Vec::new();
        let mut start = None;
        for (i, c) in self.text[range.clone()].char_indices() {
            let at = range.start + i;
            if is_blank(c) {
                if let Some(start) = start.take() {
                    words.push(start..at);
                }
            } else if start.is_none() {
                start = Some(at);
            }
        }
        if let Some(start) = start {
            words.push(start..range.end);
        }
        words
    }
}

/// What separates words within a line (`[\t\v\f\r ]` in BuildKit's parser); other white space does
/// not.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back_over_gaps() {
        let mut mapped = Mapped::default();
        mapped.push("ab", 10);
        mapped.push("cd", 12);
        mapped.push("ef", 20);
        assert_eq!(mapped.text(), "abcdef");
        for (range, span) in [
            (0..2, 10..12),
            (1..4, 11..14),
            (3..5, 13..21),
            (4..6, 20..22),
            (0..6, 10..22),
            (4..4, 20..20),
            (6..6, 22..22),
            (0..0, 10..10),
        ] {
            assert_eq!(mapped.span(range.clone()), span, "{range:?}");
        }
        assert_eq!(Mapped::default().span(0..0), 0..0);
    }

    #[test]
    fn blanks_split_words() {
        let mut mapped = Mapped::default();
        mapped.push(" a\tb\u{a0}c ", 0);
        let words = mapped.split_blanks(0..mapped.text().len());
        let texts: Vec<_> = words.iter().map(|r| &mapped.text()[r.clone()]).collect();
        assert_eq!(texts, ["a", "b\u{a0}c"]);
    }
}
