//! Binary operations: with constants, and with operands that are computed or loaded on the way.

use osr_ir::{BinaryOp, Instruction, Register, Value};

use super::Selector;
use crate::interpreter::op::{Op, Slot};

/// A binary operation: its number, and where the result goes.
#[derive(Clone, Copy)]
struct Binary {
    index: usize,
    op: BinaryOp,
    dst: Slot,
}

impl Selector<'_> {
    /// `dst = op lhs, rhs`.
    pub(super) fn binary(&mut self, index: usize, op: BinaryOp, dst: Register, [lhs, rhs]: [Register; 2]) {
        if op.may_trap() {
            self.note_trap(index);
        }
        let binary = Binary { index, op, dst: self.slot(dst) };
        if let Some(value) = self.constant(index, 1) {
            return self.with_constant(binary, lhs, value);
        }
        if let Some(value) = self.constant(index, 0)
            && self.with_left_constant(binary, value, rhs)
        {
            return;
        }
        let fused = (0..2).rev().find_map(|operand| {
            let other = [lhs, rhs][1 - operand];
            self.with_computed(binary, operand, other).or_else(|| self.with_loaded(binary, operand, other))
        });
        let op = fused.unwrap_or_else(|| {
            let (lhs, rhs) = (self.read(lhs), self.read(rhs));
            Op::binary(op, binary.dst, lhs, rhs)
        });
        self.emit(op);
    }

    /// `dst = op lhs, value`.
    fn with_constant(&mut self, Binary { index, op, dst }: Binary, lhs: Register, value: Value) {
        match (op, value) {
            (BinaryOp::I32Add, Value::I32(by)) => self.add(index, dst, lhs, by),
            (BinaryOp::I32Sub, Value::I32(by)) => self.add(index, dst, lhs, by.wrapping_neg()),
            _ => {
                let lhs = self.read(lhs);
                self.emit(Op::binary_immediate(op, dst, lhs, value.to_bits()));
            }
        }
    }

    /// `dst = op value, rhs`, if there is such an operation.
    fn with_left_constant(&mut self, Binary { op, dst, .. }: Binary, value: Value, rhs: Register) -> bool {
        if let Some(op) = swapped(op) {
            let src = self.read(rhs);
            match (op, value) {
                (BinaryOp::I32Add, Value::I32(by)) => self.emit_add(dst, src, by),
                _ => self.emit(Op::binary_immediate(op, dst, src, value.to_bits())),
            }
            return true;
        }
        let Some(fused) = Op::left_immediate(op, dst, value.to_bits(), self.slot(rhs)) else { return false };
        self.needed.insert(rhs);
        self.emit(fused);
        true
    }

    /// `dst = src + by`, where `src` is operand 0 of the instruction at `index`.
    fn add(&mut self, index: usize, dst: Slot, src: Register, by: i32) {
        match self.scaled(index) {
            Some((factor, src)) => {
                let src = self.read(src);
                self.emit(Op::I32MultiplyAddImmediate { dst, src, factor, by: by as u32 });
            }
            None => {
                let src = self.read(src);
                self.emit_add(dst, src, by);
            }
        }
    }

    /// Takes the multiplication by a constant that computes operand 0 of the instruction at `index`.
    fn scaled(&mut self, index: usize) -> Option<(u32, Register)> {
        let (at, inner) = self.absorb(index, 0, index)?;
        let &Instruction::Binary { op, lhs, .. } = inner else { return None };
        let factor = match (op, self.constant(at, 1)?) {
            (BinaryOp::I32Mul, Value::I32(factor)) => factor as u32,
            (BinaryOp::I32Shl, Value::I32(shift)) => 1 << (shift & 31),
            _ => return None,
        };
        self.taken[at] = true;
        Some((factor, lhs))
    }

    fn emit_add(&mut self, dst: Slot, lhs: Slot, by: i32) {
        let immediate = u64::from(by as u32);
        let small = i16::try_from(by);
        match (self.next_op(), small) {
            (Some(next @ &mut Op::I32AddImmediate { dst: dst2, lhs: lhs2, immediate: by2 }), Ok(by))
                if let Ok(by2) = i16::try_from(by2 as u32 as i32) =>
            {
                *next = Op::I32AddImmediate2 { dst, lhs, dst2, lhs2, by, by2 };
            }
            _ => self.emit(Op::I32AddImmediate { dst, lhs, immediate }),
        }
    }

    /// The operation that computes operand number `operand` by itself, the other one being `other`.
    fn with_computed(&mut self, binary: Binary, operand: usize, other: Register) -> Option<Op> {
        let Binary { index, op, dst } = binary;
        let (at, inner) = self.absorb(index, operand, index)?;
        let &Instruction::Binary { op: inner, lhs: a, rhs: b, .. } = inner else { return None };
        if op == BinaryOp::I32Add
            && inner == BinaryOp::I32Shl
            && let Some(Value::I32(shift)) = self.constant(at, 1)
        {
            self.taken[at] = true;
            let (index, base) = (self.read(a), self.read(other));
            return Some(Op::ShiftAdd { dst, base, index, shift: shift as u16 & 31 });
        }
        let registers = [dst, self.slot(a), self.slot(b), self.slot(other)];
        let fused = match (op, operand) {
            (BinaryOp::F64Sub, 1) if inner == BinaryOp::F64Mul => {
                let [dst, a, b, c] = registers;
                Op::F64SubtractProduct { dst, a, b, c }
            }
            (_, 1) if swapped(op).is_none() => return None,
            // Constant factors are better off as immediates.
            _ if self.constant(at, 0).is_some() || self.constant(at, 1).is_some() => return None,
            _ => Op::multiply_add(op, inner, registers)?,
        };
        self.taken[at] = true;
        [a, b, other].into_iter().for_each(|register| self.needed.insert(register));
        Some(fused)
    }

    /// The operation that loads operand number `operand` by itself, the other one being `other`. It traps
    /// where the load does.
    fn with_loaded(&mut self, binary: Binary, operand: usize, other: Register) -> Option<Op> {
        let Binary { index, op, dst } = binary;
        if operand == 0 && swapped(op) != Some(op) {
            return None;
        }
        let (at, load, address, offset) = self.absorb_load(index, operand)?;
        if self.constant(at, 0).is_some() {
            return None;
        }
        let plain = (self.slot(address), 0, offset);
        let fused = Op::loaded(op, load, dst, self.slot(other), plain)?;
        self.taken[at] = true;
        self.note_trap(at);
        self.needed.insert(other);
        let Some((add, register, by)) = self.displaced(at, index) else {
            self.needed.insert(address);
            return Some(fused);
        };
        self.taken[add] = true;
        let address = self.read(register);
        Op::loaded(op, load, dst, self.slot(other), (address, by, offset))
    }

    /// If the address of the access at `at` is a register plus a constant, which the operation for the
    /// instruction at `user` can add as well: where it is added, and both.
    pub(super) fn displaced(&self, at: usize, user: usize) -> Option<(usize, Register, u32)> {
        let (add, inner) = self.absorb(at, 0, user)?;
        let &Instruction::Binary { op, lhs, rhs, .. } = inner else { return None };
        match (op, self.constant(add, 0), self.constant(add, 1)) {
            (BinaryOp::I32Add, _, Some(Value::I32(by))) => Some((add, lhs, by as u32)),
            (BinaryOp::I32Add, Some(Value::I32(by)), _) => Some((add, rhs, by as u32)),
            (BinaryOp::I32Sub, _, Some(Value::I32(by))) => Some((add, lhs, by.wrapping_neg() as u32)),
            _ => None,
        }
    }
}

/// The operation that computes the same with its operands exchanged.
pub(super) fn swapped(op: BinaryOp) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match op {
        I32Add | I32Mul | I32And | I32Or | I32Xor | I32Eq | I32Ne => op,
        I64Add | I64Mul | I64And | I64Or | I64Xor | I64Eq | I64Ne => op,
        F32Add | F32Mul | F32Eq | F32Ne | F64Add | F64Mul | F64Eq | F64Ne => op,
        I32LtS => I32GtS,
        I32GtS => I32LtS,
        I32LtU => I32GtU,
        I32GtU => I32LtU,
        I32LeS => I32GeS,
        I32GeS => I32LeS,
        I32LeU => I32GeU,
        I32GeU => I32LeU,
        I64LtS => I64GtS,
        I64GtS => I64LtS,
        I64LtU => I64GtU,
        I64GtU => I64LtU,
        I64LeS => I64GeS,
        I64GeS => I64LeS,
        I64LeU => I64GeU,
        I64GeU => I64LeU,
        F32Lt => F32Gt,
        F32Gt => F32Lt,
        F32Le => F32Ge,
        F32Ge => F32Le,
        F64Lt => F64Gt,
        F64Gt => F64Lt,
        F64Le => F64Ge,
        F64Ge => F64Le,
        _ => return None,
    })
}
