//! How a problem looks: what is wrong, the line it is in, further facts, and what to do.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::model::{Class, Diagnostic, Location};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const PLACE: Style = AnsiColor::Blue.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The most characters of a line that are shown.
const MAX_EXCERPT: usize = 160;

pub(super) fn render(problem: &Diagnostic, warning: bool) -> String {
    let mut text = String::new();
    let (style, word) = match (warning, problem.class()) {
        (true, _) => (WARNING, "warning"),
        (false, Class::Internal) => (ERROR, "internal error"),
        (false, _) => (ERROR, "error"),
    };
    let _ = writeln!(
        text,
        "{style}{word}{style:#}: {}",
        printable(problem.message())
    );
    if let Some(location) = problem.location() {
        place(&mut text, location, style);
    }
    for (note, location) in problem.notes() {
        let _ = writeln!(text, "  {PLACE}={PLACE:#} {}", printable(note));
        if let Some(location) = location {
            place(&mut text, location, PLACE);
        }
    }
    for hint in problem.hints() {
        let _ = writeln!(text, "  {HINT}help{HINT:#}: {}", printable(hint));
    }
    if problem.class() == Class::Internal {
        let _ = writeln!(
            text,
            "  {HINT}help{HINT:#}: this is a defect of kolla: please report it with the command line"
        );
    }
    text
}

fn place(text: &mut String, location: &Location, style: Style) {
    let _ = writeln!(
        text,
        " {PLACE}-->{PLACE:#} {}",
        printable(&location.to_string())
    );
    let (Some(line), Some(column), Some((excerpt, width))) =
        (location.line(), location.column(), location.excerpt())
    else {
        return;
    };
    let characters: Vec<char> = excerpt.chars().collect();
    // Of a very long line the part around the place is shown.
    let start = if column > MAX_EXCERPT {
        column - MAX_EXCERPT / 2
    } else {
        0
    };
    let end = characters.len().min(start + MAX_EXCERPT);
    let shown: String = characters[start.min(end)..end]
        .iter()
        .map(|c| if c.is_control() { ' ' } else { *c })
        .collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let before = " ".repeat((column - 1).saturating_sub(start));
    let marks = "^".repeat(width.min(MAX_EXCERPT.saturating_sub(before.len())).max(1));
    let _ = writeln!(text, " {margin} {PLACE}|{PLACE:#}");
    let _ = writeln!(text, " {PLACE}{number} |{PLACE:#} {shown}");
    let _ = writeln!(
        text,
        " {margin} {PLACE}|{PLACE:#} {before}{style}{marks}{style:#}"
    );
}

/// Text from elsewhere must not move the cursor or change colours.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect::<String>()
        .replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Source;

    #[test]
    fn a_problem_shows_its_line_and_what_to_do() {
        let source = Source::new("services/a/service.toml", "description = 1\nusr = 2\n");
        let problem = Diagnostic::definition("unknown key `usr`")
            .at(source.location(16..19))
            .note_at("first here", source.line(1))
            .hint("did you mean `user`?");
        let plain = anstream::adapter::strip_str(&render(&problem, false)).to_string();
        insta::assert_snapshot!(plain, @r"
        error: unknown key `usr`
         --> services/a/service.toml:2:1
           |
         2 | usr = 2
           | ^^^
          = first here
         --> services/a/service.toml:1:1
           |
         1 | description = 1
           | ^^^^^^^^^^^^^^^
          help: did you mean `user`?
        ");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        let problem = Diagnostic::definition("a\u{1b}[2Jb");
        assert!(
            !anstream::adapter::strip_str(&render(&problem, true))
                .to_string()
                .contains('\u{1b}')
        );
        assert!(render(&problem, true).contains("a\u{fffd}[2Jb"));
    }
}
