//! `.dockerignore`, by the rules of Docker's own matcher (moby/patternmatcher).

use regex::Regex;

use crate::model::{Diagnostic, Source};

/// The rules of one ignore file; none excludes anything by default.
#[derive(Debug, Default)]
pub struct Ignore {
    /// In the order of the file: the last that matches decides.
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Regex,
    excludes: bool,
}

impl Ignore {
    /// Reads the lines of an ignore file.
    ///
    /// # Errors
    /// On a line that is no pattern.
    pub fn parse(source: &Source) -> Result<Self, Diagnostic> {
        let mut rules = Vec::new();
        for (number, line) in source.text().lines().enumerate() {
            let line = if number == 0 {
                line.trim_start_matches('\u{feff}')
            } else {
                line
            };
            // A `#` is a comment only in the first column.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (excludes, pattern) = match line.trim().strip_prefix('!') {
                Some(rest) => (false, rest.trim()),
                None => (true, line.trim()),
            };
            let clean = clean(pattern);
            if clean.is_empty() && !excludes {
                return Err(Diagnostic::definition("an exception without a pattern")
                    .at(source.line(number + 1)));
            }
            if clean.is_empty() {
                continue;
            }
            let pattern = to_regex(&clean).map_err(|reason| {
                Diagnostic::definition(format!("not a pattern: {reason}"))
                    .at(source.line(number + 1))
                    .hint(
                        "patterns have `*`, `**`, `?`, `[a-z]` and `\\` before a special character",
                    )
            })?;
            rules.push(Rule { pattern, excludes });
        }
        Ok(Self { rules })
    }

    /// Whether a rule takes something back in, perhaps from a folder that is left out.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| !rule.excludes)
    }

    /// Whether a path is left out: it or a folder above it matches, and no later exception does.
    pub fn excludes(&self, path: &str) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        // Excluding a folder excludes what is below it, so each level is asked, and what was
        // decided above stands until a rule speaks of the level itself.
        let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]);
        let mut matched = vec![false; self.rules.len()];
        let mut excluded = false;
        for end in ends {
            excluded = false;
            for (rule, above) in self.rules.iter().zip(&mut matched) {
                *above = *above || rule.pattern.is_match(&path[..end]);
                if *above {
                    excluded = rule.excludes;
                }
            }
        }
        excluded
    }
}

/// Go's `filepath.Clean`, and no leading slash.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn to_regex(pattern: &str) -> Result<Regex, String> {
    let mut out = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                // `**/` is any number of folders, none included; a final `**` is everything.
                if chars.peek() == Some(&'/') {
                    chars.next();
                    out.push_str("(?:.*/)?");
                } else {
                    out.push_str(".*");
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => {
                out.push('[');
                if matches!(chars.peek(), Some('^' | '!')) {
                    chars.next();
                    out.push('^');
                }
                let mut closed = false;
                for c in chars.by_ref() {
                    match c {
                        ']' => {
                            closed = true;
                            break;
                        }
                        '-' => out.push('-'),
                        other => out.push_str(&regex::escape(&other.to_string())),
                    }
                }
                if !closed {
                    return Err("a `[` that is not closed".to_owned());
                }
                out.push(']');
            }
            '\\' => match chars.next() {
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => return Err("a `\\` at the end".to_owned()),
            },
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    Regex::new(&out).map_err(|_| "a `[...]` that is not valid".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded<'a>(rules: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = match Ignore::parse(&Source::new(".dockerignore", rules)) {
            Ok(ignore) => ignore,
            Err(problem) => panic!("{problem}"),
        };
        paths
            .iter()
            .copied()
            .filter(|p| ignore.excludes(p))
            .collect()
    }

    #[test]
    fn patterns_match_as_docker_matches() {
        let paths = ["a", "a/b", "a/b/c.md", "c.md", "x/a", ".git/config", "ab"];
        assert_eq!(excluded("a", &paths), ["a", "a/b", "a/b/c.md"]);
        assert_eq!(excluded("*.md", &paths), ["c.md"]);
        assert_eq!(excluded("**/*.md", &paths), ["a/b/c.md", "c.md"]);
        assert_eq!(excluded("*/a", &paths), ["x/a"]);
        assert_eq!(excluded("/a/b/", &paths), ["a/b", "a/b/c.md"]);
        assert_eq!(excluded("# c\n\n.git\n?b", &paths), [".git/config", "ab"]);
        assert_eq!(excluded("[!a]", &["a", "b"]), ["b"]);
        assert_eq!(excluded("**", &paths), paths);
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let paths = ["a", "a/keep", "a/drop", "b.md", "README.md"];
        assert_eq!(excluded("a\n!a/keep", &paths), ["a", "a/drop"]);
        assert_eq!(excluded("*.md\n!README.md", &paths), ["b.md"]);
        assert_eq!(
            excluded("*.md\n!README.md\nREADME*", &paths),
            ["b.md", "README.md"]
        );
    }

    #[test]
    fn a_bad_pattern_has_its_line() {
        let problem = Ignore::parse(&Source::new(".dockerignore", "a\n[b\n")).err();
        assert_eq!(
            problem.map(|p| p.to_string()).as_deref(),
            Some(".dockerignore:2:1: not a pattern: a `[` that is not closed")
        );
    }
}
