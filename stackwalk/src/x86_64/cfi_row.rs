//! One row of unwind information: how a frame that is suspended at some PC is popped.
//!
//! ```text
//!   gimli's row                       CfiRow                    popping the frame
//!   CFA = rbp + 16                    cfa: rbp + 16             cfa  = rbp + 16
//!   rbp at CFA - 16                   rbp: At(-16)              rbp' = [cfa - 16]
//!   rbx at CFA - 24                   rbx: At(-24)              rbx' = [cfa - 24]
//!   (no rule for r12)                 r12: Same                 r12' = r12
//!   return address at CFA - 8         (checked, implied)        the next return slot is cfa - 8
//! ```
//!
//! Only what a row of ordinary code can say is accepted: a CFA that is a register plus an offset, and
//! the return address right below it. Expressions (signal frames, realigned frames of C code, lazy
//! binding stubs) are refused, not approximated.

use gimli::{CfaRule, RegisterRule, UnwindTableRow, X86_64};

use super::registers::{CalleeSaved, CalleeSavedRegs};
use crate::{Error, ReturnSlot, StackMemory};

/// Where the caller's value of a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Save {
    /// In the register: this frame has not changed it.
    Same,
    /// In memory, at the CFA plus this offset.
    At(i32),
    /// Nowhere, or in a place that a [`CfiRow`] cannot express.
    Unknown,
}

/// What the CFA is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CfaBase {
    Rsp,
    Register(CalleeSaved),
}

/// How a frame is popped when it is suspended at the PCs that the row covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CfiRow {
    base: CfaBase,
    offset: i32,
    outermost: bool,
    saves: [Save; 6],
}

/// The state of the caller, after a frame was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Popped {
    /// The popped frame's CFA: rsp in the caller, just after the return.
    pub stack_pointer: u64,
    /// The slot that the popped frame would have returned through: CFA - 8.
    pub return_slot: ReturnSlot,
    /// The caller's callee-saved registers.
    pub registers: CalleeSavedRegs,
}

impl CfiRow {
    /// The row that gimli evaluated, if it is one that ordinary code has.
    ///
    /// # Errors
    /// [`Error::UnsupportedCfi`] with the row's first address.
    pub fn new(row: &UnwindTableRow<usize>) -> Result<Self, Error> {
        let refuse = |what| Error::UnsupportedCfi { address: row.start_address(), what };
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
            return Err(refuse("a CFA that is an expression"));
        };
        let base = match CalleeSaved::from_dwarf(register) {
            Some(register) => CfaBase::Register(register),
            None if register == X86_64::RSP => CfaBase::Rsp,
            None => return Err(refuse("a CFA from a register that calls clobber")),
        };
        let outermost = match row.register(X86_64::RA) {
            None | Some(RegisterRule::Undefined) => true,
            Some(RegisterRule::Offset(-8)) => false,
            Some(_) => return Err(refuse("a return address that is not at CFA - 8")),
        };
        let offset = i32::try_from(offset).map_err(|_| refuse("a CFA offset beyond 31 bits"))?;
        let saves = CalleeSaved::ALL.map(|register| Save::new(row.register(register.dwarf())));
        Ok(Self { base, offset, outermost, saves })
    }

    /// Whether the row says that its frame has no caller.
    #[must_use]
    pub fn is_outermost(&self) -> bool {
        self.outermost
    }

    /// The CFA, given the registers in the frame: `stack_pointer` is rsp just after the call it is
    /// suspended at has returned.
    #[must_use]
    pub fn cfa(&self, stack_pointer: u64, registers: &CalleeSavedRegs) -> u64 {
        let base = match self.base {
            CfaBase::Rsp => stack_pointer,
            CfaBase::Register(register) => registers.get(register),
        };
        base.wrapping_add_signed(i64::from(self.offset))
    }

    /// The CFA, which must be further out than the frame.
    ///
    /// # Errors
    /// [`Error::DidNotAdvance`].
    pub(crate) fn outward_cfa(&self, stack_pointer: u64, registers: &CalleeSavedRegs) -> Result<u64, Error> {
        let cfa = self.cfa(stack_pointer, registers);
        if cfa <= stack_pointer {
            return Err(Error::DidNotAdvance { slot: ReturnSlot::below(stack_pointer) });
        }
        Ok(cfa)
    }

    /// The register that the CFA depends on, unless it is rsp.
    #[must_use]
    pub fn cfa_register(&self) -> Option<CalleeSaved> {
        match self.base {
            CfaBase::Rsp => None,
            CfaBase::Register(register) => Some(register),
        }
    }

    /// The offset of the CFA from the register it is computed from.
    #[must_use]
    pub fn cfa_offset(&self) -> i32 {
        self.offset
    }

    /// Where the caller's `register` is.
    #[must_use]
    pub fn save(&self, register: CalleeSaved) -> Save {
        self.saves[register as usize]
    }

    /// The caller's `register`, given the popped frame's CFA and its own value of it.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Unrecoverable`].
    pub fn restore(
        &self,
        memory: &impl StackMemory,
        cfa: u64,
        register: CalleeSaved,
        current: u64,
    ) -> Result<u64, Error> {
        match self.save(register) {
            Save::Same => Ok(current),
            Save::At(offset) => memory.word(cfa.wrapping_add_signed(i64::from(offset))),
            Save::Unknown => Err(Error::Unrecoverable { cfa, register }),
        }
    }

    /// Pops the frame: reads every save, writes nothing.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Unrecoverable`] for any callee-saved register, and
    /// [`Error::DidNotAdvance`] if the CFA is not above the frame.
    pub fn pop(
        &self,
        memory: &impl StackMemory,
        stack_pointer: u64,
        registers: &CalleeSavedRegs,
    ) -> Result<Popped, Error> {
        let cfa = self.outward_cfa(stack_pointer, registers)?;
        let mut caller = *registers;
        for register in CalleeSaved::ALL {
            caller.set(register, self.restore(memory, cfa, register, registers.get(register))?);
        }
        Ok(Popped { stack_pointer: cfa, return_slot: ReturnSlot::below(cfa), registers: caller })
    }
}

impl Save {
    fn new(rule: Option<RegisterRule<usize>>) -> Self {
        match rule {
            None | Some(RegisterRule::SameValue) => Self::Same,
            Some(RegisterRule::Offset(offset)) => i32::try_from(offset).map_or(Self::Unknown, Self::At),
            Some(_) => Self::Unknown,
        }
    }
}
