//! Operations on values, to CLIF.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use osr_ir::{BinaryOp, Register, UnaryOp};

use super::translate::Translator;

impl Translator<'_, '_> {
    /// `op register`
    pub(super) fn unary(&mut self, op: UnaryOp, register: Register) -> ir::Value {
        use UnaryOp::*;
        let operand = self.read(register);
        let ins = self.builder.ins();
        match op {
            I32Clz | I64Clz => ins.clz(operand),
            I32Ctz | I64Ctz => ins.ctz(operand),
            I32Popcnt | I64Popcnt => ins.popcnt(operand),
            I32Eqz | I64Eqz | RefIsNull | ExternIsNull | ExnIsNull => {
                let is_zero = ins.icmp_imm_u(IntCC::Equal, operand, 0);
                self.builder.ins().uextend(types::I32, is_zero)
            }
            I32Extend8S => self.extend_low(types::I8, types::I32, operand),
            I32Extend16S => self.extend_low(types::I16, types::I32, operand),
            I64Extend8S => self.extend_low(types::I8, types::I64, operand),
            I64Extend16S => self.extend_low(types::I16, types::I64, operand),
            I64Extend32S => self.extend_low(types::I32, types::I64, operand),
            F32Abs | F64Abs => ins.fabs(operand),
            F32Neg | F64Neg => ins.fneg(operand),
            F32Ceil | F64Ceil => ins.ceil(operand),
            F32Floor | F64Floor => ins.floor(operand),
            F32Trunc | F64Trunc => ins.trunc(operand),
            F32Nearest | F64Nearest => ins.nearest(operand),
            F32Sqrt | F64Sqrt => ins.sqrt(operand),
            I32WrapI64 => ins.ireduce(types::I32, operand),
            I64ExtendI32S => ins.sextend(types::I64, operand),
            I64ExtendI32U => self.read_wide(register),
            I32TruncF32S | I32TruncF64S => ins.fcvt_to_sint(types::I32, operand),
            I32TruncF32U | I32TruncF64U => ins.fcvt_to_uint(types::I32, operand),
            I64TruncF32S | I64TruncF64S => ins.fcvt_to_sint(types::I64, operand),
            I64TruncF32U | I64TruncF64U => ins.fcvt_to_uint(types::I64, operand),
            I32TruncSatF32S | I32TruncSatF64S => ins.fcvt_to_sint_sat(types::I32, operand),
            I32TruncSatF32U | I32TruncSatF64U => ins.fcvt_to_uint_sat(types::I32, operand),
            I64TruncSatF32S | I64TruncSatF64S => ins.fcvt_to_sint_sat(types::I64, operand),
            I64TruncSatF32U | I64TruncSatF64U => ins.fcvt_to_uint_sat(types::I64, operand),
            F32ConvertI32S | F32ConvertI64S => ins.fcvt_from_sint(types::F32, operand),
            F32ConvertI32U | F32ConvertI64U => ins.fcvt_from_uint(types::F32, operand),
            F64ConvertI32S | F64ConvertI64S => ins.fcvt_from_sint(types::F64, operand),
            F64ConvertI32U | F64ConvertI64U => ins.fcvt_from_uint(types::F64, operand),
            F32DemoteF64 => ins.fdemote(types::F32, operand),
            F64PromoteF32 => ins.fpromote(types::F64, operand),
            I32ReinterpretF32 => ins.bitcast(types::I32, MemFlagsData::new(), operand),
            I64ReinterpretF64 => ins.bitcast(types::I64, MemFlagsData::new(), operand),
            F32ReinterpretI32 => ins.bitcast(types::F32, MemFlagsData::new(), operand),
            F64ReinterpretI64 => ins.bitcast(types::F64, MemFlagsData::new(), operand),
        }
    }

    fn extend_low(&mut self, low: ir::Type, wide: ir::Type, operand: ir::Value) -> ir::Value {
        let reduced = self.builder.ins().ireduce(low, operand);
        self.builder.ins().sextend(wide, reduced)
    }

    /// `op lhs, rhs`
    pub(super) fn binary(&mut self, op: BinaryOp, (lhs, rhs): (ir::Value, ir::Value)) -> ir::Value {
        if let Some(condition) = integer_comparison(op) {
            let holds = self.builder.ins().icmp(condition, lhs, rhs);
            return self.builder.ins().uextend(types::I32, holds);
        }
        if let Some(condition) = float_comparison(op) {
            let holds = self.builder.ins().fcmp(condition, lhs, rhs);
            return self.builder.ins().uextend(types::I32, holds);
        }
        use BinaryOp::*;
        let ins = self.builder.ins();
        match op {
            I32Add | I64Add => ins.iadd(lhs, rhs),
            I32Sub | I64Sub => ins.isub(lhs, rhs),
            I32Mul | I64Mul => ins.imul(lhs, rhs),
            I32DivS | I64DivS => ins.sdiv(lhs, rhs),
            I32DivU | I64DivU => ins.udiv(lhs, rhs),
            I32RemS | I64RemS => ins.srem(lhs, rhs),
            I32RemU | I64RemU => ins.urem(lhs, rhs),
            I32And | I64And => ins.band(lhs, rhs),
            I32Or | I64Or => ins.bor(lhs, rhs),
            I32Xor | I64Xor => ins.bxor(lhs, rhs),
            I32Shl | I64Shl => ins.ishl(lhs, rhs),
            I32ShrS | I64ShrS => ins.sshr(lhs, rhs),
            I32ShrU | I64ShrU => ins.ushr(lhs, rhs),
            I32Rotl | I64Rotl => ins.rotl(lhs, rhs),
            I32Rotr | I64Rotr => ins.rotr(lhs, rhs),
            F32Add | F64Add => ins.fadd(lhs, rhs),
            F32Sub | F64Sub => ins.fsub(lhs, rhs),
            F32Mul | F64Mul => ins.fmul(lhs, rhs),
            F32Div | F64Div => ins.fdiv(lhs, rhs),
            F32Min | F64Min => ins.fmin(lhs, rhs),
            F32Max | F64Max => ins.fmax(lhs, rhs),
            F32Copysign | F64Copysign => ins.fcopysign(lhs, rhs),
            _ => unreachable!("comparisons are handled above"),
        }
    }
}

fn integer_comparison(op: BinaryOp) -> Option<IntCC> {
    use BinaryOp::*;
    Some(match op {
        I32Eq | I64Eq => IntCC::Equal,
        I32Ne | I64Ne => IntCC::NotEqual,
        I32LtS | I64LtS => IntCC::SignedLessThan,
        I32LtU | I64LtU => IntCC::UnsignedLessThan,
        I32GtS | I64GtS => IntCC::SignedGreaterThan,
        I32GtU | I64GtU => IntCC::UnsignedGreaterThan,
        I32LeS | I64LeS => IntCC::SignedLessThanOrEqual,
        I32LeU | I64LeU => IntCC::UnsignedLessThanOrEqual,
        I32GeS | I64GeS => IntCC::SignedGreaterThanOrEqual,
        I32GeU | I64GeU => IntCC::UnsignedGreaterThanOrEqual,
        _ => return None,
    })
}

fn float_comparison(op: BinaryOp) -> Option<FloatCC> {
    use BinaryOp::*;
    Some(match op {
        F32Eq | F64Eq => FloatCC::Equal,
        F32Ne | F64Ne => FloatCC::NotEqual,
        F32Lt | F64Lt => FloatCC::LessThan,
        F32Gt | F64Gt => FloatCC::GreaterThan,
        F32Le | F64Le => FloatCC::LessThanOrEqual,
        F32Ge | F64Ge => FloatCC::GreaterThanOrEqual,
        _ => return None,
    })
}
