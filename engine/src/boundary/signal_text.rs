//! Text that a signal handler writes: into a buffer on its stack, and from there to standard error by one system
//! call. Nothing is locked or allocated, so it does not matter what the signal has interrupted.

use std::fmt;

use libc::c_void;

const CAPACITY: usize = 256;

/// A line of text. What is too long for the buffer is cut off.
struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

/// Writes a line to standard error. Safe in signal handlers if formatting the arguments is: that of strings and
/// integers is.
pub(super) fn write_line(arguments: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; CAPACITY], length: 0 };
    // The buffer takes everything.
    let _ = fmt::write(&mut line, format_args!("osr-engine: {arguments}\n"));
    // SAFETY: the buffer is filled up to there. Nothing can be done if the line cannot be written.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast::<c_void>(), line.length) };
}
