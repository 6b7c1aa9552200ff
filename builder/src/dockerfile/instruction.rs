//! One logical line to one typed instruction.

use std::ops::Range;

use super::ast::{Command, From, Instruction, Kind, Run};
use super::flags::{self, Flag, Raw};
use super::heredoc::{self, Opening};
use super::json::{self, Array};
use super::mount;
use super::problems::{Problems, near, shown};
use super::text::{Mapped, Word, is_blank};
use super::values;
use super::{from, health, pairs, transfer};
use crate::model::Diagnostic;

/// Every instruction.
pub(super) const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A line split into its parts, which is possible for every line.
pub(super) struct Parts<'l> {
    pub(super) line: &'l Mapped,
    pub(super) escape: char,
    /// The known name, in capital letters.
    pub(super) name: Option<&'static str>,
    /// The name as written.
    pub(super) keyword: Word,
    pub(super) flags: Vec<Raw>,
    /// Everything after the flags, trimmed.
    pub(super) rest: Range<usize>,
    /// The whole, trimmed.
    pub(super) range: Range<usize>,
    /// Where the line opens heredocs, in the source.
    pub(super) openings: Vec<Range<usize>>,
}

/// A parsed line.
pub(super) enum Parsed {
    /// `FROM`, and the name it gives to the stage.
    From(From, Option<Word>),
    /// Anything else.
    Instruction(Instruction),
}

impl<'l> Parts<'l> {
    pub(super) fn split(line: &'l Mapped, range: Range<usize>, escape: char) -> Self {
        let range = line.trim(range);
        let text = &line.text()[range.clone()];
        let keyword_len = text.find(is_blank).unwrap_or(text.len());
        let keyword = line.word(range.start..range.start + keyword_len);
        let upper = keyword.text.to_uppercase();
        let name = NAMES.iter().find(|name| **name == upper).copied();
        let (flags, rest) = flags::extract(line, range.start + keyword_len..range.end);
        let rest = line.trim(rest..range.end);
        Self {
            line,
            escape,
            name,
            keyword,
            flags,
            rest,
            range,
            openings: Vec::new(),
        }
    }

    /// The instruction that `ONBUILD` puts off.
    fn trigger(&self) -> Option<Parts<'l>> {
        (self.name == Some("ONBUILD") && !self.rest.is_empty()).then(|| Parts {
            openings: self.openings.clone(),
            ..Parts::split(self.line, self.rest.clone(), self.escape)
        })
    }

    pub(super) fn text(&self) -> &'l str {
        &self.line.text()[self.rest.clone()]
    }

    fn word(&self) -> Word {
        self.line.word(self.rest.clone())
    }

    /// Whether `<<EOF` opens a heredoc here: in RUN, COPY and ADD, unless in JSON form.
    fn takes_heredocs(&self) -> bool {
        match self.name {
            Some("RUN" | "COPY" | "ADD") => matches!(json::array(self.text()), Array::None),
            Some("ONBUILD") => self
                .trigger()
                .is_some_and(|inner| inner.name != Some("ONBUILD") && inner.takes_heredocs()),
            _ => false,
        }
    }

    /// Looks for the heredocs that the line opens.
    pub(super) fn find_heredocs(&mut self) -> Vec<(Opening, Range<usize>)> {
        if !self.takes_heredocs() {
            return Vec::new();
        }
        let found = heredoc::openings(self.line);
        self.openings = found.iter().map(|(_, span)| span.clone()).collect();
        found
    }

    /// Where to point for something that is missing.
    fn keyword_span(&self) -> Range<usize> {
        self.keyword.span.clone()
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.line.span(self.range.clone())
    }
}

/// Reads a line; nothing where it is wrong, and the problems say why.
pub(super) fn parse(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Parsed> {
    let Some(name) = parts.name else {
        problems.add(unknown(&parts.keyword.text), parts.keyword_span());
        return None;
    };
    if name == "FROM" {
        let flags = flags::check(name, &parts.flags, problems);
        return from::parse(parts, flags, problems);
    }
    instruction(parts, name, problems).map(Parsed::Instruction)
}

fn unknown(keyword: &str) -> Diagnostic {
    let problem = Diagnostic::definition(format!("unknown instruction `{}`", shown(keyword)));
    let upper = keyword.to_uppercase();
    if let Some(near) = near(&upper, NAMES) {
        return problem.hint(format!("did you mean `{near}`?"));
    }
    if let Some(name) = NAMES.iter().find(|name| {
        upper
            .strip_prefix(**name)
            .is_some_and(|rest| rest.starts_with(|c: char| !c.is_ascii_alphanumeric()))
    }) {
        return problem.hint(format!("put an ordinary space after `{name}`"));
    }
    problem.hint(
        "if it belongs to the line above, that line must end in the escape character, a backslash \
         unless changed",
    )
}

fn instruction(
    parts: &Parts<'_>,
    name: &'static str,
    problems: &mut Problems<'_>,
) -> Option<Instruction> {
    let flags = flags::check(name, &parts.flags, problems);
    let complete = flags.len() == parts.flags.len();
    if !complete && parts.rest.is_empty() {
        return None;
    }
    let kind = match name {
        "ADD" => Kind::Add(transfer::parse(parts, &flags, false, problems)?),
        "COPY" => Kind::Copy(transfer::parse(parts, &flags, true, problems)?),
        "ARG" => Kind::Arg(pairs::args(parts, problems)?),
        "CMD" => Kind::Cmd(command(parts, problems)?),
        "ENTRYPOINT" => Kind::Entrypoint(command(parts, problems)?),
        "RUN" => Kind::Run(run(parts, &flags, problems)?),
        "ENV" => Kind::Env(pairs::pairs(parts, problems)?),
        "LABEL" => Kind::Label(pairs::pairs(parts, problems)?),
        "EXPOSE" => Kind::Expose(expose(parts, problems)?),
        "HEALTHCHECK" => Kind::Healthcheck(health::parse(parts, &flags, problems)?),
        "MAINTAINER" => Kind::Maintainer(single(parts, "a name", problems)?),
        "USER" => Kind::User(single(parts, "a user", problems)?),
        "WORKDIR" => Kind::Workdir(single(parts, "a directory", problems)?),
        "STOPSIGNAL" => Kind::Stopsignal(stop_signal(parts, problems)?),
        "SHELL" => Kind::Shell(shell(parts, problems)?),
        "VOLUME" => Kind::Volume(volume(parts, problems)?),
        _ => Kind::Onbuild(Box::new(onbuild(parts, problems)?)),
    };
    complete.then(|| Instruction {
        kind,
        keyword: parts.keyword.clone(),
        flags,
        heredocs: Vec::new(),
        span: parts.span(),
        original: parts.line.text()[parts.range.clone()].to_owned(),
    })
}

pub(super) fn missing(parts: &Parts<'_>, what: &str, example: &str, problems: &mut Problems<'_>) {
    let name = parts.name.unwrap_or_default();
    problems.add(
        Diagnostic::definition(format!("{name} needs {what}")).hint(format!("write {example}")),
        parts.keyword_span(),
    );
}

/// Strings of a JSON array as words.
fn strings(parts: &Parts<'_>, found: Vec<(String, Range<usize>)>) -> Vec<Word> {
    found
        .into_iter()
        .map(|(text, range)| {
            let start = parts.rest.start;
            let span = parts.line.span(start + range.start..start + range.end);
            Word { text, span }
        })
        .collect()
}

fn mixed(parts: &Parts<'_>, problems: &mut Problems<'_>) {
    problems.add(
        Diagnostic::definition("a JSON array here may hold strings only")
            .hint("put every element between double quotes"),
        parts.line.span(parts.rest.clone()),
    );
}

pub(super) fn command(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Command> {
    if parts.rest.is_empty() {
        let name = parts.name.unwrap_or_default();
        let example = match name {
            "CMD" | "ENTRYPOINT" => format!("`{name} [\"program\"]`, or `{name} []` to clear it"),
            _ => format!("`{name} command`"),
        };
        missing(parts, "a command", &example, problems);
        return None;
    }
    match json::array(parts.text()) {
        Array::Strings(found) => Some(Command::Exec(strings(parts, found))),
        Array::None => Some(Command::Shell(parts.word())),
        Array::Mixed => {
            mixed(parts, problems);
            None
        }
    }
}

fn run(parts: &Parts<'_>, flags: &[Flag], problems: &mut Problems<'_>) -> Option<Run> {
    let mut mounts = Vec::new();
    let mut good = true;
    for raw in parts
        .flags
        .iter()
        .filter(|raw| raw.is("mount") && raw.value().is_some())
    {
        match mount::parse(raw, problems) {
            Some(mount) => mounts.push(mount),
            None => good = false,
        }
    }
    for (name, values) in [
        ("network", &["default", "none", "host"][..]),
        ("security", &["sandbox", "insecure"][..]),
    ] {
        let value = flags
            .iter()
            .filter(|flag| flag.name.text == name)
            .find_map(|flag| flag.value.as_ref());
        if let Some(value) = value.filter(|value| !values.contains(&value.text.as_str())) {
            problems.add(
                Diagnostic::definition(format!(
                    "`{}` is no value of `--{name}`",
                    shown(&value.text)
                ))
                .hint(format!("there is {}", values.join(", "))),
                value.span.clone(),
            );
            good = false;
        }
    }
    let command = command(parts, problems)?;
    if matches!(&command, Command::Exec(words) if words.is_empty()) {
        missing(
            parts,
            "a command",
            "`RUN [\"program\", \"argument\"]`",
            problems,
        );
        return None;
    }
    good.then_some(Run { command, mounts })
}

/// The words of a list: a JSON array, or whatever white space separates.
pub(super) fn list(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Word>> {
    match json::array(parts.text()) {
        Array::Strings(found) => Some(strings(parts, found)),
        Array::None => Some(
            parts
                .line
                .split_blanks(parts.rest.clone())
                .into_iter()
                .map(|range| parts.line.word(range))
                .collect(),
        ),
        Array::Mixed => {
            mixed(parts, problems);
            None
        }
    }
}

fn single(parts: &Parts<'_>, what: &str, problems: &mut Problems<'_>) -> Option<Word> {
    if parts.rest.is_empty() {
        let example = format!("`{} ...`", parts.name.unwrap_or_default());
        missing(parts, what, &example, problems);
        return None;
    }
    Some(parts.word())
}

fn stop_signal(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Word> {
    let signal = single(parts, "a signal", problems)?;
    if !signal.has_variable()
        && !signal.text.contains(['"', '\''])
        && !values::is_signal(&signal.text)
    {
        let upper = signal.text.to_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        problems.add(
            Diagnostic::definition(format!("`{}` is no signal", shown(&signal.text))).hint(
                match near(name, values::SIGNALS) {
                    Some(near) => format!("did you mean `SIG{near}`?"),
                    None => "write a name such as SIGTERM, or a number".to_owned(),
                },
            ),
            signal.span,
        );
        return None;
    }
    Some(signal)
}

fn expose(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Word>> {
    let words: Vec<Word> = parts
        .line
        .split_blanks(parts.rest.clone())
        .into_iter()
        .map(|range| parts.line.word(range))
        .collect();
    if words.is_empty() {
        missing(parts, "a port", "`EXPOSE 80/tcp`", problems);
        return None;
    }
    let mut good = true;
    for word in &words {
        let plain = !word.text.contains(['$', '"', '\'', '\\', '`']);
        if plain && !values::is_port(&word.text) {
            good = false;
            problems.add(
                Diagnostic::definition(format!("`{}` is no port", shown(&word.text)))
                    .hint("a port is a number or a range up to 65535, then /tcp, /udp or /sctp"),
                word.span.clone(),
            );
        }
    }
    good.then_some(words)
}

fn volume(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Word>> {
    let words = list(parts, problems)?;
    if words.is_empty() {
        missing(parts, "a directory", "`VOLUME /data`", problems);
        return None;
    }
    if let Some(blank) = words.iter().find(|word| word.text.trim().is_empty()) {
        problems.add(
            Diagnostic::definition("a volume has an empty path").hint("name a directory"),
            blank.span.clone(),
        );
        return None;
    }
    Some(words)
}

fn shell(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Word>> {
    let example = "`SHELL [\"/bin/bash\", \"-c\"]`";
    match json::array(parts.text()) {
        Array::Strings(found) if !found.is_empty() => return Some(strings(parts, found)),
        Array::Mixed => mixed(parts, problems),
        Array::None if !parts.rest.is_empty() => problems.add(
            Diagnostic::definition("SHELL takes a JSON array only")
                .hint(format!("write {example}")),
            parts.line.span(parts.rest.clone()),
        ),
        _ => missing(parts, "a shell", example, problems),
    }
    None
}

fn onbuild(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Instruction> {
    let Some(inner) = parts.trigger() else {
        missing(parts, "an instruction", "`ONBUILD RUN command`", problems);
        return None;
    };
    match inner.name {
        None => {
            problems.add(unknown(&inner.keyword.text), inner.keyword_span());
            None
        }
        Some(name @ ("ONBUILD" | "FROM" | "MAINTAINER")) => {
            problems.add(
                Diagnostic::definition(format!("ONBUILD cannot put off {name}"))
                    .hint("any other instruction can follow it"),
                inner.keyword_span(),
            );
            None
        }
        Some(name) => instruction(&inner, name, problems),
    }
}
