//! What compiled code finds in the context of a new thread.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::AtomicU64;

use osr_stubs::{Context, LandingRegisters, x86_64 as stubs};

use crate::instance::Instance;
use crate::thread::ThreadHooks;

/// The context of a thread that executes nothing: where what it works with is, and the stubs. Its stack ends at `stack_limit`, and
/// after so many guards that hold, one fails.
pub(super) fn new(
    instance: &Instance,
    hooks: &ThreadHooks,
    results: &[Cell<u64>],
    (stack_limit, forced_guard): (u64, u64),
) -> Context {
    let first_memory = instance.memory_views().first();
    Context {
        stack_limit: AtomicU64::new(stack_limit),
        leaving: 0,
        memory_base: first_memory.map_or(ptr::null_mut(), |memory| memory.base),
        memory_pages: first_memory.map_or(ptr::null(), |memory| memory.pages),
        globals: instance.globals().as_ptr().cast_mut().cast(),
        cells: instance.cells(),
        tables: instance.table_views().as_ptr(),
        results: results.as_ptr().cast_mut().cast(),
        poll_stub: stubs::poll as *const u8,
        left_poll_stub: stubs::left_poll as *const u8,
        runtime_stub: stubs::runtime_call as *const u8,
        interpreter_stub: stubs::enter_interpreter as *const u8,
        exit_slot: 0,
        exit_frame: 0,
        return_limit: u64::MAX,
        poll_flag: AtomicU64::new(0),
        entry: ptr::null(),
        left_return_stub: stubs::left_return as *const u8,
        failed_guard_stub: stubs::failed_guard as *const u8,
        guard_countdown: forced_guard,
        predicted_below: 0,
        landing: LandingRegisters::default(),
        hooks: hooks.stubs,
        memories: instance.memory_views().as_ptr(),
    }
}
