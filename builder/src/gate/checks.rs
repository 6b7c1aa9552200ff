//! What each check finds: pure functions of an image's policy, files and configuration.

use super::baseline::Baseline;
use super::changes::PackageChange;
use super::verdict::Finding;
use crate::catalog::{GatePolicy, ImageDefinition, Movement};
use crate::dockerfile::Kind;
use crate::graph::Node;
use crate::inventory::Inventory;
use crate::model::{Location, secret};
use crate::oci::spec::ImageConfig;

/// What checks look at.
pub(super) struct Subject<'a> {
    pub(super) node: &'a Node,
    pub(super) policy: &'a GatePolicy,
    pub(super) config: &'a ImageConfig,
    pub(super) inventory: &'a Inventory,
}

/// `412 MB`, in powers of 1000 as policies have sizes.
fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

impl Subject<'_> {
    fn definition(&self) -> &ImageDefinition {
        self.node.rendered().definition()
    }

    fn finding(&self, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            subject: subject.into(),
            message: message.into(),
            notes: Vec::new(),
            hint: None,
            location: Some(Location::file(self.definition().dockerfile().path())),
            waived: None,
        }
    }

    /// The place of the last instruction of which this holds, in a Dockerfile that is none of Tera's:
    /// the lines of a rendered one are in no file.
    fn place(&self, holds: impl Fn(&Kind) -> bool) -> Option<Location> {
        if self.definition().is_templated() {
            return None;
        }
        let dockerfile = self.node.dockerfile();
        let stages = dockerfile.stages().iter().rev();
        let mut instructions = stages.flat_map(|stage| stage.instructions.iter().rev());
        let found = instructions.find(|i| holds(&i.kind))?;
        Some(dockerfile.location(&found.span))
    }

    pub(super) fn user(&self) -> Vec<Finding> {
        if self.policy.root == Some(true) {
            return Vec::new();
        }
        let user = self.config.config.user.as_str();
        let account = user.split(':').next().unwrap_or_default();
        let root = match account {
            "" => Some("it has no USER, and runs as root".to_owned()),
            _ => match account.parse().ok().or_else(|| self.inventory.uid(account)) {
                Some(0) => Some(format!("it runs as `{account}`, which is root")),
                _ => None,
            },
        };
        let Some(message) = root else {
            return Vec::new();
        };
        let mut finding = self.finding("root", message);
        if let Some(place) = self.place(|kind| matches!(kind, Kind::User(_))) {
            finding.location = Some(place);
        }
        finding.hint = Some(
            "end the Dockerfile with USER and a number, or set `root = true` in the image's `gate` table".to_owned(),
        );
        vec![finding]
    }

    pub(super) fn labels(&self) -> Vec<Finding> {
        let labels = &self.config.config.labels;
        let mut findings = Vec::new();
        for (name, wanted) in &self.policy.labels {
            let message = match (labels.get(name), wanted) {
                (None, _) => format!("it has no label `{name}`"),
                (Some(value), _) if value.trim().is_empty() => {
                    format!("its label `{name}` is empty")
                }
                (Some(value), Some(wanted)) if value != wanted => {
                    format!("its label `{name}` is not `{}`", wanted.escape_debug())
                }
                _ => continue,
            };
            findings.push(self.finding(name, message));
        }
        findings
    }

    pub(super) fn ports(&self) -> Vec<Finding> {
        let none = std::collections::BTreeSet::new();
        let declared = self.policy.ports.as_ref().unwrap_or(&none);
        let exposed: std::collections::BTreeSet<String> = self
            .config
            .config
            .exposed_ports
            .iter()
            .map(|port| match port.contains('/') {
                true => port.clone(),
                false => format!("{port}/tcp"),
            })
            .collect();
        let place = self.place(|kind| matches!(kind, Kind::Expose(_)));
        let more = exposed.difference(declared).map(|port| {
            let message = format!("it exposes {port}, which its definition does not declare");
            let mut finding = self.finding(port, message);
            finding.location = place.clone().or(finding.location);
            finding.hint = Some(
                "declare it in `ports` of the image's `gate` table, or take EXPOSE away".to_owned(),
            );
            finding
        });
        let less = declared.difference(&exposed).map(|port| {
            self.finding(
                port,
                format!("it does not expose {port}, which its definition declares"),
            )
        });
        more.chain(less).collect()
    }

    pub(super) fn package_cache(&self) -> Vec<Finding> {
        let caches = self.inventory.caches.iter();
        caches
            .map(|cache| {
                let (files, size) = (cache.files, megabytes(cache.size));
                let s = if files == 1 { "" } else { "s" };
                let message = format!("{} has {files} file{s} of {size}", cache.folder);
                let mut finding = self.finding(&cache.folder, message);
                finding.hint =
                    Some("remove what was fetched in the RUN that fetches it".to_owned());
                finding
            })
            .collect()
    }

    pub(super) fn setuid(&self) -> Vec<Finding> {
        let allowed = |path: &str| self.policy.setuid.iter().any(|p| p.is_match(path));
        let others = self
            .inventory
            .privileged
            .iter()
            .filter(|p| !allowed(&p.path));
        others
            .map(|program| {
                let message = format!("{} is {}", program.path, program.describe());
                let mut finding = self.finding(&program.path, message);
                finding.hint = Some(
                    "take the right away with chmod, or name the program in `setuid` of the image's `gate` table".to_owned(),
                );
                finding
            })
            .collect()
    }

    pub(super) fn secrets(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        let mut tell = |subject: &str, message: String, place: Option<Location>| {
            if found.iter().any(|f| f.message == message) {
                return;
            }
            let mut finding = self.finding(subject, message);
            finding.location = place.or(finding.location);
            found.push(finding);
        };
        for secret in &self.inventory.secrets {
            let message = format!("{} looks like {}", secret.path, secret.what);
            tell(&secret.path, message, None);
        }
        let config = &self.config.config;
        for (name, value) in config.env.iter().filter_map(|e| e.split_once('=')) {
            if secret::is_secret(name, value) {
                let place = self.place(|kind| match kind {
                    Kind::Env(pairs) => pairs.iter().any(|pair| pair.name.text == name),
                    _ => false,
                });
                tell(
                    name,
                    format!("the variable {name} holds what looks like a secret"),
                    place,
                );
            }
        }
        for (name, value) in &config.labels {
            if secret::is_secret(name, value) {
                tell(
                    name,
                    format!("the label {name} holds what looks like a secret"),
                    None,
                );
            }
        }
        for (name, value) in self.definition().args() {
            if secret::is_secret(name, value) {
                let message = format!("the build argument {name} holds what looks like a secret");
                tell(name, message, None);
            }
        }
        for stage in self.node.dockerfile().stages() {
            for instruction in &stage.instructions {
                let Kind::Arg(arguments) = &instruction.kind else {
                    continue;
                };
                for argument in arguments {
                    let name = argument.name.text.as_str();
                    let default = argument.default.as_ref().map(|d| d.text.as_str());
                    if default.is_some_and(|value| secret::is_secret(name, value)) {
                        let message =
                            format!("the build argument {name} holds what looks like a secret");
                        tell(name, message, None);
                    }
                }
            }
        }
        for command in self
            .config
            .history
            .iter()
            .filter_map(|h| h.created_by.as_deref())
        {
            for name in secret::assigned(command) {
                // What is in the settings was told above.
                let known = config
                    .env
                    .iter()
                    .any(|e| e.split_once('=').is_some_and(|(n, _)| n == name));
                if !known {
                    let message = format!("the history gives {name} what looks like a secret");
                    tell(name, message, None);
                }
            }
            if secret::holds_secret(command) && secret::assigned(command).is_empty() {
                tell(
                    "history",
                    "the history holds what looks like a secret".to_owned(),
                    None,
                );
            }
        }
        let allowed = |subject: &str| self.policy.secrets.iter().any(|p| p.is_match(subject));
        found.retain(|finding| !allowed(&finding.subject));
        for finding in &mut found {
            finding.hint = Some(
                "give secrets to steps with RUN --mount=type=secret and to containers when they start; what is none is named in `secrets` of the image's `gate` table".to_owned(),
            );
        }
        found
    }

    pub(super) fn size(&self, published: Option<&Baseline>) -> Vec<Finding> {
        let size = self.inventory.size;
        let mut findings = Vec::new();
        if let Some(most) = self.policy.max_size.filter(|most| size > *most) {
            findings.push(self.finding(
                "max_size",
                format!(
                    "its files have {}, and {} are allowed",
                    megabytes(size),
                    megabytes(most)
                ),
            ));
        }
        let before = published.and_then(|published| published.size);
        if let (Some(growth), Some(before)) = (self.policy.max_growth, before) {
            let most = growth.limit(before);
            if size > most {
                findings.push(self.finding(
                    "max_growth",
                    format!(
                        "its files have {}, the published image's {}, and {} are allowed",
                        megabytes(size),
                        megabytes(before),
                        megabytes(most)
                    ),
                ));
            }
        }
        findings
    }

    pub(super) fn packages(&self, changes: Option<&[PackageChange]>) -> Vec<Finding> {
        // A record that cannot be read hides whatever changed.
        let unreadable = self.inventory.unreadable.iter().map(|record| {
            let path = record.split(": ").next().unwrap_or_default();
            self.finding(path, format!("its packages cannot be read: {record}"))
        });
        let fails = |change: Movement| match &self.policy.fail_on {
            Some(fail_on) => fail_on.contains(&change),
            None => change == Movement::Downgraded,
        };
        let changed = changes
            .unwrap_or_default()
            .iter()
            .filter(|c| fails(c.change));
        let changed = changed.map(|change| {
            let message = format!(
                "{} {}: {}",
                change.kind,
                change.change.name(),
                change.describe()
            );
            self.finding(&change.name, message)
        });
        unreadable.chain(changed).collect()
    }
}
