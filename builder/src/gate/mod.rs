//! Checks on images that were built, before anything is made from them.
//!
//! A gate is an [`Inspector`] of the builder: what it refuses, blocks what is made from it. It tells
//! what is wrong with an image from what is wrong with the world: only the former is a finding.

mod baseline;
mod changes;
mod checks;
mod flakes;
mod smoke;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

pub use baseline::{Baseline, Baselines, document as baseline_document, parse as parse_baseline};
pub use changes::{PackageChange, changes};
pub use flakes::{Flake, Flakes};
pub use smoke::{SmokeFailure, smoke_test};
pub use verdict::{Checked, Finding, Verdict, VerdictStatus, Waived};

use crate::catalog::{Check, GatePolicy, Waiver};
use crate::engine::{self, Engine};
use crate::event::{Activity, Ending, Event, Sink};
use crate::graph::ImageGraph;
use crate::inventory::Inventory;
use crate::model::{Class, Diagnostic, ImageId, ImageName, Location};
use crate::oci::spec::ImageConfig;
use crate::schedule::{Failure, Inspector, RetryPolicy, retrying};
use checks::Subject;

/// Checks images as they come.
pub struct Gate<'a> {
    engine: &'a dyn Engine,
    graph: &'a ImageGraph,
    chosen: &'a BTreeSet<ImageName>,
    policies: BTreeMap<ImageName, GatePolicy>,
    baselines: &'a Baselines,
    /// The day, `2026-11-25`.
    today: String,
    retry: RetryPolicy,
    sink: &'a dyn Sink,
    checked: Mutex<Vec<Checked>>,
    used: Mutex<Vec<Location>>,
}

impl<'a> Gate<'a> {
    /// A gate for the chosen images of a fleet. `today` is the day by which waivers end.
    #[allow(clippy::too_many_arguments)] // each of another kind
    pub fn new(
        engine: &'a dyn Engine,
        graph: &'a ImageGraph,
        chosen: &'a BTreeSet<ImageName>,
        baselines: &'a Baselines,
        today: String,
        retry: RetryPolicy,
        sink: &'a dyn Sink,
    ) -> Self {
        Self {
            engine,
            graph,
            chosen,
            policies: policies(graph),
            baselines,
            today,
            retry,
            sink,
            checked: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// What was found so far, by image.
    pub fn checked(&self) -> BTreeMap<ImageName, Checked> {
        let checked = self.checked.lock().map(|all| all.clone());
        let named = |checked: Checked| (checked.image.clone(), checked);
        checked.unwrap_or_default().into_iter().map(named).collect()
    }

    /// A warning for each waiver that no finding needed, of the images that were checked and what
    /// they inherit from.
    pub fn unused_waivers(&self) -> Vec<Diagnostic> {
        let used = self.used.lock().map(|used| used.clone());
        let used = used.unwrap_or_default();
        let checked = self.checked();
        let mut seen: Vec<&Location> = Vec::new();
        let mut warnings = Vec::new();
        let policies = self.policies.iter();
        for (_, policy) in policies.filter(|(image, _)| checked.contains_key(*image)) {
            for waiver in &policy.waivers {
                if used.contains(&waiver.declared) || seen.contains(&&waiver.declared) {
                    continue;
                }
                seen.push(&waiver.declared);
                warnings.push(
                    Diagnostic::definition(format!(
                        "this waiver of `{}` matches nothing",
                        waiver.check
                    ))
                    .at(waiver.declared.clone())
                    .hint("take it away, or see whether its `matches` is right"),
                );
            }
        }
        warnings
    }

    async fn check(&self, image: &ImageName, id: &ImageId) -> Result<Option<Checked>, Diagnostic> {
        let (Some(node), Some(policy)) = (self.graph.node(image), self.policies.get(image)) else {
            return Ok(None);
        };
        let smoke = node.rendered().definition().smoke();
        let is_on = |check: Check| !policy.off.contains(&check);
        let looked = retrying(&self.retry, image, self.sink, async |_| {
            let looked: Result<_, engine::Error> = async {
                let (inventory, config) = Inventory::of(self.engine, id).await?;
                let smoked = match is_on(Check::SmokeTest) && !smoke.is_empty() {
                    true => smoke_test(self.engine, id, smoke).await?,
                    false => None,
                };
                Ok((inventory, config, smoked))
            }
            .await;
            looked.map_err(Failure::from)
        });
        let (inventory, config, smoked): (Inventory, ImageConfig, _) = looked.await?;
        let published = self.baselines.get(image);
        let packages = published.and_then(|p| p.packages.as_ref());
        let changes = packages.map(|packages| changes::changes(packages, &inventory.packages));
        let subject = Subject {
            node,
            policy,
            config: &config,
            inventory: &inventory,
        };
        let verdicts = Check::ALL.map(|check| {
            let nothing = match check {
                Check::SmokeTest => smoke.is_empty(),
                Check::Labels => policy.labels.is_empty(),
                Check::Size => {
                    let compared = published.is_some_and(|p| p.size.is_some());
                    policy.max_size.is_none() && !(policy.max_growth.is_some() && compared)
                }
                Check::Packages => changes.is_none() && inventory.unreadable.is_empty(),
                _ => false,
            };
            if nothing || !is_on(check) {
                return Verdict {
                    check,
                    status: VerdictStatus::Skipped,
                    findings: Vec::new(),
                };
            }
            let found = match check {
                Check::SmokeTest => smoked.iter().map(|f| failed_smoke(node, f)).collect(),
                Check::User => subject.user(),
                Check::Labels => subject.labels(),
                Check::Ports => subject.ports(),
                Check::PackageCache => subject.package_cache(),
                Check::Secrets => subject.secrets(),
                Check::Setuid => subject.setuid(),
                Check::Size => subject.size(published),
                Check::Packages => subject.packages(changes.as_deref()),
            };
            self.verdict(check, found, &policy.waivers)
        });
        Ok(Some(Checked {
            image: image.clone(),
            verdicts: verdicts.into(),
            published_size: published.and_then(|p| p.size),
            inventory,
            changes,
        }))
    }

    /// Holds findings against the waivers.
    fn verdict(&self, check: Check, found: Vec<Finding>, waivers: &[Waiver]) -> Verdict {
        let mut findings = found;
        for finding in &mut findings {
            let fits = |waiver: &&Waiver| {
                let matches = waiver.matches.as_ref();
                waiver.check == check && matches.is_none_or(|m| m.is_match(&finding.subject))
            };
            let fitting: Vec<&Waiver> = waivers.iter().filter(fits).collect();
            if let Ok(mut used) = self.used.lock() {
                used.extend(fitting.iter().map(|waiver| waiver.declared.clone()));
            }
            // ISO 8601 dates are ordered as their texts are.
            match fitting.iter().find(|w| w.until >= self.today) {
                Some(waiver) => {
                    finding.waived = Some(Waived {
                        reason: waiver.reason.clone(),
                        until: waiver.until.clone(),
                    });
                }
                None => finding.notes.extend(fitting.iter().map(|waiver| {
                    format!(
                        "its waiver expired on {}: {} ({})",
                        waiver.until, waiver.reason, waiver.declared
                    )
                })),
            }
        }
        let status = if findings.is_empty() {
            VerdictStatus::Passed
        } else if findings.iter().all(|finding| finding.waived.is_some()) {
            VerdictStatus::Waived
        } else {
            VerdictStatus::Failed
        };
        Verdict {
            check,
            status,
            findings,
        }
    }
}

/// The policy of each image, with what it inherits from those that it is made from.
fn policies(graph: &ImageGraph) -> BTreeMap<ImageName, GatePolicy> {
    let mut policies: BTreeMap<ImageName, GatePolicy> = BTreeMap::new();
    // Parents come first.
    for node in graph.nodes() {
        let own = node.rendered().definition().gate().clone();
        let parents = graph.parents(node.image()).into_iter();
        let parents = parents.filter_map(|parent| policies.get(parent));
        let policy = parents.fold(own, |policy, parent| policy.from_parent(parent));
        policies.insert(node.image().clone(), policy);
    }
    policies
}

fn failed_smoke(node: &crate::graph::Node, failure: &SmokeFailure) -> Finding {
    Finding {
        subject: "smoke".to_owned(),
        message: format!("the smoke test {}", failure.message),
        notes: failure.output.clone(),
        hint: None,
        location: Some(Location::file(
            node.rendered().definition().dockerfile().path(),
        )),
        waived: None,
    }
}

#[async_trait(?Send)]
impl Inspector for Gate<'_> {
    fn wants(&self, image: &ImageName) -> bool {
        self.chosen.contains(image)
    }

    async fn inspect(&self, image: &ImageName, id: &ImageId) -> Result<(), Diagnostic> {
        self.sink.emit(Event::Started {
            image: image.clone(),
            activity: Activity::Test,
            attempt: 1,
        });
        let result = match self.check(image, id).await {
            Err(problem) => Err(problem),
            Ok(None) => Ok(()),
            Ok(Some(checked)) => {
                let failed: Vec<&str> = checked.failed().iter().map(|c| c.name()).collect();
                let result = match failed.as_slice() {
                    [] => Ok(()),
                    failed => Err(Diagnostic::new(
                        Class::Build,
                        format!("`{image}` does not pass: {}", failed.join(", ")),
                    )),
                };
                if let Ok(mut all) = self.checked.lock() {
                    all.push(checked);
                }
                result
            }
        };
        let ending = match &result {
            Ok(()) => Ending::Done { pushed: None },
            Err(problem) => Ending::Failed {
                class: problem.class(),
                problem: Arc::new(problem.clone()),
            },
        };
        self.sink.emit(Event::Finished {
            image: image.clone(),
            activity: Activity::Test,
            ending,
        });
        result
    }
}
