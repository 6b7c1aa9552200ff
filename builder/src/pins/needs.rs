use std::collections::BTreeMap;

use super::Pins;
use crate::catalog::{Bootstrap, LOCK};
use crate::model::{Diagnostic, Diagnostics, Location, Reference};

/// What of a fleet the network could change, and where the fleet says so.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Archives by the suite that is bootstrapped.
    pub archives: BTreeMap<String, Archive>,
    /// Images from outside that are not named by digest.
    pub images: BTreeMap<Reference, Location>,
    /// What an `ADD` downloads or clones without saying what must arrive. Nothing pins these: that is
    /// written in the Dockerfile.
    pub unsaid: Vec<Location>,
}

/// An archive that a root file system is made from.
#[derive(Debug, Clone)]
pub struct Archive {
    /// What is made from it.
    pub bootstrap: Bootstrap,
    /// Where it is declared.
    pub declared: Location,
}

impl Needs {
    /// That everything needed is pinned.
    ///
    /// # Errors
    /// A definition error for each thing that is not.
    pub fn covered_by(&self, pins: &Pins) -> Result<(), Diagnostics> {
        let archives = self.archives.iter();
        let archives = archives.filter(|(suite, _)| pins.archive(suite).is_empty());
        let archives = archives.map(|(suite, a)| (format!("the archive of {suite}"), &a.declared));
        let images = self.images.iter();
        let images = images.filter(|(image, _)| !pins.images.contains_key(*image));
        let images = images.map(|(image, location)| (format!("`{image}`"), location));
        let problems = archives.chain(images).map(|(what, location)| {
            Diagnostic::definition(format!("{LOCK} does not pin {what}"))
                .at(location.clone())
                .hint("run `kolla lock`, and commit the file that it writes")
        });
        let unsaid = self.unsaid.iter().map(|location| {
            Diagnostic::definition("this may bring another content tomorrow")
                .at(location.clone())
                .hint("say what must arrive: --checksum=sha256:... for a URL, #COMMIT for a git repository")
        });
        problems.chain(unsaid).collect::<Diagnostics>().or_ok(())
    }
}
