//! Unwinding: an exception leaves compiled frames, up to one that catches it.
//!
//! ```text
//!   throw, or what was called has thrown ──> osr_unwind ──> here: outwards from the exit, frame by frame
//!     a frame catches:  the frames further in are dropped, with their records, as a trap drops them;
//!                       control returns through its slot, with its callee-saved registers and results of zero
//!     none does:        to the nearest entry, as a trap does; what entered there looks on
//! ```
//!
//! Control *returns* into the frame, whatever its slot holds: where it is hijacked the frame lands, where it is counted its
//! barrier is passed, and where its code was invalidated or checks its returns it leaves. So what was decided for the
//! frame holds for exceptions, too, and nothing is decided here. A frame says that it catches by its
//! [body](osr_ir::Tag); code that does not catch has nothing for exceptions.

use std::ptr;

use osr_stackwalk::ReturnSlot;
use osr_stubs::{CalleeSaved, Context, x86_64 as stubs};

use crate::code::SiteRef;
use crate::code::ledger::{LedgerPcs, Record};
use crate::code::x86_64::callee_saves;
use crate::thread::Thread;

/// A frame that catches.
struct Handler {
    /// The slot that is returned to it through.
    slot: ReturnSlot,
    frame_base: u64,
    /// Words that the call would have returned in memory, at most.
    words: usize,
}

/// The hook behind the stub at which traps and exceptions arrive that the runtime has noticed. Returns the code to jump to.
///
/// # Safety
/// Called by the stub, with the context of a thread.
pub(crate) unsafe extern "C" fn unwind(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    let leave = || {
        thread.trap_leaves_compiled(thread.innermost());
        stubs::unwind_to_entry as *const u8
    };
    let Some(exception) = thread.pending_exception() else { return leave() };
    // SAFETY: the stub has saved the registers and does not touch them before we are done.
    let registers = unsafe { &mut (*context).landing };
    let Some(handler) = thread.handler(&mut registers.callee_saved) else { return leave() };
    thread.set_exit(handler.slot, handler.frame_base);
    thread.drop_deeper(handler.slot.address());
    thread.catch(&exception);
    // SAFETY: the results of every call fit there.
    unsafe { ptr::write_bytes(thread.results(), 0, handler.words) };
    registers.stack_pointer = handler.slot.address();
    stubs::return_caught as *const u8
}

impl Thread {
    /// The innermost compiled frame up to the nearest entry that catches. `registers` are those of the innermost frame, and
    /// become those of the handler.
    fn handler(&self, registers: &mut CalleeSaved) -> Option<Handler> {
        let (instance, ledger) = (self.instance(), self.ledger().borrow());
        let pcs = LedgerPcs::new(&ledger);
        let mut walk = self.walk(self.all_pcs(&pcs));
        while let Some(frame) = walk.next_frame().expect("a stack of compiled frames can be walked") {
            if walk.segment() > 0 {
                break;
            }
            let (function, point, unwind) = match ledger.find(frame.return_slot) {
                Some(Record { site, .. }) => (site.function(), site.point(), site.version().unwind),
                None => {
                    let site = instance.registry().site_at(frame.pc);
                    let site: SiteRef = site.expect("compiled frames are at sites of versions");
                    (site.function(), site.point(), site.version.unwind)
                }
            };
            if instance.catches(function, point) {
                let words = instance.result_words(function, point).count();
                return Some(Handler { slot: frame.return_slot, frame_base: frame.frame_base, words });
            }
            // SAFETY: the frame is live, and of the version.
            unsafe { callee_saves::restore(unwind, registers) };
        }
        None
    }
}
