//! Vectors: operators that are one operation here, and accesses of memory that become two.

use wasmparser::{MemArg, Operator};

use super::function::Translator;
use crate::body::Instruction;
use crate::operation::{LoadOp, StoreOp};
use crate::vector::{VectorOp, with_vector_operations};

macro_rules! define_operation {
    (
        lane { $($lane:ident $lane_text:literal ($($lane_operand:ident),*) -> $lane_result:ident;)* }
        plain { $($plain:ident $text:literal ($($operand:ident),*) -> $result:ident;)* }
    ) => {
        /// The operation that `operator` is, and its lane; none if it is not one.
        fn operation(operator: &Operator<'_>) -> Option<(VectorOp, u8)> {
            Some(match *operator {
                $(Operator::$lane { lane } => (VectorOp::$lane, lane),)*
                $(Operator::$plain => (VectorOp::$plain, 0),)*
                _ => return None,
            })
        }
    };
}
with_vector_operations!(define_operation);

/// An access of memory that is two instructions.
enum Access {
    /// A load, whose value makes the vector.
    Load(LoadOp, VectorOp),
    /// A load, whose value replaces a lane.
    LoadLane(LoadOp, VectorOp, u8),
    /// A lane is stored.
    StoreLane(VectorOp, StoreOp, u8),
}

/// The access that `operator` is, if it is one.
fn access<'o>(operator: &'o Operator<'_>) -> Option<(Access, &'o MemArg)> {
    use Access::{Load, LoadLane, StoreLane};
    use LoadOp::{I32Load, I32Load8U, I32Load16U, I64Load, V128Load64Zero};
    use Operator as O;
    use StoreOp::{I32Store, I32Store8, I32Store16, I64Store};
    use VectorOp as V;
    Some(match operator {
        O::V128Load8x8S { memarg } => (Load(V128Load64Zero, V::I16x8ExtendLowI8x16S), memarg),
        O::V128Load8x8U { memarg } => (Load(V128Load64Zero, V::I16x8ExtendLowI8x16U), memarg),
        O::V128Load16x4S { memarg } => (Load(V128Load64Zero, V::I32x4ExtendLowI16x8S), memarg),
        O::V128Load16x4U { memarg } => (Load(V128Load64Zero, V::I32x4ExtendLowI16x8U), memarg),
        O::V128Load32x2S { memarg } => (Load(V128Load64Zero, V::I64x2ExtendLowI32x4S), memarg),
        O::V128Load32x2U { memarg } => (Load(V128Load64Zero, V::I64x2ExtendLowI32x4U), memarg),
        O::V128Load8Splat { memarg } => (Load(I32Load8U, V::I8x16Splat), memarg),
        O::V128Load16Splat { memarg } => (Load(I32Load16U, V::I16x8Splat), memarg),
        O::V128Load32Splat { memarg } => (Load(I32Load, V::I32x4Splat), memarg),
        O::V128Load64Splat { memarg } => (Load(I64Load, V::I64x2Splat), memarg),
        O::V128Load8Lane { memarg, lane } => (LoadLane(I32Load8U, V::I8x16ReplaceLane, *lane), memarg),
        O::V128Load16Lane { memarg, lane } => (LoadLane(I32Load16U, V::I16x8ReplaceLane, *lane), memarg),
        O::V128Load32Lane { memarg, lane } => (LoadLane(I32Load, V::I32x4ReplaceLane, *lane), memarg),
        O::V128Load64Lane { memarg, lane } => (LoadLane(I64Load, V::I64x2ReplaceLane, *lane), memarg),
        O::V128Store8Lane { memarg, lane } => (StoreLane(V::I8x16ExtractLaneU, I32Store8, *lane), memarg),
        O::V128Store16Lane { memarg, lane } => (StoreLane(V::I16x8ExtractLaneU, I32Store16, *lane), memarg),
        O::V128Store32Lane { memarg, lane } => (StoreLane(V::I32x4ExtractLane, I32Store, *lane), memarg),
        O::V128Store64Lane { memarg, lane } => (StoreLane(V::I64x2ExtractLane, I64Store, *lane), memarg),
        _ => return None,
    })
}

/// Whether `operator` is about vectors, and translated.
#[cfg(test)]
pub(super) fn is_translated(operator: &Operator<'_>) -> bool {
    operation(operator).is_some() || access(operator).is_some() || super::relaxed::is_translated(operator)
}

impl Translator<'_> {
    /// Translates `operator`, if it is about vectors.
    pub(super) fn vector(&mut self, operator: &Operator<'_>) -> bool {
        if let Some((op, lane)) = operation(operator) {
            self.vector_operation(op, lane);
        } else if let Operator::I8x16Shuffle { lanes } = *operator {
            let [lhs, rhs] = self.pop_registers();
            let dst = self.operands.push_temporary(crate::Type::V128);
            self.code.emit(Instruction::Shuffle { lanes, dst, lhs, rhs });
        } else if let Some((access, memarg)) = access(operator) {
            self.vector_access(access, memarg);
        } else {
            return false;
        }
        true
    }

    /// Takes the operands of `op` from the stack, and puts its result there.
    pub(super) fn vector_operation(&mut self, op: VectorOp, lane: u8) {
        let base = self.operands.height() - op.operands().len();
        let operands = (base..self.operands.height())
            .map(|height| self.read(self.operands.get(height), height))
            .collect();
        self.operands.truncate(base);
        let dst = self.operands.push_temporary(op.result());
        self.code.emit(Instruction::Vector { op, lane, dst, operands });
    }

    /// The scalar between the two instructions is where an operand was that they take.
    fn vector_access(&mut self, access: Access, memarg: &MemArg) {
        let below = if matches!(access, Access::Load(..)) { 0 } else { 1 };
        let (memory, offset) = self.accessed(memarg, below);
        match access {
            Access::Load(load, op) => {
                let address = self.pop_register();
                let dst = self.operands.push_temporary(load.result());
                self.code.emit(Instruction::Load { memory, op: load, dst, address, offset });
                self.vector_operation(op, 0);
            }
            Access::LoadLane(load, op, lane) => {
                let [address, vector] = self.pop_registers();
                let scalar = self.operands.slot(self.operands.height(), load.result());
                self.code.emit(Instruction::Load { memory, op: load, dst: scalar, address, offset });
                let dst = self.operands.push_temporary(op.result());
                self.code.emit(Instruction::Vector { op, lane, dst, operands: vec![vector, scalar] });
            }
            Access::StoreLane(op, store, lane) => {
                let [address, vector] = self.pop_registers();
                let dst = self.operands.slot(self.operands.height() + 1, op.result());
                self.code.emit(Instruction::Vector { op, lane, dst, operands: vec![vector] });
                self.code.emit(Instruction::Store { memory, op: store, address, value: dst, offset });
            }
        }
    }
}
