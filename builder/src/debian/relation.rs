//! What packages say about each other, and whether it holds.

use debian_control::lossy::{Relation, Relations};
use debian_control::relations::VersionConstraint;
use debversion::Version;

use super::index::Package;

/// Whether a package satisfies a dependency, itself or by what it provides (Debian Policy, sections
/// 7.1 and 7.5; for qualifiers dpkg's multiarch specification).
pub(super) fn satisfies(package: &Package, relation: &Relation, architecture: &str) -> bool {
    let qualified = match relation.archqual.as_deref() {
        None => true,
        Some("any") => package.multi_arch == "allowed",
        Some(named) => named == architecture,
    };
    if package.name == relation.name {
        return qualified && meets(Some(&package.version), relation);
    }
    package.provides.0.iter().flatten().any(|provided| {
        let qualified = provided.archqual == relation.archqual
            || match relation.archqual.as_deref() {
                None => true,
                Some("any") => package.multi_arch == "allowed",
                Some(named) => named == architecture,
            };
        provided.name == relation.name
            && qualified
            && meets(
                provided.version.as_ref().map(|(_, version)| version),
                relation,
            )
    })
}

/// A version that is not known satisfies no constraint.
fn meets(version: Option<&Version>, relation: &Relation) -> bool {
    let Some((constraint, wanted)) = &relation.version else {
        return true;
    };
    version.is_some_and(|version| match constraint {
        VersionConstraint::LessThan => version < wanted,
        VersionConstraint::LessThanEqual => version <= wanted,
        VersionConstraint::Equal => version == wanted,
        VersionConstraint::GreaterThanEqual => version >= wanted,
        VersionConstraint::GreaterThan => version > wanted,
    })
}

/// The words with which a package keeps another one out, if it does. What it provides itself is not
/// meant (Debian Policy, section 7.4).
pub(super) fn excludes(package: &Package, other: &Package) -> Option<String> {
    if package.name == other.name {
        return None;
    }
    let list = |kind: &'static str, relations: &Relations| {
        let found = relations.0.iter().flatten().find(|relation| {
            // Without a qualifier, Conflicts and Breaks are about every architecture.
            let mut any = (*relation).clone();
            any.archqual = None;
            satisfies(other, &any, "")
        });
        found.map(|relation| format!("{kind}: {relation}"))
    };
    list("Conflicts", &package.conflicts).or_else(|| list("Breaks", &package.breaks))
}

/// Whether a package may take over files of another one (Debian Policy, section 7.6.1). Names that
/// are only provided do not count.
pub(super) fn replaces(package: &Package, other: &Package) -> bool {
    package
        .replaces
        .0
        .iter()
        .flatten()
        .any(|r| r.name == other.name && meets(Some(&other.version), r))
}
