//! The two streams. Standard output carries what was asked for, standard error all else.

use std::io::{IsTerminal as _, Write as _};

use anstream::ColorChoice;

use super::args::ColorWhen;
use super::diagnostics;
use crate::model::{Diagnostic, Diagnostics};

/// Writes results, messages and errors.
pub(super) struct Console {
    color: ColorChoice,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
}

impl Console {
    pub(super) fn new(color: ColorWhen, quiet: bool, verbose: bool) -> Self {
        Self {
            color: match color {
                ColorWhen::Auto => ColorChoice::Auto,
                ColorWhen::Always => ColorChoice::Always,
                ColorWhen::Never => ColorChoice::Never,
            },
            quiet,
            verbose,
        }
    }

    /// The width of a table on standard output: the terminal's, else as wide as it needs.
    pub(super) fn width(&self) -> Option<u16> {
        let out = console::Term::stdout();
        out.is_term().then(|| out.size().1.max(40))
    }

    /// Whether live progress can be shown.
    pub(super) fn is_live(&self) -> bool {
        std::io::stderr().is_terminal()
            && !self.quiet
            && !self.verbose
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// What was asked for, on standard output. A reader that stops reading is no error.
    pub(super) fn result(&self, text: &str) -> Result<(), Diagnostics> {
        let mut out = anstream::AutoStream::new(std::io::stdout().lock(), self.color);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Diagnostic::environment(format!("cannot write the result: {error}")).into())
            }
            _ => Ok(()),
        }
    }

    /// A message beside the result, on standard error, unless `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            self.error_text(&format!("{text}\n"));
        }
    }

    /// A problem that does not stop the work.
    pub(super) fn warn(&self, problem: &Diagnostic) {
        self.error_text(&diagnostics::render(problem, true));
    }

    /// Problems that do.
    pub(super) fn problems(&self, problems: &Diagnostics) {
        let shown: Vec<String> = problems
            .iter()
            .map(|p| diagnostics::render(p, false))
            .collect();
        self.error_text(&shown.join("\n"));
        if problems.len() > 1 {
            self.error_text(&format!("\n{} problems\n", problems.len()));
        }
    }

    /// Text with ANSI styles, which are taken out where they do not belong.
    pub(super) fn error_text(&self, text: &str) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.color);
        // There is nowhere left to report that this failed.
        let _ = err.write_all(text.as_bytes());
    }
}
