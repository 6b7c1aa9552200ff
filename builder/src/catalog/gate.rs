//! What an image must hold to when it is checked: `[gate]` of `kolla.toml` for the fleet, and
//! `[images.NAME.gate]` of `service.toml` for one image.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ::toml::Spanned;
use globset::{Glob, GlobMatcher};
use serde::Deserialize;

use crate::model::{Diagnostic, Diagnostics, Location, Source, did_you_mean};

/// One check, by its stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The image's own command succeeds in a container.
    SmokeTest,
    /// It does not run as root.
    User,
    /// It has the labels that are wanted.
    Labels,
    /// It exposes the ports that are declared.
    Ports,
    /// No package manager left what it fetched.
    PackageCache,
    /// No keys or passwords are in its files, its settings or its history.
    Secrets,
    /// No programs give rights but those that are allowed to.
    Setuid,
    /// It is no larger than allowed.
    Size,
    /// Its packages changed as is allowed.
    Packages,
}

impl Check {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::SmokeTest,
        Self::User,
        Self::Labels,
        Self::Ports,
        Self::PackageCache,
        Self::Secrets,
        Self::Setuid,
        Self::Size,
        Self::Packages,
    ];

    /// `smoke-test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmokeTest => "smoke-test",
            Self::User => "user",
            Self::Labels => "labels",
            Self::Ports => "ports",
            Self::PackageCache => "package-cache",
            Self::Secrets => "secrets",
            Self::Setuid => "setuid",
            Self::Size => "size",
            Self::Packages => "packages",
        }
    }

    /// What it holds images to, in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::SmokeTest => "the smoke test succeeds in a container of the image",
            Self::User => "the image does not run as root, unless its definition says so",
            Self::Labels => "the image has the labels that the fleet wants",
            Self::Ports => {
                "the image exposes the ports that its definition declares, and no others"
            }
            Self::PackageCache => "no package manager left in the image what it had fetched",
            Self::Secrets => {
                "no keys or passwords are in the image's files, settings, labels or history"
            }
            Self::Setuid => "no program of the image gives rights but those that are allowed to",
            Self::Size => "the image is no larger than its budget",
            Self::Packages => "packages changed against the published image as the policy allows",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == text)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How packages may differ from the published image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Movement {
    /// A package that the published image does not have.
    Added,
    /// One that the published image alone has.
    Removed,
    /// A later version.
    Upgraded,
    /// An earlier one.
    Downgraded,
}

impl Movement {
    /// `added`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
        }
    }
}

/// How much larger than the published image an image may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By so many hundredths.
    Percent(u64),
    /// By so many bytes.
    Bytes(u64),
}

impl Growth {
    /// The largest size that is allowed where the published image has `size` bytes.
    pub fn limit(self, size: u64) -> u64 {
        let more = match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => {
                let more = u128::from(size) * u128::from(percent) / 100;
                u64::try_from(more).unwrap_or(u64::MAX)
            }
        };
        size.saturating_add(more)
    }
}

/// A finding that is let pass for a while.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// The check.
    pub check: Check,
    /// Which findings of it: a pattern for the path, label, package or port; `None` for all.
    pub matches: Option<GlobMatcher>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts, `2027-01-31`.
    pub until: String,
    /// Where it is declared.
    pub declared: Location,
}

/// What is declared for the fleet or for one image; what is not is `None` or empty.
#[derive(Debug, Clone, Default)]
pub struct GatePolicy {
    /// Whether it may run as root.
    pub root: Option<bool>,
    /// Labels that it must have, each with a value where that matters.
    pub labels: BTreeMap<String, Option<String>>,
    /// The ports it exposes, `80/tcp`.
    pub ports: Option<BTreeSet<String>>,
    /// Programs that may give rights, as patterns of paths.
    pub setuid: Vec<GlobMatcher>,
    /// Files that look like secrets and are none, as patterns of paths; and names of variables.
    pub secrets: Vec<GlobMatcher>,
    /// The most bytes of its files.
    pub max_size: Option<u64>,
    /// How much larger than the published image it may be.
    pub max_growth: Option<Growth>,
    /// Which changes of packages fail.
    pub fail_on: Option<BTreeSet<Movement>>,
    /// Checks that are not made.
    pub off: BTreeSet<Check>,
    /// What is let pass for a while.
    pub waivers: Vec<Waiver>,
}

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateTable {
    root: Option<bool>,
    #[serde(default)]
    labels: Vec<Spanned<String>>,
    ports: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    setuid: Vec<Spanned<String>>,
    #[serde(default)]
    secrets: Vec<Spanned<String>>,
    max_size: Option<Spanned<String>>,
    max_growth: Option<Spanned<String>>,
    fail_on: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    off: Vec<Spanned<String>>,
    #[serde(default)]
    waivers: Vec<Spanned<WaiverTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaiverTable {
    check: Spanned<String>,
    matches: Option<Spanned<String>>,
    reason: Spanned<String>,
    until: Spanned<String>,
}

impl GatePolicy {
    /// Makes sure that a table means something.
    ///
    /// # Errors
    /// All that is wrong with it, each at its place in `source`.
    pub fn of(table: &GateTable, source: &Source) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::default();
        let mut policy = Self {
            root: table.root,
            ..Self::default()
        };
        for label in &table.labels {
            let (name, value) = match label.get_ref().split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (label.get_ref().as_str(), None),
            };
            policy.labels.insert(name.to_owned(), value);
        }
        if let Some(ports) = &table.ports {
            let parsed = ports.iter().filter_map(|p| problems.take(port(p, source)));
            policy.ports = Some(parsed.collect());
        }
        for (written, patterns) in [
            (&table.setuid, &mut policy.setuid),
            (&table.secrets, &mut policy.secrets),
        ] {
            for pattern in written {
                patterns.extend(problems.take(glob(pattern, source)));
            }
        }
        if let Some(text) = &table.max_size {
            policy.max_size = problems.take(bytes(text.get_ref()).ok_or_else(|| {
                Diagnostic::definition(format!("`{}` is not a size", text.get_ref().escape_debug()))
                    .at(source.location(text.span()))
                    .hint("a number and k, M or G, such as \"600M\"")
            }));
        }
        if let Some(text) = &table.max_growth {
            let percent = text.get_ref().strip_suffix('%').map(str::trim);
            let growth = match percent {
                Some(number) => number.parse().ok().map(Growth::Percent),
                None => bytes(text.get_ref()).map(Growth::Bytes),
            };
            policy.max_growth = problems.take(growth.ok_or_else(|| {
                Diagnostic::definition(format!(
                    "`{}` is neither a share nor a size",
                    text.get_ref().escape_debug()
                ))
                .at(source.location(text.span()))
                .hint("\"10%\" or \"50M\"")
            }));
        }
        if let Some(words) = &table.fail_on {
            let all = [
                Movement::Added,
                Movement::Removed,
                Movement::Upgraded,
                Movement::Downgraded,
            ];
            let parsed = words.iter().filter_map(|word| {
                let found = all.into_iter().find(|m| m.name() == word.get_ref());
                let names = all.map(Movement::name);
                problems.take(found.ok_or_else(|| {
                    unknown("change of packages", word, &names).at(source.location(word.span()))
                }))
            });
            policy.fail_on = Some(parsed.collect());
        }
        for name in &table.off {
            policy.off.extend(problems.take(check(name, source)));
        }
        for entry in &table.waivers {
            policy.waivers.extend(problems.take(waiver(entry, source)));
        }
        problems.or_ok(policy)
    }

    /// The same with what it does not say taken from the fleet's defaults; lists add up.
    #[must_use]
    pub fn over(&self, defaults: &Self) -> Self {
        let mut labels = defaults.labels.clone();
        labels.extend(self.labels.clone());
        Self {
            root: self.root.or(defaults.root),
            labels,
            ports: self.ports.clone().or_else(|| defaults.ports.clone()),
            setuid: [&*defaults.setuid, &*self.setuid].concat(),
            secrets: [&*defaults.secrets, &*self.secrets].concat(),
            max_size: self.max_size.or(defaults.max_size),
            max_growth: self.max_growth.or(defaults.max_growth),
            fail_on: self.fail_on.clone().or_else(|| defaults.fail_on.clone()),
            off: defaults.off.union(&self.off).copied().collect(),
            waivers: [&*defaults.waivers, &*self.waivers].concat(),
        }
    }

    /// The same with what holds for everything that is made from an image of this policy: what is
    /// allowed in it, and what is let pass. An image cannot undo what its parent has.
    #[must_use]
    pub fn from_parent(&self, parent: &Self) -> Self {
        let mut own = self.clone();
        own.setuid.extend(parent.setuid.clone());
        own.secrets.extend(parent.secrets.clone());
        own.waivers.extend(parent.waivers.clone());
        own.ports = own.ports.or_else(|| parent.ports.clone());
        own
    }
}

fn unknown(what: &str, word: &Spanned<String>, names: &[&str]) -> Diagnostic {
    let text = word.get_ref();
    let hint = did_you_mean(text, names.iter().copied());
    Diagnostic::definition(format!("there is no {what} `{}`", text.escape_debug()))
        .hint(hint.unwrap_or_else(|| format!("known here: {}", names.join(", "))))
}

fn check(name: &Spanned<String>, source: &Source) -> Result<Check, Diagnostic> {
    let names = Check::ALL.map(Check::name);
    Check::parse(name.get_ref())
        .ok_or_else(|| unknown("check", name, &names).at(source.location(name.span())))
}

fn port(text: &Spanned<String>, source: &Source) -> Result<String, Diagnostic> {
    let (number, protocol) = text
        .get_ref()
        .split_once('/')
        .unwrap_or((text.get_ref(), "tcp"));
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    match number.parse::<u16>() {
        Ok(number) if number > 0 && known => Ok(format!("{number}/{protocol}")),
        _ => Err(Diagnostic::definition(format!(
            "`{}` is not a port",
            text.get_ref().escape_debug()
        ))
        .at(source.location(text.span()))
        .hint("a number, and the protocol where it is not tcp: \"5000\", \"53/udp\"")),
    }
}

fn glob(pattern: &Spanned<String>, source: &Source) -> Result<GlobMatcher, Diagnostic> {
    let glob = Glob::new(pattern.get_ref());
    glob.map(|glob| glob.compile_matcher()).map_err(|error| {
        Diagnostic::definition(format!("this pattern cannot be used: {}", error.kind()))
            .at(source.location(pattern.span()))
    })
}

/// `600M`: bytes, in powers of 1000 as sizes are shown.
fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let factor: u64 = match text[end..].trim() {
        "" | "B" => 1,
        "k" | "kB" => 1000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(factor)
}

fn waiver(entry: &Spanned<WaiverTable>, source: &Source) -> Result<Waiver, Diagnostics> {
    let table = entry.get_ref();
    let mut problems = Diagnostics::default();
    let check = problems.take(check(&table.check, source));
    let matches = table.matches.as_ref().map(|pattern| glob(pattern, source));
    let matches = matches.and_then(|glob| problems.take(glob));
    if table.reason.get_ref().trim().is_empty() {
        problems.push(
            Diagnostic::definition("a waiver needs a reason")
                .at(source.location(table.reason.span()))
                .hint("say why it may pass, and what will end it"),
        );
    }
    let until = table.until.get_ref();
    // The library takes a time with a date that is none, such as the 31st of April, for an error.
    let is_date =
        until.len() == 10 && humantime::parse_rfc3339(&format!("{until}T00:00:00Z")).is_ok();
    if !is_date {
        problems.push(
            Diagnostic::definition(format!("`{}` is not a date", until.escape_debug()))
                .at(source.location(table.until.span()))
                .hint("the last day on which the waiver counts, such as \"2027-01-31\""),
        );
    }
    match check {
        Some(check) if problems.is_empty() => Ok(Waiver {
            check,
            matches,
            reason: table.reason.get_ref().trim().to_owned(),
            until: until.clone(),
            declared: source.location(table.check.span()),
        }),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::toml;

    fn policy(text: &str) -> Result<GatePolicy, Diagnostics> {
        let source = Source::new("f.toml", text);
        GatePolicy::of(&toml::read(&source)?, &source)
    }

    #[test]
    fn mistakes_have_a_place_and_a_hint() {
        for (text, told) in [
            ("ports = [\"x\"]", "f.toml:1:10: `x` is not a port"),
            ("max_size = \"600Q\"", "f.toml:1:12: `600Q` is not a size"),
            (
                "max_growth = \"a%\"",
                "f.toml:1:14: `a%` is neither a share nor a size",
            ),
            ("off = [\"sice\"]", "f.toml:1:8: there is no check `sice`"),
            (
                "fail_on = [\"moved\"]",
                "f.toml:1:12: there is no change of packages `moved`",
            ),
            (
                "setuid = [\"[\"]",
                "f.toml:1:11: this pattern cannot be used",
            ),
            ("user = 1", "f.toml:1:1: unknown key `user`"),
            (
                "waivers = [{ check = \"size\", reason = \" \", until = \"2027-02-31\" }]",
                "f.toml:1:39: a waiver needs a reason\nf.toml:1:52: `2027-02-31` is not a date",
            ),
        ] {
            let problems = policy(text).unwrap_err().to_string();
            assert!(problems.starts_with(told), "{problems}");
        }
    }

    #[test]
    fn an_image_says_more_than_its_fleet_and_inherits_what_is_allowed() {
        let fleet = policy("root = false\nmax_size = \"1G\"\nlabels = [\"a\", \"b=c\"]").unwrap();
        let base = policy("setuid = [\"/usr/bin/sudo\"]\nroot = true\nports = [\"80\"]").unwrap();
        let base = base.over(&fleet);
        let child = policy("max_size = \"20M\"")
            .unwrap()
            .over(&fleet)
            .from_parent(&base);
        assert_eq!((base.root, child.root), (Some(true), Some(false)));
        assert_eq!(
            (base.max_size, child.max_size),
            (Some(1_000_000_000), Some(20_000_000))
        );
        assert!(child.setuid.iter().any(|p| p.is_match("/usr/bin/sudo")));
        assert!(child.ports.unwrap().contains("80/tcp"));
        assert_eq!(child.labels["b"].as_deref(), Some("c"));
        assert_eq!(Growth::Percent(10).limit(200), 220);
        assert_eq!(Growth::Bytes(10).limit(u64::MAX), u64::MAX);
    }
}
