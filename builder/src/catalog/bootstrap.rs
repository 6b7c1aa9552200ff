//! What is valid in a `bootstrap` table.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use toml::Spanned;

use super::definition::{Bootstrap, KeyFile};
use super::service::BootstrapTable;
use super::within_service;
use crate::debian::{Keyring, Variant};
use crate::model::{Diagnostic, Source};

/// The largest file of keys taken, in bytes. Debian's has 60 kB.
const MAX_KEYS: u64 = 4 << 20;

pub(super) fn bootstrap(
    table: &BootstrapTable,
    source: &Source,
    service_folder: &Path,
) -> Result<Bootstrap, Diagnostic> {
    let word = |value: &Spanned<String>, what: &str| {
        let text = value.get_ref();
        let good = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
        if good {
            Ok(text.clone())
        } else {
            Err(
                Diagnostic::definition(format!("`{}` is not a {what}", text.escape_debug()))
                    .at(source.location(value.span())),
            )
        }
    };
    let words = |values: &[Spanned<String>], what: &str| {
        values
            .iter()
            .map(|v| word(v, what))
            .collect::<Result<Vec<_>, _>>()
    };
    let variant = Variant::parse(table.variant.get_ref())
        .map_err(|p| p.at(source.location(table.variant.span())))?;
    let keyring = table.keyring.as_ref();
    Ok(Bootstrap {
        suite: word(&table.suite, "release name")?,
        variant,
        include: words(&table.include, "package name")?,
        components: words(&table.components, "archive area")?,
        keyring: keyring
            .map(|path| key_file(path, source, service_folder))
            .transpose()?,
        pinned: BTreeMap::new(),
    })
}

fn key_file(
    path: &Spanned<String>,
    source: &Source,
    service_folder: &Path,
) -> Result<KeyFile, Diagnostic> {
    let file = within_service(service_folder, path, "a keyring", source)?;
    let at = |problem: Diagnostic| problem.at(source.location(path.span()));
    let mut bytes = Vec::new();
    std::fs::File::open(&file)
        .and_then(|file| file.take(MAX_KEYS + 1).read_to_end(&mut bytes))
        .map_err(|e| {
            at(Diagnostic::environment(format!(
                "cannot read `{}`: {e}",
                file.display()
            )))
        })?;
    if bytes.len() as u64 > MAX_KEYS {
        return Err(at(Diagnostic::definition(format!(
            "`{}` is larger than {MAX_KEYS} bytes",
            file.display()
        ))));
    }
    Keyring::parse(&bytes).map_err(|e| {
        at(Diagnostic::definition(e.to_string())
            .hint("a file as `gpg --export` writes it, with or without `--armor`"))
    })?;
    Ok(KeyFile(bytes.into()))
}
