use std::fmt;

use super::{Diagnostic, Digest, Fingerprint, ImageName};

/// The distribution specification's limit on a whole repository name.
const MAX_REPOSITORY: usize = 255;

/// A host that can never exist (RFC 2606): an image named there is never looked for on a network.
const INTERNAL: &str = "kolla.invalid";

fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut i = 0;
    loop {
        let word = bytes[i..].iter().take_while(|b| alnum(**b)).count();
        if word == 0 {
            return false;
        }
        i += word;
        if i == bytes.len() {
            return true;
        }
        // separator ::= [_.] | "__" | [-]*
        i += match &bytes[i..] {
            [b'_', b'_', ..] => 2,
            [b'_' | b'.', ..] => 1,
            [b'-', ..] => bytes[i..].iter().take_while(|b| **b == b'-').count(),
            _ => return false,
        };
    }
}

/// A registry's address as it stands in a reference: `127.0.0.1:5000`, `registry.example`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Registry(String);

impl Registry {
    /// Checks a host and optional port.
    ///
    /// # Errors
    /// A definition error that says what an address is, with the likely slip (a scheme, a path).
    pub fn new(text: impl Into<String>) -> Result<Self, Diagnostic> {
        let text = text.into();
        let problem = |hint: &str| {
            // Whatever stands before an `@` may be a password.
            let shown = text.rsplit('@').next().unwrap_or_default();
            Err(
                Diagnostic::definition(format!("`{}` is not a registry", shown.escape_debug()))
                    .hint(hint),
            )
        };
        if text.contains("://") {
            return problem("leave out the scheme: the engine chooses between https and http");
        }
        if text.contains('@') {
            return problem("credentials do not belong in the address: use `docker login`");
        }
        if text.contains('/') {
            return problem("the part behind the host is the namespace: use --namespace for it");
        }
        let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
            Some((v6, rest)) => {
                if v6.parse::<std::net::Ipv6Addr>().is_err() {
                    return problem(
                        "an IPv6 address in brackets, such as [::1]:5000, was expected",
                    );
                }
                (
                    "v6",
                    rest.strip_prefix(':')
                        .or((!rest.is_empty()).then_some("bad")),
                )
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text.as_str(), None),
            },
        };
        let label = |l: &str| {
            !l.is_empty()
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if !host.split('.').all(label) || port.is_some_and(|p| p.parse::<u16>().is_err()) {
            return problem("a registry is HOST or HOST:PORT, such as registry.example:5000");
        }
        Ok(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path in front of an image's name, `kollaglue` or `team/kolla`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Namespace(String);

impl Namespace {
    /// Checks one or more path components.
    ///
    /// # Errors
    /// A definition error that says what a namespace may be.
    pub fn new(text: impl Into<String>) -> Result<Self, Diagnostic> {
        let text = text.into();
        if text.split('/').all(is_component) && text.len() <= MAX_REPOSITORY - 64 {
            return Ok(Self(text));
        }
        let lower = text.to_lowercase();
        let hint = if lower.split('/').all(is_component) {
            format!("did you mean `{lower}`? a namespace has no capital letters")
        } else {
            "a namespace is lowercase letters and digits with single `.`, `_` or `-` between them, \
             and `/` between its parts"
                .to_owned()
        };
        Err(Diagnostic::definition(format!(
            "`{}` is not a valid namespace",
            text.escape_debug()
        ))
        .hint(hint))
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tag of an image, `3f9c1d2` or `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// Checks a tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    ///
    /// # Errors
    /// A definition error that says what a tag may be.
    pub fn new(text: impl Into<String>) -> Result<Self, Diagnostic> {
        let text = text.into();
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good = text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
            && text.len() <= 128;
        if good {
            return Ok(Self(text));
        }
        Err(Diagnostic::definition(format!(
            "`{}` is not a valid tag",
            text.escape_debug()
        ))
        .hint("a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two"))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that a published image of a fingerprint has besides those that people use.
    pub fn of_fingerprint(fingerprint: &Fingerprint) -> Self {
        Self(format!("fp-{fingerprint}"))
    }

    /// Whether it has the form of [`Self::of_fingerprint`].
    pub fn is_of_fingerprint(&self) -> bool {
        self.0
            .strip_prefix("fp-")
            .is_some_and(|rest| Fingerprint::parse(rest).is_ok())
    }

    /// Whether this is the tag that people get who name none.
    pub fn is_latest(&self) -> bool {
        self.0 == "latest"
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image reference: `[REGISTRY/]PATH[:TAG][@DIGEST]`, kept as it was written.
///
/// Nothing is filled in: `debian` stays `debian`, it does not become `docker.io/library/debian`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: Option<Registry>,
    path: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// The reference of an image of the fleet.
    pub fn of_image(
        registry: Option<&Registry>,
        namespace: &Namespace,
        image: &ImageName,
        tag: &Tag,
    ) -> Self {
        Self {
            registry: registry.cloned(),
            path: format!("{namespace}/{image}"),
            tag: Some(tag.clone()),
            digest: None,
        }
    }

    /// The reference under which an engine holds the image of a fingerprint.
    pub fn internal(image: &ImageName, fingerprint: &Fingerprint) -> Self {
        Self {
            registry: Some(Registry(INTERNAL.to_owned())),
            path: image.to_string(),
            tag: Some(Tag::of_fingerprint(fingerprint)),
            digest: None,
        }
    }

    /// Whether it is one of [`Self::internal`].
    pub fn is_internal(&self) -> bool {
        self.registry
            .as_ref()
            .is_some_and(|r| r.as_str() == INTERNAL)
    }

    /// Reads a reference by the distribution grammar.
    ///
    /// # Errors
    /// A definition error that says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let wrong = |what: &str| {
            Diagnostic::definition(format!(
                "`{}` is not a valid image reference: {what}",
                text.escape_debug()
            ))
            .hint("a reference is [REGISTRY/]NAME[:TAG][@sha256:DIGEST], such as debian:13")
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(
                    digest
                        .starts_with("sha256:")
                        .then(|| Digest::parse(digest).ok())
                        .flatten()
                        .ok_or_else(|| wrong("its digest is not sha256 and 64 digits"))?,
                ),
            ),
            None => (text, None),
        };
        let name_start = rest.rfind('/').map_or(0, |i| i + 1);
        let (name, tag) = match rest[name_start..].find(':') {
            Some(i) => {
                let (name, tag) = (&rest[..name_start + i], &rest[name_start + i + 1..]);
                (
                    name,
                    Some(Tag::new(tag).map_err(|_| wrong("its tag is not valid"))?),
                )
            }
            None => (rest, None),
        };
        // The first part is a registry only if it cannot be a path component (Docker's rule).
        let (registry, path) = match name.split_once('/') {
            Some((host, path))
                if host.contains(['.', ':']) || host == "localhost" || host.starts_with('[') =>
            {
                let registry =
                    Registry::new(host).map_err(|_| wrong("its registry is not HOST[:PORT]"))?;
                (Some(registry), path)
            }
            _ => (None, name),
        };
        if path.is_empty() {
            return Err(wrong("it has no name"));
        }
        if let Some(bad) = path.split('/').find(|c| !is_component(c)) {
            return Err(wrong(&format!(
                "`{}` is not lowercase letters and digits with single separators",
                bad.escape_debug()
            )));
        }
        if path.len() > MAX_REPOSITORY {
            return Err(wrong("its name is longer than 255 characters"));
        }
        Ok(Self {
            registry,
            path: path.to_owned(),
            tag,
            digest,
        })
    }

    /// The registry, where one is named.
    pub fn registry(&self) -> Option<&Registry> {
        self.registry.as_ref()
    }

    /// The repository's path, `kollaglue/nova-api`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Registry and path without tag and digest, as engines call a repository.
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The tag, where one is named.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, where one is named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository by a tag, and by no digest.
    #[must_use]
    pub fn at_tag(&self, tag: Tag) -> Self {
        Self {
            registry: self.registry.clone(),
            path: self.path.clone(),
            tag: Some(tag),
            digest: None,
        }
    }

    /// The same repository by digest instead of tag: what is pulled to get exactly this.
    #[must_use]
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self {
            registry: self.registry.clone(),
            path: self.path.clone(),
            tag: None,
            digest: Some(digest),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_back_as_written() {
        let digest = Digest::of("");
        for good in [
            "debian",
            "debian:13",
            "kollaglue/nova-api:3f9c1d2-dirty",
            "127.0.0.1:5000/a/b/c:latest",
            "localhost/x",
            "[::1]:5000/x",
            "a__b/c--d:x",
            &format!("reg.example/x:1@{digest}"),
        ] {
            assert_eq!(
                Reference::parse(good).map(|r| r.to_string()),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn bad_references_are_refused() {
        for bad in [
            "",
            ":",
            "a:",
            "A",
            "a//b",
            "a/",
            "/a",
            "a b",
            "a:b c",
            "a@sha256:1",
            "a@x",
            "-a",
            "reg.example:port/x",
            "a..b",
            "a___b",
            "https://a/b",
            "a:-x",
            "http:/x",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let reference = Reference::parse("reg.example:5000/team/kolla/base:1").ok();
        let reference = reference.as_ref();
        assert_eq!(reference.map(Reference::path), Some("team/kolla/base"));
        assert_eq!(
            reference
                .and_then(Reference::registry)
                .map(Registry::as_str),
            Some("reg.example:5000")
        );
    }

    #[test]
    fn registries_and_namespaces_explain_themselves() {
        for bad in [
            "https://x",
            "u:secret@x",
            "x/y",
            "x:99999",
            "-x",
            "",
            "[zz]:1",
            "[::1]x",
        ] {
            let error = Registry::new(bad).err();
            assert!(error.is_some(), "{bad}");
            assert!(!format!("{error:?}").contains("secret"), "{bad}");
        }
        assert!(Registry::new("[::1]:5000").is_ok());
        assert!(Namespace::new("Team").is_err_and(|e| e.hints()[0].contains("`team`")));
        assert!(Namespace::new("a/b").is_ok());
        assert!(Namespace::new("a//b").is_err());
    }
}
