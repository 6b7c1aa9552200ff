//! Becoming another program.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

/// Replaces the calling program; returns only the reason why it could not. The environment keeps
/// its order. Signals are as a program expects them: this one ignores SIGPIPE, as Rust's do.
pub fn exec(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        let ends = [std::ptr::null()];
        list.iter().map(|text| text.as_ptr()).chain(ends).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer, and what they point to lives as long as the call.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    io::Error::last_os_error()
}
