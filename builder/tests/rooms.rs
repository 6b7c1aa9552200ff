//! Which module may import which: those listed before it in `lib.rs`, and nothing else.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what went wrong by failing

use std::fs;
use std::path::{Path, PathBuf};

fn modules() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod "));
    names
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A module is a folder or a file.
fn files_of(module: &str) -> Vec<PathBuf> {
    let folder = source().join(module);
    if folder.is_dir() {
        files(&folder)
    } else {
        files(&source().join(format!("{module}.rs")))
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

/// The modules named by `crate::NAME` in a text, comments left out.
fn imports(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = code[at + "crate::".len()..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{a::X, b::Y};` at one level.
            let group = group.split('}').next().unwrap_or_default();
            found.extend(group.split(',').map(first_word));
        } else {
            found.push(first_word(rest));
        }
    }
    found
}

fn first_word(text: &str) -> String {
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    text.trim_start().chars().take_while(word).collect()
}

#[test]
fn every_module_imports_from_above_only() {
    let modules = modules();
    assert!(
        modules.len() > 10,
        "lib.rs lists the modules as `pub mod NAME;`"
    );
    let mut wrong = Vec::new();
    for (row, module) in modules.iter().enumerate() {
        for file in files_of(module) {
            for import in imports(&fs::read_to_string(&file).unwrap()) {
                let above = modules[..=row].contains(&import);
                if modules.contains(&import) && !above {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_prints_reads_the_environment_or_looks_at_the_clock() {
    let forbidden = [
        "println!",
        "eprintln!",
        "env::var",
        "SystemTime::now",
        "Instant::now",
    ];
    let mut wrong = Vec::new();
    for module in modules().iter().filter(|module| *module != "cli") {
        for file in files_of(module) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            wrong.extend(
                forbidden
                    .iter()
                    .filter(|word| code.contains(*word))
                    .map(|word| format!("{} has {word}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
