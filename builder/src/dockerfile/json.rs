//! The exec form: a JSON array of strings, with the place of each string.

use std::ops::Range;

/// What a text that may be in exec form is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Array {
    /// Strings, each with the range of what stands between its quotes.
    Strings(Vec<(String, Range<usize>)>),
    /// Valid JSON with something that is not a string.
    Mixed,
    /// Not a JSON array, so shell form.
    None,
}

/// Reads a JSON array; white space around it is allowed, anything else after it is not.
pub(super) fn array(text: &str) -> Array {
    let start = text.len() - text.trim_start().len();
    if !text[start..].starts_with('[') {
        return Array::None;
    }
    match strings(text, start) {
        Some(strings) => Array::Strings(strings),
        None if serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&text[start..]).is_ok() => {
            Array::Mixed
        }
        None => Array::None,
    }
}

fn strings(text: &str, start: usize) -> Option<Vec<(String, Range<usize>)>> {
    let mut found = Vec::new();
    let mut at = skip(text, start + 1);
    if text[at..].starts_with(']') {
        at += 1;
    } else {
        loop {
            let (value, range) = string(text, at)?;
            at = skip(text, range.end + 1);
            found.push((value, range));
            match text.as_bytes().get(at)? {
                b',' => at = skip(text, at + 1),
                b']' => {
                    at += 1;
                    break;
                }
                _ => return None,
            }
        }
    }
    (skip(text, at) == text.len()).then_some(found)
}

fn skip(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + (rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len())
}

fn string(text: &str, at: usize) -> Option<(String, Range<usize>)> {
    let body = text[at..].strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((value, at + 1..at + 1 + i)),
            '\0'..='\u{1f}' => return None,
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\' | '/') => value.push(c),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'u' => value.push(unicode(&mut chars)?),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

/// The four digits after `\u`, and those of a second half; a half alone becomes U+FFFD.
fn unicode(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let high = hex(chars)?;
    if (0xd800..0xdc00).contains(&high) {
        let mut ahead = chars.clone();
        if ahead.next().is_some_and(|(_, c)| c == '\\')
            && ahead.next().is_some_and(|(_, c)| c == 'u')
            && let Some(low @ 0xdc00..0xe000) = hex(&mut ahead)
        {
            *chars = ahead;
            return char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn hex(chars: &mut std::str::CharIndices<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| {
        Some(value * 16 + chars.next()?.1.to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_told_from_shell_words() {
        let strings = |text| match array(text) {
            Array::Strings(found) => Some(found.into_iter().map(|(s, _)| s).collect::<Vec<_>>()),
            _ => None,
        };
        for (text, expected) in [
            ("[]", Some(vec![])),
            (" [ ] ", Some(vec![])),
            (r#"["a","b c"]"#, Some(vec!["a", "b c"])),
            (r#"[ "a" , "\"\\\/\n\u00e4" ]"#, Some(vec!["a", "\"\\/\nä"])),
            (r#"["\ud83d\ude00","\ud83d"]"#, Some(vec!["😀", "\u{fffd}"])),
            (r#"["a",]"#, None),
            (r#"["a"] x"#, None),
            ("['a']", None),
            (r#"["a" "b"]"#, None),
            (r#"["\x"]"#, None),
            (r#"["\u12"]"#, None),
            ("[", None),
            ("[\"", None),
            ("[\"\t\"]", None),
            ("x", None),
        ] {
            let expected = expected.map(|v: Vec<&str>| v.into_iter().map(str::to_owned).collect());
            assert_eq!(strings(text), expected, "{text}");
        }
    }

    #[test]
    fn valid_json_of_other_things_is_mixed() {
        for text in ["[1]", r#"["a", null]"#, "[[\"a\"]]", "[{}]"] {
            assert_eq!(array(text), Array::Mixed, "{text}");
        }
        for text in ["[x]", "[1,]", "[[[", "[ -f /x ] && y"] {
            assert_eq!(array(text), Array::None, "{text}");
        }
    }

    #[test]
    fn ranges_are_those_between_the_quotes() {
        let text = r#" ["ä", "b\n"]"#;
        let Array::Strings(found) = array(text) else {
            unreachable!()
        };
        let parts: Vec<_> = found.iter().map(|(_, r)| &text[r.clone()]).collect();
        assert_eq!(parts, ["ä", r"b\n"]);
    }
}
