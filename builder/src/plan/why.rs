use std::collections::BTreeMap;
use std::fmt;

use super::Inputs;
use crate::model::secret::masked;

/// One input that differs between two builds of an image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// A line of the Dockerfile: what stands there now, and what stood there.
    Dockerfile {
        /// In the Dockerfile as it is now, from 1.
        line: usize,
        /// The first line that differs, as it was; none where lines were added.
        before: Option<String>,
        /// The same as it is now; none where lines were taken away.
        after: Option<String>,
    },
    /// A file of the context, or of the crate of a program in it.
    File {
        /// Its path in the context; for a crate's, below the fleet's root.
        path: String,
        /// What happened to it.
        how: How,
    },
    /// A suite of an archive that a root file system is made from, as it is pinned.
    Archive {
        /// Its name.
        suite: String,
        /// What happened to its pin.
        how: How,
    },
    /// A package that a program's crate needs.
    Dependency {
        /// Its name.
        name: String,
        /// What happened to it.
        how: How,
    },
    /// What decides how a program is compiled, beside its crate's files.
    Program {
        /// The program's path in the context.
        path: String,
        /// Which value: "bin", "package", or a key of the workspace's `Cargo.toml`.
        name: String,
        /// What happened to it.
        how: How,
    },
    /// A build argument.
    Argument {
        /// Its name.
        name: String,
        /// What happened to it.
        how: How,
    },
    /// An image that this one is made from.
    Parent {
        /// Its name.
        name: String,
        /// What happened to it.
        how: How,
    },
    /// The platform it is built for.
    Platform {
        /// As it was.
        before: String,
        /// As it is.
        after: String,
    },
    /// The rules by which fingerprints are made.
    Scheme,
}

/// What happened to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dockerfile {
                line,
                before,
                after,
            } => {
                write!(f, "Dockerfile line {line}: ")?;
                match (before, after) {
                    (Some(before), Some(after)) => write!(f, "`{after}`, was `{before}`"),
                    (None, Some(after)) => write!(f, "`{after}` added"),
                    (Some(before), None) => write!(f, "`{before}` removed"),
                    (None, None) => f.write_str("changed"),
                }
            }
            Self::File { path, how } => write!(f, "file {path} {how}"),
            Self::Archive { suite, how } => write!(f, "pinned state of {suite} {how}"),
            Self::Dependency { name, how } => write!(f, "dependency {name} {how}"),
            Self::Program { path, name, how } => write!(f, "{name} of program {path} {how}"),
            Self::Argument { name, how } => write!(f, "build argument {name} {how}"),
            Self::Parent { name, how } => write!(f, "parent {name} {how}"),
            Self::Platform { before, after } => write!(f, "platform {after}, was {before}"),
            Self::Scheme => f.write_str("fingerprints are made by new rules"),
        }
    }
}

/// What differs from `before` to `after`, the causes nearest to the image first.
pub fn changes(before: &Inputs, after: &Inputs) -> Vec<Change> {
    let mut all = Vec::new();
    if before.scheme != after.scheme {
        all.push(Change::Scheme);
    }
    if before.platform != after.platform {
        all.push(Change::Platform {
            before: before.platform.clone(),
            after: after.platform.clone(),
        });
    }
    all.extend(first_line(&before.dockerfile, &after.dockerfile));
    for (path, how) in compare(&before.files, &after.files) {
        all.extend(file_changes(before, after, path, how));
    }
    let args = compare(&before.args, &after.args);
    all.extend(args.map(|(name, how)| Change::Argument { name, how }));
    let parents = compare(&before.parents, &after.parents);
    all.extend(parents.map(|(name, how)| Change::Parent { name, how }));
    all
}

/// A program is compiled from much, and a root file system is bootstrapped from archives: what of that
/// differs is told in its place.
fn file_changes(before: &Inputs, after: &Inputs, path: String, how: How) -> Vec<Change> {
    let made_from = |inputs: &'_ Inputs| inputs.files.get(&path)?.made_from.clone();
    let mut all = Vec::new();
    if let (Some(old), Some(new)) = (made_from(before), made_from(after)) {
        let files = compare(&old.files, &new.files);
        all.extend(files.map(|(path, how)| Change::File { path, how }));
        let dependencies = compare(&old.dependencies, &new.dependencies);
        all.extend(dependencies.map(|(name, how)| Change::Dependency { name, how }));
        let settings = compare(&old.settings, &new.settings);
        all.extend(settings.map(|(name, how)| Change::Program {
            path: path.clone(),
            name,
            how,
        }));
    }
    if let (Some(old), Some(new)) = (before.files.get(&path), after.files.get(&path))
        && old.content == new.content
    {
        let suites = compare(&old.pinned, &new.pinned);
        all.extend(suites.map(|(suite, how)| Change::Archive { suite, how }));
    }
    if all.is_empty() {
        all.push(Change::File { path, how });
    }
    all
}

fn compare<V: PartialEq>(
    before: &BTreeMap<String, V>,
    after: &BTreeMap<String, V>,
) -> impl Iterator<Item = (String, How)> {
    let kept = after
        .iter()
        .filter_map(|(key, value)| match before.get(key) {
            None => Some((key.clone(), How::Added)),
            Some(old) if old != value => Some((key.clone(), How::Changed)),
            Some(_) => None,
        });
    let gone = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key.clone(), How::Removed));
    kept.chain(gone).collect::<Vec<_>>().into_iter()
}

/// The first line that differs; lines that only one of the texts has there count as added or
/// removed when what follows them is the same again.
fn first_line(before: &str, after: &str) -> Option<Change> {
    // A package put behind another gives that one's line a `\`, which is not what changed.
    let plain = |line: &'_ str| line.trim_end().trim_end_matches('\\').trim_end().to_owned();
    let old: Vec<String> = before.lines().map(plain).collect();
    let new: Vec<String> = after.lines().map(plain).collect();
    let at = (0..old.len().max(new.len())).find(|i| old.get(*i) != new.get(*i))?;
    // It goes into logs and reports.
    let owned = |line: Option<&String>| line.map(|l| masked(l.trim()));
    let (mut was, mut is) = (owned(old.get(at)), owned(new.get(at)));
    if new.len() > old.len() && new[at + new.len() - old.len()..] == old[at..] {
        was = None;
    } else if old.len() > new.len() && old[at + old.len() - new.len()..] == new[at..] {
        is = None;
    }
    Some(Change::Dockerfile {
        line: at + 1,
        before: was,
        after: is,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::FileInput;
    use crate::model::Digest;

    fn line(before: &str, after: &str) -> Option<String> {
        first_line(before, after).map(|change| change.to_string())
    }

    #[test]
    fn the_first_line_that_differs_is_told() {
        assert_eq!(line("a\nb", "a\nb"), None);
        assert_eq!(
            line("a\nb", "a\nc").as_deref(),
            Some("Dockerfile line 2: `c`, was `b`")
        );
        assert_eq!(
            line("a\nb", "a\nx\nb").as_deref(),
            Some("Dockerfile line 2: `x` added")
        );
        assert_eq!(
            line("a\nx\nb", "a\nb").as_deref(),
            Some("Dockerfile line 2: `x` removed")
        );
        assert_eq!(
            line("a", "a\nb").as_deref(),
            Some("Dockerfile line 2: `b` added")
        );
    }

    #[test]
    fn of_a_root_file_system_the_pin_is_told() {
        let inputs = |(content, pinned): (&str, &[(&str, &str)])| Inputs {
            scheme: 1,
            platform: "linux/amd64".into(),
            dockerfile: String::new(),
            args: BTreeMap::new(),
            files: BTreeMap::from([(
                "rootfs.tar".to_owned(),
                FileInput {
                    kind: "bootstrap".into(),
                    content: content.into(),
                    made_from: None,
                    pinned: pinned
                        .iter()
                        .map(|(suite, state)| ((*suite).to_owned(), Digest::of(state)))
                        .collect(),
                },
            )]),
            parents: BTreeMap::new(),
        };
        let told = |before, after| {
            let changes = changes(&inputs(before), &inputs(after)).into_iter();
            changes.map(|c| c.to_string()).collect::<Vec<_>>()
        };
        let [none, one, other] = [
            ("x", &[][..]),
            ("x", &[("x", "1"), ("x-security", "1")]),
            ("x", &[("x", "1"), ("x-security", "2")]),
        ];
        assert_eq!(told(one, other), ["pinned state of x-security changed"]);
        assert_eq!(
            told(none, one),
            [
                "pinned state of x added",
                "pinned state of x-security added"
            ]
        );
        assert_eq!(told(none, ("y", &[])), ["file rootfs.tar changed"]);
        assert_eq!(told(one, ("y", other.1)), ["file rootfs.tar changed"]);
    }

    #[test]
    fn every_kind_of_input_is_compared() {
        let inputs = |text: &str, parent: &str| Inputs {
            scheme: 1,
            platform: "linux/amd64".into(),
            dockerfile: text.into(),
            args: BTreeMap::from([("A".into(), text.into())]),
            files: BTreeMap::new(),
            parents: BTreeMap::from([(parent.into(), "1".into())]),
        };
        let told: Vec<_> = changes(&inputs("x", "p"), &inputs("y", "q"))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "Dockerfile line 1: `y`, was `x`",
                "build argument A changed",
                "parent q added",
                "parent p removed"
            ]
        );
    }
}
