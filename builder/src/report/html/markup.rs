//! How the page is written: markup is a literal of this program, and everything else is escaped.

use std::fmt::{Display, Write as _};

/// The most bytes of one line that are shown.
const LONGEST_LINE: usize = 2_000;

/// A page, or a part of it, being written.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// Attributes by name; their values are escaped.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// Markup as it stands. It cannot come from anywhere but this program.
    pub(super) fn raw(&mut self, literal: &'static str) {
        self.0.push_str(literal);
    }

    /// Text, whatever it is.
    pub(super) fn text(&mut self, text: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
    }

    /// Opens an element.
    pub(super) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// Closes it.
    pub(super) fn close(&mut self, tag: &'static str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// An element with nothing but text in it.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Escapes what is written through it, for text and for quoted attributes alike.
struct Escaped<'a>(&'a mut String);

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                other if unwanted(other) => self.0.push(char::REPLACEMENT_CHARACTER),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// Control characters, and those that make text look like another: they turn its direction.
fn unwanted(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line of a log as it is read: without escape sequences, what a carriage return overwrote left out,
/// and of a bearable length.
pub(super) fn line(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let seen = plain.trim_end_matches('\r');
    let seen = seen.rsplit('\r').next().unwrap_or_default();
    shortened(seen, LONGEST_LINE)
}

/// Text cut to about so many bytes, with a word on what is missing.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let whole = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=most).rev().find(whole).unwrap_or(0);
    format!("{} ... {} bytes more", &text[..end], text.len() - end)
}

/// A coordinate, in as few digits as do.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub(super) f64);

impl Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.1}", self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// A part of the whole as a percentage, fine enough for an hour on a wide screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Percent(pub(super) f64);

impl Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.3}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut markup = Markup::default();
        markup.text(text);
        markup.finish()
    }

    #[test]
    fn nothing_hostile_is_markup() {
        assert_eq!(
            escaped("</script><img src=x onerror='a(\"b\")'>&amp;"),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;amp;"
        );
        let mut markup = Markup::default();
        markup.element("a", &[("title", &"\" onclick=\"x")], "<b>");
        assert_eq!(
            markup.finish(),
            "<a title=\"&quot; onclick=&quot;x\">&lt;b&gt;</a>"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        assert_eq!(escaped("a\0b\u{7}c\u{202e}d\u{9b}"), "a�b�c�d�");
        assert_eq!(escaped("a\tb\nc"), "a\tb\nc");
        assert_eq!(
            escaped(&String::from_utf8_lossy(b"\xff<\xc3")),
            "\u{fffd}&lt;\u{fffd}"
        );
    }

    #[test]
    fn lines_lose_colours_and_what_was_overwritten() {
        assert_eq!(line("\x1b[1;31merror\x1b[0m: no"), "error: no");
        assert_eq!(line("\x1b]0;title\x07text"), "text");
        assert_eq!(line(" 10%\r 50%\r100%\r"), "100%");
        assert_eq!(line("done\r\n".trim_end_matches('\n')), "done");
        let long = line(&"ä".repeat(3_000));
        assert!(long.ends_with(" ... 4000 bytes more"), "{long}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(At(12.04).to_string(), "12");
        assert_eq!(At(12.06).to_string(), "12.1");
        assert_eq!(Percent(0.5).to_string(), "50%");
        assert_eq!(Percent(1.0 / 3.0).to_string(), "33.333%");
        assert_eq!(Percent(0.0).to_string(), "0%");
    }
}
