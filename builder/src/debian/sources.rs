//! Where archives are: apt's lists of sources, read and written.

use deb822_fast::borrowed::BorrowedParser;

/// What the folder of Debian's archive is called on every mirror.
const MAIN: &str = "debian";
/// What that of its security archive is called.
const SECURITY: &str = "debian-security";

/// How a list of sources is written (sources.list(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line for each source: `*.list`.
    Lines,
    /// A paragraph for each source: `*.sources`.
    Paragraphs,
}

/// The archives that a root file system is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirrors {
    /// One archive that was named, and none beside it.
    Named(String),
    /// Those that a Debian machine uses itself.
    Found {
        /// The archive's address.
        main: String,
        /// That of the security archive.
        security: Option<String>,
    },
}

/// A suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The archive's address, without a `/` at its end.
    pub(super) uri: String,
    pub(super) suite: String,
}

impl Mirrors {
    /// The archives that a machine's own lists name: of Debian's main and security archive the first
    /// each. Addresses with credentials are passed over, since they would end up in images.
    pub fn find<'a>(lists: impl IntoIterator<Item = (Format, &'a str)>) -> Option<Self> {
        let addresses: Vec<String> = lists
            .into_iter()
            .flat_map(|(format, text)| match format {
                Format::Lines => from_lines(text),
                Format::Paragraphs => from_paragraphs(text),
            })
            .collect();
        let find = |folder: &str| {
            addresses
                .iter()
                .find(|uri| is_archive(uri, folder))
                .cloned()
        };
        Some(Self::Found {
            main: find(MAIN)?,
            security: find(SECURITY),
        })
    }

    /// The suite itself.
    pub(super) fn suite(&self, suite: &str) -> Source {
        let (Self::Named(main) | Self::Found { main, .. }) = self;
        Source {
            uri: main.trim_end_matches('/').to_owned(),
            suite: suite.to_owned(),
        }
    }

    /// The suites with what came after a release, if it is one that gets updates. `role` is what its
    /// Release calls it, `stable`.
    pub(super) fn updates(&self, suite: &str, role: &str) -> Vec<Source> {
        let released = role == "stable" || role.ends_with("oldstable");
        let Self::Found { main, security } = self else {
            return Vec::new();
        };
        if !released {
            return Vec::new();
        }
        let source = |uri: &str, suite: String| Source {
            uri: uri.trim_end_matches('/').to_owned(),
            suite,
        };
        let mut found = vec![source(main, format!("{suite}-updates"))];
        found.extend(
            security
                .iter()
                .map(|uri| source(uri, format!("{suite}-security"))),
        );
        found
    }
}

/// The sources.list of a root file system. `signed_by` is the file in it with the archive's keys,
/// where they are not those that apt has anyway.
pub(super) fn list(sources: &[Source], components: &[String], signed_by: Option<&str>) -> String {
    let options = signed_by.map_or(String::new(), |path| format!("[signed-by=/{path}] "));
    let components = components.join(" ");
    sources
        .iter()
        .map(|s| format!("deb {options}{} {} {components}\n", s.uri, s.suite))
        .collect()
}

/// Whether an address is that of an archive by its usual folder.
fn is_archive(uri: &str, folder: &str) -> bool {
    let rest = uri
        .strip_prefix("http://")
        .or_else(|| uri.strip_prefix("https://"));
    let Some((host, path)) = rest.and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    !host.is_empty()
        && !host.contains('@')
        && uri.bytes().all(|b| b.is_ascii_graphic())
        && path.trim_end_matches('/').rsplit('/').next() == Some(folder)
}

/// `deb [OPTIONS] URI SUITE COMPONENT...`
fn from_lines(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let rest = line.trim_start().strip_prefix("deb")?;
            let rest = rest
                .starts_with(char::is_whitespace)
                .then(|| rest.trim_start())?;
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            rest.split_whitespace().next().map(str::to_owned)
        })
        .collect()
}

fn from_paragraphs(text: &str) -> Vec<String> {
    // A file that apt could not read either names nothing.
    let paragraphs = BorrowedParser::new(text).parse_all().unwrap_or_default();
    let mut found = Vec::new();
    for paragraph in paragraphs {
        let words = |name| {
            let text = paragraph.get(name).unwrap_or_default().join(" ");
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let off = paragraph
            .get_single("Enabled")
            .is_some_and(|e| ["no", "false", "off", "0"].contains(&e.trim()));
        if !off && words("Types").iter().any(|t| t == "deb") {
            found.extend(words("URIs"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(main: &str, security: Option<&str>) -> Option<Mirrors> {
        Some(Mirrors::Found {
            main: main.to_owned(),
            security: security.map(str::to_owned),
        })
    }

    #[test]
    fn the_machine_says_where_the_archive_is() {
        let lines = "# deb http://old.example/debian x main\n\
            deb-src http://source.example/debian trixie main\n\
            deb cdrom:[Debian]/ trixie main\n\
            deb http://other.example/debian-tools trixie main\n\
            deb http://user:secret@mirror.example/debian trixie main\n\
            \tdeb [arch=amd64 signed-by=/x] https://mirror.example/pub/debian/ trixie main # ours\n\
            deb http://mirror.example/debian-security trixie-security main\n";
        let paragraphs = "Types: deb deb-src\nURIs: http://one.example/debian\n http://two.example/debian-security\n\
            Suites: trixie\n\n# off\nEnabled: no\nTypes: deb\nURIs: http://off.example/debian\n";
        assert_eq!(
            Mirrors::find([(Format::Lines, lines)]),
            found(
                "https://mirror.example/pub/debian/",
                Some("http://mirror.example/debian-security")
            )
        );
        assert_eq!(
            Mirrors::find([(Format::Paragraphs, paragraphs), (Format::Lines, lines)]),
            found(
                "http://one.example/debian",
                Some("http://two.example/debian-security")
            )
        );
        for nothing in [
            "",
            "deb http://mirror.example/ubuntu noble main",
            "deb http:///debian trixie main",
            "deb [x",
            "deb",
        ] {
            assert_eq!(Mirrors::find([(Format::Lines, nothing)]), None, "{nothing}");
        }
        let damaged = "URIs http://one.example/debian";
        assert_eq!(Mirrors::find([(Format::Paragraphs, damaged)]), None);
    }

    #[test]
    fn updates_belong_to_what_is_released() {
        let mirrors = Mirrors::Found {
            main: "http://m.example/debian/".into(),
            security: Some("http://m.example/debian-security".into()),
        };
        let all = |role| {
            let mut sources = vec![mirrors.suite("trixie")];
            sources.extend(mirrors.updates("trixie", role));
            list(&sources, &["main".into(), "contrib".into()], None)
        };
        assert_eq!(
            all("stable"),
            "deb http://m.example/debian trixie main contrib\n\
             deb http://m.example/debian trixie-updates main contrib\n\
             deb http://m.example/debian-security trixie-security main contrib\n"
        );
        assert_eq!(all("oldoldstable"), all("stable"));
        assert_eq!(
            all("unstable"),
            "deb http://m.example/debian trixie main contrib\n"
        );
        let named = Mirrors::Named("http://m.example/debian".into());
        assert!(named.updates("trixie", "stable").is_empty());
        let signed = list(
            &[named.suite("x")],
            &["main".into()],
            Some("etc/apt/keyrings/k.asc"),
        );
        assert_eq!(
            signed,
            "deb [signed-by=/etc/apt/keyrings/k.asc] http://m.example/debian x main\n"
        );
    }
}
