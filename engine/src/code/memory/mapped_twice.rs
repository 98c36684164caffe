//! Memory that has two addresses: at one it is executed, at the other it is written.
//!
//! It is no file, if that can be had: perf, and whatever else reads perf maps, looks up names of code only where memory is
//! anonymous, or called `/dev/zero`, as the system calls memory that is anonymous and shared.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

use crate::memory::reservation::Reservation;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
const READ_EXECUTE: i32 = libc::PROT_READ | libc::PROT_EXEC;

/// As many bytes as are reserved: executable in the place of `reserved`, and where they are writable.
pub(super) fn map_twice(reserved: Reservation) -> io::Result<(*mut u8, *mut u8)> {
    // Valgrind has no way to map anonymous memory again.
    let write = anonymous(&reserved).or_else(|_| of_a_file(&reserved))?;
    Ok((reserved.leak().0, write))
}

/// Anonymous memory.
fn anonymous(reserved: &Reservation) -> io::Result<*mut u8> {
    let bytes = reserved.bytes();
    let write = map(ptr::null_mut(), bytes, READ_WRITE, libc::MAP_ANONYMOUS, -1)?;
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the first mapping stays as it is, since nothing (0 bytes) of it moves; where the second one is to be, addresses are
    // reserved, and nothing else is there.
    let again = unsafe { libc::mremap(write.cast(), 0, bytes, flags, reserved.base()) };
    let executable = again != libc::MAP_FAILED && {
        // SAFETY: the range is the second mapping, which nobody uses yet.
        unsafe { libc::mprotect(again, bytes, READ_EXECUTE) == 0 }
    };
    if executable {
        return Ok(write);
    }
    let error = io::Error::last_os_error();
    // SAFETY: the mapping is ours, and nobody uses it.
    unsafe { libc::munmap(write.cast(), bytes) };
    Err(error)
}

/// A file without a name.
fn of_a_file(reserved: &Reservation) -> io::Result<*mut u8> {
    // SAFETY: a plain system call; the name is a C string.
    let descriptor = unsafe { libc::memfd_create(c"osr-code".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours. The mappings keep the memory when it is closed.
    let file = unsafe { File::from_raw_fd(descriptor) };
    file.set_len(reserved.bytes() as u64)?;
    map(reserved.base(), reserved.bytes(), READ_EXECUTE, libc::MAP_FIXED, file.as_raw_fd())?;
    map(ptr::null_mut(), reserved.bytes(), READ_WRITE, 0, file.as_raw_fd())
}

/// Maps `bytes` of shared memory: at `place`, where addresses are reserved, or, if that is null, somewhere.
fn map(place: *mut u8, bytes: usize, protection: i32, flags: i32, file: i32) -> io::Result<*mut u8> {
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | flags;
    // SAFETY: nothing but the reservation is at `place`; otherwise the kernel chooses an address.
    let mapping = unsafe { libc::mmap(place.cast(), bytes, protection, flags, file, 0) };
    if mapping == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapping.cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_executed_whatever_it_is_mapped_from() {
        for way in [anonymous, of_a_file] {
            let reserved = Reservation::new(1 << 16).unwrap();
            let write = way(&reserved).unwrap();
            // SAFETY: both mappings are there, have so many bytes, and are used by nobody else.
            let read = unsafe {
                write.add(4096).write(7);
                reserved.base().add(4096).read()
            };
            assert_eq!(read, 7);
            // SAFETY: the mapping is ours.
            unsafe { libc::munmap(write.cast(), reserved.bytes()) };
        }
    }

    /// Or perf does not look into perf maps.
    #[test]
    fn code_has_no_file() {
        let reserved = Reservation::new(1 << 16).unwrap();
        let write = anonymous(&reserved).unwrap();
        let mappings = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = format!("{:x}-", reserved.base() as usize);
        let line = mappings.lines().find(|line| line.starts_with(&start)).expect("it is mapped");
        assert!(line.contains(" r-xs ") && line.contains(" /dev/zero"), "{line}");
        // SAFETY: the mapping is ours.
        unsafe { libc::munmap(write.cast(), reserved.bytes()) };
    }
}
