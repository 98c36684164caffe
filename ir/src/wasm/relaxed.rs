//! Relaxed operations on vectors: those whose results WebAssembly leaves to the machine, within bounds.
//!
//! Here they are what the strict operations are, on every machine and in every tier: a result must not depend on the tier
//! that a frame happens to be in.

use wasmparser::Operator;

use super::function::Translator;
use crate::body::Instruction;
use crate::index::Register;
use crate::value::Type;
use crate::vector::VectorOp;

/// What a relaxed operator is.
enum Relaxed {
    /// One operation.
    As(VectorOp),
    /// The product of the first two operands, and what is done with it and the third.
    Product(VectorOp, VectorOp),
    /// Products of two neighbouring bytes, added.
    Dot,
    /// Of four, added to the third operand.
    DotAdd,
}

fn relaxed(operator: &Operator<'_>) -> Option<Relaxed> {
    use Operator as O;
    use Relaxed::{As, Dot, DotAdd, Product};
    use VectorOp as V;
    Some(match operator {
        O::I8x16RelaxedSwizzle => As(V::I8x16Swizzle),
        O::I32x4RelaxedTruncF32x4S => As(V::I32x4TruncSatF32x4S),
        O::I32x4RelaxedTruncF32x4U => As(V::I32x4TruncSatF32x4U),
        O::I32x4RelaxedTruncF64x2SZero => As(V::I32x4TruncSatF64x2SZero),
        O::I32x4RelaxedTruncF64x2UZero => As(V::I32x4TruncSatF64x2UZero),
        O::I8x16RelaxedLaneselect
        | O::I16x8RelaxedLaneselect
        | O::I32x4RelaxedLaneselect
        | O::I64x2RelaxedLaneselect => As(V::V128Bitselect),
        O::F32x4RelaxedMin => As(V::F32x4Min),
        O::F32x4RelaxedMax => As(V::F32x4Max),
        O::F64x2RelaxedMin => As(V::F64x2Min),
        O::F64x2RelaxedMax => As(V::F64x2Max),
        O::I16x8RelaxedQ15mulrS => As(V::I16x8Q15MulrSatS),
        O::F32x4RelaxedMadd => Product(V::F32x4Mul, V::F32x4Add),
        O::F32x4RelaxedNmadd => Product(V::F32x4Mul, V::F32x4Sub),
        O::F64x2RelaxedMadd => Product(V::F64x2Mul, V::F64x2Add),
        O::F64x2RelaxedNmadd => Product(V::F64x2Mul, V::F64x2Sub),
        O::I16x8RelaxedDotI8x16I7x16S => Dot,
        O::I32x4RelaxedDotI8x16I7x16AddS => DotAdd,
        _ => return None,
    })
}

#[cfg(test)]
pub(super) fn is_translated(operator: &Operator<'_>) -> bool {
    relaxed(operator).is_some()
}

impl Translator<'_> {
    /// Translates `operator`, if it is a relaxed one.
    pub(super) fn relaxed(&mut self, operator: &Operator<'_>) -> bool {
        match relaxed(operator) {
            None => return false,
            Some(Relaxed::As(op)) => self.vector_operation(op, 0),
            Some(Relaxed::Product(multiply, op)) => {
                let [a, b, c] = self.pop_registers();
                let product = self.vector_above(1);
                self.emit_vector(multiply, product, vec![a, b]);
                let dst = self.operands.push_temporary(Type::V128);
                // `nmadd` is the third operand without the product.
                self.emit_vector(op, dst, vec![c, product]);
            }
            Some(Relaxed::Dot) => {
                let [a, b] = self.pop_registers();
                let sums = self.dot(a, b);
                let dst = self.operands.push_temporary(Type::V128);
                debug_assert_eq!(dst, sums, "it was the next entry's");
            }
            Some(Relaxed::DotAdd) => {
                let [a, b, c] = self.pop_registers();
                let sums = self.dot(a, b);
                self.emit_vector(VectorOp::I32x4ExtAddPairwiseI16x8S, sums, vec![sums]);
                let dst = self.operands.push_temporary(Type::V128);
                self.emit_vector(VectorOp::I32x4Add, dst, vec![sums, c]);
            }
        }
        true
    }

    /// The sums of products of two neighbouring bytes of `a` and `b`, in 16 bits. Above the operands, of which the third
    /// may still be needed, are the entries that intermediate values take.
    fn dot(&mut self, a: Register, b: Register) -> Register {
        let [sums, even, low, high] = [0, 1, 3, 4].map(|height| self.vector_above(height));
        self.emit_vector(VectorOp::I16x8ExtMulLowI8x16S, low, vec![a, b]);
        self.emit_vector(VectorOp::I16x8ExtMulHighI8x16S, high, vec![a, b]);
        let every_other = |first: u8| std::array::from_fn(|byte| byte as u8 / 2 * 4 + byte as u8 % 2 + first);
        self.code.emit(Instruction::Shuffle { lanes: every_other(0), dst: even, lhs: low, rhs: high });
        self.code.emit(Instruction::Shuffle { lanes: every_other(2), dst: low, lhs: low, rhs: high });
        self.emit_vector(VectorOp::I16x8Add, sums, vec![even, low]);
        sums
    }

    fn emit_vector(&mut self, op: VectorOp, dst: Register, operands: Vec<Register>) {
        self.code.emit(Instruction::Vector { op, lane: 0, dst, operands });
    }

    /// The register of a vector that is `height` entries above the top of the stack.
    fn vector_above(&mut self, height: usize) -> Register {
        self.operands.slot(self.operands.height() + height, Type::V128)
    }
}
