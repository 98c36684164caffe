//! Constants: what registers are known to hold. They are folded into operands, and stored only where the frame state or
//! another block wants them.

use osr_ir::{Body, Register};

use crate::recording::{Held, find_constant_registers};
use crate::unit::Unit;

/// The known constants.
#[derive(Debug, Default)]
pub(super) struct Constants {
    /// Per register, what it holds wherever it is live: nothing ever stores that if it is a constant.
    everywhere: Vec<Held>,
    /// Per register, the constant that it holds here, and whether its slot does, too.
    here: Vec<Option<Known>>,
    /// The registers that are known here.
    known: Vec<Register>,
    /// Those whose slot may not hold the constant.
    pub(super) unstored: Vec<Register>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    bits: u64,
    is_stored: bool,
}

impl Constants {
    /// Forgets everything; `body` is what `unit` is compiled of.
    pub(super) fn reset(&mut self, unit: &Unit<'_>, body: &Body) {
        self.here.clear();
        self.here.resize(body.registers.len(), None);
        self.known.clear();
        self.unstored.clear();
        find_constant_registers(unit.linked, unit.key.function, body, &mut self.everywhere);
    }

    /// The constant that `register` holds wherever it is live.
    pub(super) fn everywhere(&self, register: Register) -> Option<u64> {
        self.everywhere[register.index()].constant()
    }

    /// The constant that `register` holds.
    pub(super) fn get(&self, register: Register) -> Option<u64> {
        let here = || self.here[register.index()].map(|known| known.bits);
        self.everywhere(register).or_else(here)
    }

    /// `register` holds `bits` from here on.
    pub(super) fn define(&mut self, register: Register, bits: u64) {
        if self.everywhere(register).is_none() {
            self.here[register.index()] = Some(Known { bits, is_stored: false });
            self.known.push(register);
            self.unstored.push(register);
        }
    }

    /// `register` holds something else.
    pub(super) fn undefine(&mut self, register: Register) {
        self.here[register.index()] = None;
    }

    /// The constant that `register` holds and its slot does not.
    pub(super) fn unstored(&self, register: Register) -> Option<u64> {
        self.here[register.index()].filter(|known| !known.is_stored).map(|known| known.bits)
    }

    /// Its slot does as well.
    pub(super) fn stored(&mut self, register: Register) {
        if let Some(known) = &mut self.here[register.index()] {
            known.is_stored = true;
        }
    }

    /// Of the registers whose slot may not hold the constant only those will be stored that are `live`: blocks of thousands of
    /// calls do not look at all the constants before.
    pub(super) fn retain_unstored(&mut self, live: impl Fn(Register) -> bool) {
        self.unstored.retain(|&register| live(register));
    }

    /// Nothing is known but what holds everywhere.
    pub(super) fn forget(&mut self) {
        self.known.drain(..).for_each(|register| self.here[register.index()] = None);
        self.unstored.clear();
    }
}
