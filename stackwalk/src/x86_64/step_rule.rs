//! What one step of a walk does to `rsp`, `rbp` and the PC, in as few words as it takes: a [`CfiRow`] without the
//! registers that a walk does not track.

use super::cfi_row::{CfiRow, Save};
use super::registers::CalleeSaved;
use crate::{ReturnPc, ReturnSlot, StackMemory};

/// The registers that a step needs and makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepRegisters {
    pub(crate) pc: ReturnPc,
    pub(crate) sp: u64,
    pub(crate) bp: u64,
}

/// See the module. The default is no rule: its step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepRule {
    /// Whether the CFA is computed from `rbp`, not from `rsp`.
    from_bp: bool,
    /// The CFA, from there.
    offset: i32,
    /// Where the caller's `rbp` is, from the CFA; 0, where the return PC's neighbour would be, if this frame has not
    /// changed it.
    bp: i32,
}

impl StepRule {
    /// The rule that says what `row` says; `None` if a rule cannot.
    pub(crate) fn of(row: &CfiRow) -> Option<StepRule> {
        let from_bp = match row.cfa_register() {
            None => false,
            Some(CalleeSaved::Rbp) => true,
            Some(_) => return None,
        };
        let bp = match row.save(CalleeSaved::Rbp) {
            Save::Same => 0,
            Save::At(0) | Save::Unknown => return None,
            Save::At(at) => at,
        };
        Some(StepRule { from_bp, offset: row.cfa_offset(), bp })
    }

    /// Pops the frame at `at`; `None` if something is wrong with it: the stack cannot be read, the step does not lead
    /// outwards, or to no PC.
    #[inline(always)]
    pub(crate) fn step(self, memory: &impl StackMemory, at: StepRegisters) -> Option<StepRegisters> {
        let base = if self.from_bp { at.bp } else { at.sp };
        let cfa = base.wrapping_add_signed(i64::from(self.offset));
        if cfa <= at.sp {
            return None;
        }
        let bp = match self.bp {
            0 => at.bp,
            offset => memory.read(cfa.wrapping_add_signed(i64::from(offset)))?,
        };
        let pc = ReturnPc::new(memory.read(ReturnSlot::below(cfa).address())?);
        (!pc.is_null()).then_some(StepRegisters { pc, sp: cfa, bp })
    }
}
