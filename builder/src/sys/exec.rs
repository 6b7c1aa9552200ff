//! Becoming another program.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

/// Replaces the calling program; returns only the reason why it could not. The environment keeps
/// its order. No signal is ignored: this program ignores SIGPIPE, as Rust's do, and may have been
/// started with others ignored, as by nohup(1).
pub fn exec(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        let ends = [std::ptr::null()];
        list.iter().map(|text| text.as_ptr()).chain(ends).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer, and what they point to lives as long as the call.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            // Two of them cannot be, and some belong to the library, which refuses.
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    io::Error::last_os_error()
}
