//! `kolla_start`: puts the configuration in place and becomes the command.
//!
//! With a configuration, the command is the configuration's, and what needs the superuser is done by
//! `kolla_set_configs`: in this process where it is the superuser, else through `sudo`. Without one
//! the arguments are the command, and nothing here needs a privilege, a writable file system or
//! `sudo`; that is how an ordinary Kubernetes container is run.
//!
//! An image's `kolla_extend_start` is read by bash, as its variables are to reach the command, and
//! it may set `ARGS` or `CMD`. Without one, or with one that is empty, no shell is involved.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::cacerts;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::log::Log;
use crate::set_configs::{self, Origin, RUN_COMMAND};

const BIN: &str = "/usr/local/bin";
const EXTEND: &str = "/usr/local/bin/kolla_extend_start";
const MAX_COMMAND: u64 = 16 << 20;

/// Reads the image's script with upstream's settings, then becomes the command. `CMD` is for scripts
/// that look at it or set it; the words of an unchanged one are kept as they came, so that arguments
/// with spaces in them stay whole. No word is taken for a pattern of file names.
const READ_EXTEND: &str = r#"set -o errexit -o pipefail -o nounset
__kolla_words=("$@")
CMD="$*"
__kolla_command=$CMD
ARGS=""
set --
. /usr/local/bin/kolla_extend_start
set -o noglob
if [[ $CMD != "$__kolla_command" ]]; then __kolla_words=($CMD); fi
exec -- "${__kolla_words[@]}" $ARGS
"#;

/// Does not return but with an error: the process becomes the command.
pub(crate) fn main(host: &mut Host, log: &mut Log<'_>, arguments: &[OsString]) -> Result<()> {
    let superuser = rustix::process::geteuid().is_root();
    let origin = set_configs::origin(host)?;
    match &origin {
        Some(origin) if superuser => set_configs::run(host, log, origin, false)?,
        Some(Origin::File(path)) if host.var("KOLLA_CONFIG_FILE").is_none() => {
            let tell = || format!("{} is there", path.display());
            as_superuser("kolla_set_configs", tell)?;
        }
        Some(_) => {
            return Err(Error::Usage(
                "KOLLA_CONFIG and KOLLA_CONFIG_FILE are taken from the superuser only, or \
                 anybody could have any file; mount the configuration at \
                 /var/lib/kolla/config_files/config.json"
                    .to_owned(),
            ));
        }
        None => {}
    }
    if cacerts::pending(&host.root) {
        if superuser {
            cacerts::run(&host.root, log)?;
        } else {
            let tell = || "further certificates are given".to_owned();
            as_superuser("kolla_copy_cacerts", tell)?;
        }
    }
    let words = match origin {
        Some(_) => written_command(host)?,
        None => arguments.to_vec(),
    };
    let launch = launch(host, words)?;
    log.say(format_args!("running {}", shown(&launch.shown)));
    Err(launch.exec())
}

/// `kolla_init`: the arguments are the command, whatever configuration there is.
pub(crate) fn plain(arguments: &[OsString]) -> Result<()> {
    match arguments.first() {
        Some(program) => Err(Launch {
            words: arguments.to_vec(),
            shown: program.clone(),
        }
        .exec()),
        None => Err(Error::Usage(
            "there is nothing to run: give a command as arguments, such as kolla_start".to_owned(),
        )),
    }
}

fn shown(word: &OsStr) -> String {
    word.to_string_lossy().escape_debug().collect()
}

/// Runs one of this program's names as the superuser. No variable is asked to be kept: the rule of
/// `sudo` says which are.
fn as_superuser(name: &str, why: impl FnOnce() -> String) -> Result<()> {
    let failed = |how: &str, status: u8| {
        let why = why();
        let how = format!(
            "{how}: {why}, and this user is not the superuser. Let this user use `sudo` (it needs \
             the package, the group `kolla`, and no `allowPrivilegeEscalation: false`), or mount \
             every file in place, without config.json, and give the command as arguments"
        );
        let program = format!("sudo {name}");
        Err(Error::Program {
            program,
            how,
            status,
        })
    };
    let status = Command::new("sudo")
        .args(["-n", "--"])
        .arg(Path::new(BIN).join(name))
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        // The program has said what is wrong, if it was `sudo` that let it run.
        Ok(status) => failed("failed, as said above or refused by sudo", code(status)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            failed("is not possible, as there is no `sudo` here", 2)
        }
        Err(error) => failed(&format!("cannot be run ({error})"), 2),
    }
}

fn code(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(2)
}

/// The words of the command in `/run_command`. As with upstream, only white space parts them: there
/// are no quotes.
fn written_command(host: &Host) -> Result<Vec<OsString>> {
    let path = Path::new(RUN_COMMAND);
    let text = host.root.read(path, MAX_COMMAND)?.unwrap_or_default();
    let words = text.split(u8::is_ascii_whitespace);
    let words = words.filter(|word| !word.is_empty());
    Ok(words
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect())
}

/// A program with its arguments, and what to call it.
#[derive(Debug)]
struct Launch {
    words: Vec<OsString>,
    shown: OsString,
}

fn launch(host: &Host, command: Vec<OsString>) -> Result<Launch> {
    let Some(program) = command.first().cloned() else {
        return Err(Error::Usage(
            "there is nothing to run: give a command as arguments, or mount a configuration that \
             has one at /var/lib/kolla/config_files/config.json"
                .to_owned(),
        ));
    };
    let words = if extended(host)? {
        let shell = ["bash", "-c", READ_EXTEND, "kolla_start"];
        let mut words: Vec<OsString> = shell.iter().map(OsString::from).collect();
        words.extend(command);
        words
    } else {
        command
    };
    Ok(Launch {
        words,
        shown: program,
    })
}

/// Whether the image's script is there, has anything in it, and is wanted.
fn extended(host: &Host) -> Result<bool> {
    if host.var("KOLLA_SKIP_EXTEND_START").is_some() {
        return Ok(false);
    }
    let node = host
        .root
        .follow(Path::new(EXTEND))
        .and_then(|place| place.node());
    match node {
        Ok(node) => Ok(node.is_some_and(|node| node.stat().st_size > 0)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Launch {
    /// Returns only where there is nothing to become; the status is that of a shell.
    fn exec(self) -> Error {
        let mut words = self.words.iter();
        let Some(program) = words.next() else {
            return Error::Usage("there is nothing to run".to_owned());
        };
        let error = Command::new(program).args(words).exec();
        let status = if error.kind() == std::io::ErrorKind::NotFound {
            127
        } else {
            126
        };
        Error::Program {
            program: shown(program),
            how: format!("cannot be run: {error}"),
            status,
        }
    }
}
