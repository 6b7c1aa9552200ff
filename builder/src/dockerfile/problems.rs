use std::ops::Range;

use crate::model::{Diagnostic, Diagnostics, Location, Source, nearest};

/// How many problems of one Dockerfile are worth showing; finding a place costs a pass over the
/// text, so that a hostile file must not have one for each of its lines.
const LIMIT: usize = 50;

/// Collects what is wrong with one Dockerfile.
pub(super) struct Problems<'a> {
    source: &'a Source,
    found: Diagnostics,
    dropped: usize,
}

impl<'a> Problems<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            found: Diagnostics::default(),
            dropped: 0,
        }
    }

    /// Adds a problem and its place.
    pub(super) fn add(&mut self, problem: Diagnostic, span: Range<usize>) {
        if self.found.len() < LIMIT {
            self.found.push(problem.at(self.source.location(span)));
        } else {
            self.dropped += 1;
        }
    }

    /// A place, for a note.
    pub(super) fn location(&self, span: Range<usize>) -> Location {
        if self.found.len() < LIMIT {
            self.source.location(span)
        } else {
            Location::file(self.source.path())
        }
    }

    /// Adds a problem of the file as a whole.
    pub(super) fn add_to_file(&mut self, problem: Diagnostic) {
        self.found
            .push(problem.at(Location::file(self.source.path())));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, if nothing was wrong.
    pub(super) fn or_ok<T>(mut self, value: T) -> Result<T, Diagnostics> {
        if self.dropped > 0 {
            let rest = format!("{} more problems in this file", self.dropped);
            self.add_to_file(Diagnostic::definition(rest).hint("mend the ones above first"));
        }
        self.found.or_ok(value)
    }
}

/// A piece of the user's text for a message: control characters escaped, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// The nearest name, for a text short enough to be a slip of the keyboard.
pub(super) fn near<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if text.len() > 60 {
        return None;
    }
    nearest(text, candidates)
}
