//! The patterns of `${name#pattern}` and `${name/pattern/text}`: `*` and `?`, nothing else.

/// What to do about a bad pattern.
pub(super) const HINT: &str = "a pattern knows `*` and `?`; a backslash before them, before `/`, \
                               `}` or another backslash takes their meaning away";

/// How many comparisons one substitution may cost.
const MAX_STEPS: usize = 4_000_000;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Any,
    One,
    Char(char),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            items.push(match c {
                '*' => Item::Any,
                '?' => Item::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Item::Char(c),
                    Some(c) => return Err(format!("`\\{}` is not an escape", c.escape_debug())),
                    None => return Err("pattern ends in a backslash".to_owned()),
                },
                c => Item::Char(c),
            });
        }
        items.dedup_by(|a, b| *a == Item::Any && *b == Item::Any);
        Ok(Self(items))
    }

    /// The value without the shortest or longest match at its beginning or end.
    pub(super) fn trim<'v>(
        &self,
        value: &'v str,
        at_end: bool,
        longest: bool,
    ) -> Result<&'v str, String> {
        let mut steps = MAX_STEPS;
        if at_end {
            let reversed: Vec<char> = value.chars().rev().collect();
            let mut items = self.0.clone();
            items.reverse();
            let matched = prefix(&items, &reversed, longest, &mut steps)?.unwrap_or(0);
            let bytes: usize = reversed.iter().take(matched).map(|c| c.len_utf8()).sum();
            Ok(&value[..value.len() - bytes])
        } else {
            let chars: Vec<char> = value.chars().collect();
            let matched = prefix(&self.0, &chars, longest, &mut steps)?.unwrap_or(0);
            let bytes: usize = chars.iter().take(matched).map(|c| c.len_utf8()).sum();
            Ok(&value[bytes..])
        }
    }

    /// The value with the first match, or all, replaced; matches are as long as can be.
    pub(super) fn replace(
        &self,
        value: &str,
        with: &str,
        all: bool,
        limit: usize,
    ) -> Result<String, String> {
        let mut steps = MAX_STEPS;
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let mut at = 0;
        let mut done = false;
        // An empty match right after another match does not count, as in Go's regexp.
        let mut after_match = false;
        while at <= chars.len() {
            let matched = if done {
                None
            } else {
                prefix(&self.0, &chars[at..], true, &mut steps)?
            };
            match matched {
                Some(0) if after_match => after_match = false,
                Some(len) => {
                    result.push_str(with);
                    done = !all;
                    if len > 0 {
                        at += len;
                        after_match = true;
                        continue;
                    }
                }
                None => after_match = false,
            }
            if let Some(c) = chars.get(at) {
                result.push(*c);
            }
            at += 1;
            if result.len() > limit {
                return Err(format!("replacement grows to more than {limit} bytes"));
            }
        }
        Ok(result)
    }
}

/// How many characters at the beginning match, walking all states of the pattern side by side.
fn prefix(
    items: &[Item],
    value: &[char],
    longest: bool,
    steps: &mut usize,
) -> Result<Option<usize>, String> {
    let mut states = vec![false; items.len() + 1];
    states[0] = true;
    let mut found = None;
    for at in 0..=value.len() {
        *steps = steps
            .checked_sub(items.len() + 1)
            .ok_or("pattern takes too long to match")?;
        for i in 0..items.len() {
            if states[i] && items[i] == Item::Any {
                states[i + 1] = true;
            }
        }
        if states[items.len()] {
            found = Some(at);
            if !longest {
                return Ok(found);
            }
        }
        let Some(&c) = value.get(at) else { break };
        let mut alive = false;
        for i in (0..=items.len()).rev() {
            let stays = i < items.len() && states[i] && items[i] == Item::Any && c != '\n';
            let comes = i > 0
                && states[i - 1]
                && match items[i - 1] {
                    Item::Any => false,
                    Item::One => c != '\n',
                    Item::Char(wanted) => wanted == c,
                };
            states[i] = stays || comes;
            alive |= states[i];
        }
        if !alive {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_trimmed() {
        for (glob, value, at_end, longest, expected) in [
            ("a", "abc", false, false, "bc"),
            ("b", "abc", false, false, "abc"),
            ("*b", "abcb", false, false, "cb"),
            ("*b", "abcb", false, true, ""),
            ("*", "abc", false, false, "abc"),
            ("*", "abc", false, true, ""),
            ("?", "äbc", false, false, "bc"),
            (".*", "a.b.c", true, false, "a.b"),
            (".*", "a.b.c", true, true, "a"),
            ("?ä", "xyä", true, false, "x"),
            ("\\*", "a*", true, false, "a"),
            ("", "abc", false, true, "abc"),
            ("a*c*", "abcd", false, false, "d"),
        ] {
            let trimmed = Pattern::parse(glob)
                .and_then(|p| p.trim(value, at_end, longest).map(str::to_owned));
            assert_eq!(trimmed, Ok(expected.to_owned()), "{glob} {value}");
        }
    }

    #[test]
    fn matches_are_replaced() {
        for (glob, value, with, all, expected) in [
            ("b", "abcb", "X", false, "aXcb"),
            ("b", "abcb", "X", true, "aXcX"),
            ("b*", "abcb", "X", false, "aX"),
            ("z", "abc", "X", true, "abc"),
            ("?", "äb", "-", true, "--"),
            ("", "ab", "-", true, "-a-b-"),
            ("", "ab", "-", false, "-ab"),
            ("*", "ab", "-", true, "-"),
            ("*", "", "-", true, "-"),
        ] {
            let replaced = Pattern::parse(glob).and_then(|p| p.replace(value, with, all, 100));
            assert_eq!(replaced, Ok(expected.to_owned()), "{glob} {value}");
        }
    }

    #[test]
    fn cost_is_bounded() {
        let value = "a".repeat(20_000);
        let glob = Pattern::parse(&"a*".repeat(1_000)).unwrap_or(Pattern(Vec::new()));
        assert!(glob.trim(&value, false, true).is_err());
        assert!(glob.replace(&value, "", true, 1 << 20).is_err());
        let one = Pattern::parse("a").unwrap_or(Pattern(Vec::new()));
        assert!(one.replace(&value, &"b".repeat(100), true, 1_000).is_err());
        assert!(Pattern::parse("\\x").is_err() && Pattern::parse("\\").is_err());
    }
}
