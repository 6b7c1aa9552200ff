//! Open files that a process was started with.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

/// Closes all files but the standard ones and `kept`: whoever started the program may have left some
/// open, and a folder among them would lead a step out of its root file system. To be called before
/// the process opens any of its own.
///
/// # Errors
/// When an old kernel cannot do it at once, and `/proc` does not say which there are.
pub fn close_inherited(kept: BorrowedFd<'_>) -> io::Result<()> {
    let kept = kept.as_raw_fd();
    let all = [(3, kept - 1), (kept + 1, RawFd::MAX)];
    let closed = all
        .iter()
        .filter(|(first, last)| first <= last)
        .all(|(first, last)| {
            // SAFETY: nobody in this process knows of these files.
            unsafe { libc::syscall(libc::SYS_close_range, *first, *last, 0) == 0 }
        });
    if closed {
        return Ok(());
    }
    let numbers = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok())
        .collect::<Vec<_>>();
    for number in numbers
        .into_iter()
        .filter(|number| *number > 2 && *number != kept)
    {
        // SAFETY: as above; the folder just read is closed already.
        unsafe { libc::close(number) };
    }
    Ok(())
}
