//! `--html FILE`: what happens and when, kept for the page that is written in the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use super::Ending;
use super::args::HtmlArgs;
use super::console::Console;
use crate::event::{Event, Sink};
use crate::gate::Checked;
use crate::graph::ImageGraph;
use crate::model::{Diagnostic, Diagnostics, ImageName};
use crate::report::Summary;
use crate::report::html::{Parents, Run, Timeline};

/// The page of a run, or nothing where none was asked for.
pub(super) struct Page(Option<Asked>);

struct Asked {
    path: PathBuf,
    file: File,
    clock: Instant,
    begun: SystemTime,
    timeline: Mutex<Timeline>,
}

impl Page {
    /// To be called before the work, with when the command began: a file that cannot be written is
    /// found before an hour is spent.
    pub(super) fn begin(args: &HtmlArgs, clock: Instant) -> Result<Self, Diagnostic> {
        let Some(path) = args.html.clone() else {
            return Ok(Self(None));
        };
        let file = File::create(&path).map_err(|e| unwritable(&path, &e))?;
        let now = SystemTime::now();
        Ok(Self(Some(Asked {
            path,
            file,
            clock,
            begun: now.checked_sub(clock.elapsed()).unwrap_or(now),
            timeline: Mutex::default(),
        })))
    }

    /// To be called once all is done and told: how the command ends, which is not well where all was but
    /// the page.
    pub(super) fn end(
        self,
        graph: &ImageGraph,
        summary: &Summary,
        checked: &BTreeMap<ImageName, Checked>,
        ending: Ending,
        console: &Console,
    ) -> Result<Ending, Diagnostics> {
        match self.write(graph, summary, checked) {
            Ok(()) => Ok(ending),
            Err(problem) if ending == Ending::Good => Err(problem.into()),
            Err(problem) => {
                console.warn(&problem);
                Ok(ending)
            }
        }
    }

    fn write(
        self,
        graph: &ImageGraph,
        summary: &Summary,
        checked: &BTreeMap<ImageName, Checked>,
    ) -> Result<(), Diagnostic> {
        let Some(asked) = self.0 else {
            return Ok(());
        };
        // A sink that panicked has left what came before.
        let timeline = asked.timeline.into_inner();
        let timeline = timeline.unwrap_or_else(std::sync::PoisonError::into_inner);
        let run = Run {
            summary,
            parents: &Parents::of(graph),
            timeline: &timeline,
            checked,
            begun: asked.begun,
        };
        let mut file = asked.file;
        file.write_all(run.html().as_bytes())
            .map_err(|e| unwritable(&asked.path, &e))
    }
}

fn unwritable(path: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::environment(format!("cannot write {}: {error}", path.display()))
        .hint("--html names the file that the page is written to; its folder has to be there")
}

impl Sink for Page {
    fn emit(&self, event: Event) {
        if let Some(asked) = &self.0
            && let Ok(mut timeline) = asked.timeline.lock()
        {
            timeline.take(asked.clock.elapsed(), event);
        }
    }
}
