//! The sources and the destination of COPY and ADD.

use std::ops::Range;

use super::ast::{Transfer, TransferSource};
use super::flags::Flag;
use super::heredoc;
use super::instruction::{Parts, list, missing};
use super::json::{self, Array};
use super::mount;
use super::problems::{Problems, shown};
use super::values::FileMode;
use crate::model::Diagnostic;

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

pub(super) fn parse(
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
        && FileMode::parse(&mode.text).is_none()
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
