//! What comes out of a container is not to be trusted on somebody's terminal: it is cut into lines
//! and stripped of everything that moves the cursor, sets colours or hides text.

/// A line that never ends is cut here, so that a step cannot fill the memory.
const LONGEST_LINE: usize = 16 * 1024;

/// What is kept of a container's output.
const OUTPUT: usize = 64 * 1024;

/// Cuts a stream of bytes into clean lines, keeping an unfinished one until the rest comes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Takes some bytes and hands every line they finish to `line`.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                line(clean(&self.unfinished));
                self.unfinished.clear();
            } else if self.unfinished.len() > LONGEST_LINE {
                self.shorten(&mut line);
            }
        }
    }

    /// Hands out what is left, unless nothing of it can be seen.
    pub(super) fn finish(&mut self, mut line: impl FnMut(String)) {
        let rest = clean(&std::mem::take(&mut self.unfinished));
        if !rest.is_empty() {
            line(rest);
        }
    }

    /// A progress bar redraws one line for ever: of that only the last drawing is kept.
    fn shorten(&mut self, line: &mut impl FnMut(String)) {
        let end = self.unfinished.len().saturating_sub(1);
        match self.unfinished.iter().take(end).rposition(|b| *b == b'\r') {
            Some(start) => drop(self.unfinished.drain(..=start)),
            None => {
                line(clean(&self.unfinished));
                self.unfinished.clear();
            }
        }
    }
}

/// The text of one line as it would stand on a terminal in the end, without anything that is not
/// text: escape sequences, control characters, and the marks that reverse the direction of writing.
pub(super) fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let text = text.rsplit_once('\r').map_or(text, |(_, last)| last);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_until_final(&mut chars),
            '\t' => out.push(c),
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out
}

/// The line in which a command says that no space is left.
pub(super) fn full_disk(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let line = line.to_lowercase();
        line.contains("no space left on device") || line.contains("disk quota exceeded")
    })
}

/// Skips what follows ESC (ECMA-48): a control sequence, a string, or a short escape.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => skip_until_final(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // Ends with BEL or ST, which is ESC and a backslash.
            while let Some(c) = chars.next() {
                match c {
                    '\u{7}' | '\u{9c}' => return,
                    '\u{1b}' => {
                        chars.next();
                        return;
                    }
                    _ => {}
                }
            }
        }
        Some(' '..='/') => drop(chars.find(|c| matches!(c, '0'..='~'))),
        _ => {}
    }
}

fn skip_until_final(chars: &mut std::str::Chars<'_>) {
    chars.find(|c| matches!(c, '@'..='~'));
}

/// The end of what was printed, as clean lines.
#[derive(Default)]
pub(super) struct Tail {
    lines: Lines,
    text: String,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let text = &mut self.text;
        self.lines.push(bytes, |line| {
            text.push_str(&line);
            text.push('\n');
        });
        // Twice the size before it is cut, so that cutting costs little.
        if self.text.len() > 2 * OUTPUT {
            self.cut();
        }
    }

    pub(super) fn finish(mut self) -> String {
        let text = &mut self.text;
        self.lines.finish(|line| text.push_str(&line));
        self.cut();
        self.text
    }

    fn cut(&mut self) {
        let mut start = self.text.len().saturating_sub(OUTPUT);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        self.text.drain(..start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |l| out.push(l));
        }
        lines.finish(|l| out.push(l));
        out
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(
            lines(&[b"one\npa", b"rt", b"ial\n\nlast"]),
            ["one", "partial", "", "last"]
        );
        let euro = "\u{20ac}".as_bytes();
        assert_eq!(lines(&[&euro[..1], &euro[1..], b"\n"]), ["\u{20ac}"]);
    }

    #[test]
    fn of_a_progress_bar_the_end_is_kept() {
        assert_eq!(lines(&[b"10%\r50%\r100%\n"]), ["100%"]);
        assert_eq!(lines(&[b"dos\r\nline\r\r\n"]), ["dos", "line"]);
        let endless = b"0123456789\r".repeat(5000);
        assert_eq!(lines(&[&endless, b"done"]), ["done"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; 3 * LONGEST_LINE];
        let got = lines(&[&long[..LONGEST_LINE + 1], &long[LONGEST_LINE + 1..]]);
        assert_eq!(got.iter().map(String::len).sum::<usize>(), long.len());
        assert!(got.len() >= 2);
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        for (dirty, text) in [
            ("esc \u{1b}[31mred\u{1b}[0m", "esc red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bplain\u{1b}c", "plain"),
            ("\u{9b}2Jgone\u{85}\u{7f}\u{8}\u{0}", "gone"),
            ("a\tb  ", "a\tb"),
            ("\u{202e}reversed\u{2069}", "reversed"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
            ("\u{1b}]never ended", ""),
        ] {
            assert_eq!(clean(dirty.as_bytes()), text, "{dirty:?}");
        }
        assert_eq!(clean(b"not \xff UTF-8"), "not \u{fffd} UTF-8");
    }

    #[test]
    fn of_much_output_the_end_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(format!("line {number} \u{20ac}\n").as_bytes());
        }
        tail.push(b"the end");
        let text = tail.finish();
        assert!(text.len() <= OUTPUT && text.ends_with("line 99999 \u{20ac}\nthe end"));
    }
}
