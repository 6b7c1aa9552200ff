//! What happened, as data: the only way out of the running parts.
//!
//! The scheduler, the engines and publishing emit events; the progress display, the log files and
//! the reports are made from them. An event carries no time: whoever receives it has the clock.

use std::sync::Arc;

use crate::model::{Class, Diagnostic, Digest, ImageName, Reference};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something is about to take a while that belongs to no single image.
    Preparing {
        /// What is being done, "bootstrapping debian trixie".
        what: String,
    },
    /// What was being prepared is done, whether well or not.
    Prepared {
        /// The same words as in [`Event::Preparing`].
        what: String,
    },
    /// Work on an image began.
    Started {
        /// The image.
        image: ImageName,
        /// What is being done to it.
        activity: Activity,
        /// 1 for the first try.
        attempt: u32,
    },
    /// A Dockerfile step of an image began.
    Step {
        /// The image.
        image: ImageName,
        /// The step, counted from 1.
        number: u32,
        /// How many steps there are, as far as known.
        total: u32,
        /// The instruction, as the engine words it.
        instruction: String,
    },
    /// A line that a step, or the engine about it, printed. Without the line break.
    Log {
        /// The image.
        image: ImageName,
        /// The text.
        line: String,
    },
    /// Bytes moved for an image, so far and in all.
    Progress {
        /// The image.
        image: ImageName,
        /// Bytes moved so far.
        done: u64,
        /// Bytes in all, as far as known.
        total: u64,
    },
    /// A transient failure: the work is tried again after a pause.
    Retrying {
        /// The image.
        image: ImageName,
        /// The number of the try that comes.
        attempt: u32,
        /// How long the pause is, in milliseconds.
        pause_ms: u64,
        /// What went wrong.
        reason: String,
    },
    /// Work on an image ended.
    Finished {
        /// The image.
        image: ImageName,
        /// What was done to it.
        activity: Activity,
        /// How it ended.
        ending: Ending,
    },
    /// An image has a new tag in the engine.
    Tagged {
        /// The image.
        image: ImageName,
        /// Its new reference.
        reference: Reference,
    },
    /// Something is not as it should be, but the work goes on.
    Warning(Arc<Diagnostic>),
}

/// What is being done to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Building it.
    Build,
    /// Fetching it from a registry, to build on it.
    Fetch,
    /// Sending it to a registry.
    Push,
    /// Running its smoke test.
    Test,
}

/// How work on an image ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// Well. The digest is known after a push.
    Done {
        /// Where it can be pulled from, by digest, after a push.
        pushed: Option<(Reference, Digest)>,
    },
    /// Badly.
    Failed {
        /// The failure's class.
        class: Class,
        /// What went wrong and what to do.
        problem: Arc<Diagnostic>,
    },
    /// Not tried, since an image it stands on failed.
    Blocked {
        /// The image that failed.
        by: ImageName,
    },
    /// Stopped, or never started, because the user said so.
    Cancelled,
}

impl Ending {
    /// How a result ends what it is of.
    pub fn of<T>(result: &Result<T, Diagnostic>) -> Self {
        match result {
            Ok(_) => Self::Done { pushed: None },
            Err(problem) => Self::Failed {
                class: problem.class(),
                problem: Arc::new(problem.clone()),
            },
        }
    }
}

/// Where events go. Implementations must not block for long: builds wait for them.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// A sink that hands each event to several others.
pub struct Tee<'a>(pub Vec<&'a dyn Sink>);

impl Sink for Tee<'_> {
    fn emit(&self, event: Event) {
        for sink in &self.0 {
            sink.emit(event.clone());
        }
    }
}

/// A sink that keeps everything, for tests and for reports made at the end.
#[derive(Default)]
pub struct Record(std::sync::Mutex<Vec<Event>>);

impl Record {
    /// What has come so far.
    pub fn events(&self) -> Vec<Event> {
        self.0
            .lock()
            .map(|events| events.clone())
            .unwrap_or_default()
    }
}

impl Sink for Record {
    fn emit(&self, event: Event) {
        if let Ok(mut events) = self.0.lock() {
            events.push(event);
        }
    }
}
