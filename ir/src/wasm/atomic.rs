//! Atomic operators, by the one thread that there is.
//!
//! No other thread executes in the store, and what a host does in memory it does while no guest code executes. So nothing is
//! seen of memory between two instructions, and an atomic operator is what it does, one step after the other:
//!
//! ```text
//!                                         trap_if ((a + 4) & 3), "unaligned atomic"
//!   i32.atomic.rmw.add offset=4 a, v ──>  old = i32.load a + 4
//!                                         new = i32.add old, v
//!                                         i32.store a + 4, new
//! ```
//!
//! A fence is nothing, a notification wakes nobody up. A wait ends with its timeout.

use wasmparser::{MemArg, MemArgTarget, Operator};

use super::function::Translator;
use super::operands::Operand;
use crate::body::Instruction;
use crate::index::{MemoryIndex, Register};
use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
use crate::trap::TrapKind;
use crate::value::{Type, Value};

/// What is accessed atomically: how it is read and written.
#[derive(Clone, Copy)]
struct Cell(LoadOp, StoreOp);

/// What becomes of it.
#[derive(Clone, Copy)]
enum Change {
    /// `op` of it and the operand.
    Compute(BinaryOp),
    /// The operand.
    Exchange,
    /// The second operand, if it is equal to the first.
    CompareExchange(BinaryOp),
}

/// The change that an operator is, by a table: an entry for each cell, of the operators that change it, with what they compute.
macro_rules! changes {
    ($operator:ident, $([$load:ident $store:ident]
        $add:ident: $sum:ident, $sub:ident: $difference:ident, $and:ident: $conjunction:ident,
        $or:ident: $disjunction:ident, $xor:ident: $exclusive:ident,
        $exchange:ident, $compare:ident: $equal:ident;)*) => {
        match $operator {
            $(Operator::$add { memarg } => Some((cell!($load $store), Change::Compute(BinaryOp::$sum), memarg)),
            Operator::$sub { memarg } => Some((cell!($load $store), Change::Compute(BinaryOp::$difference), memarg)),
            Operator::$and { memarg } => Some((cell!($load $store), Change::Compute(BinaryOp::$conjunction), memarg)),
            Operator::$or { memarg } => Some((cell!($load $store), Change::Compute(BinaryOp::$disjunction), memarg)),
            Operator::$xor { memarg } => Some((cell!($load $store), Change::Compute(BinaryOp::$exclusive), memarg)),
            Operator::$exchange { memarg } => Some((cell!($load $store), Change::Exchange, memarg)),
            Operator::$compare { memarg } => {
                Some((cell!($load $store), Change::CompareExchange(BinaryOp::$equal), memarg))
            })*
            _ => None,
        }
    };
}

macro_rules! cell {
    ($load:ident $store:ident) => {
        Cell(LoadOp::$load, StoreOp::$store)
    };
}

/// The change that `operator` is, if it is one.
fn change<'o>(operator: &'o Operator<'_>) -> Option<(Cell, Change, &'o MemArg)> {
    changes! { operator,
        [I32Load I32Store]
            I32AtomicRmwAdd: I32Add, I32AtomicRmwSub: I32Sub, I32AtomicRmwAnd: I32And,
            I32AtomicRmwOr: I32Or, I32AtomicRmwXor: I32Xor,
            I32AtomicRmwXchg, I32AtomicRmwCmpxchg: I32Eq;
        [I64Load I64Store]
            I64AtomicRmwAdd: I64Add, I64AtomicRmwSub: I64Sub, I64AtomicRmwAnd: I64And,
            I64AtomicRmwOr: I64Or, I64AtomicRmwXor: I64Xor,
            I64AtomicRmwXchg, I64AtomicRmwCmpxchg: I64Eq;
        [I32Load8U I32Store8]
            I32AtomicRmw8AddU: I32Add, I32AtomicRmw8SubU: I32Sub, I32AtomicRmw8AndU: I32And,
            I32AtomicRmw8OrU: I32Or, I32AtomicRmw8XorU: I32Xor,
            I32AtomicRmw8XchgU, I32AtomicRmw8CmpxchgU: I32Eq;
        [I32Load16U I32Store16]
            I32AtomicRmw16AddU: I32Add, I32AtomicRmw16SubU: I32Sub, I32AtomicRmw16AndU: I32And,
            I32AtomicRmw16OrU: I32Or, I32AtomicRmw16XorU: I32Xor,
            I32AtomicRmw16XchgU, I32AtomicRmw16CmpxchgU: I32Eq;
        [I64Load8U I64Store8]
            I64AtomicRmw8AddU: I64Add, I64AtomicRmw8SubU: I64Sub, I64AtomicRmw8AndU: I64And,
            I64AtomicRmw8OrU: I64Or, I64AtomicRmw8XorU: I64Xor,
            I64AtomicRmw8XchgU, I64AtomicRmw8CmpxchgU: I64Eq;
        [I64Load16U I64Store16]
            I64AtomicRmw16AddU: I64Add, I64AtomicRmw16SubU: I64Sub, I64AtomicRmw16AndU: I64And,
            I64AtomicRmw16OrU: I64Or, I64AtomicRmw16XorU: I64Xor,
            I64AtomicRmw16XchgU, I64AtomicRmw16CmpxchgU: I64Eq;
        [I64Load32U I64Store32]
            I64AtomicRmw32AddU: I64Add, I64AtomicRmw32SubU: I64Sub, I64AtomicRmw32AndU: I64And,
            I64AtomicRmw32OrU: I64Or, I64AtomicRmw32XorU: I64Xor,
            I64AtomicRmw32XchgU, I64AtomicRmw32CmpxchgU: I64Eq;
    }
}

/// The load that `operator` is, if it is one.
fn load<'o>(operator: &'o Operator<'_>) -> Option<(LoadOp, &'o MemArg)> {
    use Operator as O;
    Some(match operator {
        O::I32AtomicLoad { memarg } => (LoadOp::I32Load, memarg),
        O::I64AtomicLoad { memarg } => (LoadOp::I64Load, memarg),
        O::I32AtomicLoad8U { memarg } => (LoadOp::I32Load8U, memarg),
        O::I32AtomicLoad16U { memarg } => (LoadOp::I32Load16U, memarg),
        O::I64AtomicLoad8U { memarg } => (LoadOp::I64Load8U, memarg),
        O::I64AtomicLoad16U { memarg } => (LoadOp::I64Load16U, memarg),
        O::I64AtomicLoad32U { memarg } => (LoadOp::I64Load32U, memarg),
        _ => return None,
    })
}

/// The store that `operator` is, if it is one.
fn store<'o>(operator: &'o Operator<'_>) -> Option<(StoreOp, &'o MemArg)> {
    use Operator as O;
    Some(match operator {
        O::I32AtomicStore { memarg } => (StoreOp::I32Store, memarg),
        O::I64AtomicStore { memarg } => (StoreOp::I64Store, memarg),
        O::I32AtomicStore8 { memarg } => (StoreOp::I32Store8, memarg),
        O::I32AtomicStore16 { memarg } => (StoreOp::I32Store16, memarg),
        O::I64AtomicStore8 { memarg } => (StoreOp::I64Store8, memarg),
        O::I64AtomicStore16 { memarg } => (StoreOp::I64Store16, memarg),
        O::I64AtomicStore32 { memarg } => (StoreOp::I64Store32, memarg),
        _ => return None,
    })
}

/// Whether `operator` is atomic, and translated.
#[cfg(test)]
pub(super) fn is_translated(operator: &Operator<'_>) -> bool {
    use Operator as O;
    load(operator).is_some()
        || store(operator).is_some()
        || change(operator).is_some()
        || matches!(
            operator,
            O::MemoryAtomicNotify { .. } | O::MemoryAtomicWait32 { .. } | O::MemoryAtomicWait64 { .. }
        )
}

impl Translator<'_> {
    /// Translates `operator`, if it is atomic.
    pub(super) fn atomic(&mut self, operator: &Operator<'_>) -> bool {
        if let Some((op, memarg)) = load(operator) {
            let (memory, offset) = self.aligned(memarg, op.bytes(), 0);
            let address = self.pop_register();
            let dst = self.operands.push_temporary(op.result());
            self.code.emit(Instruction::Load { memory, op, dst, address, offset });
        } else if let Some((op, memarg)) = store(operator) {
            let (memory, offset) = self.aligned(memarg, op.bytes(), 1);
            let [address, value] = self.pop_registers();
            self.code.emit(Instruction::Store { memory, op, address, value, offset });
        } else if let Some((cell, change, memarg)) = change(operator) {
            self.change(cell, change, memarg);
        } else {
            return self.synchronize(operator);
        }
        true
    }

    fn synchronize(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::AtomicFence { .. } => {}
            Operator::MemoryAtomicNotify { memarg } => self.notify(memarg),
            Operator::MemoryAtomicWait32 { memarg } => self.wait(memarg, false),
            Operator::MemoryAtomicWait64 { memarg } => self.wait(memarg, true),
            _ => return false,
        }
        true
    }

    /// The address must be one in memory.
    fn notify(&mut self, memarg: &MemArg) {
        let op = LoadOp::I32Load;
        let (memory, offset) = self.aligned(memarg, op.bytes(), 1);
        let [address, _] = self.pop_registers();
        let dst = self.scratch(Type::I32, 0);
        self.code.emit(Instruction::Load { memory, op, dst, address, offset });
        self.operands.push(Operand::Constant(Value::I32(0)));
    }

    fn wait(&mut self, memarg: &MemArg, is_64: bool) {
        let (memory, offset) = self.aligned(memarg, if is_64 { 8 } else { 4 }, 2);
        let [address, expected, timeout] = self.pop_registers();
        let dst = self.operands.push_temporary(Type::I32);
        self.code.emit(Instruction::AtomicWait { memory, is_64, dst, address, offset, expected, timeout });
    }

    /// The old value is in a register of its own: the result may have that of the address.
    fn change(&mut self, Cell(load, store): Cell, change: Change, memarg: &MemArg) {
        let ty = load.result();
        let compares = matches!(change, Change::CompareExchange(_));
        let (memory, offset) = self.aligned(memarg, load.bytes(), if compares { 2 } else { 1 });
        let (expected, operand) = match compares {
            true => {
                let [expected, operand] = [self.operands.height() - 2, self.operands.height() - 1]
                    .map(|height| self.read(self.operands.get(height), height));
                self.operands.truncate(self.operands.height() - 2);
                (Some(expected), operand)
            }
            false => (None, self.pop_register()),
        };
        let address = self.pop_register();
        let (old, new) = (self.scratch(ty, 0), self.scratch(ty, 1));
        self.code.emit(Instruction::Load { memory, op: load, dst: old, address, offset });
        let value = match (change, expected) {
            (Change::Compute(op), _) => {
                self.code.emit(Instruction::Binary { op, dst: new, lhs: old, rhs: operand });
                new
            }
            (Change::CompareExchange(op), Some(expected)) => {
                let condition = if ty == Type::I32 { new } else { self.scratch(Type::I32, 0) };
                self.code.emit(Instruction::Binary { op, dst: condition, lhs: old, rhs: expected });
                let select = Instruction::Select { dst: new, condition, if_true: operand, if_false: old };
                self.code.emit(select);
                new
            }
            _ => operand,
        };
        self.code.emit(Instruction::Store { memory, op: store, address, value, offset });
        let dst = self.operands.push_temporary(ty);
        self.code.emit(Instruction::Copy { dst, src: old });
    }

    /// As [`accessed`](Self::accessed), of what is to be at a multiple of `bytes`: it traps if it is not.
    fn aligned(&mut self, memarg: &MemArg, bytes: u32, below: usize) -> (MemoryIndex, u32) {
        if bytes > 1 {
            self.check_alignment(memarg, bytes, below);
        }
        self.accessed(memarg, below)
    }

    fn check_alignment(&mut self, memarg: &MemArg, bytes: u32, below: usize) {
        let MemArgTarget::Memory(memory) = memarg.target else { unreachable!("validated to be a memory") };
        let height = self.operands.height() - 1 - below;
        let mut address = self.read(self.operands.get(height), height);
        let (sum, other) = (self.scratch(Type::I32, 0), self.scratch(Type::I32, 1));
        if self.module.is_memory_64(memory) {
            self.code.emit(Instruction::Unary { op: UnaryOp::I32WrapI64, dst: sum, src: address });
            address = sum;
        }
        let mask = bytes - 1;
        let misplaced = memarg.offset as u32 & mask;
        if misplaced != 0 {
            self.with_constant(BinaryOp::I32Add, sum, address, (other, misplaced));
            address = sum;
        }
        self.with_constant(BinaryOp::I32And, sum, address, (other, mask));
        self.code.emit(Instruction::TrapIf { condition: sum, kind: TrapKind::UnalignedAtomic });
    }

    /// `dst = op lhs, constant`
    fn with_constant(
        &mut self,
        op: BinaryOp,
        dst: Register,
        lhs: Register,
        (register, constant): (Register, u32),
    ) {
        self.code.emit(Instruction::Const { dst: register, value: Value::I32(constant as i32) });
        self.code.emit(Instruction::Binary { op, dst, lhs, rhs: register });
    }
}
