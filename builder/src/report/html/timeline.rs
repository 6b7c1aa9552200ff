use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::log::Log;
use crate::event::{Activity, Ending, Event};
use crate::model::{Diagnostic, ImageName};

/// What happened in a run and when: events, with the time that their receiver read off its clock.
///
/// Keeps a bounded part of every log, so that its size grows with images and steps alone.
#[derive(Debug, Default)]
pub struct Timeline {
    works: Vec<Work>,
    preparations: Vec<Preparation>,
    logs: BTreeMap<ImageName, Log>,
    last: f64,
}

/// One activity on one image, all its tries together.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) image: ImageName,
    pub(super) activity: Activity,
    pub(super) attempts: Vec<Attempt>,
    pub(super) end: Option<f64>,
    pub(super) ended: Ended,
}

/// How a work stands.
#[derive(Debug)]
pub(super) enum Ended {
    /// It did not end.
    Not,
    Well,
    Badly(Arc<Diagnostic>),
    Cancelled,
}

/// One try.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) begin: f64,
    pub(super) end: Option<f64>,
    /// Why another one had to follow.
    pub(super) trouble: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// A step of a try. It ends where the next one begins: engines that run several at once tell of
/// beginnings only.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) label: String,
    pub(super) begin: f64,
    pub(super) end: Option<f64>,
}

/// Something that belongs to no single image.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) what: String,
    pub(super) begin: f64,
    pub(super) end: Option<f64>,
}

impl Timeline {
    /// Takes an event that came so long after the beginning of the run. Events come in the order of
    /// their times.
    pub fn take(&mut self, at: Duration, event: Event) {
        let at = at.as_secs_f64();
        self.last = self.last.max(at);
        match event {
            Event::Preparing { what } => self.preparations.push(Preparation {
                what,
                begin: at,
                end: None,
            }),
            Event::Prepared { what } => {
                let mut open = self.preparations.iter_mut().rev();
                if let Some(found) = open.find(|p| p.what == what && p.end.is_none()) {
                    found.end = Some(at);
                }
            }
            Event::Started {
                image,
                activity,
                attempt,
            } => self.started(at, image, activity, attempt),
            Event::Step {
                image,
                number,
                total,
                instruction,
            } => {
                let label = format!("[{number}/{total}] {instruction}");
                self.log(&image).heading(at, &label);
                if let Some(attempt) = self.attempt(&image) {
                    attempt.close_step(at);
                    attempt.steps.push(Step {
                        label,
                        begin: at,
                        end: None,
                    });
                }
            }
            Event::Log { image, line } => self.log(&image).line(&line),
            Event::Retrying {
                image,
                attempt,
                reason,
                ..
            } => {
                if let Some(failed) = self.attempt(&image) {
                    failed.close(at);
                    failed.trouble = Some(reason.clone());
                }
                let log = self.log(&image);
                log.line(&reason);
                log.heading(at, &format!("try {attempt}"));
            }
            Event::Finished {
                image,
                activity,
                ending,
            } => self.finished(at, &image, activity, ending),
            Event::Progress { .. } | Event::Tagged { .. } | Event::Warning(_) => {}
        }
    }

    fn started(&mut self, at: f64, image: ImageName, activity: Activity, number: u32) {
        let attempt = Attempt {
            number,
            begin: at,
            end: None,
            trouble: None,
            steps: Vec::new(),
        };
        match self.work(&image, activity) {
            Some(work) => work.attempts.push(attempt),
            None => self.works.push(Work {
                image,
                activity,
                attempts: vec![attempt],
                end: None,
                ended: Ended::Not,
            }),
        }
    }

    fn finished(&mut self, at: f64, image: &ImageName, activity: Activity, ending: Ending) {
        let ended = match ending {
            Ending::Done { .. } => Ended::Well,
            Ending::Failed { problem, .. } => Ended::Badly(problem),
            Ending::Blocked { .. } => return,
            Ending::Cancelled => Ended::Cancelled,
        };
        // What never began has no place in time.
        if let Some(work) = self.work(image, activity) {
            if let Some(attempt) = work.attempts.last_mut() {
                attempt.close(at);
            }
            work.end = Some(at);
            work.ended = ended;
        }
    }

    fn log(&mut self, image: &ImageName) -> &mut Log {
        self.logs.entry(image.clone()).or_default()
    }

    fn work(&mut self, image: &ImageName, activity: Activity) -> Option<&mut Work> {
        let mut works = self.works.iter_mut();
        works.find(|w| w.image == *image && w.activity == activity)
    }

    /// The try of an image that is under way.
    fn attempt(&mut self, image: &ImageName) -> Option<&mut Attempt> {
        let mut works = self.works.iter_mut().rev();
        let work = works.find(|w| w.image == *image && w.end.is_none())?;
        work.attempts.last_mut()
    }

    /// Everything done, in the order it began.
    pub(super) fn works(&self) -> &[Work] {
        &self.works
    }

    pub(super) fn preparations(&self) -> &[Preparation] {
        &self.preparations
    }

    pub(super) fn log_of(&self, image: &ImageName) -> Option<&Log> {
        self.logs.get(image)
    }

    /// Seconds to the last event.
    pub(super) fn last(&self) -> f64 {
        self.last
    }

    /// When something ended, or when it was last heard of.
    pub(super) fn end(&self, end: Option<f64>) -> f64 {
        end.unwrap_or(self.last)
    }

    /// Seconds from the first try's beginning to the last one's end.
    pub(super) fn seconds(&self, work: &Work) -> f64 {
        self.end(work.end) - work.begin()
    }
}

impl Work {
    pub(super) fn begin(&self) -> f64 {
        self.attempts.first().map_or(0.0, |a| a.begin)
    }
}

impl Attempt {
    fn close_step(&mut self, at: f64) {
        if let Some(step) = self.steps.last_mut() {
            step.end.get_or_insert(at);
        }
    }

    fn close(&mut self, at: f64) {
        self.close_step(at);
        self.end.get_or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{image, started, step};
    use super::*;

    fn at(timeline: &mut Timeline, seconds: u64, event: Event) {
        timeline.take(Duration::from_secs(seconds), event);
    }

    #[test]
    fn tries_and_steps_have_their_times() {
        let mut timeline = Timeline::default();
        let a = image("a");
        at(&mut timeline, 1, started("a", 1));
        at(&mut timeline, 2, step("a", 1, "FROM scratch"));
        at(&mut timeline, 3, step("a", 2, "RUN x"));
        at(
            &mut timeline,
            5,
            Event::Retrying {
                image: a.clone(),
                attempt: 2,
                pause_ms: 2000,
                reason: "503".into(),
            },
        );
        at(&mut timeline, 7, started("a", 2));
        at(&mut timeline, 8, step("a", 1, "FROM scratch"));
        at(
            &mut timeline,
            9,
            Event::Finished {
                image: a.clone(),
                activity: Activity::Build,
                ending: Ending::Done { pushed: None },
            },
        );
        let [work] = timeline.works() else {
            panic!("one work")
        };
        let tries: Vec<_> = work
            .attempts
            .iter()
            .map(|t| (t.begin, t.end, t.steps.len()))
            .collect();
        assert_eq!(tries, [(1.0, Some(5.0), 2), (7.0, Some(9.0), 1)]);
        assert_eq!(work.attempts[0].trouble.as_deref(), Some("503"));
        let steps: Vec<_> = work.attempts[0]
            .steps
            .iter()
            .map(|s| (s.begin, s.end))
            .collect();
        assert_eq!(steps, [(2.0, Some(3.0)), (3.0, Some(5.0))]);
        assert!((timeline.seconds(work) - 8.0).abs() < 1e-9);
        assert!(matches!(work.ended, Ended::Well));
    }

    #[test]
    fn what_did_not_end_lasts_until_the_last_event() {
        let mut timeline = Timeline::default();
        at(&mut timeline, 1, started("a", 1));
        at(&mut timeline, 2, started("b", 1));
        at(
            &mut timeline,
            6,
            Event::Finished {
                image: image("c"),
                activity: Activity::Build,
                ending: Ending::Blocked { by: image("a") },
            },
        );
        assert_eq!(timeline.works().len(), 2);
        assert!((timeline.seconds(&timeline.works()[0]) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn a_preparation_ends_with_its_own_words() {
        let mut timeline = Timeline::default();
        let what = |what: &str| what.to_owned();
        at(&mut timeline, 1, Event::Preparing { what: what("x") });
        at(&mut timeline, 2, Event::Preparing { what: what("y") });
        at(&mut timeline, 3, Event::Prepared { what: what("x") });
        let ends: Vec<_> = timeline.preparations().iter().map(|p| p.end).collect();
        assert_eq!(ends, [Some(3.0), None]);
    }
}
