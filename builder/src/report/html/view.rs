use std::collections::BTreeMap;
use std::time::SystemTime;

use super::super::summary::{ImageReport, Status, Summary};
use super::Run;
use super::critical::critical;
use super::timeline::{Ended, Timeline, Work};
use crate::event::Activity;
use crate::gate::Checked;
use crate::model::ImageName;

/// A run with all that is worked out of it before anything is drawn. Images go by their position in
/// the summary.
pub(super) struct View<'a> {
    pub(super) summary: &'a Summary,
    pub(super) timeline: &'a Timeline,
    pub(super) begun: SystemTime,
    /// Seconds that the drawing of the run spans.
    pub(super) span: f64,
    pub(super) images: Vec<Image<'a>>,
    /// The longest chain of each activity there was.
    pub(super) chains: Vec<Chain>,
}

/// One image and its place among the others.
pub(super) struct Image<'a> {
    pub(super) report: &'a ImageReport,
    pub(super) parents: Vec<usize>,
    pub(super) children: Vec<usize>,
    /// What it begins with.
    pub(super) base: Option<usize>,
    /// Bytes of its own, where its base's are known too.
    pub(super) own: Option<u64>,
    /// What the gate found.
    pub(super) checked: Option<&'a Checked>,
}

/// Images each of which had to wait for the one before.
pub(super) struct Chain {
    pub(super) activity: Activity,
    pub(super) images: Vec<usize>,
    pub(super) seconds: f64,
}

impl<'a> View<'a> {
    pub(super) fn new(run: &Run<'a>) -> Self {
        let (summary, timeline) = (run.summary, run.timeline);
        let images = images(run);
        let mut chains = Vec::new();
        for activity in [Activity::Build, Activity::Test, Activity::Push] {
            let mut seconds = vec![None; images.len()];
            let works = timeline.works().iter();
            for work in works.filter(|w| phase(w.activity) == activity) {
                let found = images.iter().position(|i| i.report.image == work.image);
                if let Some(slot) = found.and_then(|i| seconds.get_mut(i)) {
                    *slot = Some(slot.unwrap_or(0.0) + timeline.seconds(work));
                }
            }
            let parents: Vec<_> = images.iter().map(|i| i.parents.clone()).collect();
            let (chain, seconds) = critical(&parents, &seconds);
            if !chain.is_empty() {
                chains.push(Chain {
                    activity,
                    images: chain,
                    seconds,
                });
            }
        }
        Self {
            summary,
            timeline,
            begun: run.begun,
            span: summary.seconds.max(timeline.last()).max(0.001),
            images,
            chains,
        }
    }

    /// "done", "failed", "interrupted".
    pub(super) fn verdict(&self) -> &'static str {
        let failed = |i: &Image<'_>| i.report.failure.is_some();
        match self.summary.ok {
            true => "done",
            false if self.images.iter().any(failed) => "failed",
            false => "interrupted",
        }
    }

    pub(super) fn position(&self, image: &ImageName) -> Option<usize> {
        self.images.iter().position(|i| i.report.image == *image)
    }

    pub(super) fn works_on(&self, image: usize) -> impl Iterator<Item = &'a Work> {
        let name = &self.images[image].report.image;
        self.timeline
            .works()
            .iter()
            .filter(move |w| w.image == *name)
    }

    /// Whether an image is on the longest chain of an activity.
    pub(super) fn is_critical(&self, image: usize, activity: Activity) -> bool {
        self.chains
            .iter()
            .any(|c| c.activity == phase(activity) && c.images.contains(&image))
    }

    /// Whether the second was made next after the first on some longest chain.
    pub(super) fn is_link(&self, first: usize, second: usize) -> bool {
        self.chains
            .iter()
            .any(|c| c.images.windows(2).any(|w| w == [first, second]))
    }

    /// Images that failed themselves, the first to fail first.
    pub(super) fn failed(&self) -> Vec<usize> {
        let mut failed: Vec<usize> = (0..self.images.len())
            .filter(|i| self.images[*i].report.status == Status::Failed)
            .collect();
        let when = |image: usize| {
            let bad = |w: &&Work| matches!(w.ended, Ended::Badly(_));
            let work = self.works_on(image).find(bad);
            work.map_or(f64::MAX, |work| self.timeline.end(work.end))
        };
        failed.sort_by(|a, b| when(*a).total_cmp(&when(*b)));
        failed
    }

    /// How many images ended in each way, in the order of the summary line.
    pub(super) fn counts(&self) -> Vec<(Status, usize)> {
        let count = |status| {
            let ended = self.images.iter().filter(|i| i.report.status == status);
            (status, ended.count())
        };
        let all = Status::ALL.into_iter().map(count);
        all.filter(|(_, count)| *count > 0).collect()
    }
}

fn images<'a>(run: &Run<'a>) -> Vec<Image<'a>> {
    let reports = &run.summary.images;
    let positions: BTreeMap<&ImageName, usize> = reports
        .iter()
        .enumerate()
        .map(|(i, r)| (&r.image, i))
        .collect();
    // What is not part of the run is not on the page; and parents stand before their children.
    let position = |i: usize, name: &ImageName| positions.get(name).copied().filter(|p| *p < i);
    let mut images: Vec<Image<'a>> = Vec::with_capacity(reports.len());
    for (i, report) in reports.iter().enumerate() {
        let made = run.parents.get(&report.image);
        let all = made.map(|m| m.all.as_slice()).unwrap_or_default();
        let parents: Vec<usize> = all.iter().filter_map(|p| position(i, p)).collect();
        let base = made.and_then(|m| m.base.as_ref());
        let own = match base {
            None => report.size,
            Some(base) => positions
                .get(base)
                .and_then(|base| reports[*base].size)
                .zip(report.size)
                .map(|(inherited, size)| size.saturating_sub(inherited)),
        };
        images.push(Image {
            report,
            children: Vec::new(),
            base: base
                .and_then(|base| position(i, base))
                .filter(|base| parents.contains(base)),
            parents,
            own,
            checked: run.checked.get(&report.image),
        });
    }
    for i in 0..images.len() {
        for parent in images[i].parents.clone() {
            images[parent].children.push(i);
        }
    }
    images
}

/// Which activities count together, since others wait for either: an image is built or fetched before
/// more is made from it.
pub(super) fn phase(activity: Activity) -> Activity {
    match activity {
        Activity::Fetch => Activity::Build,
        other => other,
    }
}

/// What an activity is called.
pub(super) fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Build => "build",
        Activity::Fetch => "fetch",
        Activity::Push => "push",
        Activity::Test => "test",
    }
}

/// The mark beside a result, so that it is not told by its colour alone.
pub(super) fn mark(status: Status) -> &'static str {
    match status {
        Status::Built | Status::Tested => "✓",
        Status::Reused => "=",
        Status::Pushed => "↑",
        Status::Skipped => "–",
        Status::Failed => "✗",
        Status::Blocked => "!",
        Status::Cancelled => "□",
    }
}

/// The result as the style sheet and the filters know it.
pub(super) fn class(status: Status) -> String {
    status.word().to_lowercase()
}

/// Where the details of an image are.
pub(super) fn link(image: usize) -> String {
    format!("#image-{image}")
}
