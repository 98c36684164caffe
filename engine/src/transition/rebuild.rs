//! Rebuilding at once: the states of all frames of a hijack are made when they are hijacked, and landings pick them up.
//!
//! ```text
//!   this function      Rust frames        compiled frames        Rust frames        compiled frames
//!   registers here ──> unwind tables ──> compact unwind rows ──> unwind tables ──> compact unwind rows
//!                                         │ each: its state                         │ each: its state
//! ```
//!
//! A frame that waits may have values in callee-saved registers, which frames further in have saved, wherever they needed
//! them for themselves. At a landing these have returned, and the machine has the values. Here they are found outwards
//! from where this code is: each frame on the way says where it keeps its caller's registers.
//!
//! A frame that has left at a guard is popped already: the landing has the registers of the frame behind it.
//!
//! What a call returns is not known before it does: the landing adds it. And a frame that is stopped at a poll where its
//! state is [known when it is left](super::poll_exit) is rebuilt when it lands.

use osr_stackwalk::{CalleeSavedRegs, ReturnPc, ReturnSlot};
use osr_stubs::x86_64::{Here, registers_here};
use osr_stubs::{CalleeSaved, LandingRegisters};

use crate::code::ledger::LedgerPcs;
use crate::code::x86_64::callee_saves;
use crate::error::TransitionError;
use crate::thread::Thread;
use crate::thread::rebuilt::StateBlock;
use crate::transition::landing::{POISON, rebuild};
use crate::transition::pc_cache::PcCache;

impl Thread {
    /// Rebuilds the frames of `slots`, which were hijacked just now: innermost first.
    ///
    /// # Errors
    /// If the stack cannot be walked, or native code between compiled frames cannot be unwound: then they are rebuilt when
    /// they land.
    #[inline(never)]
    pub(super) fn rebuild_at_once(&self, slots: &[ReturnSlot]) -> Result<(), TransitionError> {
        let mut registers = LandingRegisters::default();
        // SAFETY: the registers may be written.
        let Here { return_slot, pc } = unsafe { registers_here(&mut registers.callee_saved) };
        // What is returned to next, with these registers.
        let mut next = (ReturnSlot::new(return_slot), ReturnPc::new(pc));
        let ledger = self.ledger().borrow();
        let (pcs, registry) = (LedgerPcs::new(&ledger), self.instance().registry());
        let fill = if self.instance().settings().checked { POISON } else { 0 };
        let mut rows = PcCache::new(None);
        let mut block = StateBlock::default();
        let (mut slots, mut segment) = (slots.iter().peekable(), None);
        if let Some(known) = self.exit_registers().take() {
            registers.callee_saved = known;
            next = (self.exit_slot(), ReturnPc::new(osr_stubs::x86_64::entry_return()));
            segment = Some(0);
        }
        let mut walk = self.walk(&pcs);
        while slots.peek().is_some()
            && let Some(frame) = walk.next_frame()?
        {
            if segment.replace(walk.segment()) != Some(walk.segment()) {
                let inner = to_walker(registers.callee_saved);
                let unwound =
                    self.native_walker().unwind_to(&self.live_stack(), next, inner, frame.return_slot)?;
                registers.callee_saved = from_walker(unwound);
            }
            // SAFETY: the walk vouches for the slot.
            let unwind = if self.is_landing(unsafe { frame.return_slot.load() }) {
                let site = pcs.found().expect("walks look through hijacked slots").site;
                if slots.next_if_eq(&&frame.return_slot).is_some()
                    && !site.version().lands_first(site.number())
                {
                    let state = block.push(frame.return_slot, site.words(), fill);
                    // SAFETY: the frame is whole, and waits with these registers; what its call returns is read, too,
                    // from where it will be. The version is kept while the frame is pending.
                    unsafe {
                        rebuild(site.sources(), &registers, self.results(), state.as_mut_ptr(), |_| true);
                    }
                }
                site.version().unwind
            } else {
                let found = |pc: ReturnPc| registry.find(pc.lookup_address()).map(|version| version.unwind);
                rows.get(frame.pc, found).expect("compiled frames are of versions")
            };
            // SAFETY: the frame is live, and of the version.
            unsafe { callee_saves::restore(unwind, &mut registers.callee_saved) };
            next = (ReturnSlot::new(frame.frame_base + 8), ReturnPc::new(osr_stubs::x86_64::entry_return()));
        }
        drop(ledger);
        self.rebuilt().borrow_mut().add(block);
        Ok(())
    }
}

pub(super) fn to_walker(registers: CalleeSaved) -> CalleeSavedRegs {
    let CalleeSaved { rbx, r12, r13, r14, r15, rbp } = registers;
    CalleeSavedRegs { rbx, rbp, r12, r13, r14, r15 }
}

pub(super) fn from_walker(registers: CalleeSavedRegs) -> CalleeSaved {
    let CalleeSavedRegs { rbx, rbp, r12, r13, r14, r15 } = registers;
    CalleeSaved { rbx, r12, r13, r14, r15, rbp }
}
