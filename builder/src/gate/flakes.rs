use std::sync::Mutex;

use serde::Serialize;

use crate::event::{Event, Sink};
use crate::model::ImageName;

/// Something that did not work at first, and was tried again: never the images' fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flake {
    /// The image that was worked on.
    pub image: ImageName,
    /// The number of the try that failed, from 1.
    pub attempt: u32,
    /// What went wrong.
    pub reason: String,
}

/// Collects them from the events of a run.
#[derive(Debug, Default)]
pub struct Flakes(Mutex<Vec<Flake>>);

impl Flakes {
    /// What has come so far.
    pub fn all(&self) -> Vec<Flake> {
        self.0.lock().map(|all| all.clone()).unwrap_or_default()
    }
}

impl Sink for Flakes {
    fn emit(&self, event: Event) {
        if let Event::Retrying {
            image,
            attempt,
            reason,
            ..
        } = event
            && let Ok(mut all) = self.0.lock()
        {
            let attempt = attempt.saturating_sub(1);
            all.push(Flake {
                image,
                attempt,
                reason,
            });
        }
    }
}
