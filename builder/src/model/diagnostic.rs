use std::fmt;
use std::path::Path;

use super::Location;

/// What kind of failure it is, which decides whether it is retried and how the program exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Something the user wrote is wrong; found before anything is built.
    Definition,
    /// A step of an image failed; trying again would fail again.
    Build,
    /// The network or a server was unwell; trying again may help.
    Transient,
    /// The engine, the disk or the machine is at fault, not the images.
    Environment,
    /// Stopped by the user.
    Interrupted,
    /// A defect of this program.
    Internal,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Definition => "definition",
            Self::Build => "build",
            Self::Transient => "transient",
            Self::Environment => "environment",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        })
    }
}

/// One problem, as data: what is wrong, where, and what to do about it.
///
/// The message is a lowercase fragment without a full stop. How it looks on a screen is decided in
/// one place, `cli`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic(Box<Parts>);

/// Boxed, so that a `Result` is no larger than what it usually carries.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    class: Class,
    message: String,
    at: Option<Location>,
    notes: Vec<(String, Option<Location>)>,
    hints: Vec<String>,
}

impl Diagnostic {
    /// A problem of the given class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            class,
            message: message.into(),
            at: None,
            notes: Vec::new(),
            hints: Vec::new(),
        }))
    }

    /// A problem in what the user wrote.
    pub fn definition(message: impl Into<String>) -> Self {
        Self::new(Class::Definition, message)
    }

    /// A problem of the machine, the disk, the network or the engine.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Class::Environment, message)
    }

    /// Where the problem is.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.0.at = Some(location);
        self
    }

    /// A further fact, such as the underlying error's own words.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push((note.into(), None));
        self
    }

    /// A further fact with its own place, such as one edge of a cycle.
    #[must_use]
    pub fn note_at(mut self, note: impl Into<String>, location: Location) -> Self {
        self.0.notes.push((note.into(), Some(location)));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The same problem with the image that it is about in front of the message.
    #[must_use]
    pub fn in_image(&self, image: &super::ImageName) -> Self {
        let mut parts = self.0.clone();
        parts.message = format!("{image}: {}", parts.message);
        Self(parts)
    }

    /// The same problem with what is below the folder `from` named as if it were below `to`: for what
    /// was read from a copy.
    #[must_use]
    pub fn moved(self, from: &Path, to: &Path) -> Self {
        let mut parts = *self.0;
        let prefix = format!("{}/", from.display());
        let text = |text: &mut String| {
            *text = text.replace(&prefix, &format!("{}/", to.display()));
        };
        text(&mut parts.message);
        parts.at = parts.at.map(|at| at.moved(from, to));
        for (note, at) in &mut parts.notes {
            text(note);
            *at = at.take().map(|at| at.moved(from, to));
        }
        parts.hints.iter_mut().for_each(text);
        Self(Box::new(parts))
    }

    /// The failure class.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where the problem is, if it has a place.
    pub fn location(&self) -> Option<&Location> {
        self.0.at.as_ref()
    }

    /// Further facts, each with its place if it has one.
    pub fn notes(&self) -> &[(String, Option<Location>)] {
        &self.0.notes
    }

    /// What to do.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.0.at {
            write!(f, "{at}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Problems found together, never empty when used as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The value, unless something was found.
    ///
    /// # Errors
    /// Returns the collection itself when it is not empty.
    pub fn or_ok<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Takes the value of a result, keeping its problems here.
    pub fn take<T>(&mut self, result: Result<T, impl Into<Diagnostics>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problems) => {
                self.extend(problems.into());
                None
            }
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
