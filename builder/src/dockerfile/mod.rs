//! Dockerfiles: from text to typed instructions, with the place of every word.
//!
//! Owns the language as BuildKit's Dockerfile frontend reads it (`frontend/dockerfile` in
//! moby/buildkit: its parser, instructions and shell lexer; the `docker/dockerfile` 1 syntax):
//! logical lines, directives, heredocs, flags, the arguments of all instructions, variable
//! expansion, and which stages, images and context files a Dockerfile refers to.
//!
//! Refuses to read a file or fetch anything, to run a step, to look an image up, and to guess: what
//! is not known is an error with its place and the nearest valid name, and all errors of a file come
//! at once. It is stricter than BuildKit in a few places where that only ignores or warns: flags on
//! instructions that have none, two stages of one name, an instruction without arguments. Frontends
//! named by a `syntax` directive are not run; the directive is there for the caller to judge.

mod ast;
mod expand;
mod flags;
mod from;
mod health;
mod heredoc;
mod instruction;
mod json;
mod lex;
mod mount;
mod pairs;
mod pattern;
mod problems;
#[cfg(test)]
mod tests;
mod text;
mod transfer;
mod uses;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use ast::{
    Arg, Command, From, Healthcheck, Heredoc, Instruction, Kind, Mount, MountOption, Pair, Run,
    Stage, Transfer, TransferSource,
};
pub use expand::{ExpandError, Expander, Expansion};
pub use flags::Flag;
pub use lex::Directives;
pub use text::Word;
pub use uses::{Base, ContextSource, ImageUse, SourceKind, UseKind};
pub use values::FileMode;

use crate::model::{Diagnostic, Diagnostics, Location, Source};
use instruction::{Parsed, Parts};
use lex::Lexer;
use problems::Problems;

/// A Dockerfile without a mistake in it, as far as that can be told without its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    source: Source,
    escape: char,
    directives: Directives,
    global_args: Vec<Instruction>,
    /// Never empty.
    stages: Vec<Stage>,
    /// Stages by name.
    names: BTreeMap<String, usize>,
}

/// Parses a whole Dockerfile.
///
/// # Errors
/// Everything that is wrong with it, at once (up to a limit), each with its place.
pub fn parse(source: &Source) -> Result<Dockerfile, Diagnostics> {
    let mut problems = Problems::new(source);
    let mut builder = Builder::default();
    let mut lexer = Lexer::new(source.text());
    while let Some(line) = lexer.next_line(&mut problems) {
        let mut parts = Parts::split(&line, 0..line.text().len(), lexer.escape());
        let openings = parts.find_heredocs();
        let parsed = instruction::parse(&parts, &mut problems);
        let (heredocs, end) = heredoc::read(source.text(), openings, &mut lexer, &mut problems);
        match parsed {
            Some(Parsed::From(from, name)) => builder.from(from, name, &mut problems),
            Some(Parsed::Instruction(mut instruction)) => {
                if let Some(end) = end {
                    instruction.span.end = end;
                }
                if let Kind::Onbuild(trigger) = &mut instruction.kind {
                    trigger.heredocs.clone_from(&heredocs);
                    trigger.span.end = instruction.span.end;
                }
                instruction.heredocs = heredocs;
                builder.instruction(instruction);
            }
            None => builder.broken(&parts),
        }
    }
    builder.finish(source, lexer, problems)
}

/// Puts instructions together into stages.
#[derive(Default)]
struct Builder {
    global_args: Vec<Instruction>,
    stages: Vec<Stage>,
    names: BTreeMap<String, usize>,
    /// The first instruction before any FROM that may not stand there.
    stray: Option<Word>,
    /// Whether a FROM was there but wrong, so that others are not to blame.
    broken_from: bool,
    any: bool,
}

impl Builder {
    fn from(&mut self, from: From, name: Option<Word>, problems: &mut Problems<'_>) {
        self.any = true;
        let index = self.stages.len();
        if let Some(name) = &name
            && let Some(first) = self.names.insert(name.text.clone(), index)
        {
            let mut problem = Diagnostic::definition(format!("second stage `{}`", name.text));
            if let Some(word) = self.stages.get(first).and_then(|stage| stage.name.as_ref()) {
                problem =
                    problem.note_at("the first is here", problems.location(word.span.clone()));
            }
            problems.add(
                problem.hint("give one of them another name"),
                name.span.clone(),
            );
        }
        self.stages.push(Stage {
            name,
            span: from.span.clone(),
            from,
            instructions: Vec::new(),
        });
    }

    fn instruction(&mut self, instruction: Instruction) {
        self.any = true;
        match (self.stages.last_mut(), &instruction.kind) {
            (Some(stage), _) => {
                stage.span.end = instruction.span.end;
                stage.instructions.push(instruction);
            }
            (None, Kind::Arg(_)) => self.global_args.push(instruction),
            (None, _) => {
                self.stray.get_or_insert(instruction.keyword);
            }
        }
    }

    fn broken(&mut self, parts: &Parts<'_>) {
        self.any = true;
        if parts.name == Some("FROM") {
            self.broken_from = true;
        }
    }

    fn finish(
        self,
        source: &Source,
        lexer: Lexer<'_>,
        mut problems: Problems<'_>,
    ) -> Result<Dockerfile, Diagnostics> {
        if !self.any {
            problems.add_to_file(
                Diagnostic::definition("Dockerfile is empty").hint("it begins with `FROM image`"),
            );
        } else if let Some(stray) = self.stray.filter(|_| !self.broken_from) {
            problems.add(
                Diagnostic::definition(format!(
                    "{} before the first FROM",
                    stray.text.to_uppercase()
                ))
                .hint("only ARG may stand before it; begin with `FROM image`"),
                stray.span,
            );
        } else if self.stages.is_empty() && !self.broken_from && problems.is_empty() {
            problems.add_to_file(
                Diagnostic::definition("Dockerfile has no FROM").hint("add `FROM image`"),
            );
        }
        let dockerfile = Dockerfile {
            source: source.clone(),
            escape: lexer.escape(),
            directives: lexer.into_directives(),
            global_args: self.global_args,
            stages: self.stages,
            names: self.names,
        };
        if !self.broken_from {
            dockerfile.check_references(&mut problems);
        }
        problems.or_ok(dockerfile)
    }
}

impl Dockerfile {
    /// The text it was parsed from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The place of a span of any of its parts.
    pub fn location(&self, span: &Range<usize>) -> Location {
        self.source.location(span.clone())
    }

    /// The parser directives at its top.
    pub fn directives(&self) -> &Directives {
        &self.directives
    }

    /// The escape character: a backslash, or a backtick where the directive says so.
    pub fn escape(&self) -> char {
        self.escape
    }

    /// The `ARG` instructions before the first `FROM`.
    pub fn global_args(&self) -> &[Instruction] {
        &self.global_args
    }

    /// The stages in order; there is at least one.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// A stage by its name, in any case.
    pub fn stage(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_lowercase()).copied()
    }

    /// The names that any `ARG` declares, before or in a stage.
    pub fn declared_args(&self) -> BTreeSet<&str> {
        let stages = self.stages.iter().flat_map(|stage| &stage.instructions);
        self.global_args
            .iter()
            .chain(stages)
            .filter_map(|instruction| match &instruction.kind {
                Kind::Arg(args) => Some(args),
                Kind::Onbuild(trigger) => match &trigger.kind {
                    Kind::Arg(args) => Some(args),
                    _ => None,
                },
                _ => None,
            })
            .flatten()
            .map(|arg| arg.name.text.as_str())
            .collect()
    }
}

/// Arguments about platforms, which `FROM` sees without a declaration.
const PLATFORM_ARGS: [&str; 11] = [
    "BUILDARCH",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
];

/// Arguments that reach every `RUN` without a declaration, in either case.
const PROXY_ARGS: [&str; 5] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];

/// Whether it is one of the arguments about platforms that `FROM` sees without a declaration.
pub fn is_platform_arg(name: &str) -> bool {
    PLATFORM_ARGS.contains(&name)
}

/// Whether it says where a proxy is: such an argument reaches every `RUN` without a declaration.
pub fn is_proxy_arg(name: &str) -> bool {
    PROXY_ARGS
        .iter()
        .any(|proxy| name == *proxy || name == proxy.to_lowercase())
}

/// Whether a build argument means something without any `ARG` that declares it: platforms,
/// proxies, `SOURCE_DATE_EPOCH`, and what BuildKit itself reads.
pub fn is_predefined_arg(name: &str) -> bool {
    is_platform_arg(name)
        || is_proxy_arg(name)
        || name == "SOURCE_DATE_EPOCH"
        || name.starts_with("BUILDKIT_")
}

/// The text with some spans replaced, everything else to the byte as it was.
///
/// Edits may come in any order. One that overlaps an earlier span, or that does not lie on
/// characters of the text, is left out.
pub fn substitute(source: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut sorted: Vec<_> = edits.iter().collect();
    sorted.sort_by_key(|(span, _)| (span.start, span.end));
    let mut result = String::with_capacity(source.len());
    let mut done = 0;
    for (span, text) in sorted {
        if span.start < done || source.get(span.clone()).is_none() {
            continue;
        }
        result.push_str(&source[done..span.start]);
        result.push_str(text);
        done = span.end;
    }
    result.push_str(&source[done..]);
    result
}
