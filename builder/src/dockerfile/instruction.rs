//! One logical line to one typed instruction.

use std::ops::Range;

use super::ast::{
    Arg, Command, From, Healthcheck, Instruction, Kind, Pair, Run, Transfer, TransferSource,
};
use super::flags::{self, Flag, Raw};
use super::heredoc::{self, Opening};
use super::json::{self, Array};
use super::mount;
use super::problems::{Problems, near, shown};
use super::text::{Mapped, Word, is_blank};
use super::values;
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
    line: &'l Mapped,
    escape: char,
    /// The known name, in capital letters.
    pub(super) name: Option<&'static str>,
    /// The name as written.
    pub(super) keyword: Word,
    flags: Vec<Raw>,
    /// Everything after the flags, trimmed.
    rest: Range<usize>,
    /// The whole, trimmed.
    pub(super) range: Range<usize>,
    /// Where the line opens heredocs, in the source.
    openings: Vec<Range<usize>>,
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

    fn text(&self) -> &'l str {
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

    fn span(&self) -> Range<usize> {
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
        return from(parts, flags, problems);
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
        "ADD" => Kind::Add(transfer(parts, &flags, false, problems)?),
        "COPY" => Kind::Copy(transfer(parts, &flags, true, problems)?),
        "ARG" => Kind::Arg(args(parts, problems)?),
        "CMD" => Kind::Cmd(command(parts, problems)?),
        "ENTRYPOINT" => Kind::Entrypoint(command(parts, problems)?),
        "RUN" => Kind::Run(run(parts, &flags, problems)?),
        "ENV" => Kind::Env(pairs(parts, problems)?),
        "LABEL" => Kind::Label(pairs(parts, problems)?),
        "EXPOSE" => Kind::Expose(expose(parts, problems)?),
        "HEALTHCHECK" => Kind::Healthcheck(healthcheck(parts, &flags, problems)?),
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

fn missing(parts: &Parts<'_>, what: &str, example: &str, problems: &mut Problems<'_>) {
    let name = parts.name.unwrap_or_default();
    problems.add(
        Diagnostic::definition(format!("{name} needs {what}")).hint(format!("write {example}")),
        parts.keyword_span(),
    );
}

fn from(parts: &Parts<'_>, flags: Vec<Flag>, problems: &mut Problems<'_>) -> Option<Parsed> {
    let words = parts.line.split_blanks(parts.rest.clone());
    let text = |range: &Range<usize>| &parts.line.text()[range.clone()];
    let (image, name) = match words.as_slice() {
        [] => {
            missing(
                parts,
                "an image",
                "`FROM image` or `FROM image AS name`",
                problems,
            );
            return None;
        }
        [image] => (image, None),
        [image, as_word, name] if text(as_word).eq_ignore_ascii_case("as") => (image, Some(name)),
        [_, second, ..] => {
            let hint = if words.iter().any(|word| text(word).starts_with('#')) {
                "a comment needs a line of its own"
            } else if text(second).eq_ignore_ascii_case("as") && words.len() == 2 {
                "a name must follow AS"
            } else {
                "write `FROM image` or `FROM image AS name`"
            };
            problems.add(
                Diagnostic::definition(format!("FROM has {} words", words.len())).hint(hint),
                parts.line.span(second.start..parts.rest.end),
            );
            return None;
        }
    };
    let name = match name.map(|range| parts.line.word(range.clone())) {
        Some(mut word) => {
            let lower = word.text.to_lowercase();
            let good = lower.starts_with(|c: char| c.is_ascii_lowercase())
                && lower
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
            if !good {
                problems.add(
                    Diagnostic::definition(format!(
                        "`{}` cannot be the name of a stage",
                        shown(&word.text)
                    ))
                    .hint("a name begins with a letter and has letters, digits, `-`, `_` and `.`"),
                    word.span,
                );
                return None;
            }
            word.text = lower;
            Some(word)
        }
        None => None,
    };
    let from = From {
        image: parts.line.word(image.clone()),
        platform: flags.into_iter().find_map(|flag| flag.value),
        span: parts.span(),
    };
    Some(Parsed::From(from, name))
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

fn command(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Command> {
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
fn list(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Word>> {
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

fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What `ADD` clones: `git@host:path`, `ssh://`, `git://`, and HTTP where the path ends in `.git`.
fn is_git(text: &str) -> bool {
    let path = text.split(['#', '?']).next().unwrap_or(text);
    ["git@", "ssh://", "git://"]
        .iter()
        .any(|p| text.starts_with(p))
        || (is_http(text) && path.ends_with(".git"))
}

fn transfer(
    parts: &Parts<'_>,
    flags: &[Flag],
    copy: bool,
    problems: &mut Problems<'_>,
) -> Option<Transfer> {
    let name = parts.name.unwrap_or_default();
    let mut words = list(parts, problems)?;
    if words.len() < 2 {
        let what = if words.is_empty() {
            "a source and a destination"
        } else {
            "a destination"
        };
        missing(
            parts,
            what,
            &format!("`{name} source... destination`"),
            problems,
        );
        return None;
    }
    let json = matches!(json::array(parts.text()), Array::Strings(_));
    let destination = words.pop()?;
    let mut good = true;
    let mut wrong = |message: String, hint: &str, span: Range<usize>| {
        good = false;
        problems.add(Diagnostic::definition(message).hint(hint), span);
    };
    if !json && heredoc::opening(&destination.text).is_some() {
        wrong(
            format!("{name} cannot have a heredoc as its destination"),
            "put a path after it",
            destination.span.clone(),
        );
    }
    let mut sources = Vec::new();
    let mut used: Vec<bool> = parts
        .openings
        .iter()
        .map(|span| *span == destination.span)
        .collect();
    for word in words {
        let heredoc = !json && heredoc::opening(&word.text).is_some();
        if heredoc {
            match parts
                .openings
                .binary_search_by_key(&word.span.start, |span| span.start)
            {
                Ok(index) => {
                    used[index] = true;
                    sources.push(TransferSource::Heredoc(index));
                }
                Err(_) => wrong(
                    format!("`{}` opens no heredoc here", shown(&word.text)),
                    "a quote or a brace of the line is not closed",
                    word.span,
                ),
            }
        } else if !json && matches!(word.text.as_str(), "<<" | "<<-") {
            used.fill(true);
            wrong(
                format!("`{}` has no delimiter", word.text),
                "write `<<EOF` without white space between",
                word.span,
            );
        } else if is_git(&word.text) {
            if copy {
                wrong(
                    "COPY cannot clone a repository".to_owned(),
                    "use ADD",
                    word.span.clone(),
                );
            }
            sources.push(TransferSource::Git(word));
        } else if is_http(&word.text) {
            if copy {
                wrong(
                    "COPY cannot fetch a URL".to_owned(),
                    "use ADD",
                    word.span.clone(),
                );
            }
            sources.push(TransferSource::Url(word));
        } else {
            sources.push(TransferSource::Path(word));
        }
    }
    if let Some(index) = used.iter().position(|used| !used) {
        wrong(
            format!("{name} cannot read this heredoc"),
            "its delimiter is also the file's name and may hold no white space",
            parts.openings[index].clone(),
        );
    }
    let value = |name: &str| {
        flags
            .iter()
            .filter(|flag| flag.name.text == name)
            .find_map(|flag| flag.value.as_ref())
    };
    if let Some(mode) = value("chmod").filter(|mode| !mode.has_variable())
        && !values::is_mode(&mode.text)
    {
        wrong(
            format!("`{}` is no mode", shown(&mode.text)),
            "a mode is octal and at most 7777, such as 0755, or symbolic, such as u+x",
            mode.span.clone(),
        );
    }
    if let Some(from) = value("from") {
        if from.text.is_empty() {
            wrong(
                "`--from` has no value".to_owned(),
                "name a stage or an image, or remove the flag",
                from.span.start.saturating_sub(1)..from.span.end,
            );
        } else if mount::variable(&from.text) {
            wrong(
                "`--from` takes no variables".to_owned(),
                "name a stage: `FROM $IMAGE AS name` above, then `--from=name`",
                from.span.clone(),
            );
        }
    }
    good.then_some(Transfer {
        sources,
        destination,
    })
}

/// Words in which quotes group and the escape character protects; both stay in the text.
fn quoted_words(parts: &Parts<'_>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = parts.text().char_indices();
    let at = |i: usize| parts.rest.start + i;
    while let Some((i, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(start..at(i));
            }
            continue;
        }
        start.get_or_insert(at(i));
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == parts.escape && quote != Some('\'') => {
                chars.next();
            }
            _ => {}
        }
    }
    if let Some(start) = start {
        words.push(start..parts.rest.end);
    }
    words
}

/// Splits `name=value`.
fn split_pair(parts: &Parts<'_>, range: &Range<usize>) -> Option<(Word, Word)> {
    let equals = range.start + parts.line.text()[range.clone()].find('=')?;
    let mut value = parts.line.word(equals + 1..range.end);
    if value.text.is_empty() {
        let end = parts.line.span(equals..equals + 1).end;
        value.span = end..end;
    }
    Some((parts.line.word(range.start..equals), value))
}

fn blank_name(parts: &Parts<'_>, range: &Range<usize>, problems: &mut Problems<'_>) {
    problems.add(
        Diagnostic::definition("there is no name before the `=`").hint("write `name=value`"),
        parts.line.span(range.clone()),
    );
}

fn pairs(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Pair>> {
    let words = quoted_words(parts);
    let Some(first) = words.first() else {
        missing(
            parts,
            "a name and a value",
            &format!("`{} name=value`", parts.name.unwrap_or_default()),
            problems,
        );
        return None;
    };
    if !parts.line.text()[first.clone()].contains('=') {
        let text = parts.text();
        let name_len = text.find(is_blank).unwrap_or(text.len());
        let gap = text[name_len..].find(|c| !is_blank(c));
        let Some(gap) = gap else {
            let name = shown(text);
            problems.add(
                Diagnostic::definition(format!("`{name}` has no value")).hint(format!(
                    "write `{name}=value`, or `{name}=` for an empty one"
                )),
                parts.line.span(parts.rest.clone()),
            );
            return None;
        };
        let start = parts.rest.start;
        return Some(vec![Pair {
            name: parts.line.word(start..start + name_len),
            value: parts.line.word(start + name_len + gap..parts.rest.end),
        }]);
    }
    let mut pairs = Vec::new();
    let mut good = true;
    for range in words {
        match split_pair(parts, &range) {
            Some((name, _)) if name.text.is_empty() => {
                good = false;
                blank_name(parts, &range, problems);
            }
            Some((name, value)) => pairs.push(Pair { name, value }),
            None => {
                good = false;
                let text = shown(&parts.line.text()[range.clone()]);
                problems.add(
                    Diagnostic::definition(format!("`{text}` has no `=`"))
                        .hint("write `name=value`, and quote a value that holds white space"),
                    parts.line.span(range),
                );
            }
        }
    }
    good.then_some(pairs)
}

fn args(parts: &Parts<'_>, problems: &mut Problems<'_>) -> Option<Vec<Arg>> {
    let words = quoted_words(parts);
    if words.is_empty() {
        missing(
            parts,
            "a name",
            "`ARG name` or `ARG name=default`",
            problems,
        );
        return None;
    }
    let mut args = Vec::new();
    for range in words {
        match split_pair(parts, &range) {
            Some((name, _)) if name.text.is_empty() => {
                blank_name(parts, &range, problems);
                return None;
            }
            Some((name, default)) => args.push(Arg {
                name,
                default: Some(default),
            }),
            None => args.push(Arg {
                name: parts.line.word(range),
                default: None,
            }),
        }
    }
    Some(args)
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

fn healthcheck(
    parts: &Parts<'_>,
    flags: &[Flag],
    problems: &mut Problems<'_>,
) -> Option<Healthcheck> {
    let text = parts.text();
    let kind_len = text.find(char::is_whitespace).unwrap_or(text.len());
    let kind = parts.rest.start..parts.rest.start + kind_len;
    let inner = Parts {
        line: parts.line,
        escape: parts.escape,
        name: parts.name,
        keyword: parts.keyword.clone(),
        flags: Vec::new(),
        rest: parts.line.trim(kind.end..parts.rest.end),
        range: parts.range.clone(),
        openings: Vec::new(),
    };
    match text[..kind_len].to_uppercase().as_str() {
        "" => {
            missing(parts, "CMD or NONE", "`HEALTHCHECK CMD command`", problems);
            None
        }
        "NONE" if inner.rest.is_empty() => Some(Healthcheck::None),
        "NONE" => {
            problems.add(
                Diagnostic::definition("HEALTHCHECK NONE takes no arguments")
                    .hint("remove what follows it"),
                parts.line.span(inner.rest),
            );
            None
        }
        "CMD" => {
            let command = command(&inner, problems)?;
            if matches!(&command, Command::Exec(words) if words.is_empty()) {
                missing(
                    parts,
                    "a command",
                    "`HEALTHCHECK CMD [\"program\"]`",
                    problems,
                );
                return None;
            }
            Some(Healthcheck::Command {
                command,
                interval: time(flags, "interval", problems)?,
                timeout: time(flags, "timeout", problems)?,
                start_period: time(flags, "start-period", problems)?,
                start_interval: time(flags, "start-interval", problems)?,
                retries: retries(flags, problems)?,
            })
        }
        other => {
            problems.add(
                Diagnostic::definition(format!("HEALTHCHECK has no form `{}`", shown(other)))
                    .hint("write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`"),
                parts.line.span(kind),
            );
            None
        }
    }
}

fn time(
    flags: &[Flag],
    name: &str,
    problems: &mut Problems<'_>,
) -> Option<Option<std::time::Duration>> {
    let value = flags
        .iter()
        .filter(|flag| flag.name.text == name)
        .find_map(|flag| flag.value.as_ref());
    let Some(value) = value.filter(|value| !value.text.is_empty()) else {
        return Some(None);
    };
    match values::duration(&value.text) {
        Ok(duration) => Some(duration),
        Err(why) => {
            problems.add(
                Diagnostic::definition(format!(
                    "`{}` is no value of `--{name}`: {why}",
                    shown(&value.text)
                ))
                .hint("a duration is a number and ms, s, m or h, such as 1m30s"),
                value.span.clone(),
            );
            None
        }
    }
}

fn retries(flags: &[Flag], problems: &mut Problems<'_>) -> Option<Option<u32>> {
    let value = flags
        .iter()
        .filter(|flag| flag.name.text == "retries")
        .find_map(|flag| flag.value.as_ref());
    let Some(value) = value.filter(|value| !value.text.is_empty()) else {
        return Some(None);
    };
    match value.text.parse::<i32>().map(u32::try_from) {
        Ok(Ok(0)) => Some(None),
        Ok(Ok(count)) => Some(Some(count)),
        _ => {
            problems.add(
                Diagnostic::definition(format!("`{}` is no number of retries", shown(&value.text)))
                    .hint("write `--retries=3`"),
                value.span.clone(),
            );
            None
        }
    }
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
