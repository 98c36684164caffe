//! The operand stack, symbolically: what each entry is, not what it holds.
//!
//! ```text
//!  height   entry               where its value is
//!    2      Temporary(r9)       r9, the slot of height 2 and type i32
//!    1      Constant(7)         nowhere yet: loaded where it is used
//!    0      Local(r0)           in r0, until something assigns r0
//! ```
//!
//! A temporary at height *h* of type *t* is always the register of slot *(h, t)*. So an entry never
//! shares its register with another, the number of registers is bounded by the depth of the stack, and
//! values that go from higher to lower heights, as branches move them, can be moved one by one from the
//! bottom up: a slot is written only after the entries that were there have been read.

use std::ops::Range;

use crate::index::Register;
use crate::value::{Type, Value};

/// An entry of the operand stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operand {
    /// The value that this local has now. The local must be saved to a slot before it is assigned.
    Local(Register),
    /// A constant that no register holds yet.
    Constant(Value),
    /// A temporary: the register of this height and type.
    Temporary(Register),
}

/// Most entries that are locals. Beyond it they are copied at once, so that looking through the pending
/// ones, which every assignment does, takes bounded time.
const MOST_PENDING: usize = 64;

/// The stack, and the registers of the body.
pub(super) struct Operands {
    /// Types of all registers: locals first, then slots as they come to be used.
    registers: Vec<Type>,
    /// The registers of each height, by type.
    slots: Vec<[Option<Register>; Type::ALL.len()]>,
    entries: Vec<Operand>,
    /// Heights of the entries that are locals, ascending.
    pending: Vec<usize>,
}

impl Operands {
    /// An empty stack in a function with these locals.
    pub(super) fn new(locals: Vec<Type>) -> Operands {
        Operands { registers: locals, slots: vec![], entries: vec![], pending: vec![] }
    }

    /// How many entries there are.
    pub(super) fn height(&self) -> usize {
        self.entries.len()
    }

    /// The entry at `height`.
    pub(super) fn get(&self, height: usize) -> Operand {
        self.entries[height]
    }

    /// The entries from `height` up.
    pub(super) fn above(&self, height: usize) -> &[Operand] {
        &self.entries[height..]
    }

    /// The type of the value of `operand`.
    pub(super) fn ty(&self, operand: Operand) -> Type {
        match operand {
            Operand::Local(register) | Operand::Temporary(register) => self.registers[register.index()],
            Operand::Constant(value) => value.ty(),
        }
    }

    /// The type of the value of the top entry.
    pub(super) fn top_type(&self) -> Type {
        self.ty(self.entries[self.entries.len() - 1])
    }

    /// The register for a temporary at `height`.
    pub(super) fn slot(&mut self, height: usize, ty: Type) -> Register {
        if self.slots.len() <= height {
            self.slots.resize(height + 1, Default::default());
        }
        *self.slots[height][ty as usize].get_or_insert_with(|| {
            self.registers.push(ty);
            Register::new(self.registers.len() - 1)
        })
    }

    /// A further register, which is of no height.
    pub(super) fn add_register(&mut self, ty: Type) -> Register {
        self.registers.push(ty);
        Register::new(self.registers.len() - 1)
    }

    /// Adds an entry on top.
    pub(super) fn push(&mut self, operand: Operand) {
        if matches!(operand, Operand::Local(_)) {
            self.pending.push(self.entries.len());
        }
        self.entries.push(operand);
    }

    /// Adds a temporary on top and gives its register, to be defined by the caller.
    pub(super) fn push_temporary(&mut self, ty: Type) -> Register {
        let register = self.slot(self.entries.len(), ty);
        self.entries.push(Operand::Temporary(register));
        register
    }

    /// Adds temporaries of these types on top, whose registers are defined already.
    pub(super) fn push_slots(&mut self, types: &[Type]) {
        for &ty in types {
            self.push_temporary(ty);
        }
    }

    /// Has `operand`, which is not a local, in the place of the entry at `height`.
    pub(super) fn replace(&mut self, height: usize, operand: Operand) {
        self.entries[height] = operand;
        self.pending.retain(|&pending| pending != height);
    }

    /// Takes the top entry.
    pub(super) fn pop(&mut self) -> Operand {
        let operand = self.entries.pop().expect("validated operand stack");
        self.forget_pending();
        operand
    }

    /// Takes every entry from `height` up.
    pub(super) fn truncate(&mut self, height: usize) {
        self.entries.truncate(height);
        self.forget_pending();
    }

    fn forget_pending(&mut self) {
        while self.pending.last().is_some_and(|&height| height >= self.entries.len()) {
            self.pending.pop();
        }
    }

    /// Whether a further local should be copied rather than pushed.
    pub(super) fn is_pending_full(&self) -> bool {
        self.pending.len() >= MOST_PENDING
    }

    /// Makes temporaries of those of the `entries` that are locals with `wanted`. `copy` gets, for each, the register
    /// of the temporary and the local.
    pub(super) fn settle(
        &mut self,
        entries: Range<usize>,
        mut wanted: impl FnMut(Register) -> bool,
        mut copy: impl FnMut(Register, Register),
    ) {
        let mut kept = 0;
        for n in 0..self.pending.len() {
            let height = self.pending[n];
            match self.entries[height] {
                Operand::Local(local) if entries.contains(&height) && wanted(local) => {
                    let slot = self.slot(height, self.registers[local.index()]);
                    self.entries[height] = Operand::Temporary(slot);
                    copy(slot, local);
                }
                _ => {
                    self.pending[kept] = height;
                    kept += 1;
                }
            }
        }
        self.pending.truncate(kept);
    }

    /// Whether one of the `entries` is a local.
    pub(super) fn is_pending_in(&self, entries: Range<usize>) -> bool {
        self.pending.iter().rev().any(|height| entries.contains(height))
    }

    /// Ends translation: the types of the registers.
    pub(super) fn into_registers(self) -> Vec<Type> {
        self.registers
    }
}
