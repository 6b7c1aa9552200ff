//! HEALTHCHECK and its times.

use super::ast::{Command, Healthcheck};
use super::flags::Flag;
use super::instruction::{Parts, command, missing};
use super::problems::{Problems, shown};
use super::values;
use crate::model::Diagnostic;

pub(super) fn parse(
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
