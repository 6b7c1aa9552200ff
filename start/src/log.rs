//! What the programs say of their work, on the standard error.

use std::io::Write;

/// Lines with the program's name in front. Nothing is lost to a closed pipe but the line itself.
pub(crate) struct Log<'a> {
    name: &'static str,
    to: &'a mut dyn Write,
}

impl<'a> Log<'a> {
    pub(crate) fn new(name: &'static str, to: &'a mut dyn Write) -> Self {
        Self { name, to }
    }

    pub(crate) fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.to, "{}: {line}", self.name);
    }
}

impl std::fmt::Debug for Log<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("name", &self.name).finish()
    }
}
