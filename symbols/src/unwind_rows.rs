//! Unwind rows that the system's unwinder knows: what Rust's backtraces, panics and C++ exceptions walk the stack with.

unsafe extern "C" {
    fn __register_frame(section: *const u8);
    fn __deregister_frame(section: *const u8);
}

/// An `.eh_frame` section that the unwinder knows of, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnwindRows(Box<[u8]>);

impl UnwindRows {
    /// Tells it of `section`, which ends with a terminator.
    pub(crate) fn new(section: Vec<u8>) -> UnwindRows {
        let rows = UnwindRows(section.into_boxed_slice());
        // SAFETY: a section of this form, which stays where it is.
        unsafe { __register_frame(rows.0.as_ptr()) };
        rows
    }
}

impl Drop for UnwindRows {
    fn drop(&mut self) {
        // SAFETY: registered by `new`.
        unsafe { __deregister_frame(self.0.as_ptr()) };
    }
}
