//! `RUN --mount=...`: comma-separated options with CSV quoting.

use std::ops::Range;

use super::ast::{Mount, MountOption};
use super::flags::Raw;
use super::problems::{Problems, near, shown};
use super::text::{Mapped, Word};
use crate::model::Diagnostic;

const TYPES: [&str; 5] = ["bind", "cache", "secret", "ssh", "tmpfs"];
const SHARING: [&str; 3] = ["locked", "private", "shared"];

/// Options by every name they have, and the name they are known by here.
const OPTIONS: [(&str, &str); 19] = [
    ("type", "type"),
    ("from", "from"),
    ("source", "source"),
    ("src", "source"),
    ("target", "target"),
    ("dst", "target"),
    ("destination", "target"),
    ("readonly", "readonly"),
    ("ro", "readonly"),
    ("readwrite", "readwrite"),
    ("rw", "readwrite"),
    ("id", "id"),
    ("sharing", "sharing"),
    ("required", "required"),
    ("size", "size"),
    ("mode", "mode"),
    ("uid", "uid"),
    ("gid", "gid"),
    ("env", "env"),
];

/// Reads the value of one `--mount` flag.
pub(super) fn parse(flag: &Raw, problems: &mut Problems<'_>) -> Option<Mount> {
    let value = flag.value()?;
    let span = flag.text.source(value.start - 1) + 1..flag.span.end;
    let mut options = Vec::new();
    for field in fields(&flag.text, value) {
        let equals = field.text().find('=');
        let key = 0..equals.unwrap_or(field.text().len());
        let key = field.word(key);
        let lower = key.text.to_lowercase();
        let Some((_, name)) = OPTIONS.iter().find(|(any, _)| *any == lower) else {
            let near = near(&lower, OPTIONS.iter().map(|(any, _)| *any));
            problems.add(
                Diagnostic::definition(format!("`{}` is no mount option", shown(&key.text))).hint(
                    match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "options are separated by `,` without white space: \
                                 type=cache,target=/x"
                            .to_owned(),
                    },
                ),
                pad(key.span, &span),
            );
            continue;
        };
        let value = equals.map(|equals| {
            let range = equals + 1..field.text().len();
            let mut word = field.word(range.clone());
            if range.is_empty() {
                let end = field.source(field.text().len());
                word.span = end..end;
            }
            word
        });
        let alone = matches!(*name, "readonly" | "readwrite" | "required");
        if value.is_none() && !alone {
            problems.add(
                Diagnostic::definition(format!("mount option `{lower}` has no value"))
                    .hint(format!("write `{lower}=VALUE`")),
                pad(key.span, &span),
            );
            continue;
        }
        options.push(MountOption { name, value });
    }
    let mount = Mount { options, span };
    check(&mount, problems).then_some(mount)
}

/// A span to show: an empty one is useless.
fn pad(span: Range<usize>, whole: &Range<usize>) -> Range<usize> {
    if span.is_empty() { whole.clone() } else { span }
}

fn check(mount: &Mount, problems: &mut Problems<'_>) -> bool {
    let mut good = true;
    let mut wrong = |word: &Word, message: String, hint: String| {
        good = false;
        let span = pad(word.span.clone(), &mount.span);
        problems.add(Diagnostic::definition(message).hint(hint), span);
    };
    for (name, values) in [("type", &TYPES[..]), ("sharing", &SHARING[..])] {
        let Some(value) = mount.option(name).filter(|value| !value.has_variable()) else {
            continue;
        };
        let lower = value.text.to_lowercase();
        if !values.contains(&lower.as_str()) {
            wrong(
                value,
                format!("`{}` is no mount {name}", shown(&value.text)),
                match near(&lower, values.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there is {}", values.join(", ")),
                },
            );
        }
    }
    if let Some(from) = mount.option("from") {
        if variable(&from.text) {
            wrong(
                from,
                "`from` of a mount takes no variables".to_owned(),
                "name a stage: `FROM $IMAGE AS name` above, then `from=name`".to_owned(),
            );
        } else if mount.kind() == "secret" {
            wrong(
                from,
                "a secret mount has no `from`".to_owned(),
                "secrets are given to the build, not taken from an image".to_owned(),
            );
        }
    }
    for name in ["readonly", "readwrite", "required"] {
        if let Some(value) = mount.option(name).filter(|value| !value.has_variable())
            && !is_bool(&value.text)
        {
            wrong(
                value,
                format!("`{}` is neither true nor false", shown(&value.text)),
                format!("write `{name}`, `{name}=true` or `{name}=false`"),
            );
        }
    }
    for (name, radix) in [("mode", 8), ("uid", 10), ("gid", 10)] {
        if let Some(value) = mount.option(name).filter(|value| !value.has_variable())
            && u32::from_str_radix(&value.text, radix).is_err()
        {
            wrong(
                value,
                format!("`{}` is no {name}", shown(&value.text)),
                if radix == 8 {
                    "a mode is octal, such as 0755".to_owned()
                } else {
                    "it is a number; names are not looked up in mounts".to_owned()
                },
            );
        }
    }
    good
}

/// What Go's `strconv.ParseBool` takes.
fn is_bool(text: &str) -> bool {
    matches!(
        text,
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"
    )
}

/// A `$` with anything behind it, which BuildKit refuses where it takes no variables.
pub(super) fn variable(text: &str) -> bool {
    text.find('$').is_some_and(|i| i + 1 < text.len())
}

/// Splits at commas; a field may be quoted, with doubled quotes inside.
fn fields(text: &Mapped, range: Range<usize>) -> Vec<Mapped> {
    let mut fields = Vec::new();
    let mut field = Mapped::default();
    let mut quoted = false;
    let mut fresh = true;
    let mut chars = text.text()[range.clone()].char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' if fresh => {
                quoted = true;
                fresh = false;
                continue;
            }
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
            }
            '"' if quoted => {
                quoted = false;
                continue;
            }
            ',' if !quoted => {
                fields.push(std::mem::take(&mut field));
                fresh = true;
                continue;
            }
            _ => {}
        }
        fresh = false;
        let from = text.source(range.start + i);
        field.push(c.encode_utf8(&mut [0; 4]), from);
    }
    fields.push(field);
    fields
}
