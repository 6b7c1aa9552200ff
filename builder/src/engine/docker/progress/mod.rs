//! What a builder's stream of messages says, as steps and lines.

mod buildkit;
mod stream;

use std::collections::VecDeque;

use bollard::models::{BuildInfo, BuildInfoAux};

use super::super::BuildEvent;
use super::super::text::clean;

/// As many lines are looked at for the cause of a failure.
const RECENT: usize = 20;

/// A step of a Dockerfile, numbered through all stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) number: u32,
    pub(super) instruction: String,
}

/// Follows one build.
pub(super) struct Progress<E> {
    report: Report<E>,
    stream: stream::Stream,
    buildkit: buildkit::Trace,
    image: Option<String>,
}

impl<E: FnMut(BuildEvent)> Progress<E> {
    pub(super) fn new(emit: E) -> Self {
        Self {
            report: Report {
                emit,
                step: None,
                recent: VecDeque::new(),
            },
            stream: stream::Stream::default(),
            buildkit: buildkit::Trace::default(),
            image: None,
        }
    }

    /// Takes one message of the engine.
    pub(super) fn take(&mut self, message: BuildInfo) {
        match message.aux {
            Some(BuildInfoAux::BuildKit(status)) => self.buildkit.take(status, &mut self.report),
            // Of several stages each has its own; the last is the image.
            Some(BuildInfoAux::Default(image)) => self.image = image.id.or(self.image.take()),
            None => {}
        }
        if let Some(text) = message.stream {
            self.stream.take(&text, &mut self.report);
        }
        if let Some(status) = message.status {
            // What moves (`Downloading`) carries numbers, and comes a hundred times a second.
            if message.progress_detail.is_none() {
                self.report.line(clean(status.as_bytes()));
            }
        }
    }

    /// Hands out unfinished lines: nothing more comes.
    pub(super) fn finish(&mut self) {
        self.stream.finish(&mut self.report);
        self.buildkit.finish(&mut self.report);
    }

    /// The image, as the engine named it.
    pub(super) fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// The step that failed, or else the last that began.
    pub(super) fn step(&self) -> Option<&Step> {
        self.buildkit.failed_step().or(self.report.step.as_ref())
    }

    /// The image that was being looked up when the build failed.
    pub(super) fn pulling(&self) -> Option<&str> {
        self.buildkit.failed_pull()
    }

    /// The last lines that were printed.
    pub(super) fn recent(&self) -> impl Iterator<Item = &str> {
        self.report.recent.iter().map(String::as_str)
    }
}

/// Where both kinds of builder report to.
struct Report<E> {
    emit: E,
    step: Option<Step>,
    recent: VecDeque<String>,
}

impl<E: FnMut(BuildEvent)> Report<E> {
    fn step(&mut self, number: u32, total: u32, instruction: &str) {
        let instruction = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
        self.step = Some(Step {
            number,
            instruction: instruction.clone(),
        });
        // Lines printed by an earlier step say nothing about this one.
        self.recent.clear();
        (self.emit)(BuildEvent::Step {
            number,
            total: total.max(number),
            instruction,
        });
    }

    fn line(&mut self, line: String) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(line.clone());
        (self.emit)(BuildEvent::Log(line));
    }
}

/// Builders that number the steps of every stage from 1 are made to count through.
#[derive(Debug, Default)]
struct Stages(Vec<(String, u32)>);

impl Stages {
    /// Makes a stage known; its steps come after those of the stages known so far.
    fn learn(&mut self, stage: &str, steps: u32) {
        if !self.0.iter().any(|(name, _)| name == stage) {
            self.0.push((stage.to_owned(), steps));
        }
    }

    /// The number of a step through all stages, and how many there are.
    fn place(&self, stage: &str, number: u32) -> (u32, u32) {
        let before = self
            .0
            .iter()
            .take_while(|(name, _)| name != stage)
            .map(|(_, n)| n);
        let total: u32 = self.0.iter().map(|(_, n)| n).sum();
        (before.sum::<u32>() + number, total)
    }
}

/// Reads `3/7`.
fn fraction(text: &str) -> Option<(u32, u32)> {
    let (number, total) = text.split_once('/')?;
    Some((number.parse().ok()?, total.parse().ok()?))
}
