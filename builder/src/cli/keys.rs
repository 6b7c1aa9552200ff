//! Keys for signatures: where they are, and the password that opens them.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use console::Term;
use zeroize::Zeroizing;

use super::Environment;
use crate::model::{Diagnostic, Location};
use crate::supply::{PublicKey, SecretKey};

/// What cosign calls the keys that it makes, and where they are looked for.
pub(super) const PREFIX: &str = "cosign";

/// The variables with the password, ours first. An empty password is a password to cosign.
const PASSWORDS: [&str; 2] = ["KOLLA_KEY_PASSWORD", "COSIGN_PASSWORD"];

/// The largest file that is read as a key, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The key that signatures are held against: a file, or `cosign.pub` in the fleet's folder.
pub(super) fn public(named: Option<&Path>, root: &Path) -> Result<PublicKey, Diagnostic> {
    let usual = root.join(format!("{PREFIX}.pub"));
    let path = named.unwrap_or(&usual);
    let text = read(path).map_err(|problem| {
        problem.hint("--key names the public key of who signs; without it, it is `cosign.pub` in the fleet's folder")
    })?;
    PublicKey::parse(&text).map_err(|problem| problem.at(Location::file(path)))
}

/// The key that signs, opened with its password.
pub(super) fn secret(path: &Path, environment: &Environment) -> Result<SecretKey, Diagnostic> {
    let text = Zeroizing::new(read(path)?);
    let password = password(environment, false)?;
    SecretKey::open(&text, &password).map_err(|problem| problem.at(Location::file(path)))
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|e| {
            Diagnostic::definition(format!("cannot read the key: {e}")).at(Location::file(path))
        })?;
    Ok(text)
}

/// The password of a private key: from a variable, else asked for on the terminal, `twice` where it is
/// a new one.
pub(super) fn password(
    environment: &Environment,
    twice: bool,
) -> Result<Zeroizing<String>, Diagnostic> {
    let mut given = PASSWORDS.iter();
    if let Some(password) = given.find_map(|name| environment.variables.get(*name)) {
        return Ok(Zeroizing::new(password.clone()));
    }
    let terminal = Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return Err(
            Diagnostic::definition("there is no password for the key").hint(
                "set KOLLA_KEY_PASSWORD or COSIGN_PASSWORD, or run it on a terminal to be asked",
            ),
        );
    }
    let ask = |question: &str| {
        terminal
            .write_str(question)
            .and_then(|()| terminal.read_secure_line())
            .map(Zeroizing::new)
            .map_err(|e| Diagnostic::environment(format!("cannot ask for the password: {e}")))
    };
    let password = ask("Password of the key: ")?;
    if twice && ask("The same again: ")? != password {
        return Err(Diagnostic::definition("the two passwords differ"));
    }
    Ok(password)
}
