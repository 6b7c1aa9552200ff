//! The expansion of variables: bounded whatever the variables hold.

use std::collections::BTreeMap;

use kolla::dockerfile::{ExpandError, Expander, Expansion};

/// The largest result that is asked for.
const LIMIT: usize = 1 << 16;

/// Lines `NAME=VALUE`, an empty line, and the word; `L` is always set.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, word) = text.split_once("\n\n").unwrap_or(("", &text));
    let pairs = head.lines().filter_map(|line| line.split_once('='));
    let mut variables: BTreeMap<String, String> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Two of it are too much.
    variables.insert("L".to_owned(), "long ".repeat(LIMIT / 8));
    for escape in ['\\', '`'] {
        let result = Expander::new(&variables, escape).limit(LIMIT).expand(word);
        holds(word, &variables, &result);
        if !word.contains(['$', '\'', '"', escape]) {
            let result = result.map(|expansion| expansion.text);
            let expected = match word.len() {
                ..=LIMIT => Some(word),
                _ => None,
            };
            assert_eq!(result.ok().as_deref(), expected, "{word:?}");
        }
    }
    let result = Expander::for_body(&variables).limit(LIMIT).expand(word);
    holds(word, &variables, &result);
}

fn holds(
    word: &str,
    variables: &BTreeMap<String, String>,
    result: &Result<Expansion, ExpandError>,
) {
    match result {
        Ok(expansion) => {
            assert!(expansion.text.len() <= LIMIT, "{word:?}");
            let words: usize = expansion.words.iter().map(String::len).sum();
            assert!(words <= expansion.text.len(), "{word:?} {expansion:?}");
            assert!(
                expansion
                    .unset
                    .iter()
                    .all(|name| !variables.contains_key(name)),
                "{word:?} {expansion:?}"
            );
        }
        Err(error) => {
            assert!(word.get(error.at.clone()).is_some(), "{word:?} {error:?}");
            assert!(
                !error.message.is_empty() && !error.hint.is_empty(),
                "{word:?}"
            );
        }
    }
}
