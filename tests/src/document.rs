//! What a document tells its reader to do: files to write and commands to type.
//!
//! A fenced block with `file=PATH` behind its language is a file. One of the language `console`
//! holds commands, each after `$ `, with what they print below them.

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a file, relative to the repository.
    Write {
        /// Its path.
        path: String,
        /// Its text.
        text: String,
    },
    /// Type a command, there.
    Run {
        /// The line.
        command: String,
        /// What the document says that it prints.
        shown: Vec<String>,
    },
}

/// Everything that a document in Markdown says to do, in its order.
pub fn actions(markdown: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        // A block within a list is indented as a whole.
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or_default();
        if let Some(path) = words.find_map(|word| word.strip_prefix("file=")) {
            let text = block.iter().map(|line| format!("{line}\n")).collect();
            actions.push(Action::Write {
                path: path.to_owned(),
                text,
            });
        } else if language == "console" {
            for line in block {
                match (line.strip_prefix("$ "), actions.last_mut()) {
                    (Some(command), _) => actions.push(Action::Run {
                        command: command.to_owned(),
                        shown: Vec::new(),
                    }),
                    (None, Some(Action::Run { shown, .. })) => shown.push(line.to_owned()),
                    _ => {}
                }
            }
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands_are_found_in_order() {
        let text = "# Title\n```toml file=a/b.toml\nx = 1\n```\ntext\n\
                    - item\n  ```console\n  $ kolla check\n  all is well\n  $ kolla list\n  ```\n\
                    ```text\n$ not this\n```\n";
        assert_eq!(
            actions(text),
            [
                Action::Write {
                    path: "a/b.toml".into(),
                    text: "x = 1\n".into()
                },
                Action::Run {
                    command: "kolla check".into(),
                    shown: vec!["all is well".into()]
                },
                Action::Run {
                    command: "kolla list".into(),
                    shown: vec![]
                },
            ]
        );
    }
}
