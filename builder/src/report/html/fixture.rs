//! Runs that never were, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::summary::{Failure, ImageReport, Status, Summary};
use super::{Parents, Run, Timeline};
use crate::event::{Activity, Ending, Event};
use crate::gate::Checked;
use crate::model::{Class, Diagnostic, Digest, Fingerprint, ImageName, ServiceName};

pub(super) fn image(name: &str) -> ImageName {
    ImageName::new(name).unwrap()
}

pub(super) fn started(name: &str, attempt: u32) -> Event {
    Event::Started {
        image: image(name),
        activity: Activity::Build,
        attempt,
    }
}

pub(super) fn step(name: &str, number: u32, instruction: &str) -> Event {
    Event::Step {
        image: image(name),
        number,
        total: 5,
        instruction: instruction.to_owned(),
    }
}

pub(super) fn log(name: &str, line: &str) -> Event {
    Event::Log {
        image: image(name),
        line: line.to_owned(),
    }
}

/// A run under construction.
pub(super) struct Synthetic {
    pub(super) summary: Summary,
    pub(super) parents: Parents,
    pub(super) timeline: Timeline,
    checked: BTreeMap<ImageName, Checked>,
}

impl Synthetic {
    pub(super) fn new() -> Self {
        Self {
            summary: Summary {
                schema: 1,
                command: "build",
                ok: true,
                engine: "native 0.1.0 at /store".to_owned(),
                seconds: 0.0,
                images: Vec::new(),
            },
            parents: Parents::default(),
            timeline: Timeline::default(),
            checked: BTreeMap::new(),
        }
    }

    pub(super) fn at(&mut self, seconds: f64, event: Event) {
        self.timeline.take(Duration::from_secs_f64(seconds), event);
        self.summary.seconds = self.summary.seconds.max(seconds);
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        status: Status,
        made_from: &[&str],
    ) -> &mut ImageReport {
        let parents: Vec<ImageName> = made_from.iter().map(|p| image(p)).collect();
        self.parents
            .add(image(name), parents.first().cloned(), parents);
        let service = name.split('-').next().unwrap_or(name);
        self.summary.images.push(ImageReport {
            image: image(name),
            service: ServiceName::new(service).unwrap(),
            status,
            reason: "not built here before".to_owned(),
            seconds: None,
            size: None,
            id: None,
            fingerprint: Fingerprint::new(Digest::of(name)),
            tags: Vec::new(),
            pushed: Vec::new(),
            failure: None,
            log: Some(format!("/cache/logs/1/{name}.log").into()),
        });
        self.summary.images.last_mut().unwrap()
    }

    /// An image that failed so.
    pub(super) fn fail(&mut self, at: f64, name: &str, message: &str) {
        self.summary.ok = false;
        let found = self
            .summary
            .images
            .iter_mut()
            .find(|i| i.image.as_str() == name);
        let report = found.unwrap();
        report.status = Status::Failed;
        report.failure = Some(Failure {
            class: Class::Build,
            message: message.to_owned(),
            hints: vec!["look at the log".to_owned()],
            blocked_by: None,
        });
        let problem = Arc::new(Diagnostic::new(Class::Build, message));
        self.at(
            at,
            finished(
                name,
                Ending::Failed {
                    class: Class::Build,
                    problem,
                },
            ),
        );
    }

    pub(super) fn html(&self) -> String {
        Run {
            summary: &self.summary,
            parents: &self.parents,
            timeline: &self.timeline,
            checked: &self.checked,
            begun: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        }
        .html()
    }
}

pub(super) fn finished(name: &str, ending: Ending) -> Event {
    Event::Finished {
        image: image(name),
        activity: Activity::Build,
        ending,
    }
}

/// A run of so many images, at least two, on four workers, like one of all of OpenStack: a base, on it
/// one for all services, on that one for each service, and on those the images of the services. One
/// fails, so that others are blocked; some are tried again; each prints so many lines.
pub(super) fn large(images: usize, lines: usize) -> Synthetic {
    let shape = shape(images);
    let later = |i: &usize| shape[*i].0.ends_with("-base");
    let bad = (images / 2..images).find(later).unwrap_or(images - 1);
    let mut run = Synthetic::new();
    let mut blocked = vec![false; images];
    for (i, (name, parents)) in shape.iter().enumerate() {
        blocked[i] = parents.iter().any(|p| *p == bad || blocked[*p]);
        let below = parents.first().map(|p| run.summary.images[*p].size);
        let own = 4_000_000 * (1 + (i as u64 * 37) % 23) + if i < 2 { 180_000_000 } else { 0 };
        let made_from: Vec<&str> = parents.iter().map(|p| shape[*p].0.as_str()).collect();
        let report = run.add(name, Status::Built, &made_from);
        if blocked[i] {
            report.status = Status::Blocked;
            report.failure = Some(Failure {
                class: Class::Build,
                message: "what it is made from failed".to_owned(),
                hints: Vec::new(),
                blocked_by: Some(image(&shape[bad].0)),
            });
        } else if i != bad {
            report.size = below.unwrap_or(Some(0)).map(|below| below + own);
        }
    }

    let mut events: Vec<(f64, Event)> = Vec::new();
    let mut workers = [1.0_f64; 4];
    let mut done = vec![0.0_f64; images];
    for (i, (name, parents)) in shape.iter().enumerate().filter(|(i, _)| !blocked[*i]) {
        let ready = parents.iter().map(|p| done[*p]).fold(0.0, f64::max);
        let worker = (0..workers.len()).min_by(|a, b| workers[*a].total_cmp(&workers[*b]));
        let worker = &mut workers[worker.unwrap()];
        let begin = worker.max(ready) + 0.01;
        let end = begin + 3.0 + ((i * 7919) % 31) as f64 * if i < 2 { 3.0 } else { 0.7 };
        *worker = end;
        done[i] = end;
        run.summary.images[i].seconds = Some(end - begin);
        build(
            &mut events,
            name,
            (begin, end),
            i % 41 == 40,
            i == bad,
            lines,
        );
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bad = shape[bad].0.as_str();
    for (at, event) in events {
        match event {
            Event::Finished { image, .. } if image.as_str() == bad => {
                run.fail(at, bad, "step 3 failed with status 100: RUN kolla-install");
            }
            event => run.at(at, event),
        }
    }
    run
}

/// Names, and positions of what each is made from.
fn shape(images: usize) -> Vec<(String, Vec<usize>)> {
    const SERVICES: [&str; 8] = [
        "cinder", "glance", "heat", "ironic", "keystone", "magnum", "neutron", "nova",
    ];
    const PARTS: [&str; 6] = [
        "api",
        "worker",
        "scheduler",
        "conductor",
        "agent",
        "listener",
    ];
    let mut shape = vec![
        ("base".to_owned(), vec![]),
        ("openstack-base".to_owned(), vec![0]),
    ];
    for turn in 0.. {
        let service = format!("{}{turn}", SERVICES[turn % SERVICES.len()]);
        let base = shape.len();
        shape.push((format!("{service}-base"), vec![1]));
        for part in PARTS.iter().take(2 + turn % 5) {
            // Some take files from another of their service.
            let also = (*part == "conductor").then_some(base + 1);
            let parents = [base].into_iter().chain(also).collect();
            shape.push((format!("{service}-{part}"), parents));
        }
        if shape.len() >= images {
            break;
        }
    }
    shape.truncate(images);
    shape
}

fn build(
    events: &mut Vec<(f64, Event)>,
    name: &str,
    (mut begin, end): (f64, f64),
    again: bool,
    bad: bool,
    lines: usize,
) {
    const STEPS: [(f64, &str); 5] = [
        (0.0, "FROM parent"),
        (0.05, "USER 0"),
        (0.1, "RUN kolla-install python3-x"),
        (0.8, "COPY files/ /"),
        (0.9, "CMD [\"kolla_start\"]"),
    ];
    events.push((begin, started(name, 1)));
    if again {
        let took = end - begin;
        let retrying = Event::Retrying {
            image: image(name),
            attempt: 2,
            pause_ms: 2000,
            reason: "503 Service Unavailable from the mirror".to_owned(),
        };
        events.push((begin + took * 0.3, retrying));
        begin += took * 0.4;
        events.push((begin, started(name, 2)));
    }
    for (number, (part, instruction)) in (1..).zip(STEPS).take(if bad { 3 } else { 5 }) {
        let at = begin + (end - begin) * part;
        events.push((at, step(name, number, instruction)));
        for line in 0..if number == 3 { lines } else { 0 } {
            let line = format!("Setting up python3-{line} (1.{line}-1) for {name} ...");
            events.push((at, log(name, &line)));
        }
    }
    events.push((end, finished(name, Ending::Done { pushed: None })));
}
