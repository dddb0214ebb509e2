//! Descriptors that this process was started with.

use std::fs::File;

/// A second handle on a descriptor that whoever started this process has left open for it.
#[cfg(unix)]
pub fn inherited(number: u32) -> Option<File> {
    use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
    use std::os::fd::BorrowedFd;
    let number = i32::try_from(number).ok()?;
    // SAFETY: the descriptor is only looked at before it is known to be an inherited one, which nothing in this process
    // closes. What this process has opened itself is closed on `exec`, and is no inherited one.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(descriptor).ok()?;
    if flags.contains(FdFlags::CLOEXEC) {
        return None;
    }
    Some(fcntl_dupfd_cloexec(descriptor, 3).ok()?.into())
}

#[cfg(not(unix))]
pub fn inherited(_number: u32) -> Option<File> {
    None
}
