use serde::Serialize;

use super::table::{human_seconds, human_size, table};
use crate::model::{Class, Fingerprint, ImageId, ImageName, Reference, ServiceName};
use crate::publish::Pushed;

/// What a run did, for the table at its end and for machines; `docs/json.md` describes the latter.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The version of this shape.
    pub schema: u32,
    /// "build", "push".
    pub command: &'static str,
    /// Whether everything that was asked for was done.
    pub ok: bool,
    /// What was used.
    pub engine: String,
    /// Wall time of the whole run, seconds.
    pub seconds: f64,
    /// Every image of the plan.
    pub images: Vec<ImageReport>,
}

/// What became of one image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// The image.
    pub image: ImageName,
    /// Its service.
    pub service: ServiceName,
    /// How it ended.
    pub status: Status,
    /// Why it was built, or reused, or not.
    pub reason: String,
    /// Wall time spent on it, seconds; none where nothing was done.
    pub seconds: Option<f64>,
    /// Unpacked bytes, shared layers included.
    pub size: Option<u64>,
    /// The engine's name for it.
    pub id: Option<ImageId>,
    /// What it is made of, as one value.
    pub fingerprint: Fingerprint,
    /// What it is called now.
    pub tags: Vec<Reference>,
    /// What was sent, with digests.
    pub pushed: Vec<Pushed>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The image's log file, where it has one.
    pub log: Option<std::path::PathBuf>,
}

/// How an image ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was built.
    Built,
    /// The engine had it.
    Reused,
    /// It was sent to the registry.
    Pushed,
    /// Its smoke test succeeded.
    Tested,
    /// It was not needed.
    Skipped,
    /// It failed.
    Failed,
    /// An image that it is made from failed.
    Blocked,
    /// The run ended before it was done.
    Cancelled,
}

impl Status {
    /// Every one, in the order in which they are counted.
    pub(super) const ALL: [Self; 8] = [
        Self::Built,
        Self::Reused,
        Self::Pushed,
        Self::Tested,
        Self::Skipped,
        Self::Failed,
        Self::Blocked,
        Self::Cancelled,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Reused => "reused",
            Self::Pushed => "pushed",
            Self::Tested => "tested",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What went wrong with an image.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Its class.
    pub class: Class,
    /// The message.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
    /// For a blocked image, the image that failed.
    pub blocked_by: Option<ImageName>,
}

impl Summary {
    /// The table at the end of a run: image, action, seconds, size, tag or digest.
    pub fn table(&self, width: Option<u16>) -> String {
        let rows = self
            .images
            .iter()
            .map(|image| {
                let last = match (&image.failure, image.pushed.as_slice()) {
                    (
                        Some(Failure {
                            blocked_by: Some(by),
                            ..
                        }),
                        _,
                    ) => format!("blocked by {by}"),
                    (Some(_), _) => String::new(),
                    (None, []) => image
                        .tags
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("\n"),
                    (None, pushed) => pushed
                        .iter()
                        .map(|p| format!("{}\n{}", p.reference, p.digest))
                        .collect::<Vec<_>>()
                        .join("\n"),
                };
                vec![
                    image.image.to_string(),
                    image.status.word().to_owned(),
                    image.seconds.map(human_seconds).unwrap_or_default(),
                    image.size.map(human_size).unwrap_or_default(),
                    last,
                ]
            })
            .collect();
        let last = if self.images.iter().any(|i| !i.pushed.is_empty()) {
            "TAG AND DIGEST"
        } else {
            "TAG"
        };
        table(width, &["IMAGE", "ACTION", ">TIME", ">SIZE", last], rows)
    }

    /// One line that says it all: "2 built, 18 reused in 12 s".
    pub fn line(&self) -> String {
        let counts: Vec<String> = Status::ALL
            .into_iter()
            .filter_map(|status| {
                let count = self.images.iter().filter(|i| i.status == status).count();
                (count > 0).then(|| format!("{count} {}", status.word().to_lowercase()))
            })
            .collect();
        let counts = if counts.is_empty() {
            "nothing to do".to_owned()
        } else {
            counts.join(", ")
        };
        format!("{counts} in {}", human_seconds(self.seconds))
    }
}
