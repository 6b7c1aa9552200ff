use std::fmt;

use super::{Diagnostic, ImageName, Namespace, Reference, Registry, Tag};

/// A namespace of a registry, where images are published: `[REGISTRY/]NAMESPACE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// None is Docker's own.
    pub registry: Option<Registry>,
    /// The path in front of an image's name.
    pub namespace: Namespace,
}

impl Place {
    /// Reads it by Docker's rule: what stands before the first `/` is a registry if it has a dot or a
    /// port, or is `localhost`.
    ///
    /// # Errors
    /// A definition error that says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let host = |part: &str| part.contains(['.', ':', '[']) || part == "localhost";
        match text.split_once('/') {
            Some((registry, namespace)) if host(registry) => Ok(Self {
                registry: Some(Registry::new(registry)?),
                namespace: Namespace::new(namespace)?,
            }),
            None if host(text) => Err(Diagnostic::definition(format!(
                "`{}` names no namespace",
                text.escape_debug()
            ))
            .hint("it is [REGISTRY/]NAMESPACE, such as registry.example/kollaglue")),
            _ => Ok(Self {
                registry: None,
                namespace: Namespace::new(text)?,
            }),
        }
    }

    /// An image in it.
    pub fn reference(&self, image: &ImageName, tag: &Tag) -> Reference {
        Reference::of_image(self.registry.as_ref(), &self.namespace, image, tag)
    }

    /// What has this name in it: NAME[:TAG][@DIGEST].
    ///
    /// # Errors
    /// When that is no valid name.
    pub fn path(&self, name: &str) -> Result<Reference, Diagnostic> {
        Reference::parse(&format!("{self}/{name}"))
    }

    /// Whether a reference is in it.
    pub fn holds(&self, reference: &Reference) -> bool {
        let path = reference.path().strip_prefix(self.namespace.as_str());
        reference.registry() == self.registry.as_ref() && path.is_some_and(|p| p.starts_with('/'))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_host_is_one() {
        let parts = |text: &str| {
            let place = Place::parse(text).ok()?;
            Some((
                place.registry.map(|r| r.to_string()),
                place.namespace.to_string(),
            ))
        };
        let some = |registry: &str, namespace: &str| {
            Some((Some(registry.to_owned()), namespace.to_owned()))
        };
        assert_eq!(parts("kollaglue"), Some((None, "kollaglue".to_owned())));
        assert_eq!(parts("team/kolla"), Some((None, "team/kolla".to_owned())));
        assert_eq!(parts("localhost/me"), some("localhost", "me"));
        assert_eq!(parts("reg.example/a/b"), some("reg.example", "a/b"));
        assert_eq!(parts("[::1]:5000/me"), some("[::1]:5000", "me"));
        for bad in [
            "",
            "reg.example",
            "127.0.0.1:5000",
            "127.0.0.1:5000/",
            "Me",
            "https://x/y",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
