//! Which references mean an image of the fleet.

use std::collections::BTreeSet;

use crate::model::{Diagnostic, ImageName, Namespace, Reference, Tag, did_you_mean, nearest};

pub(super) struct Fleet<'a> {
    names: BTreeSet<&'a str>,
    all: &'a [ImageName],
    namespace: &'a Namespace,
}

pub(super) enum Target {
    Fleet(ImageName),
    External(Reference),
}

impl<'a> Fleet<'a> {
    pub(super) fn new(all: &'a [ImageName], namespace: &'a Namespace) -> Self {
        Self {
            names: all.iter().map(ImageName::as_str).collect(),
            all,
            namespace,
        }
    }

    /// `NAME` and `NAME:latest` are images of the fleet that have this name, and so is
    /// `NAMESPACE/NAME` with any tag in the namespace that the fleet is published in. A name there
    /// that the fleet lacks, or a bare name that is nearly one of the fleet's, is a mistake.
    pub(super) fn resolve(&self, text: &str) -> Result<Target, Diagnostic> {
        let reference = Reference::parse(text)?;
        if reference.registry().is_some() || reference.digest().is_some() {
            return Ok(Target::External(reference));
        }
        let bare = reference.tag().is_none_or(Tag::is_latest);
        let in_namespace = reference
            .path()
            .strip_prefix(self.namespace.as_str())
            .and_then(|rest| rest.strip_prefix('/'));
        let name = match in_namespace {
            Some(name) => name,
            None if bare && !reference.path().contains('/') => reference.path(),
            None => return Ok(Target::External(reference)),
        };
        if let Ok(found) = self.all.binary_search_by(|n| n.as_str().cmp(name)) {
            return Ok(Target::Fleet(self.all[found].clone()));
        }
        if in_namespace.is_some() {
            return Err(Diagnostic::definition(format!(
                "there is no image `{name}` in the fleet, and `{}` is its namespace",
                self.namespace
            ))
            .maybe_hint(did_you_mean(name, self.names.iter().copied()))
            .hint("an image from outside is named with its registry or by digest"));
        }
        if reference.tag().is_none()
            && let Some(near) = nearest(name, self.names.iter().copied())
        {
            return Err(
                Diagnostic::definition(format!("there is no image `{name}` in the fleet"))
                    .hint(format!("did you mean `{near}`?"))
                    .hint(format!(
                        "a public image of that name is written with its tag: `{name}:TAG`"
                    )),
            );
        }
        Ok(Target::External(reference))
    }
}
