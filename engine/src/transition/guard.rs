//! Eager deoptimization: a guard of optimized code has failed, and its frame lands.
//!
//! ```text
//!   compiled code:   guard fails ──> store the frame state ──> failed_guard ──> landing
//!   runtime:                             counts; if it has failed too often, links the exit, or gives the guard up:
//!                                        retires the versions that have it, lands, hijacks their other frames
//! ```
//!
//! The code says which guard it is, and its version is found as any PC's is, by two loads: nothing is searched for. The
//! frame is the innermost one and executes, so that nothing waits for it: it has no record, and does not count as pending.

use std::sync::Arc;

use osr_stackwalk::{ReturnPc, ReturnSlot};
use osr_stubs::Context;

use crate::code::ledger::TakenRecord;
use crate::code::{CodeVersion, VersionState};
use crate::event::{Cause, Event};
use crate::thread::Thread;
use crate::transition::exit_link;
use crate::transition::landing::land_frame;

/// The hook behind the stub at which frames arrive that leave because of a guard.
///
/// # Safety
/// Called by the stub, with the context of a thread.
pub(crate) unsafe extern "C" fn failed(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    // SAFETY: the stub has saved the registers and does not touch them before we are done.
    let registers = unsafe { &mut (*context).landing };
    let registry = thread.instance().registry();
    let pc = ReturnPc::new(registers.pc);
    // SAFETY: what is found is released by this thread only, and not before the frame has landed.
    let found = unsafe { registry.executing(pc.lookup_address()) };
    let version = found.expect("guards are of versions in memory");
    let number = registers.guard as usize;
    let guard = &version.guards[number];
    let site = guard.guard.site.expect("a guard that leaves has an exit");
    thread.count(|transitions| transitions.failed_guards += 1);
    let is_forced = thread.guard_is_forced();
    if thread.watches_landings() {
        thread.observe(|| Event::GuardFailed { version, guard: &guard.guard, is_forced });
    }
    let is_frequent = !is_forced && guard.count() >= thread.instance().settings().guard_failures;
    if is_frequent && let Some(link) = exit_link::link(thread, version, number) {
        // The frame is as it was at its exit, which it takes once more.
        registers.state = registers.guard;
        return link;
    }
    let slot = ReturnSlot::below(registers.stack_pointer);
    let exit = guard.exit(|| thread.pending_site(version, site));
    // Nothing waits for a frame that executes, unless its code does, to be released.
    let counts = version.state() != VersionState::Current;
    if counts {
        version.add_pending_frames(1);
    }
    let record = TakenRecord::of_exit(slot, exit, counts);
    if !is_frequent {
        return land_frame(thread, record, registers);
    }
    // Nothing is found for the frame that speculates so: it was retired.
    let (retired, cause) = give_up(thread, version, number);
    let code = land_frame(thread, record, registers);
    thread.set_exit(ReturnSlot::new(registers.stack_pointer), registers.callee_saved.rbp);
    thread.exit_registers().set(Some(registers.callee_saved));
    thread.replace_retired(&retired, cause).expect("a stack of compiled frames can be walked");
    thread.exit_registers().take();
    code
}

/// Guard `number` of `version` has failed too often. Returns the versions that have it, which are retired for that, and the
/// cause.
#[cold]
fn give_up(thread: &Thread, version: &CodeVersion, number: usize) -> (Vec<Arc<CodeVersion>>, Cause) {
    let instance = thread.instance();
    let guard = version.guards[number].guard;
    instance.function(guard.function).learnt.give_up(&guard);
    let has_guard =
        |other: &Arc<CodeVersion>| other.guards.iter().any(|other| other.guard.is_copy_of(&guard));
    let versions = instance.registry().live().into_iter().filter(has_guard).collect();
    let cause = Cause::Guard { reason: guard.reason, point: guard.point.as_u32() };
    (thread.retire(versions, cause), cause)
}
