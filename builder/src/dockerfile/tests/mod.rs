mod agreement;
// Shared with what is fuzzed.
#[path = "../../../fuzz/src/checks/dockerfile.rs"]
#[allow(dead_code, unreachable_pub)]
mod checks;
#[path = "../../../fuzz/src/checks/agreement.rs"]
#[allow(dead_code, unreachable_pub)]
mod comparison;
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
use checks::each_word;

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
