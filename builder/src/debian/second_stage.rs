//! What is left to do in the image: the packages' own scripts, in an order in which they work.

use std::collections::{BTreeMap, BTreeSet};

use super::database::{Control, label};
use super::index::Package;
use super::relation::satisfies;
use super::write::Made;

/// Whose files say which accounts there are, which every other script may count on.
const FIRST: &str = "base-passwd";

/// The script and its steps. Running the first as root in the image configures all packages and
/// removes both.
///
/// dpkg runs the script that comes before unpacking right before it unpacks. Here everything is
/// unpacked, so what is left of the promise is that the packages it pre-depends on are configured.
pub(super) fn files(packages: &[(&Package, &Control)], architecture: &str) -> Vec<Made> {
    let mut steps = Steps {
        packages: packages
            .iter()
            .map(|(p, c)| (p.name.as_str(), (*p, *c)))
            .collect(),
        architecture,
        prepared: BTreeSet::new(),
        configured: BTreeSet::new(),
        text: String::new(),
    };
    if packages.iter().any(|(package, _)| package.name == FIRST) {
        steps.prepare(FIRST);
        steps.configure(BTreeSet::from([FIRST.to_owned()]));
    }
    for (package, _) in packages {
        steps.prepare(&package.name);
    }
    vec![
        Made::script("bootstrap/second-stage", include_str!("second-stage.sh")),
        Made::new("bootstrap/steps", steps.text),
    ]
}

struct Steps<'a> {
    packages: BTreeMap<&'a str, (&'a Package, &'a Control)>,
    architecture: &'a str,
    prepared: BTreeSet<String>,
    configured: BTreeSet<String>,
    text: String,
}

impl Steps<'_> {
    fn prepare(&mut self, name: &str) {
        let Some((package, control)) = self.packages.get(name).copied() else {
            return;
        };
        if !control.has("preinst") || !self.prepared.insert(name.to_owned()) {
            return;
        }
        let before = self.needed_before(package);
        for other in &before {
            self.prepare(other);
        }
        self.configure(before);
        let label = label(package);
        self.text.push_str(&format!(
            "preinst {name} {} {label}\n",
            package.architecture
        ));
    }

    fn configure(&mut self, names: BTreeSet<String>) {
        let new: Vec<String> = names.difference(&self.configured).cloned().collect();
        if !new.is_empty() {
            self.text
                .push_str(&format!("configure {}\n", new.join(" ")));
            self.configured.extend(new);
        }
    }

    /// What a package pre-depends on, with everything that those depend on.
    fn needed_before(&self, package: &Package) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut todo: Vec<&str> = self.satisfying(&package.pre_depends).collect();
        while let Some(name) = todo.pop() {
            if name == package.name || !found.insert(name.to_owned()) {
                continue;
            }
            if let Some((package, _)) = self.packages.get(name) {
                todo.extend(self.satisfying(&package.pre_depends));
                todo.extend(self.satisfying(&package.depends));
            }
        }
        found
    }

    fn satisfying(
        &self,
        relations: &debian_control::lossy::Relations,
    ) -> impl Iterator<Item = &str> {
        let found: Vec<&str> = relations
            .0
            .iter()
            .flatten()
            .flat_map(|relation| {
                let all = self.packages.iter();
                all.filter(|(_, (package, _))| satisfies(package, relation, self.architecture))
            })
            .map(|(name, _)| *name)
            .collect();
        found.into_iter()
    }
}

/// apt's record of packages that are there only for others. Those of every architecture are recorded
/// with the machine's.
pub(super) fn extended_states<'a>(
    automatic: impl IntoIterator<Item = &'a String>,
    architecture: &str,
) -> String {
    let paragraphs = automatic.into_iter().map(|name| {
        format!("Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n")
    });
    paragraphs.collect()
}
