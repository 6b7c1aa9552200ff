//! What a Dockerfile needs from outside: images, and files of its context.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::ast::{Instruction, Kind, TransferSource};
use super::expand::Expander;
use super::problems::{Problems, near, shown};
use super::text::Word;
use super::{Dockerfile, is_platform_arg};
use crate::model::{Diagnostic, Diagnostics, Location, Reference, Source, did_you_mean};

/// The longest image reference after expansion: a registry, 255 for the path, a tag and a digest.
const MAX_IMAGE: usize = 1024;

/// How much the global arguments may hold together once expanded.
const MAX_SCOPE: usize = 4 << 20;

/// One reference to an image that is not a stage of the same Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The reference with variables expanded, otherwise as written.
    pub image: String,
    /// The word in the source, which [`super::substitute`] may replace as a whole.
    pub span: Range<usize>,
    /// What for.
    pub kind: UseKind,
    /// The stage that needs it, counted from 0.
    pub stage: usize,
    /// For `FROM`, the expanded `--platform`, where it is given and not empty.
    pub platform: Option<String>,
    source: Source,
}

impl ImageUse {
    /// Where it is written.
    pub fn location(&self) -> Location {
        self.source.location(self.span.clone())
    }
}

/// What an image is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseKind {
    /// `FROM image`
    From,
    /// `COPY --from=image`
    CopyFrom,
    /// `RUN --mount=from=image`
    MountFrom,
}

/// A path of the build context that a Dockerfile reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSource {
    /// The path, quotes and escapes removed; as written where it holds variables.
    pub path: String,
    /// The word in the source.
    pub span: Range<usize>,
    /// The stage that reads it, counted from 0.
    pub stage: usize,
    /// What reads it.
    pub kind: SourceKind,
    /// Whether it holds variables, so that it is not known here which path it is.
    pub variable: bool,
    /// Whether it holds `*`, `?` or `[`, so that it may name any number of files.
    pub glob: bool,
    source: Source,
}

impl ContextSource {
    /// Where it is written.
    pub fn location(&self) -> Location {
        self.source.location(self.span.clone())
    }
}

/// What reads a path of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `COPY`
    Copy,
    /// `ADD`
    Add,
    /// `RUN --mount=type=bind`
    Mount,
}

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// A stage above, counted from 0.
    Stage(usize),
    /// An image, by its reference.
    Image(String),
}

/// What a `from` of COPY or a mount names.
enum Named {
    Stage(usize),
    Scratch,
    Image,
}

impl Dockerfile {
    /// Every reference to an image, in the order written, stages of this file and `scratch` left
    /// out; all stages count, also those that the last one does not need.
    ///
    /// Variables are those of the global scope: what `ARG` declares before the first `FROM`, with
    /// values from `args` over defaults, and the platform arguments in `args`, which need no
    /// declaration. `COPY --from` and mounts take no variables. What `ONBUILD` puts off counts only
    /// where a stage of this file starts from the one that says it.
    ///
    /// # Errors
    /// All references that are empty or cannot be expanded.
    pub fn image_uses(
        &self,
        args: &BTreeMap<String, String>,
    ) -> Result<Vec<ImageUse>, Diagnostics> {
        let mut problems = Problems::new(&self.source);
        let scope = self.scope(args, &mut problems);
        let bases = self.bases(&scope, &mut problems);
        let mut uses = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if let Some(Base::Image(image)) = &bases[index] {
                uses.push(ImageUse {
                    image: image.clone(),
                    span: stage.from.image.span.clone(),
                    kind: UseKind::From,
                    stage: index,
                    platform: self.platform(index, &scope, &mut problems),
                    source: self.source.clone(),
                });
            }
            self.each_from(index, &bases, |word, kind| {
                if let Some(Named::Image) = self.named(word, kind, index, &mut problems) {
                    uses.push(ImageUse {
                        image: word.text.clone(),
                        span: word.span.clone(),
                        kind,
                        stage: index,
                        platform: None,
                        source: self.source.clone(),
                    });
                }
            });
        }
        problems.or_ok(uses)
    }

    /// The stages that building `target`, or else the last stage, needs: itself, what it starts
    /// from, and what it copies from or mounts, counted from 0 and in order.
    ///
    /// # Errors
    /// As [`Self::image_uses`], and when there is no such stage.
    pub fn needed_stages(
        &self,
        target: Option<&str>,
        args: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<usize>, Diagnostics> {
        let mut problems = Problems::new(&self.source);
        let scope = self.scope(args, &mut problems);
        let bases = self.bases(&scope, &mut problems);
        let start = match target {
            None => self.stages.len().checked_sub(1),
            Some(name) => {
                let found = self.names.get(&name.to_lowercase()).copied();
                if found.is_none() {
                    let names = self.names.keys().map(String::as_str);
                    problems.add_to_file(
                        Diagnostic::definition(format!("no stage `{}`", shown(name)))
                            .maybe_hint(did_you_mean(&name.to_lowercase(), names)),
                    );
                }
                found
            }
        };
        let mut needed = BTreeSet::new();
        let mut waiting: Vec<usize> = start.into_iter().collect();
        while let Some(index) = waiting.pop() {
            if !needed.insert(index) {
                continue;
            }
            if let Some(Base::Stage(base)) = bases[index] {
                waiting.push(base);
            }
            self.each_from(index, &bases, |word, kind| {
                if let Some(Named::Stage(stage)) = self.named(word, kind, index, &mut problems) {
                    waiting.push(stage);
                }
            });
        }
        problems.or_ok(needed)
    }

    /// What `FROM` says of a stage: what it starts from and for which platform, variables expanded.
    /// Each is valid once [`Self::image_uses`] found no problem.
    pub fn base(
        &self,
        stage: usize,
        args: &BTreeMap<String, String>,
    ) -> Option<(Base, Option<String>)> {
        let mut ignored = Problems::new(&self.source);
        let scope = self.scope(args, &mut ignored);
        let base = self.bases(&scope, &mut ignored).into_iter().nth(stage)??;
        Some((base, self.platform(stage, &scope, &mut ignored)))
    }

    /// What the `from` of a COPY or of a mount in a stage means; nothing where that is an error.
    pub fn source_of(&self, word: &Word, kind: UseKind, stage: usize) -> Option<Base> {
        let mut ignored = Problems::new(&self.source);
        Some(match self.named(word, kind, stage, &mut ignored)? {
            Named::Stage(stage) => Base::Stage(stage),
            Named::Scratch => Base::Scratch,
            Named::Image => Base::Image(word.text.clone()),
        })
    }

    /// The variables that `FROM` sees, and that an `ARG` without a default takes its value from.
    pub fn global_scope(&self, args: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        self.scope(args, &mut Problems::new(&self.source))
    }

    /// The paths of the context that COPY, ADD and bind mounts read: no URLs, repositories,
    /// heredocs, or anything `--from` elsewhere.
    pub fn context_sources(&self) -> Vec<ContextSource> {
        let none = BTreeMap::new();
        let mut ignored = Problems::new(&self.source);
        let bases = self.bases(&none, &mut ignored);
        let expander = Expander::new(&none, self.escape);
        let mut found = Vec::new();
        for index in 0..self.stages.len() {
            let mut add = |word: &Word, kind| {
                let plain = match expander.expand(&word.text) {
                    Ok(plain) if !word.has_variable() => Some(plain.text),
                    _ => None,
                };
                found.push(ContextSource {
                    variable: plain.is_none(),
                    glob: word.text.contains(['*', '?', '[']),
                    path: plain.unwrap_or_else(|| word.text.clone()),
                    span: word.span.clone(),
                    stage: index,
                    kind,
                    source: self.source.clone(),
                });
            };
            for instruction in self.effective(index, &bases) {
                let (transfer, kind) = match &instruction.kind {
                    Kind::Copy(transfer) => (transfer, SourceKind::Copy),
                    Kind::Add(transfer) => (transfer, SourceKind::Add),
                    Kind::Run(run) => {
                        for mount in &run.mounts {
                            if mount.kind() == "bind"
                                && mount.option("from").is_none()
                                && let Some(path) = mount.option("source")
                            {
                                add(path, SourceKind::Mount);
                            }
                        }
                        continue;
                    }
                    _ => continue,
                };
                if instruction.flag("from").is_some() {
                    continue;
                }
                for source in &transfer.sources {
                    if let TransferSource::Path(path) = source {
                        add(path, kind);
                    }
                }
            }
        }
        found
    }

    /// What `ADD` downloads without a `--checksum`, or clones without one and by anything but a whole
    /// commit id: what arrives may be another thing tomorrow.
    pub fn unsaid_sources(&self) -> Vec<Location> {
        let none = BTreeMap::new();
        let bases = self.bases(&none, &mut Problems::new(&self.source));
        let stages = 0..self.stages.len();
        let all = stages.flat_map(|index| self.effective(index, &bases));
        let mut found = Vec::new();
        for instruction in all {
            let Kind::Add(transfer) = &instruction.kind else {
                continue;
            };
            if instruction.flag("checksum").is_some() {
                continue;
            }
            for source in &transfer.sources {
                let word = match source {
                    TransferSource::Url(word) => word,
                    TransferSource::Git(word) if !names_commit(&word.text) => word,
                    _ => continue,
                };
                found.push(self.source.location(word.span.clone()));
            }
        }
        found
    }

    /// The variables that `FROM` sees.
    fn scope(
        &self,
        args: &BTreeMap<String, String>,
        problems: &mut Problems<'_>,
    ) -> BTreeMap<String, String> {
        let mut scope: BTreeMap<String, String> = args
            .iter()
            .filter(|(name, _)| is_platform_arg(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut left = MAX_SCOPE;
        for instruction in &self.global_args {
            let Kind::Arg(declared) = &instruction.kind else {
                continue;
            };
            for arg in declared {
                let value = match (args.get(&arg.name.text), &arg.default) {
                    (Some(value), _) => value.clone(),
                    (None, None) => continue,
                    (None, Some(default)) => {
                        let Some(value) = self.expand(default, &scope, left, problems) else {
                            continue;
                        };
                        left -= value.0.len();
                        value.0
                    }
                };
                scope.insert(arg.name.text.clone(), value);
            }
        }
        scope
    }

    /// A word expanded, and the variables that it asks for and that have no value.
    fn expand(
        &self,
        word: &Word,
        scope: &BTreeMap<String, String>,
        limit: usize,
        problems: &mut Problems<'_>,
    ) -> Option<(String, BTreeSet<String>)> {
        let expander = Expander::new(scope, self.escape).limit(limit);
        match expander.expand(&word.text) {
            Ok(expansion) => Some((expansion.text, expansion.unset)),
            Err(error) => {
                let exact = word.text.len() == word.span.len();
                let span = if exact {
                    word.span.start + error.at.start..word.span.start + error.at.end
                } else {
                    word.span.clone()
                };
                problems.add(Diagnostic::definition(error.message).hint(error.hint), span);
                None
            }
        }
    }

    /// What each stage starts from, where that can be told.
    fn bases(
        &self,
        scope: &BTreeMap<String, String>,
        problems: &mut Problems<'_>,
    ) -> Vec<Option<Base>> {
        let mut bases = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let word = &stage.from.image;
            let base = self
                .expand(word, scope, MAX_IMAGE, problems)
                .and_then(|(image, unset)| {
                    if image.trim().is_empty()
                        || (!unset.is_empty() && Reference::parse(&image).is_err())
                    {
                        problems.add(self.unset_problem(&image, &unset, scope), word.span.clone());
                        return None;
                    }
                    Some(match self.names.get(&image.to_lowercase()) {
                        Some(earlier) if *earlier < index => Base::Stage(*earlier),
                        _ if image == "scratch" => Base::Scratch,
                        _ => Base::Image(image),
                    })
                });
            bases.push(base);
        }
        bases
    }

    fn unset_problem(
        &self,
        image: &str,
        unset: &BTreeSet<String>,
        scope: &BTreeMap<String, String>,
    ) -> Diagnostic {
        let problem = Diagnostic::definition(if image.trim().is_empty() {
            "FROM names no image once its variables are expanded".to_owned()
        } else {
            format!("FROM becomes `{}`, which is no image", shown(image))
        });
        unset.iter().fold(problem, |problem, name| {
            let declared = self.global_args.iter().any(|instruction| {
                matches!(&instruction.kind, Kind::Arg(args)
                    if args.iter().any(|arg| arg.name.text == *name))
            });
            let hint = if declared {
                format!("`{name}` has no value: give the build argument, or ARG a default")
            } else if let Some(near) = near(name, scope.keys().map(String::as_str)) {
                format!("`{name}` is not set; did you mean `{near}`?")
            } else {
                format!("declare `ARG {name}=...` before the first FROM")
            };
            problem.hint(hint)
        })
    }

    fn platform(
        &self,
        index: usize,
        scope: &BTreeMap<String, String>,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let word = self.stages.get(index)?.from.platform.as_ref()?;
        let (platform, unset) = self.expand(word, scope, MAX_IMAGE, problems)?;
        if platform.is_empty() {
            if !unset.iter().any(|name| is_platform_arg(name)) {
                problems.add(
                    Diagnostic::definition("`--platform` is empty once its variables are expanded")
                        .hint("give it a value such as linux/amd64, or remove the flag"),
                    word.span.clone(),
                );
            }
            return None;
        }
        Some(platform)
    }

    /// The instructions that run in a stage: first what `ONBUILD` put off in the stage it starts
    /// from, then its own.
    fn effective<'s>(
        &'s self,
        index: usize,
        bases: &[Option<Base>],
    ) -> impl Iterator<Item = &'s Instruction> + use<'s> {
        let parent: &[Instruction] = match bases.get(index) {
            Some(Some(Base::Stage(base))) => &self.stages[*base].instructions,
            _ => &[],
        };
        let triggers = parent
            .iter()
            .filter_map(|instruction| match &instruction.kind {
                Kind::Onbuild(trigger) => Some(&**trigger),
                _ => None,
            });
        let own = self.stages[index].instructions.iter();
        triggers.chain(own.filter(|instruction| !matches!(instruction.kind, Kind::Onbuild(_))))
    }

    /// Calls back for each `from` of COPY and of mounts in a stage.
    fn each_from(
        &self,
        index: usize,
        bases: &[Option<Base>],
        mut found: impl FnMut(&Word, UseKind),
    ) {
        for instruction in self.effective(index, bases) {
            match &instruction.kind {
                Kind::Copy(_) => {
                    if let Some(from) = instruction.flag("from") {
                        found(from, UseKind::CopyFrom);
                    }
                }
                Kind::Run(run) => {
                    for mount in &run.mounts {
                        if matches!(mount.kind().as_str(), "bind" | "cache")
                            && let Some(from) = mount.option("from")
                            && !from.text.is_empty()
                        {
                            found(from, UseKind::MountFrom);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// What a `from` names, seen from a stage: for COPY an index, then a stage's name in any case,
    /// then `scratch`, then an image.
    fn named(
        &self,
        word: &Word,
        kind: UseKind,
        index: usize,
        problems: &mut Problems<'_>,
    ) -> Option<Named> {
        let number = word
            .text
            .parse::<i64>()
            .ok()
            .filter(|_| kind == UseKind::CopyFrom);
        let stage = match number {
            Some(number) => match usize::try_from(number) {
                Ok(number) if number < self.stages.len() => Some(number),
                _ => {
                    let last = self.stages.len() - 1;
                    problems.add(
                        Diagnostic::definition(format!("there is no stage {number}")).hint(
                            format!("stages count from 0, and the last one here is {last}"),
                        ),
                        word.span.clone(),
                    );
                    return None;
                }
            },
            None => self.names.get(&word.text.to_lowercase()).copied(),
        };
        match stage {
            Some(stage) if stage < index => Some(Named::Stage(stage)),
            Some(stage) => {
                let at = problems.location(self.stages[stage].from.span.clone());
                let (what, hint) = if stage == index {
                    (
                        "a stage cannot copy from itself",
                        "name an earlier stage or an image",
                    )
                } else {
                    (
                        "a stage cannot copy from a later one",
                        "move that stage above this one",
                    )
                };
                problems.add(
                    Diagnostic::definition(what)
                        .note_at("the stage is here", at)
                        .hint(hint),
                    word.span.clone(),
                );
                None
            }
            None if word.text == "scratch" => Some(Named::Scratch),
            None => Some(Named::Image),
        }
    }

    /// Checks what can be checked without knowing any argument.
    pub(super) fn check_references(&self, problems: &mut Problems<'_>) {
        for index in 0..self.stages.len() {
            self.each_from(index, &[], |word, kind| {
                self.named(word, kind, index, problems);
            });
        }
    }
}
/// `https://host/repository.git#COMMIT[:FOLDER]`, with 40 or 64 digits.
fn names_commit(address: &str) -> bool {
    let Some((_, fragment)) = address.split_once('#') else {
        return false;
    };
    let commit = fragment.split(':').next().unwrap_or_default();
    matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit())
}
