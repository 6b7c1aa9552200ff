use std::collections::{HashMap, HashSet};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

use super::super::super::text::{Lines, clean};
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

#[cfg(test)]
mod tests {
    use bollard::moby::buildkit::v1::VertexLog;
    use bollard::models::{BuildInfo, BuildInfoAux};

    use super::super::Progress;
    use super::*;

    /// A vertex as Docker 20.10 sends it: first planned, then started, then ended.
    fn vertex(name: &str, started: bool, error: &str) -> Vertex {
        Vertex {
            digest: format!("sha256:{name}"),
            name: name.to_owned(),
            started: started.then(Default::default),
            error: error.to_owned(),
            ..Vertex::default()
        }
    }

    fn log(name: &str, stream: i64, text: &[u8]) -> VertexLog {
        VertexLog {
            vertex: format!("sha256:{name}"),
            stream,
            msg: text.to_vec(),
            ..VertexLog::default()
        }
    }

    fn message(vertexes: Vec<Vertex>, logs: Vec<VertexLog>) -> BuildInfo {
        BuildInfo {
            aux: Some(BuildInfoAux::BuildKit(StatusResponse {
                vertexes,
                logs,
                ..StatusResponse::default()
            })),
            ..BuildInfo::default()
        }
    }

    #[test]
    fn steps_come_once_and_internal_work_is_none() {
        let mut events = Vec::new();
        let mut progress = Progress::new(|event| events.push(event));
        let run = "[2/2] RUN echo one; \necho two";
        progress.take(message(
            vec![
                vertex("[internal] load remote build context", true, ""),
                vertex(
                    "[internal] load metadata for docker.io/kolla-suite/base:x",
                    true,
                    "",
                ),
                vertex(run, false, ""),
                vertex("[1/2] FROM docker.io/kolla-suite/base:x", true, ""),
            ],
            vec![],
        ));
        for _ in 0..2 {
            progress.take(message(vec![vertex(run, true, "")], vec![]));
        }
        progress.take(message(
            vec![],
            vec![
                log(run, 1, b"on"),
                log(run, 2, b"err"),
                log(run, 1, b"e\ntwo"),
            ],
        ));
        progress.take(message(
            vec![vertex("exporting to image", true, "")],
            vec![],
        ));
        progress.finish();
        drop(progress);
        let steps: Vec<_> = events
            .iter()
            .map(|event| match event {
                BuildEvent::Step {
                    number,
                    total,
                    instruction,
                } => {
                    format!("{number}/{total} {instruction}")
                }
                BuildEvent::Log(line) => line.clone(),
            })
            .collect();
        assert_eq!(
            steps[..3],
            [
                "1/2 FROM docker.io/kolla-suite/base:x",
                "2/2 RUN echo one; echo two",
                "one"
            ]
        );
        // Two streams that end without a line break may end in any order.
        assert!(steps[3..].contains(&"two".to_owned()) && steps[3..].contains(&"err".to_owned()));
        assert_eq!(steps.len(), 5);
    }

    #[test]
    fn stages_are_counted_through() {
        let mut numbers = Vec::new();
        let mut progress = Progress::new(|event| {
            if let BuildEvent::Step { number, total, .. } = event {
                numbers.push((number, total));
            }
        });
        progress.take(message(
            vec![
                vertex("[one 1/2] FROM docker.io/kolla-suite/base:x", true, ""),
                vertex("[one 2/2] RUN echo 1 > /made", true, ""),
                vertex("[stage-1 3/3] RUN cat /made", false, ""),
                vertex("[stage-1 2/3] COPY --from=one /made /made", true, ""),
            ],
            vec![],
        ));
        progress.take(message(
            vec![vertex("[stage-1 3/3] RUN cat /made", true, "")],
            vec![],
        ));
        drop(progress);
        assert_eq!(numbers, [(1, 5), (2, 5), (4, 5), (5, 5)]);
    }

    #[test]
    fn what_failed_first_is_what_failed() {
        let mut progress = Progress::new(|_| {});
        progress.take(message(
            vec![
                vertex("[a 2/2] RUN sleep 1", true, "context canceled"),
                vertex(
                    "[b 2/2] RUN false",
                    true,
                    "executor failed running [/bin/sh -c false]: exit code: 1",
                ),
                vertex("[c 2/2] RUN false", true, "executor failed"),
            ],
            vec![],
        ));
        assert_eq!(
            progress.step().map(|s| (s.number, s.instruction.as_str())),
            Some((4, "RUN false"))
        );
        let mut progress = Progress::new(|_| {});
        let error = "127.0.0.1:5977/nothing:1: not found";
        let name = "[internal] load metadata for 127.0.0.1:5977/nothing:1";
        progress.take(message(vec![vertex(name, true, error)], vec![]));
        assert_eq!(progress.pulling(), Some("127.0.0.1:5977/nothing:1"));
        assert_eq!(progress.step(), None);
    }
}
