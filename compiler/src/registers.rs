//! Where the body's registers are while it is translated.
//!
//! In optimized code each is a variable of the front end, which makes SSA values of it. An integer of 32 bits is kept
//! *wide*, zero-extended to 64: what computes addresses needs it so, the machine's 32-bit instructions make it so, and a
//! frame state that has it so keeps no second value alive beside it ([`docs/live_ranges.md`](../docs/live_ranges.md)).
//!
//! In baseline code each has its slot in the frame from block to block, and is an SSA value only within a
//! block: from its first use there, which loads it, or from its definition, up to the next call or the end.
//! The single-pass allocator keeps nothing in machine registers across blocks anyway, and would copy block
//! parameters through the stack, and whatever lives across a call as well. So no value is anywhere but in
//! its slot when a block ends, and the slots are the frame state: what a call stores is what its block has
//! changed. (The baseline compilers of SpiderMonkey and JavaScriptCore keep their interpreter's frame in the
//! same way.)

use cranelift_codegen::ir::{self, InstBuilder, StackSlotData, StackSlotKind, types};
use cranelift_frontend::Variable;
use osr_ir::liveness::RegisterSet;
use osr_ir::{Block, Register, Terminator, Type};

use super::clif_type::{VECTOR, clif_type, wide_type};
use super::translate::Translator;
use super::vector::lane_order;

/// The values of the body's registers.
#[derive(Debug)]
pub(super) enum Registers {
    /// Each is a variable, of its [wide type](wide_type).
    Variables(Vec<Variable>),
    /// Each is in its slot, and, if it is known in this block, a value.
    Slots {
        /// Per register.
        values: Vec<Option<ir::Value>>,
        /// Those that have a value.
        known: Vec<Register>,
    },
}

impl Registers {
    /// Registers in slots.
    pub(super) fn in_slots(count: usize) -> Registers {
        Registers::Slots { values: vec![None; count], known: Vec::new() }
    }
}

impl Translator<'_, '_> {
    /// The value of `register`.
    pub(super) fn read(&mut self, register: Register) -> ir::Value {
        let value = self.held(register);
        self.with_type(value, clif_type(self.body.ty(register)))
    }

    /// The value of `register`, zero-extended if it is an integer of 32 bits.
    pub(super) fn read_wide(&mut self, register: Register) -> ir::Value {
        let value = self.held(register);
        self.with_type(value, wide_type(self.body.ty(register)))
    }

    /// The value of `register` as it is at hand.
    pub(super) fn held(&mut self, register: Register) -> ir::Value {
        match &self.registers {
            Registers::Variables(variables) => self.builder.use_var(variables[register.index()]),
            Registers::Slots { values, .. } => match values[register.index()] {
                Some(value) => value,
                None => {
                    let value = self.fetch(register);
                    self.remember(register, value);
                    value
                }
            },
        }
    }

    /// The words of `register` as a call or a frame state has them: one, zero-extended, or the two of a vector.
    pub(super) fn read_words(&mut self, register: Register) -> Vec<ir::Value> {
        if self.body.ty(register) != Type::V128 {
            return vec![self.read_wide(register)];
        }
        let value = self.held(register);
        let lanes = self.builder.ins().bitcast(types::I64X2, lane_order(), value);
        [0, 1].map(|lane| self.builder.ins().extractlane(lanes, lane)).into()
    }

    /// Makes the next of `words`, as many as it takes, the value of `register`.
    pub(super) fn write_from_words(
        &mut self,
        register: Register,
        words: &mut impl Iterator<Item = ir::Value>,
    ) {
        let mut next = || words.next().expect("a word for each");
        let low = next();
        if self.body.ty(register) != Type::V128 {
            return self.write(register, low);
        }
        let lanes = self.builder.ins().scalar_to_vector(types::I64X2, low);
        let lanes = self.builder.ins().insertlane(lanes, next(), 1);
        let value = self.builder.ins().bitcast(VECTOR, lane_order(), lanes);
        self.write(register, value);
    }

    /// Makes `value`, wide or not, that of `register`.
    pub(super) fn write(&mut self, register: Register, value: ir::Value) {
        self.slots_current.remove(register);
        self.constants[register.index()] = None;
        let ty = self.body.ty(register);
        if self.has_slots() {
            let value = self.with_type(value, clif_type(ty));
            return self.remember(register, value);
        }
        let value = self.with_type(value, wide_type(ty));
        if let Registers::Variables(variables) = &self.registers {
            self.builder.def_var(variables[register.index()], value);
        }
    }

    /// `value` as one of type `ty`, where the one may be the wide type of the other.
    fn with_type(&mut self, value: ir::Value, ty: ir::Type) -> ir::Value {
        match (self.builder.func.dfg.value_type(value), ty) {
            (types::I64, types::I32) => self.builder.ins().ireduce(types::I32, value),
            (types::I32, types::I64) => self.builder.ins().uextend(types::I64, value),
            _ => value,
        }
    }

    /// The value of `register` from its slot, or the constant that it is known to hold.
    fn fetch(&mut self, register: Register) -> ir::Value {
        let ty = self.body.ty(register);
        match self.constants[register.index()] {
            Some(bits) => self.constant(ty, bits),
            None => {
                let slot = self.slot(register);
                self.builder.ins().stack_load(types::I64, clif_type(ty), slot, 0)
            }
        }
    }

    /// A constant of type `ty`.
    pub(super) fn constant(&mut self, ty: Type, bits: u64) -> ir::Value {
        let ins = self.builder.ins();
        match ty {
            Type::I32 => ins.iconst(types::I32, bits as i64),
            Type::I64 | Type::Funcref | Type::Externref | Type::Exnref => ins.iconst(types::I64, bits as i64),
            Type::F32 => ins.f32const(ir::immediates::Ieee32::with_bits(bits as u32)),
            Type::F64 => ins.f64const(ir::immediates::Ieee64::with_bits(bits)),
            Type::V128 => unreachable!("constants of one word are followed"),
        }
    }

    fn remember(&mut self, register: Register, value: ir::Value) {
        if let Registers::Slots { values, known } = &mut self.registers
            && values[register.index()].replace(value).is_none()
        {
            known.push(register);
        }
    }

    /// Whether registers are in slots from block to block.
    pub(super) fn has_slots(&self) -> bool {
        matches!(self.registers, Registers::Slots { .. })
    }

    /// From here on, registers that are in slots are nowhere else.
    pub(super) fn forget_values(&mut self) {
        if let Registers::Slots { values, known } = &mut self.registers {
            known.drain(..).for_each(|register| values[register.index()] = None);
        }
    }

    /// Before `terminator`: puts what its successors need into the slots, if that is where they look.
    pub(super) fn leave_block(&mut self, terminator: &Terminator) {
        if self.has_slots() {
            let mut live = RegisterSet::new(self.body.registers.len());
            let analysis = self.analysis;
            terminator.each_successor(|successor: Block| live.union(analysis.liveness.live_in(successor)));
            self.flush(live.iter());
        }
    }

    /// Puts `registers` into their slots.
    pub(super) fn flush(&mut self, registers: impl IntoIterator<Item = Register>) {
        for register in registers {
            if self.constants_everywhere[register.index()].is_none() {
                self.spill(register);
            }
        }
    }

    /// The slot of `register`, holding its value.
    pub(super) fn spill(&mut self, register: Register) -> ir::StackSlot {
        let slot = self.slot(register);
        if !self.slots_current.contains(register) {
            let value = self.held(register);
            self.builder.ins().stack_store(types::I64, value, slot, 0);
            self.slots_current.insert(register);
        }
        slot
    }

    fn slot(&mut self, register: Register) -> ir::StackSlot {
        let ty = self.body.ty(register);
        let builder = &mut self.builder;
        *self.slots[register.index()].get_or_insert_with(|| {
            let bytes = 8 * ty.words() as u32;
            let alignment = bytes.trailing_zeros() as u8;
            builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, alignment))
        })
    }
}
