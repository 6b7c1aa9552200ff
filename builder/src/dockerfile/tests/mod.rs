mod agreement;
mod context;
mod corpus;
mod errors;
mod expansion;
mod heredocs;
mod hostile;
mod instructions;
mod lines;
mod modes;
mod references;

use std::collections::BTreeMap;

use super::*;

fn source(text: &str) -> Source {
    Source::new("Dockerfile", text)
}

/// Parses what must be good.
fn good(text: &str) -> Dockerfile {
    match parse(&source(text)) {
        Ok(file) => file,
        Err(problems) => unreachable!("{text:?}: {problems}"),
    }
}

/// What is wrong, as `LINE:COLUMN MESSAGE [EXCERPT]`.
fn wrong(text: &str) -> Vec<String> {
    match parse(&source(text)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(show).collect(),
    }
}

fn show(problem: &Diagnostic) -> String {
    assert!(!problem.hints().is_empty(), "{problem} has no hint");
    let message = problem.message();
    match problem.location() {
        Some(at) => match (at.line(), at.column(), at.excerpt()) {
            (Some(line), Some(column), Some((excerpt, width))) => {
                let meant: String = excerpt.chars().skip(column - 1).take(width).collect();
                format!("{line}:{column} {message} [{meant}]")
            }
            _ => message.to_owned(),
        },
        None => format!("{message} (nowhere)"),
    }
}

/// The only instruction of a stage that has no other.
fn only(line: &str) -> (String, Instruction) {
    let text = format!("FROM x\n{line}");
    let file = good(&text);
    let [stage] = file.stages() else {
        unreachable!("{line:?} makes stages")
    };
    let [instruction] = stage.instructions.as_slice() else {
        unreachable!("{line:?}: {:?}", stage.instructions)
    };
    (text, instruction.clone())
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Every word and span of a file, with what is expected to hold for all of them.
fn each_word(file: &Dockerfile, mut visit: impl FnMut(&Word)) {
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
