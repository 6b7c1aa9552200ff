//! The clock: how long work on each image took.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::event::{Activity, Event, Sink};
use crate::model::ImageName;

#[derive(Default)]
pub(super) struct Timing {
    started: Mutex<BTreeMap<(ImageName, Activity), Instant>>,
    took: Mutex<BTreeMap<(ImageName, Activity), Duration>>,
}

impl Timing {
    /// Seconds spent on an image, retries and their pauses included.
    pub(super) fn seconds(&self, image: &ImageName, activity: Activity) -> Option<f64> {
        let took = self.took.lock().ok()?;
        took.get(&(image.clone(), activity))
            .map(Duration::as_secs_f64)
    }
}

impl Sink for Timing {
    fn emit(&self, event: Event) {
        match event {
            Event::Started {
                image, activity, ..
            } => {
                if let Ok(mut started) = self.started.lock() {
                    started
                        .entry((image, activity))
                        .or_insert_with(Instant::now);
                }
            }
            Event::Finished {
                image, activity, ..
            } => {
                let key = (image, activity);
                let since = self
                    .started
                    .lock()
                    .ok()
                    .and_then(|started| started.get(&key).copied());
                if let (Some(since), Ok(mut took)) = (since, self.took.lock()) {
                    took.insert(key, since.elapsed());
                }
            }
            _ => {}
        }
    }
}
