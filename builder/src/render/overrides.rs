//! Files outside the tree that replace or extend blocks of images' templates.
//!
//! An override file has one or more sections, each beginning with `{% extends "IMAGE" %}` and
//! holding nothing but blocks. `{{ super() }}` in a block is what it replaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use crate::catalog::Catalog;
use crate::model::{Diagnostic, Diagnostics, ImageName, Source, did_you_mean};

/// An override file's text.
#[derive(Debug, Clone)]
pub struct Override(pub Source);

/// The part of an override file that is about one image.
#[derive(Debug, Clone)]
pub(super) struct Section {
    file: Source,
    /// From this section's `extends` to the next one's.
    range: Range<usize>,
    /// The image's name within `extends`, quotes left out.
    name: Range<usize>,
}

impl Section {
    /// The section as a template that extends `parent`, every line at its number in the file.
    pub(super) fn extending(&self, parent: &str) -> Source {
        let text = self.file.text();
        let mut own: String = text[..self.range.start]
            .chars()
            .filter(|c| *c == '\n')
            .collect();
        own.push_str(&text[self.range.start..self.name.start]);
        own.push_str(parent);
        own.push_str(&text[self.name.end..self.range.end]);
        Source::new(self.file.path(), own)
    }
}

/// Takes the files apart, by image and in the order given.
pub(super) fn sections(
    catalog: &Catalog,
    overrides: &[Override],
) -> Result<BTreeMap<ImageName, Vec<Section>>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut found: BTreeMap<ImageName, Vec<Section>> = BTreeMap::new();
    let shared: HashMap<&str, &Source> = catalog
        .templates()
        .iter()
        .map(|(name, source)| (name.as_str(), source))
        .collect();
    for Override(file) in overrides {
        let heads = tags(file.text(), "extends");
        let Some(first) = heads.first() else {
            problems.push(
                Diagnostic::definition("an override names no image")
                    .at(crate::model::Location::file(file.path()))
                    .hint("begin it with `{% extends \"IMAGE\" %}`, then the blocks to replace"),
            );
            continue;
        };
        let before = &file.text()[..first.whole.start];
        if !without_comments(before).trim().is_empty() {
            problems.push(
                Diagnostic::definition("text before the first `extends` belongs to no image")
                    .at(file.location(0..before.trim_end().len())),
            );
        }
        for (i, head) in heads.iter().enumerate() {
            let end = heads
                .get(i + 1)
                .map_or(file.text().len(), |next| next.whole.start);
            let name = &file.text()[head.word.clone()];
            let Some(image) = catalog.images().get(name) else {
                problems.push(
                    Diagnostic::definition(format!("there is no image `{name}` to override"))
                        .at(file.location(head.word.clone()))
                        .maybe_hint(did_you_mean(
                            name,
                            catalog.images().keys().map(ImageName::as_str),
                        )),
                );
                continue;
            };
            if !image.is_templated() {
                problems.push(
                    Diagnostic::definition(format!(
                        "`{name}` has a plain Dockerfile, without blocks"
                    ))
                    .at(file.location(head.word.clone()))
                    .hint("shadow the whole file with --overlay instead"),
                );
                continue;
            }
            let known = blocks_of(image.dockerfile(), &shared);
            let section = head.whole.start..end;
            for block in tags(file.text(), "block") {
                let inside = section.contains(&block.whole.start);
                let word = &file.text()[block.word.clone()];
                if inside && !known.contains(word) {
                    problems.push(
                        Diagnostic::definition(format!("`{name}` has no block `{word}`"))
                            .at(file.location(block.word.clone()))
                            .maybe_hint(did_you_mean(word, known.iter().map(String::as_str))),
                    );
                }
            }
            found
                .entry(image.name().clone())
                .or_default()
                .push(Section {
                    file: file.clone(),
                    range: section,
                    name: head.word.clone(),
                });
        }
    }
    problems.or_ok(found)
}

/// The blocks of a template and of all it extends.
fn blocks_of(template: &Source, shared: &HashMap<&str, &Source>) -> BTreeSet<String> {
    let mut blocks = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(template);
    while let Some(source) = next {
        let text = source.text();
        blocks.extend(
            tags(text, "block")
                .into_iter()
                .map(|tag| text[tag.word].to_owned()),
        );
        next = tags(text, "extends")
            .first()
            .map(|tag| &text[tag.word.clone()])
            .filter(|name| seen.insert((*name).to_owned()))
            .and_then(|name| shared.get(name).copied());
    }
    blocks
}

pub(super) struct Tag {
    /// From `{%` on.
    whole: Range<usize>,
    /// The word behind the keyword, quotes left out.
    pub(super) word: Range<usize>,
}

/// Every `{% KEYWORD WORD` outside comments.
pub(super) fn tags(text: &str, keyword: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{%").map(|i| at + i) {
        if let Some(comment) = text[at..open].find("{#").map(|i| at + i) {
            match text[comment..].find("#}") {
                Some(end) => {
                    at = comment + end + 2;
                    continue;
                }
                None => return found,
            }
        }
        at = open + 2;
        let inner = text[at..].trim_start_matches('-');
        let inner = inner.trim_start();
        let Some(rest) = inner.strip_prefix(keyword) else {
            continue;
        };
        let word = rest.trim_start();
        if word.len() == rest.len() {
            continue;
        }
        let word = word.trim_start_matches(['"', '\'', '`']);
        let start = text.len() - word.len();
        let length = word
            .find(|c: char| c.is_whitespace() || "\"'`%".contains(c))
            .unwrap_or(word.len());
        let length = word[..length].strip_suffix('-').map_or(length, str::len);
        found.push(Tag {
            whole: open..start + length,
            word: start..start + length,
        });
    }
    found
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("{#") {
        out.push_str(before);
        rest = comment.split_once("#}").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_outside_comments() {
        let text =
            "{# {% block no %} #}{%- extends \"a\" -%}{% block b %}x{% endblock b %}{%block c-%}";
        let words = |keyword| {
            tags(text, keyword)
                .into_iter()
                .map(|t| &text[t.word])
                .collect::<Vec<_>>()
        };
        assert_eq!(words("extends"), ["a"]);
        assert_eq!(words("block"), ["b", "c"]);
    }

    #[test]
    fn comments_are_no_text() {
        assert_eq!(without_comments("a{# b #}c{# d"), "ac");
    }
}
