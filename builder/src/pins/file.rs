//! `kolla.lock` as text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use toml::Spanned;

use super::{Pins, Suites};
use crate::catalog::{LOCK, toml as definitions};
use crate::model::{Diagnostic, Digest, Location, Reference, Source};

/// The largest file taken, in bytes.
const MAX: u64 = 4 << 20;
const VERSION: u32 = 1;
const HEAD: &str = "# What the network could change under the images, held still.\n\
    # Written by `kolla lock`; `kolla lock --update` moves on.\n";

#[derive(serde::Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    images: BTreeMap<String, &'a Digest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    archive: &'a BTreeMap<String, Suites>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: Spanned<u32>,
    #[serde(default)]
    images: BTreeMap<Spanned<String>, Digest>,
    #[serde(default)]
    archive: BTreeMap<String, Suites>,
}

/// What the file of a fleet says; none where there is no file.
///
/// # Errors
/// Definition where it is not as [`write`] writes it, environment where it cannot be read.
pub fn read(root: &Path) -> Result<Option<Pins>, Diagnostic> {
    let path = root.join(LOCK);
    let unreadable = |error: std::io::Error| {
        Diagnostic::environment(format!("cannot read it: {error}")).at(Location::file(&path))
    };
    let wrong = |what: &str| {
        Diagnostic::definition(what)
            .at(Location::file(&path))
            .hint(AGAIN)
    };
    match path.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(wrong("it is not an ordinary file")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX {
        return Err(wrong("it is larger than any file of pins"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    parse(&Source::new(path, text)).map(Some)
}

const AGAIN: &str = "`kolla lock` writes this file: take it from a commit where it is whole, or remove it and run `kolla lock`";

fn parse(source: &Source) -> Result<Pins, Diagnostic> {
    let found: Document = definitions::read(source).map_err(|problem| problem.hint(AGAIN))?;
    if *found.version.get_ref() != VERSION {
        return Err(Diagnostic::definition(format!(
            "expected version {VERSION}, found {}",
            found.version.get_ref()
        ))
        .at(source.location(found.version.span()))
        .hint("another version of this program wrote it: use that, or remove the file and run `kolla lock`"));
    }
    let mut images = BTreeMap::new();
    for (name, digest) in found.images {
        let at = source.location(name.span());
        let reference = Reference::parse(name.get_ref()).map_err(|p| p.at(at).hint(AGAIN))?;
        images.insert(reference, digest);
    }
    let states = found.archive.iter().flat_map(|(suite, suites)| {
        let own = suites.iter().map(|(name, state)| (name, &state.date));
        own.chain([(suite, suite)])
    });
    for (name, date) in states {
        // They are shown in tables.
        if let Some(bad) = [name, date].into_iter().find(|text| !is_plain(text)) {
            let problem = format!("`{}` is not a name or a date", bad.escape_debug());
            return Err(Diagnostic::definition(problem)
                .at(Location::file(source.path()))
                .hint(AGAIN));
        }
    }
    Ok(Pins {
        archives: found.archive,
        images,
    })
}

fn is_plain(text: &str) -> bool {
    const LONGEST: usize = 100;
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

/// Keeps others from writing the file of a fleet until what is returned is dropped.
///
/// # Errors
/// Environment where the folder cannot be locked.
pub fn turn(root: &Path) -> Result<File, Diagnostic> {
    let folder = File::open(root).and_then(|folder| folder.lock().map(|()| folder));
    folder.map_err(|e| {
        Diagnostic::environment(format!("cannot lock the folder: {e}")).at(Location::file(root))
    })
}

/// Writes the file of a fleet, whole or not at all.
///
/// # Errors
/// Environment where it cannot be written.
pub fn write(root: &Path, pins: &Pins) -> Result<(), Diagnostic> {
    let path = root.join(LOCK);
    // A link stays one.
    let path = path.canonicalize().unwrap_or(path);
    let folder = path.parent().unwrap_or(root);
    let problem = |e: &dyn std::fmt::Display| {
        Diagnostic::environment(format!("cannot write it: {e}")).at(Location::file(&path))
    };
    let text = text(pins).map_err(|e| problem(&e))?;
    let usual = || std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .permissions(
            path.metadata()
                .map_or_else(|_| usual(), |m| m.permissions()),
        )
        .tempfile_in(folder)
        .map_err(|e| problem(&e))?;
    file.write_all(text.as_bytes()).map_err(|e| problem(&e))?;
    file.persist(&path).map_err(|e| problem(&e.error))?;
    Ok(())
}

fn text(pins: &Pins) -> Result<String, toml::ser::Error> {
    let images = pins.images.iter();
    let written = Written {
        version: VERSION,
        images: images.map(|(image, d)| (image.to_string(), d)).collect(),
        archive: &pins.archives,
    };
    Ok(format!("{HEAD}{}", toml::to_string_pretty(&written)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::debian::SuiteState;

    fn pins() -> Pins {
        let state = SuiteState {
            inrelease: Digest::of("x"),
            date: "Sat, 21 Nov 2026 09:15:44 UTC".into(),
        };
        let suites = Suites::from([("trixie-security".into(), state)]);
        let image = Reference::parse("registry.example:5000/debian:13").unwrap();
        Pins {
            archives: BTreeMap::from([("trixie".into(), suites)]),
            images: BTreeMap::from([(image, Digest::of("y"))]),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        for pins in [pins(), Pins::default()] {
            write(folder.path(), &pins).unwrap();
            assert_eq!(read(folder.path()).unwrap(), Some(pins));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_no_kolla_wrote_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        std::fs::create_dir(&path).unwrap();
        let refused = || read(folder.path()).unwrap_err();
        assert_eq!(refused().message(), "it is not an ordinary file");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, b"version = 1 # \xff").unwrap();
        assert_eq!(refused().message(), "it is not UTF-8");
        let text = text(&pins()).unwrap();
        std::fs::write(&path, text.replace("Sat,", "Sat\\n")).unwrap();
        assert!(refused().message().contains("is not a name or a date"));
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other"), "").unwrap();
        let link = folder.path().join(LOCK);
        std::os::unix::fs::symlink("other", &link).unwrap();
        write(folder.path(), &pins()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read(folder.path()).unwrap(), Some(pins()));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let problem = |text: &str| {
            let problem = parse(&Source::new(LOCK, text)).unwrap_err();
            assert!(!problem.hints().is_empty());
            problem.to_string()
        };
        assert_eq!(
            problem("version = 2\n"),
            "kolla.lock:1:11: expected version 1, found 2"
        );
        let digest = Digest::of("x");
        let image = format!("version = 1\n[images]\n\"A B\" = \"{digest}\"\n");
        assert!(problem(&image).starts_with("kolla.lock:3:1: `A B` is not a valid image"));
        let unknown = problem("version = 1\narchives = {}\n");
        assert_eq!(unknown, "kolla.lock:2:1: unknown key `archives`");
        let short = problem("version = 1\n[images]\n\"debian:13\" = \"sha256:12\"\n");
        assert!(short.starts_with("kolla.lock:3:"), "{short}");
    }
}
