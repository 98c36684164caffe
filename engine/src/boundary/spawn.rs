//! Making threads: where the parts of the engine meet.

use std::pin::Pin;
use std::sync::Arc;

use crate::boundary::{fault, hooks, shadow_stack};
use crate::error::ThreadError;
use crate::instance::Instance;
use crate::thread::{Thread, ThreadHooks};

impl Thread {
    /// A thread that executes `instance` on the current native thread, whose stack it shares. An
    /// instance has one thread at a time; those of the instances of a store are of one native thread.
    ///
    /// The first thread of the process installs a handler of `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE`, which
    /// makes traps of what compiled code does wrong. It hands every other such signal to the handler that was
    /// there before. A handler that is installed later has to do the same, or guest code that traps ends the
    /// process.
    ///
    /// # Errors
    /// If there is one already, return addresses cannot be hijacked, or the system has no memory.
    pub fn new(instance: &Arc<Instance>) -> Result<Pin<Box<Thread>>, ThreadError> {
        if shadow_stack::is_enabled() {
            return Err(ThreadError::ShadowStack);
        }
        if !instance.store().process().is_current() {
            return Err(ThreadError::Forked);
        }
        fault::install_handler();
        let hooks = ThreadHooks {
            stubs: hooks::of(&instance.settings().mechanism),
            carry_out: Thread::carry_out,
            invalidate_for_global: Thread::invalidate_for_global,
            check_redefinition: Thread::check_redefinition,
            frames_dropped: Thread::frames_dropped,
            emptied: Thread::emptied,
        };
        Thread::with_hooks(instance, hooks)
    }
}
