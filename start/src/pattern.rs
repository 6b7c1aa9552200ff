//! Shell wildcards in paths, as Python's `glob` has them, which upstream's images use.
//!
//! `*` and `?` match within one name, `[ab]`, `[a-z]` and `[!a]` one character, and a name that
//! begins with a dot is matched only by a pattern that does. There is no `**` and no `{a,b}`.
//! Matches come in the order of their bytes, so that what is copied last does not depend on the
//! file system.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::root::{Node, Root, last_name};

/// Whether a path has wildcards in it.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The files that `pattern` means; one without wildcards means itself, if it is there.
pub(crate) fn matches(root: &Root, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    for component in pattern.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            _ => continue,
        };
        let mut next = Vec::new();
        let text = name.to_string_lossy();
        if is_pattern(&text) {
            for dir in &found {
                next.extend(names_in(root, dir, &text)?);
            }
        } else {
            for dir in found {
                let path = dir.join(name);
                if exists(root, &path)? {
                    next.push(path);
                }
            }
        }
        found = next;
    }
    found.sort();
    Ok(found)
}

/// Whether something is there: a link that leads nowhere is not.
fn exists(root: &Root, path: &Path) -> Result<bool> {
    match root.follow(path).and_then(|place| place.node()) {
        Ok(node) => Ok(node.is_some()),
        Err(Error::Io { source, .. })
            if matches!(
                source.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn names_in(root: &Root, dir: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    if !exists(root, dir)? {
        return Ok(Vec::new());
    }
    let Some(node) = root.follow(dir)?.node()?.filter(Node::is_dir) else {
        return Ok(Vec::new());
    };
    let children = node.children()?;
    let paths = children.iter().map(|child| child.path().to_owned());
    Ok(paths
        .filter(|path| fits(pattern, &last_name(path).to_string_lossy()))
        .collect())
}

/// What the pattern at `at` says of one character.
enum Step {
    /// Any number of characters, this one or none of them among those.
    Many,
    /// It fits, and the pattern goes on from here.
    Fits(usize),
    Not,
}

fn step(pattern: &[char], at: usize, character: char) -> Step {
    let fits = |yes: bool, next: usize| if yes { Step::Fits(next) } else { Step::Not };
    match pattern.get(at) {
        None => Step::Not,
        Some('*') => Step::Many,
        Some('?') => Step::Fits(at + 1),
        Some('[') => match class(pattern, at + 1) {
            Some((negated, class, next)) => fits(is_in(class, character) != negated, next),
            None => fits(character == '[', at + 1),
        },
        Some(other) => fits(*other == character, at + 1),
    }
}

/// Whether a name fits a pattern without slashes.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut position) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: one character later.
    let mut retry = None;
    while let Some(&character) = name.get(position) {
        match step(&pattern, at, character) {
            Step::Many => {
                at += 1;
                retry = Some((at, position));
            }
            Step::Fits(next) => {
                at = next;
                position += 1;
            }
            Step::Not => {
                let Some((pattern_at, name_at)) = retry else {
                    return false;
                };
                at = pattern_at;
                position = name_at + 1;
                retry = Some((at, position));
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

/// The class whose bracket is before `from`: whether it is negated, its characters, what follows.
fn class(pattern: &[char], from: usize) -> Option<(bool, &[char], usize)> {
    let negated = pattern.get(from) == Some(&'!');
    let first = from + usize::from(negated);
    // A closing bracket that comes first is one of the characters.
    let offset = pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    let end = first + 1 + offset;
    Some((negated, pattern.get(first..end)?, end + 1))
}

fn is_in(class: &[char], character: char) -> bool {
    match class {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&character) || is_in(rest, character),
        [one, rest @ ..] => *one == character || is_in(rest, character),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_with_fnmatch() {
        for (pattern, name, expected) in [
            ("bar.*", "bar.conf", true),
            ("bar.*", "bar", false),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("*a*b", "xaaxb", true),
            ("*a*b", "xaaxbc", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[ab", "[ab", true),
            ("{a,b}", "a", false),
            ("a.c", "abc", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!fits(&"*a".repeat(60), &"a".repeat(59)));
    }

    #[test]
    fn files_are_found_in_order_and_links_are_seen_through() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path()).unwrap();
        std::fs::create_dir_all(dir.path().join("etc/b")).unwrap();
        std::fs::create_dir_all(dir.path().join("etc/a")).unwrap();
        for file in ["etc/a/2.conf", "etc/a/1.conf", "etc/b/1.conf", "etc/b/x"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("etc/b/gone.conf")).unwrap();
        let found = matches(&root, Path::new("/link/*/*.conf")).unwrap();
        let expected = ["/link/a/1.conf", "/link/a/2.conf", "/link/b/1.conf"];
        let mut expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        // Python's `glob` lists what a pattern names without looking behind it.
        expected.push(PathBuf::from("/link/b/gone.conf"));
        assert_eq!(found, expected);
        assert!(matches(&root, Path::new("/etc/none")).unwrap().is_empty());
        assert!(
            matches(&root, Path::new("/etc/b/gone.conf"))
                .unwrap()
                .is_empty()
        );
    }
}
