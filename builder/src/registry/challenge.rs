//! What a registry wants to know, from `WWW-Authenticate` (RFC 9110, section 11.6.1; Docker's token
//! authentication specification).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// What to answer a 401 with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token that `realm` gives out.
    Bearer {
        realm: String,
        service: String,
        /// What the refused request would have needed.
        scopes: Vec<String>,
    },
}

impl Challenge {
    /// The best of those in an answer: a token before a password.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let all: Vec<(String, Vec<(String, String)>)> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .collect();
        let bearer = all.iter().find_map(|(scheme, parameters)| {
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key == name);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let realm = value("realm");
            (scheme == "bearer" && !realm.is_empty()).then(|| Self::Bearer {
                realm,
                service: value("service"),
                scopes: value("scope")
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
            })
        });
        bearer.or_else(|| {
            all.iter()
                .any(|(scheme, _)| scheme == "basic")
                .then_some(Self::Basic)
        })
    }
}

/// `SCHEME key=value, key="value", SCHEME …`, with schemes and keys in lower case.
fn challenges(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest
            .find(|c: char| c == '=' || c == ',' || c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        match behind.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, behind) = parameter(value.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = behind;
            }
            None if word.is_empty() => return found,
            None => {
                found.push((word.to_ascii_lowercase(), Vec::new()));
                rest = behind;
            }
        }
    }
}

/// A token or a quoted string, and what is behind it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            if let Ok(value) = value.parse() {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
        Challenge::read(&headers)
    }

    #[test]
    fn real_ones_are_read() {
        let bearer = |scopes: &[&str]| {
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: "registry, of \"example\"".into(),
                scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
            })
        };
        let quoted =
            r#"Bearer realm="https://auth.example/token",service="registry, of \"example\"""#;
        assert_eq!(read(&[quoted]), bearer(&[]));
        let scoped = format!(r#"{quoted},scope="repository:a:pull repository:b:pull,push""#);
        let scopes = ["repository:a:pull", "repository:b:pull,push"];
        assert_eq!(read(&[&scoped]), bearer(&scopes));
        assert_eq!(read(&[r#"Basic realm="x""#, &scoped]), bearer(&scopes));
        assert_eq!(read(&[&format!(r#"BASIC realm=x, {quoted}"#)]), bearer(&[]));
        assert_eq!(
            read(&["Basic realm=\"Registry Realm\""]),
            Some(Challenge::Basic)
        );
        assert_eq!(read(&["basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn odd_ones_do_no_harm() {
        for odd in [
            "",
            ",",
            "=",
            "Bearer",
            "Bearer realm",
            "Bearer realm=\"",
            "Negotiate",
            "= =\"\\",
        ] {
            assert_eq!(read(&[odd]), None, "{odd}");
        }
    }
}
