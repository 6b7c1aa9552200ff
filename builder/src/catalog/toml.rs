//! Reading TOML into types, with the errors a person can act on.

use serde::de::DeserializeOwned;

use crate::model::{Diagnostic, Source, did_you_mean};

/// Reads a whole document; unknown keys, wrong types and syntax errors carry their place.
///
/// # Errors
/// A definition error at the offending key or value.
pub fn read<T: DeserializeOwned>(source: &Source) -> Result<T, Diagnostic> {
    ::toml::from_str(source.text()).map_err(|error| explain(source, &error))
}

fn explain(source: &Source, error: &::toml::de::Error) -> Diagnostic {
    let message = error.message().trim_end();
    let span = error.span().unwrap_or(0..0);
    let (message, hint) = match unknown_name(message) {
        Some((what, name, expected)) => (
            format!("unknown {what} `{name}`"),
            did_you_mean(&name, expected.iter().map(String::as_str))
                .or_else(|| Some(format!("known here: {}", expected.join(", ")))),
        ),
        None => (message.replace('\n', ": "), None),
    };
    Diagnostic::definition(message)
        .at(source.location(span))
        .maybe_hint(hint)
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown_name(message: &str) -> Option<(&'static str, String, Vec<String>)> {
    let (what, rest) = [("key", "unknown field "), ("value", "unknown variant ")]
        .into_iter()
        .find_map(|(what, prefix)| Some((what, message.strip_prefix(prefix)?)))?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    let name = quoted.next()?;
    Some((what, name, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[allow(dead_code)]
        description: Option<String>,
        #[allow(dead_code)]
        user: Option<u32>,
    }

    fn problem(text: &str) -> Diagnostic {
        match read::<Known>(&Source::new("f.toml", text)) {
            Err(problem) => problem,
            Ok(known) => panic!("{known:?}"),
        }
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let problem = problem("user = 1\ndiscription = \"x\"\n");
        assert_eq!(problem.to_string(), "f.toml:2:1: unknown key `discription`");
        assert_eq!(problem.hints(), ["did you mean `description`?"]);
    }

    #[test]
    fn syntax_and_types_have_a_place() {
        assert_eq!(
            problem("user = \"x\"").to_string(),
            "f.toml:1:8: invalid type: string \"x\", expected u32"
        );
        assert!(problem("user = ").to_string().starts_with("f.toml:1:"));
    }
}
