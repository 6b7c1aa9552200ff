//! The parser on any text: it ends, and what it gives back lies in the text.

use std::collections::BTreeMap;
use std::ops::Range;

use kolla::dockerfile::{
    Command, Dockerfile, Expander, Healthcheck, Instruction, Kind, TransferSource, Word, parse,
    substitute,
};
use kolla::model::Source;

/// Any bytes as a Dockerfile.
pub fn check(data: &[u8]) {
    survive(&String::from_utf8_lossy(data));
}

/// Up to this many bytes, what costs a text's length for each of its words is looked at, too.
const SMALL: usize = 8 << 10;

/// Whatever holds for every text; whether it is a good Dockerfile.
pub fn survive(text: &str) -> bool {
    let args = [("A", "x*y"), ("TARGETARCH", "amd64")];
    let args: BTreeMap<_, _> = args
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    match parse(&Source::new("Dockerfile", text)) {
        Err(problems) => {
            assert!(!problems.is_empty(), "{text:?}");
            for problem in problems.iter() {
                assert!(
                    !problem.hints().is_empty() && problem.location().is_some(),
                    "{text:?}"
                );
                let first = problem.message().chars().next();
                assert!(first.is_some_and(|c| !c.is_whitespace()), "{text:?}");
            }
            false
        }
        Ok(file) => {
            let inside = |span: &Range<usize>| {
                assert!(span.start <= span.end, "{span:?} {text:?}");
                assert!(text.get(span.clone()).is_some(), "{span:?} {text:?}");
            };
            each_word(&file, |word| {
                inside(&word.span);
                assert!(word.text.len() <= word.span.len() * 3, "{word:?} {text:?}");
            });
            let mut last = 0;
            for stage in file.stages() {
                inside(&stage.span);
                assert!(stage.span.start >= last, "{text:?}");
                last = stage.span.end;
                let mut at = stage.from.span.end;
                for instruction in &stage.instructions {
                    inside(&instruction.span);
                    assert!(instruction.span.start >= at, "{text:?}");
                    at = instruction.span.end;
                    instruction.heredocs.iter().for_each(|h| inside(&h.body));
                }
            }
            // Each of these goes over the whole text.
            if text.len() <= SMALL {
                each_word(&file, |word| small(text, &file, word));
                stages(&file, &args);
            }
            for source in file.context_sources() {
                inside(&source.span);
            }
            let _ = file.needed_stages(None, &args);
            let Ok(uses) = file.image_uses(&args) else {
                return true;
            };
            let edits: Vec<_> = uses
                .iter()
                .map(|u| {
                    inside(&u.span);
                    (u.span.clone(), "new:1".to_owned())
                })
                .collect();
            let edited = substitute(text, &edits);
            let back = parse(&Source::new("Dockerfile", edited.as_str()))
                .and_then(|file| file.image_uses(&args));
            if let Ok(back) = back {
                assert!(
                    back.iter().all(|u| u.image == "new:1"),
                    "{text:?} {edited:?}"
                );
            }
            true
        }
    }
}

/// A word's place leads back to it, and it can be expanded without harm.
fn small(text: &str, file: &Dockerfile, word: &Word) {
    let place = file.location(&word.span);
    let (line, column) = (place.line().unwrap(), place.column().unwrap());
    let rest = &text[file.source().start_of_line(line)..];
    let before: usize = rest.chars().take(column - 1).map(char::len_utf8).sum();
    let start = text.len() - rest.len() + before;
    assert_eq!(start, word.span.start, "{word:?} {text:?}");

    let variables = BTreeMap::from([("A".to_owned(), "x".repeat(1 << 10))]);
    let limit = 1 << 16;
    let expander = Expander::new(&variables, file.escape()).limit(limit);
    match expander.expand(&word.text) {
        Ok(expansion) => assert!(expansion.text.len() <= limit, "{word:?}"),
        Err(error) => assert!(word.text.get(error.at).is_some(), "{word:?}"),
    }
}

/// Stages by name, and what each of them needs.
fn stages(file: &Dockerfile, args: &BTreeMap<String, String>) {
    let first = file.needed_stages(None, args).is_ok();
    for (index, stage) in file.stages().iter().enumerate() {
        let Some(name) = &stage.name else { continue };
        assert_eq!(file.stage(&name.text), Some(index), "{name:?}");
        if let Ok(needed) = file.needed_stages(Some(&name.text), args) {
            assert!(
                first && needed.last() == Some(&index),
                "{name:?} {needed:?}"
            );
        }
    }
    assert!(
        file.needed_stages(Some("no stage has spaces"), args)
            .is_err()
    );
    assert!(file.declared_args().iter().all(|name| !name.is_empty()));
}

/// Every word and span of a file, with what is expected to hold for all of them.
pub fn each_word(file: &Dockerfile, mut visit: impl FnMut(&Word)) {
    for global in file.global_args() {
        each_word_of(global, &mut visit);
    }
    for stage in file.stages() {
        visit(&stage.from.image);
        stage.from.platform.iter().for_each(&mut visit);
        stage.name.iter().for_each(&mut visit);
        for it in &stage.instructions {
            each_word_of(it, &mut visit);
        }
    }
}

fn each_word_of(instruction: &Instruction, visit: &mut dyn FnMut(&Word)) {
    visit(&instruction.keyword);
    for flag in &instruction.flags {
        visit(&flag.name);
        flag.value.iter().for_each(&mut *visit);
    }
    fn command(command: &Command, visit: &mut dyn FnMut(&Word)) {
        match command {
            Command::Shell(word) => visit(word),
            Command::Exec(words) => words.iter().for_each(visit),
        }
    }
    match &instruction.kind {
        Kind::Add(transfer) | Kind::Copy(transfer) => {
            visit(&transfer.destination);
            for source in &transfer.sources {
                match source {
                    TransferSource::Path(word)
                    | TransferSource::Url(word)
                    | TransferSource::Git(word) => visit(word),
                    TransferSource::Heredoc(index) => {
                        assert!(*index < instruction.heredocs.len());
                    }
                }
            }
        }
        Kind::Arg(args) => {
            for arg in args {
                visit(&arg.name);
                arg.default.iter().for_each(&mut *visit);
            }
        }
        Kind::Env(pairs) | Kind::Label(pairs) => {
            for pair in pairs {
                visit(&pair.name);
                visit(&pair.value);
            }
        }
        Kind::Cmd(it) | Kind::Entrypoint(it) => command(it, visit),
        Kind::Healthcheck(Healthcheck::Command { command: it, .. }) => command(it, visit),
        Kind::Healthcheck(Healthcheck::None) => {}
        Kind::Run(run) => {
            command(&run.command, visit);
            for mount in &run.mounts {
                for option in &mount.options {
                    option.value.iter().for_each(&mut *visit);
                }
            }
        }
        Kind::Expose(words) | Kind::Shell(words) | Kind::Volume(words) => {
            words.iter().for_each(visit);
        }
        Kind::Maintainer(word)
        | Kind::Stopsignal(word)
        | Kind::User(word)
        | Kind::Workdir(word) => visit(word),
        Kind::Onbuild(trigger) => each_word_of(trigger, visit),
    }
}
