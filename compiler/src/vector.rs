//! Operations on vectors, to CLIF.
//!
//! A vector is of type [`VECTOR`] wherever it is kept; an operation sees it as the lanes that its name says, and casts it
//! there and back, for which nothing is emitted. In calls and frame states it is two words
//! ([`read_words`](Translator::read_words)).

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, ConstantData, InstBuilder, MemFlagsData, types};
use osr_ir::{Register, Type, VectorOp};

use super::clif_type::VECTOR;
use super::translate::Translator;

/// How lanes are numbered where a cast makes others of them: from the lowest bits on.
pub(super) fn lane_order() -> MemFlagsData {
    MemFlagsData::new().with_endianness(ir::Endianness::Little)
}

/// The lanes that `op` takes: the last that its name mentions.
fn lanes_taken(op: VectorOp) -> ir::Type {
    let mut words = op.name().rsplit(['.', '_']);
    words.find_map(lanes_named).unwrap_or(VECTOR)
}

/// The lanes that are called so.
fn lanes_named(name: &str) -> Option<ir::Type> {
    Some(match name {
        "i8x16" => types::I8X16,
        "i16x8" => types::I16X8,
        "i32x4" => types::I32X4,
        "i64x2" => types::I64X2,
        "f32x4" => types::F32X4,
        "f64x2" => types::F64X2,
        _ => return None,
    })
}

impl Translator<'_, '_> {
    /// `op operands`, of lane number `lane` if it is of one.
    pub(super) fn vector(&mut self, op: VectorOp, lane: u8, operands: &[Register]) -> ir::Value {
        let taken = lanes_taken(op);
        let mut values = Vec::with_capacity(operands.len());
        for (&register, &ty) in operands.iter().zip(op.operands()) {
            let value = self.read(register);
            values.push(if ty == Type::V128 { self.cast(value, taken) } else { value });
        }
        let value =
            if op.has_lane() { self.one_lane(op, lane, &values) } else { self.lanes(op, taken, &values) };
        self.cast_back(value)
    }

    /// The bytes of two vectors that `lanes` counts.
    pub(super) fn shuffle(&mut self, lanes: [u8; 16], lhs: Register, rhs: Register) -> ir::Value {
        let (lhs, rhs) = (self.read(lhs), self.read(rhs));
        let lanes = self.builder.func.dfg.immediates.push(lanes.to_vec().into());
        self.builder.ins().shuffle(lhs, rhs, lanes)
    }

    /// The vector of these words.
    pub(super) fn vector_constant(&mut self, [low, high]: [u64; 2]) -> ir::Value {
        let bits = u128::from(high) << 64 | u128::from(low);
        let constant = ConstantData::from(&bits.to_le_bytes()[..]);
        let constant = self.builder.func.dfg.constants.insert(constant);
        self.builder.ins().vconst(VECTOR, constant)
    }

    /// The vector of `lanes` of which `scalar` is the lowest, and zero the others.
    pub(super) fn vector_of_lowest(&mut self, lanes: ir::Type, scalar: ir::Value) -> ir::Value {
        let value = self.builder.ins().scalar_to_vector(lanes, scalar);
        self.cast(value, VECTOR)
    }

    fn cast(&mut self, value: ir::Value, to: ir::Type) -> ir::Value {
        let is_it = self.builder.func.dfg.value_type(value) == to;
        if is_it { value } else { self.builder.ins().bitcast(to, lane_order(), value) }
    }

    /// A result as registers keep it: vectors as [`VECTOR`], small integers and booleans as `i32`.
    fn cast_back(&mut self, value: ir::Value) -> ir::Value {
        match self.builder.func.dfg.value_type(value) {
            ty if ty.is_vector() => self.cast(value, VECTOR),
            types::I8 | types::I16 => self.builder.ins().uextend(types::I32, value),
            _ => value,
        }
    }

    /// Extraction and replacement.
    fn one_lane(&mut self, op: VectorOp, lane: u8, values: &[ir::Value]) -> ir::Value {
        use VectorOp::*;
        let ins = self.builder.ins();
        match (op, values) {
            (I8x16ExtractLaneS | I16x8ExtractLaneS, &[vector]) => {
                let value = ins.extractlane(vector, lane);
                self.builder.ins().sextend(types::I32, value)
            }
            (_, &[vector]) => ins.extractlane(vector, lane),
            (_, &[vector, scalar]) => {
                let lanes = self.builder.func.dfg.value_type(vector);
                let scalar = self.lane_value(lanes, scalar);
                self.builder.ins().insertlane(vector, scalar, lane)
            }
            _ => unreachable!("{} has no such operands", op.name()),
        }
    }

    /// `scalar` as a value of one of `lanes`.
    fn lane_value(&mut self, lanes: ir::Type, scalar: ir::Value) -> ir::Value {
        let of_lane = lanes.lane_type();
        let is_wider = of_lane.bits() < self.builder.func.dfg.value_type(scalar).bits();
        if is_wider { self.builder.ins().ireduce(of_lane, scalar) } else { scalar }
    }

    /// An operation that does the same in each lane of `taken`, or moves lanes.
    fn lanes(&mut self, op: VectorOp, taken: ir::Type, values: &[ir::Value]) -> ir::Value {
        match *values {
            [a] => self.lanes_of_one(op, taken, a),
            [a, b] => {
                if let Some(condition) = integer_comparison(op) {
                    return self.builder.ins().icmp(condition, a, b);
                }
                if let Some(condition) = float_comparison(op) {
                    return self.builder.ins().fcmp(condition, a, b);
                }
                self.lanes_of_two(op, a, b)
            }
            // `v128.bitselect`
            [if_one, if_zero, mask] => self.builder.ins().bitselect(mask, if_one, if_zero),
            _ => unreachable!("{} has no such operands", op.name()),
        }
    }

    fn lanes_of_one(&mut self, op: VectorOp, taken: ir::Type, a: ir::Value) -> ir::Value {
        use VectorOp::*;
        let ins = self.builder.ins();
        match op {
            I8x16Splat | I16x8Splat | I32x4Splat | I64x2Splat | F32x4Splat | F64x2Splat => {
                let scalar = self.lane_value(taken, a);
                self.builder.ins().splat(taken, scalar)
            }
            V128Not => ins.bnot(a),
            V128AnyTrue => ins.vany_true(a),
            I8x16AllTrue | I16x8AllTrue | I32x4AllTrue | I64x2AllTrue => ins.vall_true(a),
            I8x16Bitmask | I16x8Bitmask | I32x4Bitmask | I64x2Bitmask => ins.vhigh_bits(types::I32, a),
            I8x16Abs | I16x8Abs | I32x4Abs | I64x2Abs => ins.iabs(a),
            I8x16Neg | I16x8Neg | I32x4Neg | I64x2Neg => ins.ineg(a),
            I8x16Popcnt => ins.popcnt(a),
            I16x8ExtendLowI8x16S | I32x4ExtendLowI16x8S | I64x2ExtendLowI32x4S => ins.swiden_low(a),
            I16x8ExtendHighI8x16S | I32x4ExtendHighI16x8S | I64x2ExtendHighI32x4S => ins.swiden_high(a),
            I16x8ExtendLowI8x16U | I32x4ExtendLowI16x8U | I64x2ExtendLowI32x4U => ins.uwiden_low(a),
            I16x8ExtendHighI8x16U | I32x4ExtendHighI16x8U | I64x2ExtendHighI32x4U => ins.uwiden_high(a),
            I16x8ExtAddPairwiseI8x16S | I32x4ExtAddPairwiseI16x8S => {
                let (low, high) = (ins.swiden_low(a), self.builder.ins().swiden_high(a));
                self.builder.ins().iadd_pairwise(low, high)
            }
            I16x8ExtAddPairwiseI8x16U | I32x4ExtAddPairwiseI16x8U => {
                let (low, high) = (ins.uwiden_low(a), self.builder.ins().uwiden_high(a));
                self.builder.ins().iadd_pairwise(low, high)
            }
            F32x4Abs | F64x2Abs => ins.fabs(a),
            F32x4Neg | F64x2Neg => ins.fneg(a),
            F32x4Sqrt | F64x2Sqrt => ins.sqrt(a),
            F32x4Ceil | F64x2Ceil => ins.ceil(a),
            F32x4Floor | F64x2Floor => ins.floor(a),
            F32x4Trunc | F64x2Trunc => ins.trunc(a),
            F32x4Nearest | F64x2Nearest => ins.nearest(a),
            I32x4TruncSatF32x4S => ins.fcvt_to_sint_sat(types::I32X4, a),
            I32x4TruncSatF32x4U => ins.fcvt_to_uint_sat(types::I32X4, a),
            I32x4TruncSatF64x2SZero => {
                let (wide, zero) = (ins.fcvt_to_sint_sat(types::I64X2, a), self.zero());
                self.builder.ins().snarrow(wide, zero)
            }
            I32x4TruncSatF64x2UZero => {
                let (wide, zero) = (ins.fcvt_to_uint_sat(types::I64X2, a), self.zero());
                self.builder.ins().uunarrow(wide, zero)
            }
            F32x4ConvertI32x4S => ins.fcvt_from_sint(types::F32X4, a),
            F32x4ConvertI32x4U => ins.fcvt_from_uint(types::F32X4, a),
            F64x2ConvertLowI32x4S => {
                let wide = ins.swiden_low(a);
                self.builder.ins().fcvt_from_sint(types::F64X2, wide)
            }
            F64x2ConvertLowI32x4U => {
                let wide = ins.uwiden_low(a);
                self.builder.ins().fcvt_from_uint(types::F64X2, wide)
            }
            F32x4DemoteF64x2Zero => ins.fvdemote(a),
            F64x2PromoteLowF32x4 => ins.fvpromote_low(a),
            _ => unreachable!("{} has more operands", op.name()),
        }
    }

    /// Two lanes of 64 bits that are zero: made as such, without a cast, for that is what Cranelift narrows with.
    fn zero(&mut self) -> ir::Value {
        let constant = self.builder.func.dfg.constants.insert(ConstantData::from(&[0; 16][..]));
        self.builder.ins().vconst(types::I64X2, constant)
    }

    fn lanes_of_two(&mut self, op: VectorOp, a: ir::Value, b: ir::Value) -> ir::Value {
        use VectorOp::*;
        let ins = self.builder.ins();
        match op {
            I8x16Swizzle => ins.swizzle(a, b),
            V128And => ins.band(a, b),
            V128AndNot => {
                let inverted = ins.bnot(b);
                self.builder.ins().band(a, inverted)
            }
            V128Or => ins.bor(a, b),
            V128Xor => ins.bxor(a, b),
            I8x16Shl | I16x8Shl | I32x4Shl | I64x2Shl => ins.ishl(a, b),
            I8x16ShrS | I16x8ShrS | I32x4ShrS | I64x2ShrS => ins.sshr(a, b),
            I8x16ShrU | I16x8ShrU | I32x4ShrU | I64x2ShrU => ins.ushr(a, b),
            I8x16Add | I16x8Add | I32x4Add | I64x2Add => ins.iadd(a, b),
            I8x16Sub | I16x8Sub | I32x4Sub | I64x2Sub => ins.isub(a, b),
            I16x8Mul | I32x4Mul | I64x2Mul => ins.imul(a, b),
            I8x16AddSatS | I16x8AddSatS => ins.sadd_sat(a, b),
            I8x16AddSatU | I16x8AddSatU => ins.uadd_sat(a, b),
            I8x16SubSatS | I16x8SubSatS => ins.ssub_sat(a, b),
            I8x16SubSatU | I16x8SubSatU => ins.usub_sat(a, b),
            I8x16AvgrU | I16x8AvgrU => ins.avg_round(a, b),
            I8x16MinS | I16x8MinS | I32x4MinS => ins.smin(a, b),
            I8x16MinU | I16x8MinU | I32x4MinU => ins.umin(a, b),
            I8x16MaxS | I16x8MaxS | I32x4MaxS => ins.smax(a, b),
            I8x16MaxU | I16x8MaxU | I32x4MaxU => ins.umax(a, b),
            I8x16NarrowI16x8S | I16x8NarrowI32x4S => ins.snarrow(a, b),
            I8x16NarrowI16x8U | I16x8NarrowI32x4U => ins.unarrow(a, b),
            I16x8ExtMulLowI8x16S | I32x4ExtMulLowI16x8S | I64x2ExtMulLowI32x4S => {
                let (a, b) = (ins.swiden_low(a), self.builder.ins().swiden_low(b));
                self.builder.ins().imul(a, b)
            }
            I16x8ExtMulHighI8x16S | I32x4ExtMulHighI16x8S | I64x2ExtMulHighI32x4S => {
                let (a, b) = (ins.swiden_high(a), self.builder.ins().swiden_high(b));
                self.builder.ins().imul(a, b)
            }
            I16x8ExtMulLowI8x16U | I32x4ExtMulLowI16x8U | I64x2ExtMulLowI32x4U => {
                let (a, b) = (ins.uwiden_low(a), self.builder.ins().uwiden_low(b));
                self.builder.ins().imul(a, b)
            }
            I16x8ExtMulHighI8x16U | I32x4ExtMulHighI16x8U | I64x2ExtMulHighI32x4U => {
                let (a, b) = (ins.uwiden_high(a), self.builder.ins().uwiden_high(b));
                self.builder.ins().imul(a, b)
            }
            I16x8Q15MulrSatS => ins.sqmul_round_sat(a, b),
            I32x4DotI16x8S => self.dot(a, b),
            F32x4Add | F64x2Add => ins.fadd(a, b),
            F32x4Sub | F64x2Sub => ins.fsub(a, b),
            F32x4Mul | F64x2Mul => ins.fmul(a, b),
            F32x4Div | F64x2Div => ins.fdiv(a, b),
            F32x4Min | F64x2Min => ins.fmin(a, b),
            F32x4Max | F64x2Max => ins.fmax(a, b),
            F32x4PMin | F64x2PMin => self.first_if_less((b, a), (b, a)),
            F32x4PMax | F64x2PMax => self.first_if_less((a, b), (b, a)),
            _ => unreachable!("{} has other operands", op.name()),
        }
    }

    /// The sums of products of two neighbouring lanes.
    fn dot(&mut self, a: ir::Value, b: ir::Value) -> ir::Value {
        let [a_low, b_low] = [a, b].map(|value| self.builder.ins().swiden_low(value));
        let [a_high, b_high] = [a, b].map(|value| self.builder.ins().swiden_high(value));
        let low = self.builder.ins().imul(a_low, b_low);
        let high = self.builder.ins().imul(a_high, b_high);
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// Lane by lane, `yes` if `less` is less than `more`, and otherwise `no`.
    fn first_if_less(
        &mut self,
        (less, more): (ir::Value, ir::Value),
        (yes, no): (ir::Value, ir::Value),
    ) -> ir::Value {
        let mask = self.builder.ins().fcmp(FloatCC::LessThan, less, more);
        let [mask, yes, no] = [mask, yes, no].map(|value| self.cast(value, VECTOR));
        self.builder.ins().bitselect(mask, yes, no)
    }
}

fn integer_comparison(op: VectorOp) -> Option<IntCC> {
    use VectorOp::*;
    Some(match op {
        I8x16Eq | I16x8Eq | I32x4Eq | I64x2Eq => IntCC::Equal,
        I8x16Ne | I16x8Ne | I32x4Ne | I64x2Ne => IntCC::NotEqual,
        I8x16LtS | I16x8LtS | I32x4LtS | I64x2LtS => IntCC::SignedLessThan,
        I8x16LtU | I16x8LtU | I32x4LtU => IntCC::UnsignedLessThan,
        I8x16GtS | I16x8GtS | I32x4GtS | I64x2GtS => IntCC::SignedGreaterThan,
        I8x16GtU | I16x8GtU | I32x4GtU => IntCC::UnsignedGreaterThan,
        I8x16LeS | I16x8LeS | I32x4LeS | I64x2LeS => IntCC::SignedLessThanOrEqual,
        I8x16LeU | I16x8LeU | I32x4LeU => IntCC::UnsignedLessThanOrEqual,
        I8x16GeS | I16x8GeS | I32x4GeS | I64x2GeS => IntCC::SignedGreaterThanOrEqual,
        I8x16GeU | I16x8GeU | I32x4GeU => IntCC::UnsignedGreaterThanOrEqual,
        _ => return None,
    })
}

fn float_comparison(op: VectorOp) -> Option<FloatCC> {
    use VectorOp::*;
    Some(match op {
        F32x4Eq | F64x2Eq => FloatCC::Equal,
        F32x4Ne | F64x2Ne => FloatCC::NotEqual,
        F32x4Lt | F64x2Lt => FloatCC::LessThan,
        F32x4Gt | F64x2Gt => FloatCC::GreaterThan,
        F32x4Le | F64x2Le => FloatCC::LessThanOrEqual,
        F32x4Ge | F64x2Ge => FloatCC::GreaterThanOrEqual,
        _ => return None,
    })
}
