//! What a signal has interrupted, on x86-64.

use libc::ucontext_t;

/// The registers of the interrupted code. They are what it continues with.
pub(crate) struct Interrupted<'s>(pub(crate) &'s mut ucontext_t);

impl Interrupted<'_> {
    /// The address of the instruction that faulted.
    pub(crate) fn pc(&self) -> u64 {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] as u64
    }

    /// Its frame pointer.
    pub(crate) fn frame_base(&self) -> u64 {
        self.0.uc_mcontext.gregs[libc::REG_RBP as usize] as u64
    }

    /// Continues at `pc` instead, with all registers as they are.
    pub(crate) fn jump(&mut self, pc: u64) {
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] = pc as i64;
    }

    /// Continues at `pc` instead, with `argument` where System V passes the first one.
    pub(crate) fn continue_at(&mut self, pc: u64, argument: u64) {
        self.jump(pc);
        self.0.uc_mcontext.gregs[libc::REG_RDI as usize] = argument as i64;
    }
}
