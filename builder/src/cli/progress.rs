//! What is seen while work goes on: live lines on a terminal, else plain lines with a prefix.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::Console;
use super::diagnostics;
use crate::event::{Activity, Ending, Event, Sink};
use crate::model::ImageName;
use crate::report::human_size;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = AnsiColor::BrightBlack.on_default();

fn verb(activity: Activity) -> &'static str {
    match activity {
        Activity::Build => "build",
        Activity::Fetch => "fetch",
        Activity::Push => "push",
        Activity::Test => "test",
    }
}

/// The sink for this console: live where that can be seen.
pub(super) fn sink<'a>(console: &'a Console, total: usize) -> Box<dyn Sink + 'a> {
    if console.is_live() {
        Box::new(Live::new(total))
    } else {
        Box::new(Plain { console })
    }
}

/// Lines that stand alone, for files, pipes and CI.
struct Plain<'a> {
    console: &'a Console,
}

impl Sink for Plain<'_> {
    fn emit(&self, event: Event) {
        let say = |image: &ImageName, text: &str| self.console.say(&format!("{image} | {text}"));
        match event {
            Event::Preparing { what } => self.console.say(&format!("{what} ...")),
            Event::Prepared { .. } | Event::Progress { .. } | Event::Tagged { .. } => {}
            Event::Started {
                image,
                activity,
                attempt,
            } => match attempt {
                1 => say(&image, verb(activity)),
                n => say(&image, &format!("{}, try {n}", verb(activity))),
            },
            Event::Step {
                image,
                number,
                total,
                instruction,
            } => say(
                &image,
                &format!("[{number}/{total}] {}", one_line(&instruction)),
            ),
            Event::Log { image, line } => {
                if self.console.verbose {
                    say(&image, &line);
                }
            }
            Event::Retrying {
                image,
                attempt,
                pause_ms,
                reason,
            } => say(&image, &retry(attempt, pause_ms, &reason)),
            Event::Finished {
                image,
                activity,
                ending,
            } => {
                say(&image, &ended(activity, &ending));
            }
            Event::Warning(problem) => self.console.warn(&problem),
        }
    }
}

fn retry(attempt: u32, pause_ms: u64, reason: &str) -> String {
    let seconds = Duration::from_millis(pause_ms).as_secs_f64();
    format!("try {attempt} in {seconds:.0} s: {}", one_line(reason))
}

fn ended(activity: Activity, ending: &Ending) -> String {
    let done = match activity {
        Activity::Build => "built",
        Activity::Fetch => "fetched",
        Activity::Push => "pushed",
        Activity::Test => "tested",
    };
    match ending {
        Ending::Done { pushed: None } => format!("{GOOD}{done}{GOOD:#}"),
        Ending::Done {
            pushed: Some((reference, digest)),
        } => {
            format!("{GOOD}{done}{GOOD:#} {reference} {digest}")
        }
        Ending::Failed { problem, .. } => {
            format!("{BAD}failed{BAD:#}: {}", one_line(problem.message()))
        }
        Ending::Blocked { by } => format!("{BAD}blocked{BAD:#} by {by}"),
        Ending::Cancelled => "cancelled".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line for each image at work, with its step and how long it has been at it, above a line that
/// counts.
struct Live {
    all: MultiProgress,
    total: ProgressBar,
    state: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Live {
    fn new(total: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12));
        let bar = all.add(ProgressBar::new(total as u64));
        bar.set_style(style("{bar:24.green/dim} {pos}/{len} {elapsed:.dim}"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self {
            all,
            total: bar,
            state: Mutex::default(),
        }
    }

    fn line(&self, key: &str, prefix: &str) -> Option<ProgressBar> {
        let mut state = self.state.lock().ok()?;
        let bar = state.entry(key.to_owned()).or_insert_with(|| {
            let bar = self
                .all
                .insert_before(&self.total, ProgressBar::new_spinner());
            bar.set_style(style(
                "{spinner:.cyan} {prefix:.bold} {elapsed:>4.dim} {wide_msg}",
            ));
            bar.set_prefix(format!("{prefix:<18}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Some(bar.clone())
    }

    fn remove(&self, key: &str) {
        if let Ok(mut state) = self.state.lock()
            && let Some(bar) = state.remove(key)
        {
            bar.finish_and_clear();
        }
    }

    fn print(&self, text: &str) {
        let _ = self.all.println(text);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Sink for Live {
    fn emit(&self, event: Event) {
        match event {
            Event::Preparing { what } => {
                self.line(&what, &what);
            }
            Event::Prepared { what } => self.remove(&what),
            Event::Started {
                image,
                activity,
                attempt,
            } => {
                if let Some(bar) = self.line(image.as_str(), image.as_str()) {
                    let again = if attempt > 1 {
                        format!(", try {attempt}")
                    } else {
                        String::new()
                    };
                    bar.set_message(format!("{}{again}", verb(activity)));
                }
            }
            Event::Step {
                image,
                number,
                total,
                instruction,
            } => {
                if let Some(bar) = self.line(image.as_str(), image.as_str()) {
                    bar.set_message(format!("[{number}/{total}] {}", one_line(&instruction)));
                }
            }
            Event::Log { .. } | Event::Tagged { .. } => {}
            Event::Progress { image, done, total } => {
                if let Some(bar) = self.line(image.as_str(), image.as_str()) {
                    bar.set_message(format!(
                        "push {} of {}",
                        human_size(done),
                        human_size(total)
                    ));
                }
            }
            Event::Retrying {
                image,
                attempt,
                pause_ms,
                reason,
            } => {
                if let Some(bar) = self.line(image.as_str(), image.as_str()) {
                    bar.set_message(retry(attempt, pause_ms, &reason));
                }
            }
            Event::Finished {
                image,
                activity,
                ending,
            } => {
                let took = self
                    .state
                    .lock()
                    .ok()
                    .and_then(|state| state.get(image.as_str()).map(ProgressBar::elapsed))
                    .map(|d| {
                        format!(
                            " {DIM}{}{DIM:#}",
                            crate::report::human_seconds(d.as_secs_f64())
                        )
                    })
                    .unwrap_or_default();
                self.remove(image.as_str());
                self.print(&format!("{:<20} {}{took}", image, ended(activity, &ending)));
                self.total.inc(1);
            }
            Event::Warning(problem) => self.print(diagnostics::render(&problem, true).trim_end()),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            for bar in std::mem::take(&mut *state).into_values() {
                bar.finish_and_clear();
            }
        }
        self.total.finish_and_clear();
    }
}
