//! The kernel's keyrings (keyrings(7)).

#![allow(unsafe_code)]

use std::io;

/// Of keyctl(2).
const JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Moves the calling process into a new, empty session keyring, so that it does not hold the keys of
/// whoever started it. A kernel without keys, and a filter that keeps this process and all that it
/// starts from them, are as good.
///
/// # Errors
/// When the user has as many keys as are allowed.
pub fn leave_session_keyring() -> io::Result<()> {
    let no_name = std::ptr::null::<libc::c_char>();
    // SAFETY: without a name nothing is read from memory.
    if unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, no_name) } >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM) => Ok(()),
        _ => Err(error),
    }
}
