use std::fmt;

use super::Diagnostic;

/// The rule both kinds of name share: what a path component of an image reference may be
/// (distribution spec, `path-component`), at most 63 characters so that it is a host name too.
fn check(kind: &str, text: &str) -> Result<(), Diagnostic> {
    let bytes = text.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = bytes.first().is_some_and(alnum) && bytes.last().is_some_and(alnum);
    let inner = bytes
        .iter()
        .all(|b| alnum(b) || matches!(b, b'-' | b'_' | b'.'));
    let runs = bytes.windows(2).all(|w| {
        !matches!(w[0], b'.' | b'_' | b'-') || !matches!(w[1], b'.' | b'_' | b'-') || w == b"--"
    });
    if edges && inner && runs && bytes.len() <= 63 {
        return Ok(());
    }
    Err(Diagnostic::definition(format!(
        "`{}` is not a valid {kind} name",
        text.escape_debug()
    ))
    .hint(
        "a name has 1 to 63 lowercase letters and digits, with single `.`, `_` or `-` between them",
    ))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// Checks the text against the reference grammar.
            ///
            /// # Errors
            /// A definition error that says what a name may be.
            pub fn new(text: impl Into<String>) -> Result<Self, Diagnostic> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of an image of the fleet, without registry, namespace or tag: `nova-api`.
    ImageName,
    "image"
);
name!(
    /// The name of a service: the folder that holds its definition, `nova`.
    ServiceName,
    "service"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_reference_grammar() {
        for good in ["a", "nova-api", "x.y", "a_b", "a--b", "0"] {
            assert!(ImageName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", "-a", "a-", "A", "a/b", "a..b", "a b", "../x", "a:b", "é", &long,
        ] {
            assert!(ImageName::new(bad).is_err(), "{bad}");
        }
    }
}
