//! Passwords and keys in what everybody can read of an image: variables, labels, history.

use std::sync::LazyLock;

use regex::Regex;

/// Names of which the value is a secret.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "passwords?|passwd|passphrase|secrets?|secret_?key|tokens?|api_?keys?|private_?keys?|access_?keys?|credentials?";
    Regex::new(&format!(r"(?i)(?:^|[_.\-])(?:{words})$")).ok()
});

/// What is a secret whatever it is called: an address with a password, keys of well-known services,
/// private keys.
static VALUES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r#"[a-z][a-z0-9+.\-]*://[^\s/:@"'$]+:[^\s/@"'$]+@"#,
        r"\bAKIA[0-9A-Z]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{36,}",
        r"\bglpat-[A-Za-z0-9_\-]{20,}",
        r"\bxox[abprs]-[A-Za-z0-9\-]{10,}",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY",
    ];
    Regex::new(&forms.join("|")).ok()
});

/// `NAME=value` within a command: of arguments of builds, as the history has them, and of shells.
static ASSIGNED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s;&|]*)"#).ok());

/// Whether this variable or label holds a secret: by its name, and by its value.
pub fn is_secret(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    // What refers to something else is no secret itself: a variable, a file, a switch.
    let refers = value.is_empty()
        || value.starts_with(['$', '/'])
        || matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "0" | "1"
        );
    let named = NAMES.as_ref().is_some_and(|names| names.is_match(name));
    (named && !refers) || holds_secret(value)
}

/// Whether a text holds what looks like a secret wherever it stands.
pub fn holds_secret(text: &str) -> bool {
    VALUES.as_ref().is_some_and(|values| values.is_match(text))
}

/// The names of the variables that a command of the history gives a secret to.
pub fn assigned(command: &str) -> Vec<&str> {
    let Some(assigned) = ASSIGNED.as_ref() else {
        return Vec::new();
    };
    let mut found: Vec<&str> = assigned
        .captures_iter(command)
        .filter_map(|c| Some((c.get(1)?.as_str(), c.get(2)?.as_str())))
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, _)| name)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// `ENV NAME value`, the form of a Dockerfile without `=`.
static OLD_FORM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^(\s*ENV\s+)([A-Za-z_][A-Za-z0-9_]*)\s+(\S.*)$").ok());

/// A line of a Dockerfile, or a command, as it may be shown: `***` in the place of what looks like a
/// secret.
pub fn masked(text: &str) -> String {
    use regex::Captures;
    let mut shown = text.to_owned();
    if let Some(old) = OLD_FORM.as_ref() {
        let hide = |c: &Captures<'_>| match is_secret(&c[2], &c[3]) {
            true => format!("{}{} ***", &c[1], &c[2]),
            false => c[0].to_owned(),
        };
        shown = old.replace(&shown, hide).into_owned();
    }
    if let Some(assigned) = ASSIGNED.as_ref() {
        let hide = |c: &Captures<'_>| match is_secret(&c[1], &c[2]) {
            true => format!("{}=***", &c[1]),
            false => c[0].to_owned(),
        };
        shown = assigned.replace_all(&shown, hide).into_owned();
    }
    match VALUES.as_ref() {
        Some(values) => values.replace_all(&shown, "***").into_owned(),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_name_or_value() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2", true),
            ("PASSWORD_FILE", "/run/secrets/x", false),
            ("ADMIN_TOKEN", "$TOKEN", false),
            ("ADMIN_TOKEN", "abc", true),
            ("USE_PASSWORD", "true", false),
            ("KEY", "value", false),
            ("TOKENIZERS", "x", false),
            ("URL", "mysql://u:p4ss@db/x", true),
            ("URL", "http://$USER:$PASS@db/x", false),
            ("URL", "https://example.org/a:b@c", false),
            ("X", "AKIAIOSFODNN7EXAMPLE", true),
        ] {
            assert_eq!(is_secret(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_line_is_shown_without_its_secrets() {
        for (line, shown) in [
            ("ENV DB_PASSWORD=hunter2 A=b", "ENV DB_PASSWORD=*** A=b"),
            ("ENV DB_PASSWORD hunter2 and more", "ENV DB_PASSWORD ***"),
            ("ARG API_TOKEN='a b'", "ARG API_TOKEN=***"),
            ("RUN get https://u:p4ss@host/x", "RUN get ***host/x"),
            ("ENV PATH=/bin:/sbin", "ENV PATH=/bin:/sbin"),
            ("EXPOSE 5000", "EXPOSE 5000"),
        ] {
            assert_eq!(masked(line), shown);
        }
    }

    #[test]
    fn commands_that_give_a_variable_a_secret() {
        let command = "|2 COLOUR=blue DB_PASSWORD=hunter2 /bin/sh -c API_KEY='x y' make; a=b";
        assert_eq!(assigned(command), ["API_KEY", "DB_PASSWORD"]);
        assert_eq!(
            assigned("/bin/sh -c PASSWORD=$(cat /run/x) true"),
            Vec::<&str>::new()
        );
    }
}
