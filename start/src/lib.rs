//! The program inside the images: puts a container's configuration in place and runs its command.
//!
//! It is one program under the names that upstream Kolla's images have, and does what their
//! documented interface says: `kolla_start`, `kolla_set_configs` and `kolla_copy_cacerts`. As process
//! 1 it also does what `dumb-init` does there.
//!
//! `root` and `accounts` are what the others stand on; `config` is text made values, `plan` those
//! against the files; `copy`, `permissions`, `defaults` and `cacerts` change things, `check`
//! compares; `set_configs` puts them in order. `start` and `init` are about processes.

#![forbid(unsafe_code)]

mod accounts;
mod cacerts;
mod check;
mod config;
mod copy;
mod defaults;
pub mod error;
mod host;
mod init;
mod log;
mod pattern;
mod permissions;
mod plan;
pub mod root;
mod set_configs;
mod start;
mod write;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

pub use host::Host;

use error::{Error, Result};
use log::Log;

/// Runs the program that the first of `arguments` names and answers with its exit status.
/// `to` gets what it has to say.
pub fn main(host: &mut Host, arguments: &[OsString], to: &mut dyn Write) -> u8 {
    let Some((name, arguments)) = arguments.split_first() else {
        return 1;
    };
    let name = Path::new(name).file_name().unwrap_or_default();
    let name = match name.to_str() {
        Some("kolla_set_configs") => "kolla_set_configs",
        Some("kolla_copy_cacerts") => "kolla_copy_cacerts",
        Some(init::CHILD) => init::CHILD,
        _ => "kolla_start",
    };
    let shown = if name == init::CHILD {
        "kolla_start"
    } else {
        name
    };
    let mut log = Log::new(shown, to);
    let status = run(host, &mut log, name, arguments);
    status.unwrap_or_else(|error| {
        log.say(error.line());
        error.status()
    })
}

fn run(host: &mut Host, log: &mut Log<'_>, name: &str, arguments: &[OsString]) -> Result<u8> {
    match name {
        "kolla_set_configs" => set_configs::main(host, log, &texts(arguments)?)?,
        "kolla_copy_cacerts" => set_configs::copy_cacerts(host, log, &texts(arguments)?)?,
        init::CHILD => {
            init::become_child(host)?;
            start::main(host, log, arguments)?;
        }
        _ if rustix::process::getpid().is_init() => return init::main(host, arguments),
        _ => start::main(host, log, arguments)?,
    }
    Ok(0)
}

fn texts(arguments: &[OsString]) -> Result<Vec<&str>> {
    let texts = arguments.iter().map(|argument| argument.to_str());
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| Error::Usage("expected arguments in UTF-8".to_owned()))
}
