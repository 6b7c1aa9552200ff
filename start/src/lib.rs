//! The program inside the images: puts a container's configuration in place and runs its command.
//!
//! It is one program under the names that upstream Kolla's images have, and does what their
//! documented interface says: `kolla_start`, `kolla_set_configs` and `kolla_copy_cacerts`. `kolla_init`
//! is what `dumb-init` is there, and `kolla_start` does the same where it is process 1 itself.
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
mod root;
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
    let (name, shown) = match name.to_str() {
        Some("kolla_set_configs") => (Name::SetConfigs, "kolla_set_configs"),
        Some("kolla_copy_cacerts") => (Name::CopyCacerts, "kolla_copy_cacerts"),
        Some("kolla_init") => (Name::Init, "kolla_init"),
        Some(init::INIT_CHILD) => (Name::InitChild, "kolla_init"),
        Some(init::START_CHILD) => (Name::StartChild, "kolla_start"),
        _ => (Name::Start, "kolla_start"),
    };
    let mut log = Log::new(shown, to);
    let status = run(host, &mut log, name, arguments);
    status.unwrap_or_else(|error| {
        log.say(error.line());
        error.status()
    })
}

/// What the program is called as.
#[derive(Clone, Copy)]
enum Name {
    SetConfigs,
    CopyCacerts,
    Init,
    InitChild,
    Start,
    StartChild,
}

fn run(host: &mut Host, log: &mut Log<'_>, name: Name, arguments: &[OsString]) -> Result<u8> {
    let first = rustix::process::getpid().is_init();
    match name {
        Name::SetConfigs => set_configs::main(host, log, &texts(arguments)?)?,
        Name::CopyCacerts => set_configs::copy_cacerts(host, log, &texts(arguments)?)?,
        Name::Init if first => return init::main(host, init::INIT_CHILD, arguments),
        Name::Start if first => return init::main(host, init::START_CHILD, arguments),
        Name::Init => start::plain(arguments)?,
        Name::InitChild => {
            init::become_child(host)?;
            start::plain(arguments)?;
        }
        Name::Start => start::main(host, log, arguments)?,
        Name::StartChild => {
            init::become_child(host)?;
            start::main(host, log, arguments)?;
        }
    }
    Ok(0)
}

fn texts(arguments: &[OsString]) -> Result<Vec<&str>> {
    let texts = arguments.iter().map(|argument| argument.to_str());
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| Error::Usage("expected arguments in UTF-8".to_owned()))
}
