//! What another parser makes of the same files.

use kolla::dockerfile::{
    Command, Dockerfile, Healthcheck, Instruction, Kind, TransferSource, Word, parse,
};
use kolla::model::Source;
use parse_dockerfile as other;

/// What came of a comparison that found no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One of the two refuses the file.
    Refused,
    /// They are known to differ here, and why.
    Skipped(&'static str),
    /// Both say the same.
    Same,
}

/// Any bytes as a Dockerfile.
pub fn check(data: &[u8]) {
    verdict(data);
}

/// What came of it.
pub fn verdict(data: &[u8]) -> Verdict {
    // It keeps an escape character at the end of the file, so that the end is a plain line.
    compare(&(String::from_utf8_lossy(data).into_owned() + "\n\nUSER end\n"))
}

/// Panics where both parsers accept a file and read it differently.
pub fn compare(text: &str) -> Verdict {
    let Ok(file) = parse(&Source::new("Dockerfile", text)) else {
        return Verdict::Refused;
    };
    if let Some(reason) = skip(text, &file) {
        return Verdict::Skipped(reason);
    }
    match their_report(text) {
        Ok(theirs) => assert_eq!(report(text, &file), theirs, "{text}"),
        Err(_) => return Verdict::Refused,
    }
    Verdict::Same
}

/// Why the other parser's word is not asked for, which is where it departs from BuildKit.
fn skip(text: &str, file: &Dockerfile) -> Option<&'static str> {
    if text
        .chars()
        .any(|c| c.is_whitespace() && !" \t\r\n".contains(c))
    {
        return Some("it takes only ASCII white space for white space");
    }
    if text
        .lines()
        .map(str::trim_end)
        .any(|line| line.ends_with(r"\\") || line.ends_with("``"))
    {
        return Some("it continues a line whose escape character is escaped");
    }
    let ends_flags = |rest: &str| rest.starts_with([' ', '\t', '\r', '\n', '\\', '`']);
    if text.split("--").skip(1).any(ends_flags) {
        return Some("it takes the end of the flags for a flag");
    }
    let platforms = file
        .stages()
        .iter()
        .filter_map(|stage| stage.from.platform.as_ref());
    let instructions: Vec<&Instruction> = file
        .stages()
        .iter()
        .flat_map(|stage| &stage.instructions)
        .map(|it| match &it.kind {
            Kind::Onbuild(trigger) => trigger,
            _ => it,
        })
        .collect();
    let flags = instructions.iter().flat_map(|it| &it.flags);
    if platforms
        .map(|word| &word.span)
        .chain(flags.map(|flag| &flag.span))
        .any(|span| text[span.clone()].contains(['"', '\'', '\\', '`']))
    {
        return Some("it keeps quotes and escapes in flags");
    }
    let later = |it: &&Instruction| match (&it.kind, it.heredocs.first()) {
        (Kind::Run(run), Some(_)) => match &run.command {
            Command::Shell(word) => !word.text.starts_with("<<"),
            Command::Exec(_) => true,
        },
        _ => false,
    };
    if instructions.iter().any(later) {
        return Some("it finds heredocs of RUN only where the command begins with one");
    }
    None
}

/// A file reduced to one line for each instruction.
fn report(text: &str, file: &Dockerfile) -> Vec<String> {
    let mut lines: Vec<String> = file.global_args().iter().map(|it| ours(text, it)).collect();
    for stage in file.stages() {
        let from = &stage.from;
        lines.push(format!(
            "FROM platform={:?} image={} name={:?}",
            from.platform.as_ref().map(|word| &word.text),
            from.image.text,
            stage
                .name
                .as_ref()
                .map(|word| text[word.span.clone()].to_owned()),
        ));
        lines.extend(stage.instructions.iter().map(|it| ours(text, it)));
    }
    lines
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ours(text: &str, instruction: &Instruction) -> String {
    let command = |command: &Command| match command {
        Command::Shell(word) => format!("shell {}", plain(&text[word.span.clone()])),
        Command::Exec(words) => format!("exec {:?}", texts(words)),
    };
    let flags: Vec<_> = instruction
        .flags
        .iter()
        .map(|flag| {
            (
                &flag.name.text,
                flag.value.as_ref().map(|value| &value.text),
            )
        })
        .collect();
    let arguments = match &instruction.kind {
        Kind::Add(transfer) | Kind::Copy(transfer) => {
            let sources: Vec<_> = transfer
                .sources
                .iter()
                .map(|source| match source {
                    TransferSource::Path(word)
                    | TransferSource::Url(word)
                    | TransferSource::Git(word) => word.text.clone(),
                    TransferSource::Heredoc(index) => {
                        let heredoc = &instruction.heredocs[*index];
                        format!("heredoc {} {:?}", heredoc.expand, heredoc.content)
                    }
                })
                .collect();
            format!("{sources:?} -> {}", transfer.destination.text)
        }
        Kind::Cmd(it) | Kind::Entrypoint(it) => command(it),
        Kind::Run(run) => {
            let bodies: Vec<_> = instruction
                .heredocs
                .iter()
                .map(|h| (h.expand, &h.content))
                .collect();
            if bodies.is_empty() {
                command(&run.command)
            } else {
                format!("{bodies:?}")
            }
        }
        Kind::Healthcheck(Healthcheck::None) => "none".to_owned(),
        Kind::Healthcheck(Healthcheck::Command { command: it, .. }) => command(it),
        Kind::Expose(words) | Kind::Volume(words) | Kind::Shell(words) => {
            format!("{:?}", texts(words))
        }
        Kind::Onbuild(trigger) => ours(text, trigger),
        // The other parser leaves these as one string.
        Kind::Arg(_) | Kind::Env(_) | Kind::Label(_) => {
            plain(&instruction.original[instruction.keyword.text.len()..])
        }
        Kind::Maintainer(word)
        | Kind::Stopsignal(word)
        | Kind::User(word)
        | Kind::Workdir(word) => plain(&word.text),
    };
    format!("{} {flags:?} {arguments}", instruction.kind.name())
}

fn theirs(text: &str, instruction: &other::Instruction<'_>) -> String {
    use other::Instruction as I;
    fn flags(flags: &[other::Flag<'_>]) -> Vec<(String, Option<String>)> {
        flags
            .iter()
            .map(|flag| {
                let value = flag.value.as_ref().map(|value| value.value.to_string());
                (flag.name.value.to_string(), value)
            })
            .collect()
    }
    fn words(words: &[other::UnescapedString<'_>]) -> Vec<String> {
        words.iter().map(|word| word.value.to_string()).collect()
    }
    let command = |command: &other::Command<'_>| match command {
        other::Command::Exec(exec) => format!("exec {:?}", words(&exec.value)),
        other::Command::Shell(shell) => format!("shell {}", plain(&text[shell.span.clone()])),
        _ => unreachable!(),
    };
    let copy = |sources: &[other::Source<'_>], destination: &other::UnescapedString<'_>| {
        let sources: Vec<_> = sources
            .iter()
            .map(|source| match source {
                other::Source::Path(path) => path.value.to_string(),
                other::Source::HereDoc(body) => {
                    format!("heredoc {} {:?}", body.expand, body.value)
                }
                _ => unreachable!(),
            })
            .collect();
        format!("{sources:?} -> {}", destination.value)
    };
    let none = Vec::new;
    let (name, flags, arguments) = match instruction {
        I::Add(it) => ("ADD", flags(&it.options), copy(&it.src, &it.dest)),
        I::Copy(it) => ("COPY", flags(&it.options), copy(&it.src, &it.dest)),
        I::Arg(it) => ("ARG", none(), plain(&it.arguments.value)),
        I::Env(it) => ("ENV", none(), plain(&it.arguments.value)),
        I::Label(it) => ("LABEL", none(), plain(&it.arguments.value)),
        I::Cmd(it) => ("CMD", none(), command(&it.arguments)),
        I::Entrypoint(it) => ("ENTRYPOINT", none(), command(&it.arguments)),
        I::Run(it) => {
            let bodies: Vec<_> = it.here_docs.iter().map(|h| (h.expand, &h.value)).collect();
            let arguments = if bodies.is_empty() {
                command(&it.arguments)
            } else {
                format!("{bodies:?}")
            };
            ("RUN", flags(&it.options), arguments)
        }
        I::Expose(it) => ("EXPOSE", none(), format!("{:?}", words(&it.arguments))),
        I::Shell(it) => ("SHELL", none(), format!("{:?}", words(&it.arguments))),
        I::Volume(it) => {
            let found = match &it.arguments {
                other::JsonOrStringArray::Json(json) => words(&json.value),
                other::JsonOrStringArray::String(list) => words(list),
            };
            ("VOLUME", none(), format!("{found:?}"))
        }
        I::Healthcheck(it) => {
            let arguments = match &it.arguments {
                other::HealthcheckArguments::Cmd { arguments, .. } => command(arguments),
                _ => "none".to_owned(),
            };
            ("HEALTHCHECK", flags(&it.options), arguments)
        }
        I::Maintainer(it) => ("MAINTAINER", none(), plain(&it.name.value)),
        I::Stopsignal(it) => ("STOPSIGNAL", none(), plain(&it.arguments.value)),
        I::User(it) => ("USER", none(), plain(&it.arguments.value)),
        I::Workdir(it) => ("WORKDIR", none(), plain(&it.arguments.value)),
        I::Onbuild(it) => ("ONBUILD", none(), theirs(text, &it.instruction)),
        I::From(it) => {
            let platform = it.options.first().and_then(|flag| flag.value.as_ref());
            return format!(
                "FROM platform={:?} image={} name={:?}",
                platform.map(|value| &value.value),
                it.image.value,
                it.as_
                    .as_ref()
                    .map(|(_, name)| text[name.span.clone()].to_owned()),
            );
        }
        _ => unreachable!(),
    };
    format!("{name} {flags:?} {arguments}")
}

fn their_report(text: &str) -> Result<Vec<String>, String> {
    let file = other::parse(text).map_err(|problem| problem.to_string())?;
    // Its spans count from after the byte order mark.
    let after = text.trim_start_matches('\u{feff}');
    Ok(file
        .instructions
        .iter()
        .map(|it| theirs(after, it))
        .collect())
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}
