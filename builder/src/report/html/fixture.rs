//! Runs that never were, for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::summary::{Failure, ImageReport, Status, Summary};
use super::{Parents, Run, Timeline};
use crate::event::{Activity, Ending, Event};
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

/// A run of so many images on four workers, like a fleet of OpenStack: a base, on it one for all
/// services, on that one for each service, and on those the images of the services. Now and then one
/// is tried again, one failed, and its children are blocked.
pub(super) fn large(images: usize, lines: usize) -> Synthetic {
    const SERVICES: [&str; 16] = [
        "aodh",
        "barbican",
        "blazar",
        "ceilometer",
        "cinder",
        "cloudkitty",
        "designate",
        "glance",
        "heat",
        "ironic",
        "keystone",
        "magnum",
        "manila",
        "neutron",
        "nova",
        "octavia",
    ];
    const PARTS: [&str; 6] = [
        "api",
        "worker",
        "scheduler",
        "conductor",
        "agent",
        "listener",
    ];
    let mut run = Synthetic::new();
    let mut names = vec!["base".to_owned(), "openstack-base".to_owned()];
    let mut parents: Vec<Vec<usize>> = vec![vec![], vec![0]];
    for i in 0.. {
        let service = SERVICES[i % SERVICES.len()];
        let turn = i / SERVICES.len();
        let service = if turn == 0 {
            service.to_owned()
        } else {
            format!("{service}{turn}")
        };
        let base = names.len();
        if names.len() == images {
            break;
        }
        names.push(format!("{service}-base"));
        parents.push(vec![1]);
        for part in PARTS.iter().take(2 + i % 5) {
            if names.len() < images {
                names.push(format!("{service}-{part}"));
                // Some take files from the first of their service.
                parents.push(if *part == "conductor" {
                    vec![base, base + 1]
                } else {
                    vec![base]
                });
            }
        }
        if names.len() >= images {
            break;
        }
    }
    let bad = images / 2;
    let is_bad = |i: usize| i == bad;
    let mut blocked = vec![false; images];
    for i in 0..images {
        blocked[i] = parents[i].iter().any(|p| is_bad(*p) || blocked[*p]);
        let status = if blocked[i] {
            Status::Blocked
        } else {
            Status::Built
        };
        let above: Vec<&str> = parents[i].iter().map(|p| names[*p].as_str()).collect();
        let report = run.add(&names[i], status, &above);
        report.size = (!blocked[i]).then_some(0);
        if blocked[i] {
            report.failure = Some(Failure {
                class: Class::Build,
                message: "`x`, which it is made from, failed".into(),
                hints: vec![],
                blocked_by: Some(image(&names[bad])),
            });
        }
    }
    // Sizes grow from parents to children.
    for i in 0..images {
        let below = parents[i]
            .first()
            .and_then(|p| run.summary.images[*p].size)
            .unwrap_or(0);
        let own = 4_000_000 * (1 + (i as u64 * 37) % 23) + if i < 2 { 180_000_000 } else { 0 };
        if let Some(size) = &mut run.summary.images[i].size {
            *size = below + own;
        }
    }
    // Four workers, each taking the next image whose parents are done.
    let mut events: Vec<(f64, Event)> = Vec::new();
    let mut free = [1.0_f64; 4];
    let mut done = vec![f64::MAX; images];
    let mut left: Vec<usize> = (0..images).filter(|i| !blocked[*i]).collect();
    while !left.is_empty() {
        let ready = |i: &usize| parents[*i].iter().map(|p| done[*p]).fold(0.0, f64::max);
        let at = (0..left.len()).min_by(|a, b| ready(&left[*a]).total_cmp(&ready(&left[*b])));
        let i = left.remove(at.unwrap());
        let worker = (0..4).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap();
        let begin = free[worker].max(ready(&i)) + 0.01;
        let took = 3.0 + ((i * 7919) % 31) as f64 * if i < 2 { 3.0 } else { 0.7 };
        let again = i % 41 == 40;
        let end = begin + took * if again { 1.6 } else { 1.0 };
        let name = &names[i];
        events.push((begin, started(name, 1)));
        if again {
            let reason = "503 Service Unavailable from the mirror".to_owned();
            events.push((
                begin + took * 0.4,
                Event::Retrying {
                    image: image(name),
                    attempt: 2,
                    pause_ms: 2000,
                    reason,
                },
            ));
            events.push((begin + took * 0.6, started(name, 2)));
        }
        let begin = if again { begin + took * 0.6 } else { begin };
        for number in 1..=5 {
            let at = begin + (end - begin) * [0.0, 0.05, 0.6, 0.9, 0.95][number as usize - 1];
            let what = [
                "FROM parent",
                "USER 0",
                "RUN kolla-install python3-x",
                "COPY files/ /",
                "CMD [\"kolla_start\"]",
            ];
            events.push((at, step(name, number, what[number as usize - 1])));
            if number == 3 {
                for line in 0..lines {
                    let line = format!(
                        "Setting up python3-{line} ({}.{line}-1) for {name} ...",
                        i % 9
                    );
                    events.push((at + 0.001, log(name, &line)));
                }
            }
        }
        done[i] = end;
        free[worker] = end;
        if is_bad(i) {
            done[i] = f64::MAX;
        }
        run.summary.images[i].seconds = Some(end - events_begin(&events, name));
        events.push((end, finished(name, Ending::Done { pushed: None })));
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (at, event) in events {
        match event {
            Event::Finished { image, .. } if image.as_str() == names[bad] => {
                run.fail(
                    at,
                    &names[bad],
                    "step 3 failed with status 100: RUN kolla-install python3-x",
                );
                run.summary.images[bad].size = None;
            }
            event => run.at(at, event),
        }
    }
    run
}

fn events_begin(events: &[(f64, Event)], name: &str) -> f64 {
    let first = |event: &Event| matches!(event, Event::Started { image, attempt: 1, .. } if image.as_str() == name);
    events
        .iter()
        .find(|(_, e)| first(e))
        .map_or(0.0, |(at, _)| *at)
}
