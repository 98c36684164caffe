//! Loads and stores, with their addresses.

use osr_ir::{BinaryOp, Instruction, LoadOp, Register, StoreOp, Value};

use super::Selector;
use crate::interpreter::op::{Address, Op};

impl Selector<'_> {
    /// `dst = memory[address + offset]`.
    pub(super) fn load(&mut self, index: usize, op: LoadOp, dst: Register, address: Register, offset: u32) {
        self.note_trap(index);
        let address = self.address(index, address, offset);
        self.emit(Op::load(op, self.slot(dst), address));
    }

    /// `memory[address + offset] = value`.
    pub(super) fn store(
        &mut self,
        index: usize,
        op: StoreOp,
        (address, offset): (Register, u32),
        value: Register,
    ) {
        self.note_trap(index);
        if let Some(constant) = self.constant(index, 1)
            && self.constant(index, 0).is_none()
        {
            let address = self.read(address);
            return self.emit(Op::store_immediate(op, address, offset, constant.to_bits()));
        }
        let address = self.address(index, address, offset);
        let value = self.read(value);
        self.emit(Op::store(op, address, value));
    }

    /// The address of the instruction at `index`, whose first operand is `address`.
    fn address(&mut self, index: usize, address: Register, offset: u32) -> Address {
        if let Some(Value::I32(constant)) = self.constant(index, 0) {
            return Address::Constant(u64::from(constant as u32) + u64::from(offset));
        }
        self.sum(index, offset).unwrap_or_else(|| Address::Register(self.read(address), offset))
    }

    /// The address as a sum of two registers, or of a register and a constant, where one register may be
    /// shifted.
    fn sum(&mut self, index: usize, offset: u32) -> Option<Address> {
        if let Some((at, register, by)) = self.displaced(index, index) {
            self.taken[at] = true;
            let operand = usize::from(self.constant(at, 0).is_some());
            let (index, shift) = self.shifted(at, operand, index).unwrap_or((register, 0));
            return Some(Address::Scaled { index: self.read(index), shift, by, offset });
        }
        if let Some((register, shift)) = self.shifted(index, 0, index) {
            return Some(Address::Scaled { index: self.read(register), shift, by: 0, offset });
        }
        let (at, inner) = self.absorb(index, 0, index)?;
        let &Instruction::Binary { op: BinaryOp::I32Add, lhs, rhs, .. } = inner else { return None };
        self.taken[at] = true;
        for (operand, base) in [(1, lhs), (0, rhs)] {
            if let Some((scaled, shift)) = self.shifted(at, operand, index) {
                let (base, index) = (self.read(base), self.read(scaled));
                return Some(Address::Indexed { base, index, shift, offset });
            }
        }
        let (base, index) = (self.read(lhs), self.read(rhs));
        Some(Address::Indexed { base, index, shift: 0, offset })
    }

    /// Takes the shift by a constant that computes operand number `operand` of the instruction at `at`:
    /// the register and the constant.
    fn shifted(&mut self, at: usize, operand: usize, user: usize) -> Option<(Register, u16)> {
        let (inner_at, inner) = self.absorb(at, operand, user)?;
        match (inner, self.constant(inner_at, 1)?) {
            (&Instruction::Binary { op: BinaryOp::I32Shl, lhs, .. }, Value::I32(shift)) => {
                self.taken[inner_at] = true;
                Some((lhs, shift as u16 & 31))
            }
            _ => None,
        }
    }
}
