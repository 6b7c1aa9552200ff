//! A log file for each image, and its last lines for the end of a failed run.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::event::{Activity, Ending, Event, Sink};
use crate::model::ImageName;

/// Lines kept for the end.
const TAIL: usize = 20;
/// Runs whose logs are kept.
const KEPT_RUNS: usize = 10;

/// Writes what happens to images below one folder a run.
pub(super) struct Logs {
    folder: PathBuf,
    open: Mutex<BTreeMap<ImageName, Log>>,
}

struct Log {
    file: Option<File>,
    tail: VecDeque<String>,
    step: String,
}

impl Logs {
    /// A new folder below `cache/logs`, named by the time of the run; old ones are taken away.
    pub(super) fn new(cache: &Path, now: std::time::SystemTime) -> Self {
        let logs = cache.join("logs");
        let seconds = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let folder = logs.join(format!("{}-{}", seconds.as_secs(), std::process::id()));
        if let Ok(entries) = std::fs::read_dir(&logs) {
            let mut old: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
            old.sort();
            let surplus = (old.len() + 1).saturating_sub(KEPT_RUNS);
            for folder in &old[..surplus.min(old.len())] {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    /// The log file of an image, if anything was written.
    pub(super) fn path(&self, image: &ImageName) -> Option<PathBuf> {
        let path = self.folder.join(format!("{image}.log"));
        path.exists().then_some(path)
    }

    /// The last lines of an image's log, below a line that says which step they are of; nothing where
    /// it has none.
    pub(super) fn end(&self, image: &ImageName) -> String {
        let Ok(open) = self.open.lock() else {
            return String::new();
        };
        let Some(log) = open.get(image).filter(|log| !log.tail.is_empty()) else {
            return String::new();
        };
        let of = match log.step.as_str() {
            // Its sources come before the first step.
            "" => "the end of its log".to_owned(),
            step => format!("the end of the log of {step}"),
        };
        let lines = log.tail.iter().map(|line| format!("    {line}\n"));
        format!("{image}: {of}\n{}", lines.collect::<String>())
    }

    fn line(&self, image: &ImageName, line: &str, step: Option<String>) {
        let Ok(mut open) = self.open.lock() else {
            return;
        };
        let log = open.entry(image.clone()).or_insert_with(|| Log {
            file: std::fs::create_dir_all(&self.folder)
                .and_then(|()| File::create(self.folder.join(format!("{image}.log"))))
                .ok(),
            tail: VecDeque::with_capacity(TAIL),
            step: String::new(),
        });
        // A full disk must not stop a build for the sake of its log.
        if let Some(file) = &mut log.file
            && writeln!(file, "{line}").is_err()
        {
            log.file = None;
        }
        match step {
            Some(step) => {
                log.step = step;
                log.tail.clear();
            }
            None => {
                if log.tail.len() == TAIL {
                    log.tail.pop_front();
                }
                log.tail.push_back(line.to_owned());
            }
        }
    }
}

impl Sink for Logs {
    fn emit(&self, event: Event) {
        match event {
            Event::Step {
                image,
                number,
                total,
                instruction,
            } => {
                let step = format!("[{number}/{total}] {instruction}");
                self.line(&image, &step, Some(step.clone()));
            }
            Event::Log { image, line } => self.line(&image, &line, None),
            Event::Retrying {
                image,
                attempt,
                reason,
                ..
            } => {
                self.line(&image, &format!("try {attempt}: {reason}"), None);
            }
            Event::Finished {
                image,
                activity: Activity::Build,
                ending: Ending::Failed { problem, .. },
            } => {
                // For the file alone: the tail is shown beside the problem.
                if let Ok(mut open) = self.open.lock()
                    && let Some(Log {
                        file: Some(file), ..
                    }) = open.get_mut(&image)
                {
                    let _ = writeln!(file, "failed: {problem}");
                }
            }
            _ => {}
        }
    }
}
