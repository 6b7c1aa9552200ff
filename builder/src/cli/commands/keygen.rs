use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::args::KeygenArgs;
use super::super::console::Console;
use super::super::{Ending, Environment, keys};
use crate::model::{Diagnostic, Diagnostics, Location};
use crate::supply::SecretKey;

pub(in super::super) fn run(
    args: &KeygenArgs,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let prefix = args.output.as_deref().unwrap_or(Path::new(keys::PREFIX));
    let file = |suffix: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (secret, public) = (file(".key"), file(".pub"));
    // Before somebody thinks of a password in vain.
    for path in [&secret, &public] {
        if path.exists() {
            return Err(taken(path).into());
        }
    }
    let password = keys::password(environment, true)?;
    let key = SecretKey::generate();
    write(&secret, &key.seal(&password)?, 0o600)?;
    if let Err(problem) = write(&public, &key.public().to_pem()?, 0o644) {
        // Half a pair is of no use. That it cannot be removed either would be told by the next try.
        let _ = std::fs::remove_file(&secret);
        return Err(problem.into());
    }
    console.result(&format!(
        "{}  signs: keep it and its password to yourself\n{}  checks: hand it to everybody\n",
        secret.display(),
        public.display()
    ))?;
    Ok(Ending::Good)
}

fn taken(path: &Path) -> Diagnostic {
    Diagnostic::definition("there is such a file already")
        .at(Location::file(path))
        .hint("a key that was lost cannot be made again: name other files with --output")
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Diagnostic> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => Diagnostic::environment(format!("cannot write the key: {error}"))
            .at(Location::file(path)),
    })
}
