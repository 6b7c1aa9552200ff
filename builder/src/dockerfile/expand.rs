//! Quotes, escapes and variables, by the rules of BuildKit's `shell.Lex`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::pattern;
use super::problems::shown;

/// How deep `${a:-${b:-...}}` may nest.
const MAX_DEPTH: usize = 32;

/// How large an expansion may become unless the caller says otherwise.
const MAX_SIZE: usize = 1 << 20;

/// Expands words against variables.
#[derive(Debug, Clone)]
pub struct Expander<'a> {
    variables: &'a BTreeMap<String, String>,
    escape: char,
    raw_quotes: bool,
    raw_escapes: bool,
    keep_unset: bool,
    plain_quotes: bool,
    limit: usize,
}

/// What a word became.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The whole text, quotes removed.
    pub text: String,
    /// The text split at the white space that neither quotes nor escapes protect.
    pub words: Vec<String>,
    /// Variables that are not set and have no default in the word.
    pub unset: BTreeSet<String>,
}

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpandError {
    /// What is wrong, in lower case.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The bytes of the word that are meant.
    pub at: Range<usize>,
}

impl<'a> Expander<'a> {
    /// Expands with the given variables and the file's escape character.
    pub fn new(variables: &'a BTreeMap<String, String>, escape: char) -> Self {
        Self {
            variables,
            escape,
            raw_quotes: false,
            raw_escapes: false,
            keep_unset: false,
            plain_quotes: false,
            limit: MAX_SIZE,
        }
    }

    /// For the bodies of `COPY` and `ADD` heredocs: quotes are ordinary characters, and the escape
    /// character is always the backslash.
    pub fn for_body(variables: &'a BTreeMap<String, String>) -> Self {
        Self {
            plain_quotes: true,
            ..Self::new(variables, '\\')
        }
    }

    /// The largest result, in bytes, before it is an error.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Expands one word.
    ///
    /// # Errors
    /// Fails on an unclosed quote or brace, an unknown modifier, `${x:?message}` with `x` unset,
    /// and on what is too large or too deep.
    pub fn expand(&self, word: &str) -> Result<Expansion, ExpandError> {
        let mut scan = Scan::new(self, word);
        let text = scan.until(None, self.raw_escapes)?;
        Ok(Expansion {
            text,
            words: scan.words.finish().into_iter().map(|w| w.0).collect(),
            unset: scan.unset,
        })
    }
}

/// The words of a line with everything kept as written, and their ranges in it; none at all where
/// the line is not valid for the shell lexer. This is how heredocs are looked for.
pub(super) fn raw_words(line: &str) -> Vec<(String, Range<usize>)> {
    let none = BTreeMap::new();
    let expander = Expander {
        raw_quotes: true,
        raw_escapes: true,
        keep_unset: true,
        limit: usize::MAX,
        ..Expander::new(&none, '\\')
    };
    let mut scan = Scan::new(&expander, line);
    match scan.until(None, true) {
        Ok(_) => scan.words.finish(),
        Err(_) => Vec::new(),
    }
}

/// A heredoc's delimiter without its quotes, and whether any part of it was quoted; nothing where
/// it is not one word.
pub(super) fn delimiter(text: &str) -> Result<Option<(String, bool)>, ExpandError> {
    let none = BTreeMap::new();
    let plain = Expander {
        keep_unset: true,
        ..Expander::new(&none, '\\')
    };
    let words = plain.expand(text)?.words;
    let [name] = words.as_slice() else {
        return Ok(None);
    };
    let raw = Expander {
        raw_quotes: true,
        ..plain
    };
    let raw = raw.expand(text)?.words.concat();
    let quotes = |s: &str| s.matches(['\'', '"']).count();
    Ok(Some((name.clone(), quotes(name) != quotes(&raw))))
}

/// Words as they are found: white space separates them unless it is added raw.
#[derive(Default)]
struct Words {
    done: Vec<(String, Range<usize>)>,
    word: String,
    range: Range<usize>,
    inside: bool,
}

impl Words {
    fn raw(&mut self, text: &str, range: Range<usize>) {
        if !self.inside {
            self.range.start = range.start;
        }
        self.range.end = range.end;
        self.inside = true;
        self.word.push_str(text);
    }

    fn char(&mut self, c: char, range: Range<usize>) {
        if !c.is_whitespace() {
            self.raw(c.encode_utf8(&mut [0; 4]), range);
        } else if self.inside && !self.word.is_empty() {
            self.end();
        }
    }

    fn split(&mut self, text: &str, range: Range<usize>) {
        for c in text.chars() {
            self.char(c, range.clone());
        }
    }

    fn end(&mut self) {
        self.done
            .push((std::mem::take(&mut self.word), self.range.clone()));
        self.inside = false;
    }

    fn finish(mut self) -> Vec<(String, Range<usize>)> {
        if !self.word.is_empty() {
            self.end();
        }
        self.done
    }
}

struct Scan<'a> {
    rules: &'a Expander<'a>,
    text: &'a str,
    pos: usize,
    depth: usize,
    words: Words,
    unset: BTreeSet<String>,
}

impl<'a> Scan<'a> {
    fn new(rules: &'a Expander<'a>, text: &'a str) -> Self {
        Self {
            rules,
            text,
            pos: 0,
            depth: 0,
            words: Words::default(),
            unset: BTreeSet::new(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn error<T>(
        &self,
        start: usize,
        message: impl Into<String>,
        hint: &str,
    ) -> Result<T, ExpandError> {
        Err(ExpandError {
            message: message.into(),
            hint: hint.to_owned(),
            at: start..self.pos.max(start),
        })
    }

    fn grow(&self, result: &mut String, more: &str) -> Result<(), ExpandError> {
        if result.len() + more.len() > self.rules.limit {
            return self.error(
                0,
                format!("expands to more than {} bytes", self.rules.limit),
                "look for a variable that repeats another",
            );
        }
        result.push_str(more);
        Ok(())
    }

    /// Reads up to and over `stop`, or to the end. Words are collected on the outermost level only.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<String, ExpandError> {
        let mut result = String::new();
        let start = self.pos;
        while let Some(c) = self.peek() {
            let from = self.pos;
            if stop == Some(c) {
                self.next();
                return Ok(result);
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    self.grow(&mut result, &value)?;
                    if stop.is_none() {
                        self.words.split(&value, from..self.pos);
                    }
                    continue;
                }
                '\'' if !self.rules.plain_quotes => {
                    let value = self.single()?;
                    self.add_raw(&mut result, &value, from, stop)?;
                    continue;
                }
                '"' if !self.rules.plain_quotes => {
                    let value = self.double(raw_escapes)?;
                    self.add_raw(&mut result, &value, from, stop)?;
                    continue;
                }
                '<' => {
                    let value = self.angle();
                    self.add_raw(&mut result, value, from, stop)?;
                    continue;
                }
                _ => {}
            }
            self.next();
            if c == self.rules.escape {
                if raw_escapes {
                    let mut buffer = [0; 4];
                    self.add_raw(&mut result, c.encode_utf8(&mut buffer), from, stop)?;
                }
                let Some(escaped) = self.next() else { break };
                let mut buffer = [0; 4];
                self.add_raw(&mut result, escaped.encode_utf8(&mut buffer), from, stop)?;
            } else {
                let mut buffer = [0; 4];
                self.grow(&mut result, c.encode_utf8(&mut buffer))?;
                if stop.is_none() {
                    self.words.char(c, from..self.pos);
                }
            }
        }
        match stop {
            None => Ok(result),
            Some('}') => self.error(start, "`${` is never closed", "add the missing `}`"),
            Some(_) => self.error(
                start,
                "replacement in `${` has no second `/`",
                "write ${name/pattern/replacement}",
            ),
        }
    }

    fn add_raw(
        &mut self,
        result: &mut String,
        value: &str,
        from: usize,
        stop: Option<char>,
    ) -> Result<(), ExpandError> {
        self.grow(result, value)?;
        if stop.is_none() {
            self.words.raw(value, from..self.pos);
        }
        Ok(())
    }

    /// `<<` takes the white space after it into the word, for `<< EOF`.
    fn angle(&mut self) -> &'a str {
        let start = self.pos;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            while self.peek().is_some_and(char::is_whitespace) {
                self.next();
            }
        }
        &self.text[start..self.pos]
    }

    fn single(&mut self) -> Result<String, ExpandError> {
        let start = self.pos;
        self.next();
        match self.text[self.pos..].find('\'') {
            Some(len) => {
                let inner = self.pos..self.pos + len;
                self.pos = inner.end + 1;
                let range = if self.rules.raw_quotes {
                    start..self.pos
                } else {
                    inner
                };
                Ok(self.text[range].to_owned())
            }
            None => {
                self.pos = self.text.len();
                self.error(
                    start,
                    "single quote is never closed",
                    "close it, or escape it if it is meant as a character",
                )
            }
        }
    }

    fn double(&mut self, raw_escapes: bool) -> Result<String, ExpandError> {
        let start = self.pos;
        let mut result = String::new();
        self.next();
        if self.rules.raw_quotes {
            result.push('"');
        }
        loop {
            match self.peek() {
                None => {
                    return self.error(
                        start,
                        "double quote is never closed",
                        "close it, or escape it if it is meant as a character",
                    );
                }
                Some('"') => {
                    self.next();
                    if self.rules.raw_quotes {
                        result.push('"');
                    }
                    return Ok(result);
                }
                Some('$') => {
                    let value = self.dollar()?;
                    self.grow(&mut result, &value)?;
                }
                Some(mut c) => {
                    self.next();
                    if c == self.rules.escape {
                        if raw_escapes {
                            result.push(c);
                        }
                        match self.peek() {
                            None => continue,
                            Some(next)
                                if matches!(next, '"' | '$') || next == self.rules.escape =>
                            {
                                c = next;
                                self.next();
                            }
                            Some(_) if raw_escapes => continue,
                            Some(_) => {}
                        }
                    }
                    result.push(c);
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        if self.depth >= MAX_DEPTH {
            return self.error(
                self.pos,
                "variables are nested too deeply",
                "give the inner ones a name with ARG",
            );
        }
        self.depth += 1;
        let result = self.substitution();
        self.depth -= 1;
        result
    }

    fn substitution(&mut self) -> Result<String, ExpandError> {
        let start = self.pos;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.get(name) {
                None if self.rules.keep_unset => self.text[start..self.pos].to_owned(),
                _ => self.value(name).to_owned(),
            });
        }
        self.next();
        if let None | Some('{' | '}' | ':') = self.peek() {
            return self.error(start, "`${` has no variable name", "write ${name}");
        }
        let name = self.name();
        let operator = self.next();
        if name.is_empty() && operator.is_some() {
            return self.error(
                start,
                "`${` has no variable name",
                "write ${name}; a name has letters, digits and `_`",
            );
        }
        let mut kind = operator;
        let colon = operator == Some(':');
        if colon {
            kind = self.next();
        }
        let result = match kind {
            None => return self.error(start, "`${` is never closed", "add the missing `}`"),
            Some('}') if !colon => self.value(name).to_owned(),
            Some('/') if !colon => self.replacement(start, name)?,
            Some(c @ ('+' | '-' | '?')) => self.default(start, name, c, colon)?,
            Some(c @ ('#' | '%')) if !colon => self.trimmed(start, name, c)?,
            Some(_) => {
                return self.error(
                    start,
                    format!(
                        "`{}` is not a known form",
                        shown(&self.text[start..self.pos])
                    ),
                    "there is :- - :+ + :? ? # ## % %% / and // after the name, then `}`",
                );
            }
        };
        if self.rules.keep_unset && self.get(name).is_none() {
            return Ok(self.text[start..self.pos].to_owned());
        }
        Ok(result)
    }

    fn default(
        &mut self,
        start: usize,
        name: &'a str,
        operator: char,
        colon: bool,
    ) -> Result<String, ExpandError> {
        let word = self.until(Some('}'), false)?;
        let value = self.get(name).filter(|v| !colon || !v.is_empty());
        match (operator, value) {
            ('+', Some(_)) | ('-', None) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value.to_owned()),
            (_, None) if self.rules.keep_unset => Ok(String::new()),
            (_, None) => {
                let why = match (word.is_empty(), self.get(name)) {
                    (false, _) => word,
                    (true, None) => "is not allowed to be unset".to_owned(),
                    (true, Some(_)) => "is not allowed to be empty".to_owned(),
                };
                let hint = format!("give `{name}` a value");
                self.error(start, format!("{name}: {why}"), &hint)
            }
        }
    }

    fn trimmed(&mut self, start: usize, name: &'a str, side: char) -> Result<String, ExpandError> {
        let word = self.until(Some('}'), true)?;
        let (glob, longest) = match word.strip_prefix(side) {
            Some(rest) => (rest, true),
            None => (word.as_str(), false),
        };
        let value = self.value(name);
        let trimmed = pattern::Pattern::parse(glob)
            .and_then(|glob| glob.trim(value, side == '%', longest))
            .map(str::to_owned);
        trimmed.or_else(|problem| self.error(start, problem, pattern::HINT))
    }

    fn replacement(&mut self, start: usize, name: &'a str) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let glob = self.until(Some('/'), true)?;
        let with = self.until(Some('}'), true)?;
        let value = self.value(name);
        let replaced = pattern::Pattern::parse(&glob)
            .and_then(|glob| glob.replace(value, &with, all, self.rules.limit));
        replaced.or_else(|problem| self.error(start, problem, pattern::HINT))
    }

    /// A variable's name: letters, digits and `_`; or digits alone; or one special character.
    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.pos..];
        let len = match rest.chars().next() {
            Some(c) if c.is_numeric() => rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
        };
        self.pos += len;
        &rest[..len]
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.rules.variables.get(name).map(String::as_str)
    }

    /// The value where no default stands in for it, so that it is noted when there is none.
    fn value(&mut self, name: &str) -> &'a str {
        self.get(name).unwrap_or_else(|| {
            if !self.unset.contains(name) {
                self.unset.insert(name.to_owned());
            }
            ""
        })
    }
}
