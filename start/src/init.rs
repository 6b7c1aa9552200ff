//! What process 1 of a container has to do, as `dumb-init` does it for upstream's images.
//!
//! The kernel gives process 1 no default handling of signals, and every orphan to bury. So the
//! command runs as a child: process 1 passes signals on to it, reaps whatever ends, and ends when
//! the command does, with its status, or 128 and the signal's number.
//!
//! Signals go to the command alone, since a server with workers stops them in its own way
//! (upstream's images say `--single-child` for that). With `KOLLA_SIGNAL_GROUP` in the environment,
//! the command leads a process group and all of it is signalled, for commands that are scripts.
//!
//! Signals are blocked and waited for, one after the other, so none is lost between two and nothing
//! runs in a handler. The child would inherit the blocking: it is this program under another name,
//! which takes it off before it becomes the command.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Pid, WaitOptions, WaitStatus};

use crate::error::{Error, Result};
use crate::host::Host;

/// The name of `kolla_start` as the child of process 1.
pub(crate) const START_CHILD: &str = "kolla_start_child";
/// The name of `kolla_init` as that.
pub(crate) const INIT_CHILD: &str = "kolla_init_child";
const GROUP: &str = "KOLLA_SIGNAL_GROUP";

/// Runs this program as `name` until it ends; its exit status.
pub(crate) fn main(host: &Host, name: &str, arguments: &[OsString]) -> Result<u8> {
    let signals = SigSet::all();
    signals
        .thread_set_mask()
        .map_err(|error| failed("block", error.into()))?;
    let group = host.var(GROUP).is_some();
    let own = std::env::current_exe().map_err(|error| failed("find", error))?;
    let child = Command::new(own)
        .arg0(name)
        .args(arguments)
        .spawn()
        .map_err(|error| failed("start", error))?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let child = child.ok_or_else(|| failed("start", io::ErrorKind::InvalidData.into()))?;
    loop {
        // Signals above 31 have no name here, and `dumb-init` passes none of them on either.
        let Ok(signal) = signals.wait() else { continue };
        if signal != Signal::SIGCHLD {
            pass_on(signal, child, group);
            continue;
        }
        if let Some(status) = reap(child) {
            return Ok(status);
        }
    }
}

/// Takes the blocking off, so that the command starts with signals as they usually are.
pub(crate) fn become_child(host: &Host) -> Result<()> {
    if host.var(GROUP).is_some() {
        let here = |error: rustix::io::Errno| failed("set the process group of", error.into());
        rustix::process::setpgid(None, None).map_err(here)?;
        let stdin = io::stdin();
        if rustix::termios::isatty(&stdin) {
            // Stopped by no signal, as all are still blocked. A terminal that is not this session's
            // needs no group in front.
            let _ = rustix::termios::tcsetpgrp(&stdin, rustix::process::getpid());
        }
    }
    SigSet::empty()
        .thread_set_mask()
        .map_err(|error| failed("unblock", error.into()))
}

fn failed(action: &'static str, source: io::Error) -> Error {
    Error::io::<io::Error>(action, Path::new("the command's process"))(source)
}

fn pass_on(signal: Signal, child: Pid, group: bool) {
    let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) else {
        return;
    };
    // A command that has just ended does not mind, and the loop will hear of it.
    let _ = match group {
        // Until the child leads its group there is none to signal.
        true => rustix::process::kill_process_group(child, signal)
            .or_else(|_| rustix::process::kill_process(child, signal)),
        false => rustix::process::kill_process(child, signal),
    };
}

/// Buries all that have ended; the status of the command, if it is among them.
fn reap(child: Pid) -> Option<u8> {
    let mut status = None;
    // One signal may stand for many.
    while let Ok(Some((pid, how))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == child {
            status = Some(exit_status(how));
        }
    }
    status
}

fn exit_status(how: WaitStatus) -> u8 {
    let code = how
        .exit_status()
        .or_else(|| how.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}
