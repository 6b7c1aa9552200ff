//! What a signed Release file says of a suite.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use deb822_fast::borrowed::BorrowedParser;

use crate::model::Digest;

/// How far the archive's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(24 * 3600);

/// Why a Release is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not a Release file.
    #[error("expected a Release file: {0}")]
    Malformed(String),
    /// The Release of another suite.
    #[error("it is the Release of `{found}`, not of `{expected}`")]
    OtherSuite {
        /// What was asked for.
        expected: String,
        /// Its suite and codename.
        found: String,
    },
    /// A Release that was to be replaced by now.
    #[error("it was valid until {0}: the mirror is out of date, or somebody holds updates back")]
    Expired(String),
    /// A Release of tomorrow.
    #[error("it is dated {0}, in the future: is the clock of this machine right?")]
    NotYet(String),
}

/// The indices of a suite with what they must be.
#[derive(Debug)]
pub(super) struct Release {
    suite: String,
    date: String,
    by_hash: bool,
    files: BTreeMap<String, (u64, Digest)>,
}

impl Release {
    /// Reads the signed text of a Release (the archive's repository format, "Release files").
    /// `suite` is the suite or the codename that was asked for. One that is pinned may be out of date: it
    /// is what is wanted.
    pub(super) fn parse(
        text: &str,
        suite: &str,
        now: SystemTime,
        pinned: bool,
    ) -> Result<Self, ReleaseError> {
        let malformed = |why: &str| ReleaseError::Malformed(why.to_owned());
        let paragraphs = BorrowedParser::new(text)
            .parse_all()
            .map_err(|e| malformed(&e.to_string()))?;
        let [fields] = paragraphs.as_slice() else {
            return Err(malformed("it is not one paragraph"));
        };
        let field = |name| fields.get_single(name).unwrap_or_default().trim();
        let names = [field("Suite"), field("Codename")];
        if !names.contains(&suite) {
            return Err(ReleaseError::OtherSuite {
                expected: suite.to_owned(),
                found: names.join("` or `"),
            });
        }
        let date = time(field("Date")).ok_or_else(|| malformed("`Date` is not a date"))?;
        if date > now + SKEW {
            return Err(ReleaseError::NotYet(field("Date").to_owned()));
        }
        let until = field("Valid-Until");
        if !until.is_empty() && !pinned {
            let end = time(until).ok_or_else(|| malformed("`Valid-Until` is not a date"))?;
            if end < now {
                return Err(ReleaseError::Expired(until.to_owned()));
            }
        }
        let lines = fields.get("SHA256").unwrap_or_default();
        let mut files = BTreeMap::new();
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_ascii_whitespace();
            let (Some(digest), Some(size), Some(path), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(malformed(
                    "a line of `SHA256` is not a digest, a size and a path",
                ));
            };
            let digest = Digest::parse(digest).map_err(|e| malformed(e.message()))?;
            let size = size
                .parse()
                .map_err(|_| malformed("a size is not a number"))?;
            files.insert(path.to_owned(), (size, digest));
        }
        if files.is_empty() {
            return Err(malformed("it lists no file under `SHA256`"));
        }
        Ok(Self {
            suite: field("Suite").to_owned(),
            date: field("Date").to_owned(),
            by_hash: field("Acquire-By-Hash") == "yes",
            files,
        })
    }

    /// The suite by its role, `stable`.
    pub(super) fn suite(&self) -> &str {
        &self.suite
    }

    /// When it was made, as it says itself.
    pub(super) fn date(&self) -> &str {
        &self.date
    }

    /// Whether indices can also be had by their digest, so that a mirror that is being updated does
    /// not hand out half of each state.
    pub(super) fn by_hash(&self) -> bool {
        self.by_hash
    }

    /// Size and digest of a file below the suite's folder.
    pub(super) fn file(&self, path: &str) -> Option<(u64, &Digest)> {
        self.files.get(path).map(|(size, digest)| (*size, digest))
    }
}

/// "Sat, 21 Nov 2026 09:15:44 UTC". Days below ten come with and without a zero.
fn time(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix("UTC")?.trim_end();
    let (weekday, rest) = text.split_once(", ")?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    httpdate::parse_http_date(&format!("{weekday}, {day:0>2} {rest} GMT")).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "Origin: Debian\nSuite: stable\nCodename: trixie\n\
        Date: Sat, 21 Nov 2026 09:15:44 UTC\nAcquire-By-Hash: yes\nMD5Sum:\n 00 1 x\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n";

    fn at(date: &str) -> SystemTime {
        time(date).unwrap()
    }

    #[test]
    fn a_release_is_that_of_its_suite_and_of_its_codename() {
        let now = at("Sun, 22 Nov 2026 00:00:00 UTC");
        for suite in ["stable", "trixie"] {
            let release = Release::parse(TEXT, suite, now, false).unwrap();
            assert!(release.by_hash());
            assert_eq!(release.file("main/binary-amd64/Packages").unwrap().0, 0);
            assert!(release.file("x").is_none());
        }
        let other = Release::parse(TEXT, "bookworm", now, false)
            .unwrap_err()
            .to_string();
        assert_eq!(
            other,
            "it is the Release of `stable` or `trixie`, not of `bookworm`"
        );
    }

    #[test]
    fn a_release_is_believed_in_its_time_only() {
        let dated = TEXT.replace(
            "Acquire",
            "Valid-Until: Sat, 28 Nov 2026 9:15:44 UTC\nAcquire",
        );
        let dated = dated.replace(" 9:", " 09:");
        assert!(
            Release::parse(&dated, "trixie", at("Sat, 28 Nov 2026 09:15:44 UTC"), false).is_ok()
        );
        let late = Release::parse(&dated, "trixie", at("Sat, 28 Nov 2026 09:15:45 UTC"), false);
        assert!(matches!(late, Err(ReleaseError::Expired(_))), "{late:?}");
        // What is pinned is wanted however old it is.
        let pinned = at("Sun, 28 Nov 2027 09:15:45 UTC");
        assert!(Release::parse(&dated, "trixie", pinned, true).is_ok());
        let early = Release::parse(&dated, "trixie", at("Fri, 20 Nov 2026 09:15:43 UTC"), false);
        assert!(matches!(early, Err(ReleaseError::NotYet(_))), "{early:?}");
        assert!(
            Release::parse(&dated, "trixie", at("Fri, 20 Nov 2026 09:15:44 UTC"), false).is_ok()
        );
    }

    #[test]
    fn what_is_no_release_is_an_error() {
        let now = at("Sun, 22 Nov 2026 00:00:00 UTC");
        for (old, new) in [
            ("e3b0c4", "zzzzzz"),
            (" 0 main", " many main"),
            ("Date: Sat", "Date: 21"),
            ("SHA256", "SHA1"),
            ("Suite", "\n\nSuite"),
        ] {
            let text = TEXT.replace(old, new);
            assert!(
                Release::parse(&text, "trixie", now, false).is_err(),
                "{old} -> {new}"
            );
        }
        assert!(Release::parse("", "trixie", now, false).is_err());
    }

    #[test]
    fn dates_come_with_and_without_a_zero() {
        assert_eq!(
            at("Tue, 1 Dec 2026 00:34:34 UTC"),
            at("Tue, 01 Dec 2026 00:34:34 UTC")
        );
        assert_eq!(time("yesterday"), None);
        assert_eq!(time("Tue, 01 Dec 2026 00:34:34 +0200"), None);
    }
}
