//! A file that stays in memory: kernels that page out what is cold (DAMON) take pages of a running binary as well, and a
//! slope of its resident memory then says nothing of the process.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// All pages of a file, mapped and locked until this is dropped.
pub struct Locked {
    pages: *mut libc::c_void,
    bytes: usize,
}

impl Locked {
    /// `None` where this user may not lock as much (`ulimit -l`).
    pub fn file(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let bytes = usize::try_from(file.metadata().ok()?.len()).ok()?;
        // SAFETY: a new mapping, which nobody reads; the system chooses where it lies.
        let pages =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if pages == libc::MAP_FAILED {
            return None;
        }
        let locked = Self { pages, bytes };
        // SAFETY: exactly the mapping from above.
        (unsafe { libc::mlock(pages, bytes) } == 0).then_some(locked)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and ends with it.
        unsafe { libc::munmap(self.pages, self.bytes) };
    }
}
