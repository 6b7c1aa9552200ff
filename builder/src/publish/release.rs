use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::inventory::{Package, PackageKind};
use crate::model::{Diagnostic, Digest, Fingerprint, ImageName, Tag};

/// Raised when a document of before can no longer be read.
const SCHEMA: u32 = 1;

/// What was published together: `release.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    schema: u32,
    /// Its name among the releases of the namespace; a valid tag. Names sort by age.
    pub id: String,
    /// When it was published, RFC 3339.
    pub created: String,
    /// The commit of its definitions; none outside of a repository.
    pub commit: Option<String>,
    /// The release that was current before it.
    pub previous: Option<String>,
    /// What its images are called.
    pub tags: Vec<String>,
    /// Its images, by name.
    pub images: BTreeMap<String, Released>,
}

/// An image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// What it was made from, as one value.
    pub fingerprint: String,
    /// Its manifest's digest.
    pub digest: Digest,
    /// Bytes as they are sent.
    pub size: u64,
    /// What is in it; none where that was not looked for.
    pub content: Option<Content>,
    /// What each of the release's tags stood for before; none where there was no such tag.
    pub before: BTreeMap<String, Option<Digest>>,
}

/// What is in an image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes of its files, as an inventory counts them.
    pub size: u64,
    /// What is installed in it, sorted.
    pub packages: Vec<Package>,
}

impl Release {
    /// A release without images.
    pub fn new(id: String, created: String, commit: Option<String>, tags: &[Tag]) -> Self {
        Self {
            schema: SCHEMA,
            id,
            created,
            commit,
            previous: None,
            tags: tags.iter().map(Tag::to_string).collect(),
            images: BTreeMap::new(),
        }
    }

    /// Reads `release.json`, whoever wrote it.
    ///
    /// # Errors
    /// A definition error where it is none: what is wrong with it.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Diagnostic> {
        let wrong = |why: String| {
            Diagnostic::definition(format!("{what} is no release: {why}"))
                .hint("`kolla releases` lists those of a namespace")
        };
        let release: Self = serde_json::from_slice(bytes)
            .map_err(|e| wrong(e.to_string().chars().take(200).collect()))?;
        if release.schema != SCHEMA {
            return Err(wrong(format!(
                "its schema is {}, and {SCHEMA} is known",
                release.schema
            )));
        }
        let named = |problem: Diagnostic| wrong(problem.message().to_owned());
        Tag::new(release.id.as_str()).map_err(named)?;
        for tag in &release.tags {
            Tag::new(tag.as_str()).map_err(named)?;
        }
        for (image, released) in &release.images {
            ImageName::new(image.as_str()).map_err(named)?;
            Fingerprint::parse(&released.fingerprint).map_err(named)?;
            for tag in released.before.keys() {
                Tag::new(tag.as_str()).map_err(named)?;
            }
        }
        Ok(release)
    }

    /// The document, the same for the same release.
    pub fn to_json(&self) -> String {
        // Of strings and numbers: there is nothing in it that cannot be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The images by their names.
    pub fn images(&self) -> impl Iterator<Item = (ImageName, &Released)> {
        let images = self.images.iter();
        images.filter_map(|(name, released)| Some((ImageName::new(name.as_str()).ok()?, released)))
    }

    /// The tags.
    pub fn tags(&self) -> Vec<Tag> {
        let tags = self.tags.iter();
        tags.filter_map(|tag| Tag::new(tag.as_str()).ok()).collect()
    }
}

/// How an image differs from one release to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The image.
    pub image: String,
    /// "added", "removed", "changed".
    pub how: &'static str,
    /// Bytes that it grew by, as it is sent.
    pub growth: i64,
    /// Packages: `name old -> new`, `+name version`, `-name version`. Empty where one of the two does
    /// not tell.
    pub packages: Vec<String>,
}

/// What differs between two releases, by image. The same content in other compression is a difference.
pub fn differences(old: &Release, new: &Release) -> Vec<Difference> {
    let names: BTreeSet<&String> = old.images.keys().chain(new.images.keys()).collect();
    let bytes = |released: Option<&Released>| {
        released.map_or(0, |r| i64::try_from(r.size).unwrap_or(i64::MAX))
    };
    let differs = names.into_iter().filter_map(|name| {
        let (was, is) = (old.images.get(name), new.images.get(name));
        let how = match (was, is) {
            (Some(was), Some(is)) if was.digest == is.digest => return None,
            (Some(_), Some(_)) => "changed",
            (None, _) => "added",
            (_, None) => "removed",
        };
        let packages = match (was, is) {
            (Some(was), Some(is)) => match (&was.content, &is.content) {
                (Some(was), Some(is)) => packages(&was.packages, &is.packages),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        Some(Difference {
            image: name.clone(),
            how,
            growth: bytes(is).saturating_sub(bytes(was)),
            packages,
        })
    });
    differs.collect()
}

fn packages(was: &[Package], is: &[Package]) -> Vec<String> {
    type Versions<'a> = BTreeMap<(PackageKind, &'a str), BTreeSet<&'a str>>;
    fn versions(packages: &[Package]) -> Versions<'_> {
        let mut all = Versions::new();
        for package in packages {
            let key = (package.kind, package.name.as_str());
            all.entry(key).or_default().insert(&package.version);
        }
        all
    }
    let (was, is) = (versions(was), versions(is));
    let text = |versions: &BTreeSet<&str>| versions.iter().copied().collect::<Vec<_>>().join(", ");
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let lines = keys
        .into_iter()
        .filter_map(|key| match (was.get(key), is.get(key)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(was), Some(is)) => Some(format!("{} {} -> {}", key.1, text(was), text(is))),
            (None, Some(is)) => Some(format!("+{} {}", key.1, text(is))),
            (Some(was), None) => Some(format!("-{} {}", key.1, text(was))),
            (None, None) => None,
        });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(images: &[(&str, &str, u64)]) -> Release {
        let mut release = Release::new("r1".into(), "2026-01-01T00:00:00Z".into(), None, &[]);
        for (name, content, size) in images {
            release.images.insert(
                (*name).to_owned(),
                Released {
                    fingerprint: Digest::of(content).hex(),
                    digest: Digest::of(content),
                    size: *size,
                    content: None,
                    before: BTreeMap::new(),
                },
            );
        }
        release
    }

    #[test]
    fn a_release_is_read_as_it_was_written() {
        let release = release(&[("base", "1", 10)]);
        let read = Release::parse(release.to_json().as_bytes(), "x");
        assert_eq!(read, Ok(release));
    }

    #[test]
    fn what_is_no_release_is_said() {
        let good = release(&[("base", "1", 10)]).to_json();
        let bad = [
            (String::new(), "EOF"),
            (
                good.replace("\"schema\": 1", "\"schema\": 2"),
                "its schema is 2",
            ),
            (good.replace("\"base\"", "\"../base\""), "../base"),
            (good.replace("\"r1\"", "\"-r1\""), "-r1"),
            (good.replace("sha256:", "sha1:"), "sha1"),
        ];
        for (text, words) in bad {
            let problem = Release::parse(text.as_bytes(), "x").unwrap_err();
            assert!(problem.message().contains(words), "{problem:?}");
        }
    }

    #[test]
    fn releases_are_compared_by_image() {
        let old = release(&[("a", "1", 10), ("b", "1", 10), ("c", "1", 10)]);
        let new = release(&[("a", "1", 10), ("b", "2", 7), ("d", "1", 5)]);
        let told: Vec<_> = differences(&old, &new)
            .into_iter()
            .map(|d| (d.image, d.how, d.growth))
            .collect();
        let wanted = [
            ("b", "changed", -3),
            ("c", "removed", -10),
            ("d", "added", 5),
        ];
        assert_eq!(told, wanted.map(|(i, h, g)| (i.to_owned(), h, g)));
    }
}
