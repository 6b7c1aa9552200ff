//! What `config.json` says: its text to values that can be carried out.
//!
//! The rules are those of upstream's `kolla_set_configs`, held to more strictly: a key of the wrong
//! type is an error that names it. Messages never repeat a value, which may be a password; they do
//! name paths, accounts and permissions, which the file system shows anyway.

use std::path::{Component, Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value};

use crate::accounts::{Accounts, Unknown};
use crate::error::{Error, Result};
use crate::pattern;

const TOP: &[&str] = &[
    "command",
    "config_files",
    "directories",
    "files",
    "permissions",
];
const CONFIG_FILE: &[&str] = &[
    "source",
    "dest",
    "owner",
    "perm",
    "optional",
    "preserve_properties",
    "merge",
];
const MADE: &[&str] = &["path", "owner", "perm"];
const PERMISSION: &[&str] = &["path", "owner", "perm", "recurse", "exclude"];

/// A valid configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) command: String,
    pub(crate) config_files: Vec<ConfigFile>,
    pub(crate) directories: Vec<Made>,
    pub(crate) files: Vec<Made>,
    pub(crate) permissions: Vec<Permission>,
    /// What is odd about it but harmless.
    pub(crate) notes: Vec<String>,
}

/// One entry of `config_files`.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Its key, such as `config_files[2]`.
    pub(crate) key: String,
    pub(crate) source: PathBuf,
    pub(crate) dest: PathBuf,
    /// Whether sources keep their names below `dest`: it ended in `/`, and `source` did not.
    pub(crate) into: bool,
    /// Whether `source` ended in `/`, which only a directory's name may.
    pub(crate) only_dirs: bool,
    pub(crate) properties: Wanted,
    pub(crate) optional: bool,
    pub(crate) merge: bool,
}

/// Whose a copied file is to be, and for whom.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// As its source.
    Preserved,
    /// As written.
    Set { owner: Owner, mode: u32 },
}

/// An owner by name. It is looked up only where it is used: an optional file that is not there may
/// belong to a user whom the image does not have.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    key: String,
    origin: String,
    text: String,
}

/// One entry of `directories` or `files`.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    pub(crate) mode: u32,
}

/// One entry of `permissions`.
#[derive(Debug)]
pub(crate) struct Permission {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    pub(crate) mode: Option<u32>,
    pub(crate) recurse: bool,
    pub(crate) exclude: Vec<Regex>,
}

impl Owner {
    /// The ids of user and group.
    pub(crate) fn ids(&self, accounts: &Accounts) -> Result<(u32, u32)> {
        accounts.owner(&self.text).map_err(|unknown| {
            let (what, name, file, near) = match &unknown {
                Unknown::User(name) => {
                    ("user", name, "/etc/passwd", nearest(name, accounts.users()))
                }
                Unknown::Group(name) => (
                    "group",
                    name,
                    "/etc/group",
                    nearest(name, accounts.groups()),
                ),
            };
            let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            let hint = match near {
                _ if number => "; expected a name, not a number".to_owned(),
                Some(near) => format!("; is `{near}` meant?"),
                None => String::new(),
            };
            Error::Config {
                origin: self.origin.clone(),
                message: format!("{}: {file} has no {what} `{name}`{hint}", self.key),
            }
        })
    }
}

impl Config {
    /// Reads a configuration that came from `origin`, a file's path or a variable's name.
    pub(crate) fn parse(origin: &str, text: &[u8]) -> Result<Self> {
        let reader = Reader { origin };
        let value: Value = serde_json::from_slice(text).map_err(|error| Error::Config {
            origin: origin.to_owned(),
            // The parser's own message may quote what it stumbled over.
            message: match error.classify() {
                serde_json::error::Category::Eof => {
                    "expected JSON, but it ends too early".to_owned()
                }
                _ => format!(
                    "expected JSON, but line {} column {} is not",
                    error.line(),
                    error.column()
                ),
            },
        })?;
        let top = reader.object("", &value)?;
        let mut notes = Vec::new();
        reader.unknown(top, "", TOP, &mut notes);
        let command = reader.text(top, "", "command")?;
        if command.split_whitespace().next().is_none() {
            return Err(reader.error("command", "is empty, expected the command to run"));
        }
        let config = Self {
            command: command.to_owned(),
            config_files: reader.entries(top, "config_files", |key, entry| {
                reader.config_file(key, entry)
            })?,
            directories: reader.entries(top, "directories", |key, entry| {
                reader.unknown(entry, key, MADE, &mut notes);
                reader.made(key, entry)
            })?,
            files: reader.entries(top, "files", |key, entry| {
                reader.unknown(entry, key, MADE, &mut notes);
                reader.made(key, entry)
            })?,
            permissions: reader.entries(top, "permissions", |key, entry| {
                reader.unknown(entry, key, PERMISSION, &mut notes);
                reader.permission(key, entry)
            })?,
            notes: Vec::new(),
        };
        Ok(Self { notes, ..config })
    }
}

/// Where errors say that they are from.
struct Reader<'a> {
    origin: &'a str,
}

impl Reader<'_> {
    fn error(&self, key: &str, message: impl std::fmt::Display) -> Error {
        let message = if key.is_empty() {
            message.to_string()
        } else {
            format!("{key}: {message}")
        };
        Error::Config {
            origin: self.origin.to_owned(),
            message,
        }
    }

    fn object<'v>(&self, key: &str, value: &'v Value) -> Result<&'v Map<String, Value>> {
        value
            .as_object()
            .ok_or_else(|| self.error(key, format!("expected an object, found {}", kind(value))))
    }

    fn entries<T>(
        &self,
        top: &Map<String, Value>,
        name: &str,
        mut read: impl FnMut(&str, &Map<String, Value>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let Some(value) = top.get(name) else {
            return Ok(Vec::new());
        };
        // `"config_files": {}` is what upstream's own tests write for "none".
        let entries = match value {
            Value::Array(entries) => entries.as_slice(),
            Value::Object(none) if none.is_empty() => &[],
            other => {
                let message = format!("expected an array of objects, found {}", kind(other));
                return Err(self.error(name, message));
            }
        };
        let mut all = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let key = format!("{name}[{index}]");
            all.push(read(&key, self.object(&key, entry)?)?);
        }
        Ok(all)
    }

    /// Says of keys that mean nothing; what somebody meant by them is not done.
    fn unknown(
        &self,
        object: &Map<String, Value>,
        key: &str,
        known: &[&str],
        notes: &mut Vec<String>,
    ) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = unknown_key(name, " has no effect", known);
            notes.push(self.error(key, message).to_string());
        }
    }

    fn optional_text<'v>(
        &self,
        object: &'v Map<String, Value>,
        key: &str,
        name: &str,
    ) -> Result<Option<&'v str>> {
        match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => Err(self.error(
                &join(key, name),
                "has a character U+0000, which no path can hold",
            )),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let message = format!("expected a string, found {}", kind(other));
                Err(self.error(&join(key, name), message))
            }
        }
    }

    fn text<'v>(&self, object: &'v Map<String, Value>, key: &str, name: &str) -> Result<&'v str> {
        self.optional_text(object, key, name)?
            .ok_or_else(|| self.error(key, format!("`{name}` is missing")))
    }

    fn flag(&self, object: &Map<String, Value>, key: &str, name: &str) -> Result<bool> {
        match object.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => {
                let message = format!("expected true or false, found {}", kind(other));
                Err(self.error(&join(key, name), message))
            }
        }
    }

    fn path(&self, object: &Map<String, Value>, key: &str, name: &str) -> Result<PathBuf> {
        let text = self.text(object, key, name)?;
        let path = Path::new(text);
        let key = join(key, name);
        if !path.is_absolute() {
            return Err(self.error(&key, "expected a path that begins with `/`"));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(self.error(&key, "expected a path without `..`"));
        }
        // Without doubled slashes, so that one file has one name.
        Ok(path.components().collect())
    }

    fn mode(&self, object: &Map<String, Value>, key: &str) -> Result<Option<u32>> {
        let Some(text) = self.optional_text(object, key, "perm")? else {
            return Ok(None);
        };
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let octal =
            matches!(digits.len(), 3 | 4) && digits.bytes().all(|d| (b'0'..b'8').contains(&d));
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if octal => Ok(Some(mode)),
            _ => Err(self.error(
                &join(key, "perm"),
                "expected three or four octal digits, such as \"0640\"",
            )),
        }
    }

    fn owner(&self, object: &Map<String, Value>, key: &str) -> Result<Owner> {
        Ok(Owner {
            key: join(key, "owner"),
            origin: self.origin.to_owned(),
            text: self.text(object, key, "owner")?.to_owned(),
        })
    }

    fn required_mode(&self, object: &Map<String, Value>, key: &str) -> Result<u32> {
        self.mode(object, key)?
            .ok_or_else(|| self.error(key, "`perm` is missing"))
    }

    fn config_file(&self, key: &str, entry: &Map<String, Value>) -> Result<ConfigFile> {
        // Upstream refuses these too: a misspelt `optional` or `merge` would do harm.
        if let Some(name) = entry.keys().find(|k| !CONFIG_FILE.contains(&k.as_str())) {
            return Err(self.error(key, unknown_key(name, "", CONFIG_FILE)));
        }
        let source = self.path(entry, key, "source")?;
        let dest = self.path(entry, key, "dest")?;
        let only_dirs = self.text(entry, key, "source")?.ends_with('/');
        let into = self.text(entry, key, "dest")?.ends_with('/') && !only_dirs;
        if !into && dest.file_name().is_none() {
            return Err(self.error(&join(key, "dest"), "expected a path below `/`"));
        }
        let properties = if self.flag(entry, key, "preserve_properties")? {
            Wanted::Preserved
        } else {
            let mode = self.mode(entry, key)?;
            match (entry.get("owner"), mode) {
                (Some(Value::String(_)), Some(mode)) => Wanted::Set {
                    owner: self.owner(entry, key)?,
                    mode,
                },
                (None | Some(Value::Null | Value::String(_)), _) => {
                    let message = "expected `owner` and `perm`, or `preserve_properties`";
                    return Err(self.error(key, message));
                }
                (Some(other), _) => {
                    let message = format!("expected a string, found {}", kind(other));
                    return Err(self.error(&join(key, "owner"), message));
                }
            }
        };
        Ok(ConfigFile {
            key: key.to_owned(),
            source,
            dest,
            into,
            only_dirs,
            properties,
            optional: self.flag(entry, key, "optional")?,
            merge: self.flag(entry, key, "merge")?,
        })
    }

    fn made(&self, key: &str, entry: &Map<String, Value>) -> Result<Made> {
        let path = self.path(entry, key, "path")?;
        if pattern::is_pattern(&path.to_string_lossy()) {
            let message = "wildcards are not supported here, expected the path of one file";
            return Err(self.error(&join(key, "path"), message));
        }
        if path.file_name().is_none() {
            return Err(self.error(&join(key, "path"), "expected a path below `/`"));
        }
        Ok(Made {
            path,
            owner: self.owner(entry, key)?,
            mode: self.required_mode(entry, key)?,
        })
    }

    fn permission(&self, key: &str, entry: &Map<String, Value>) -> Result<Permission> {
        let exclude = match entry.get("exclude") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(all)) => all.as_slice(),
            Some(other) => {
                let message = format!("expected an array of strings, found {}", kind(other));
                return Err(self.error(&join(key, "exclude"), message));
            }
        };
        let mut expressions = Vec::new();
        for (index, text) in exclude.iter().enumerate() {
            let key = format!("{key}.exclude[{index}]");
            let Some(text) = text.as_str() else {
                let message = format!("expected a string, found {}", kind(text));
                return Err(self.error(&key, message));
            };
            expressions.push(Regex::new(text).map_err(|_| {
                let message = "expected a regular expression (without look-around and \
                               back-references, which are not supported)";
                self.error(&key, message)
            })?);
        }
        Ok(Permission {
            path: self.path(entry, key, "path")?,
            owner: self.owner(entry, key)?,
            mode: self.mode(entry, key)?,
            recurse: self.flag(entry, key, "recurse")?,
            exclude: expressions,
        })
    }
}

fn join(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}

fn unknown_key(name: &str, what: &str, known: &[&str]) -> String {
    // Keys are of the person's making, so control characters are not let through to a terminal.
    let shown: String = name.escape_debug().take(40).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown key `{shown}`{what}; is `{near}` meant?"),
        None => format!(
            "unknown key `{shown}`{what}; known are {}",
            known.join(", ")
        ),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The known name that somebody may have meant.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse("config.json", text.as_bytes())
            .unwrap_err()
            .line()
    }

    fn config_file(rest: &str) -> String {
        format!(r#"{{"command": "x", "config_files": [{{{rest}}}]}}"#)
    }

    #[test]
    fn the_least_is_a_command() {
        let config =
            Config::parse("c", br#"{"command": "/bin/true", "config_files": {}}"#).unwrap();
        assert_eq!(config.command, "/bin/true");
        assert!(config.config_files.is_empty() && config.notes.is_empty());
        assert_eq!(error("{}"), "config.json: `command` is missing");
        assert_eq!(
            error(r#"{"command": " "}"#),
            "config.json: command: is empty, expected the command to run"
        );
    }

    #[test]
    fn what_is_no_json_is_pointed_at_and_not_quoted() {
        assert_eq!(
            error("{\"command\": \"x\",\n hunter2}"),
            "config.json: expected JSON, but line 2 column 2 is not"
        );
        assert_eq!(
            error("{"),
            "config.json: expected JSON, but it ends too early"
        );
        assert!(error(&"[".repeat(100_000)).starts_with("config.json: expected JSON"));
        assert_eq!(
            error("[]"),
            "config.json: expected an object, found an array"
        );
    }

    #[test]
    fn a_copied_file_needs_source_dest_and_properties() {
        assert_eq!(
            error(&config_file(r#""dest": "/d""#)),
            "config.json: config_files[0]: `source` is missing"
        );
        let needs = "config.json: config_files[0]: expected `owner` and `perm`, or \
                     `preserve_properties`";
        for rest in [
            "",
            r#", "owner": "x""#,
            r#", "perm": "0600", "owner": null"#,
        ] {
            let text = config_file(&format!(r#""source": "/s", "dest": "/d"{rest}"#));
            assert_eq!(error(&text), needs);
        }
        let text = config_file(r#""source": "/s", "dest": "/d", "preserve_properties": true"#);
        assert!(Config::parse("c", text.as_bytes()).is_ok());
    }

    #[test]
    fn a_misspelt_key_of_a_copied_file_is_an_error_with_a_hint() {
        let text = config_file(r#""source": "/s", "dest": "/d", "optionl": true"#);
        assert_eq!(
            error(&text),
            "config.json: config_files[0]: unknown key `optionl`; is `optional` meant?"
        );
    }

    #[test]
    fn other_unknown_keys_are_said_and_passed_over() {
        let text = r#"{"command": "x", "permisions": [], "permissions": [
            {"path": "/x", "owner": "y", "recursive": true}]}"#;
        let notes = Config::parse("c", text.as_bytes()).unwrap().notes;
        assert_eq!(
            notes,
            [
                "c: unknown key `permisions` has no effect; is `permissions` meant?",
                "c: permissions[0]: unknown key `recursive` has no effect; is `recurse` meant?"
            ]
        );
    }

    #[test]
    fn permissions_are_octal_digits() {
        for (text, mode) in [
            ("644", 0o644),
            ("0755", 0o755),
            ("0o644", 0o644),
            ("1777", 0o1777),
            ("0o2775", 0o2775),
            ("4755", 0o4755),
        ] {
            let all = format!(
                r#"{{"command": "x", "permissions": [{{"path": "/x", "owner": "y", "perm": "{text}"}}]}}"#
            );
            let config = Config::parse("c", all.as_bytes()).unwrap();
            assert_eq!(config.permissions[0].mode, Some(mode));
        }
        for perm in [
            r#""64""#,
            r#""0o64""#,
            r#""+644""#,
            r#""u+x""#,
            r#""888""#,
            r#""00644""#,
        ] {
            let text = config_file(&format!(
                r#""source": "/s", "dest": "/d", "owner": "x", "perm": {perm}"#
            ));
            assert_eq!(
                error(&text),
                "config.json: config_files[0].perm: expected three or four octal digits, such as \
                 \"0640\""
            );
        }
        let text = config_file(r#""source": "/s", "dest": "/d", "owner": "x", "perm": 640"#);
        assert_eq!(
            error(&text),
            "config.json: config_files[0].perm: expected a string, found a number"
        );
    }

    #[test]
    fn directories_and_files_are_named_one_by_one() {
        for section in ["directories", "files"] {
            let with = |rest: &str| format!(r#"{{"command": "x", "{section}": [{{{rest}}}]}}"#);
            assert_eq!(
                error(&with(r#""owner": "x", "perm": "0755""#)),
                format!("config.json: {section}[0]: `path` is missing")
            );
            assert_eq!(
                error(&with(r#""path": null, "owner": "x", "perm": "0755""#)),
                format!("config.json: {section}[0]: `path` is missing")
            );
            assert_eq!(
                error(&with(r#""path": "/x", "perm": "0755""#)),
                format!("config.json: {section}[0]: `owner` is missing")
            );
            assert_eq!(
                error(&with(r#""path": "/x", "owner": "x""#)),
                format!("config.json: {section}[0]: `perm` is missing")
            );
            assert_eq!(
                error(&with(r#""path": "/x/*.log", "owner": "x", "perm": "0755""#)),
                format!(
                    "config.json: {section}[0].path: wildcards are not supported here, expected \
                     the path of one file"
                )
            );
        }
    }

    #[test]
    fn paths_are_absolute_and_lead_straight_down() {
        for (dest, expected) in [
            ("d", "expected a path that begins with `/`"),
            ("/a/../b", "expected a path without `..`"),
            (
                "/a\\u0000",
                "has a character U+0000, which no path can hold",
            ),
        ] {
            let text = config_file(&format!(
                r#""source": "/s", "dest": "{dest}", "preserve_properties": true"#
            ));
            assert_eq!(
                error(&text),
                format!("config.json: config_files[0].dest: {expected}")
            );
        }
    }

    #[test]
    fn an_expression_that_cannot_be_compiled_is_named() {
        let text = r#"{"command": "x", "permissions": [
            {"path": "/x", "owner": "y", "exclude": ["ok", "(?!hunter2)"]}]}"#;
        let error = error(text);
        assert!(error.starts_with("config.json: permissions[0].exclude[1]: expected a regular"));
        assert!(!error.contains("hunter2"));
    }
}
