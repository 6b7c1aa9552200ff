//! Starting a copy of a process, and waiting for it.

#![allow(unsafe_code)]

use std::io;

/// Which of the two one is after a [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The one that called, with the number of the new one.
    Parent(i32),
    /// The new one.
    Child,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl Ended {
    /// The status as a shell gives it: 128 and the signal where there was one.
    pub fn status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Signalled(signal) => 128 + signal,
        }
    }
}

/// Starts a copy of the calling process.
///
/// # Errors
/// When the system has no room for it, and in a process of several threads, where the copy could
/// find any lock taken for ever.
pub fn fork() -> io::Result<Forked> {
    // Has no effect but to fail where there are other threads (unshare(2)); /proc, which would tell
    // as well, is not there in every root file system.
    // SAFETY: it touches no memory.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } != 0 {
        return Err(io::Error::other("fork in a process of several threads"));
    }
    // SAFETY: there is no other thread whose state the child could find half changed.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Waits for a child to end.
///
/// # Errors
/// When it is no child of this process.
pub fn wait(pid: i32) -> io::Result<Ended> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for an int.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(if libc::WIFSIGNALED(status) {
        Ended::Signalled(libc::WTERMSIG(status))
    } else {
        Ended::Exited(libc::WEXITSTATUS(status))
    })
}

/// Ends the process at once, without what the library does at an ordinary end: a copy must not do
/// the original's duties.
pub fn exit(status: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}
