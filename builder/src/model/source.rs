use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text the user wrote and the file it came from, so that a byte range can be shown as a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: Arc<Path>,
    text: Arc<str>,
}

impl Source {
    /// A text read from `path`; the path is only ever shown, never opened.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self {
            path: Arc::from(shown(path.into())),
            text: text.into(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte range; a range that is out of bounds is moved to the end of the text.
    pub fn location(&self, span: Range<usize>) -> Location {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |i| start + i);
        let line = self.text[..start].matches('\n').count() + 1;
        let mut end = span.end.clamp(start, line_end);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        Location {
            path: self.path.to_path_buf(),
            position: Some(Position {
                line,
                column: self.text[line_start..start].chars().count() + 1,
                width: self.text[start..end].chars().count().max(1),
                excerpt: self.text[line_start..line_end].trim_end().to_owned(),
            }),
        }
    }

    /// The byte at which a line begins, counted from 1; past the last line, the end of the text.
    pub fn start_of_line(&self, line: usize) -> usize {
        self.text
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum()
    }

    /// The place of a whole line, counted from 1.
    pub fn line(&self, line: usize) -> Location {
        let start = self.start_of_line(line);
        let text = self.text[start..].lines().next().unwrap_or_default();
        let indent = text.len() - text.trim_start().len();
        self.location(start + indent..start + text.trim_end().len().max(indent))
    }
}

/// A place in a file, with the line itself so that it can be shown without reading the file again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    path: PathBuf,
    position: Option<Position>,
}

/// Paths below the working directory are shown as a person types them, without `./`.
fn shown(path: PathBuf) -> PathBuf {
    match path.strip_prefix("./") {
        Ok(plain) if !plain.as_os_str().is_empty() => plain.to_path_buf(),
        _ => path,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
    width: usize,
    excerpt: String,
}

impl Location {
    /// A file as a whole.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: shown(path.into()),
            position: None,
        }
    }

    /// The same place with a file below `from` named as if it were below `to`.
    #[must_use]
    pub(super) fn moved(self, from: &Path, to: &Path) -> Self {
        match self.path.strip_prefix(from) {
            Ok(below) => Self {
                path: shown(to.join(below)),
                ..self
            },
            Err(_) => self,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.position.as_ref().map(|p| p.line)
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        self.position.as_ref().map(|p| p.column)
    }

    /// The text of the line and how many characters of it are meant.
    pub fn excerpt(&self) -> Option<(&str, usize)> {
        self.position
            .as_ref()
            .map(|p| (p.excerpt.as_str(), p.width))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(p) = &self.position {
            write!(f, ":{}:{}", p.line, p.column)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_becomes_line_and_column() {
        let source = Source::new("f", "one\ntwö three\n");
        let at = source.location(9..14);
        assert_eq!(at.to_string(), "f:2:5");
        assert_eq!(at.excerpt(), Some(("twö three", 5)));
    }

    #[test]
    fn a_span_past_the_end_is_the_end() {
        let source = Source::new("f", "ö");
        assert_eq!(source.location(50..60).to_string(), "f:1:2");
        assert_eq!(source.location(1..1).to_string(), "f:1:1");
    }

    #[test]
    fn a_line_is_found_without_its_indentation() {
        let source = Source::new("f", "a\n  b c \n");
        assert_eq!(source.line(2).to_string(), "f:2:3");
        assert_eq!(source.line(9).to_string(), "f:3:1");
    }
}
