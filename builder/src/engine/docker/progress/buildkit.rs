use std::collections::{HashMap, HashSet};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use super::super::text::{Lines, clean};
use super::{BuildEvent, Report, Stages, Step, fraction};

/// BuildKit's trace: a graph of vertices, of which some are steps of the Dockerfile.
#[derive(Debug, Default)]
pub(super) struct Trace {
    stages: Stages,
    begun: HashSet<String>,
    output: HashMap<(String, i64), Lines>,
    failed: Option<Failed>,
}

#[derive(Debug)]
enum Failed {
    Step(Step),
    Pull(String),
    Other,
}

impl Trace {
    pub(super) fn take<E: FnMut(BuildEvent)>(
        &mut self,
        status: StatusResponse,
        report: &mut Report<E>,
    ) {
        // All stages first: the vertices of a message are in no order, and steps of a stage that is
        // not known yet would be counted wrongly.
        for vertex in &status.vertexes {
            if let Some(step) = step(&vertex.name) {
                self.stages.learn(step.stage, step.steps);
            }
        }
        for vertex in &status.vertexes {
            self.begin(vertex, report);
            self.fail(vertex);
        }
        for log in status.logs {
            let lines = self.output.entry((log.vertex, log.stream)).or_default();
            lines.push(&log.msg, |line| report.line(line));
        }
    }

    pub(super) fn finish<E: FnMut(BuildEvent)>(&mut self, report: &mut Report<E>) {
        for lines in self.output.values_mut() {
            lines.finish(|line| report.line(line));
        }
    }

    pub(super) fn failed_step(&self) -> Option<&Step> {
        match &self.failed {
            Some(Failed::Step(step)) => Some(step),
            _ => None,
        }
    }

    pub(super) fn failed_pull(&self) -> Option<&str> {
        match &self.failed {
            Some(Failed::Pull(reference)) => Some(reference),
            _ => None,
        }
    }

    fn begin<E: FnMut(BuildEvent)>(&mut self, vertex: &Vertex, report: &mut Report<E>) {
        let Some(step) = step(&vertex.name) else {
            return;
        };
        if vertex.started.is_some() && self.begun.insert(vertex.digest.clone()) {
            let (number, total) = self.stages.place(step.stage, step.number);
            report.step(number, total, &step.instruction);
        }
    }

    /// Remembers the first vertex that failed: when one does, those beside it are cancelled.
    fn fail(&mut self, vertex: &Vertex) {
        let cancelled = vertex.error.contains("context canceled");
        if vertex.error.is_empty() || cancelled || self.failed.is_some() {
            return;
        }
        self.failed = Some(match step(&vertex.name) {
            Some(step) => Failed::Step(Step {
                number: self.stages.place(step.stage, step.number).0,
                instruction: step.instruction,
            }),
            None => match vertex.name.strip_prefix("[internal] load metadata for ") {
                Some(reference) => Failed::Pull(clean(reference.as_bytes())),
                None => Failed::Other,
            },
        });
    }
}

struct Named<'a> {
    stage: &'a str,
    number: u32,
    steps: u32,
    instruction: String,
}

/// Reads `[3/7] RUN x`, `[stage-1 2/4] RUN x` and `[linux/arm64 build 2/4] RUN x`; what BuildKit does
/// for itself, `[internal] load build context`, has no numbers.
fn step(name: &str) -> Option<Named<'_>> {
    let (inside, instruction) = name.strip_prefix('[')?.split_once("] ")?;
    let (stage, numbers) = inside.rsplit_once(' ').unwrap_or(("", inside));
    let (number, steps) = fraction(numbers)?;
    Some(Named {
        stage,
        number,
        steps,
        instruction: clean(instruction.replace('\n', " ").as_bytes()),
    })
}
