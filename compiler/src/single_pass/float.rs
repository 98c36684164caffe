//! Operations on floats.

use osr_ir::{BinaryOp, Register, UnaryOp};

use super::Pass;
use super::assembler::emit;
use super::integer::Binary;
use super::machine::{Condition, FLOAT_SCRATCH, SCRATCH, Width, Xmm};
use super::values::FloatOperand;

impl Pass<'_> {
    /// An operation on floats that are no [comparisons](super::flags).
    pub(super) fn float_binary(&mut self, op: BinaryOp, binary: Binary) {
        use BinaryOp::*;
        match op {
            F32Copysign | F64Copysign => return self.copy_sign(binary),
            F32Min | F64Min => return self.extreme(true, binary),
            F32Max | F64Max => return self.extreme(false, binary),
            _ => {}
        }
        let commutes = matches!(op, F32Add | F64Add | F32Mul | F64Mul);
        let binary = match commutes && !binary.lhs_dies() && binary.rhs_dies() {
            true => binary.swap_operands(),
            false => binary,
        };
        let Binary { dst, lhs, rhs, .. } = binary;
        let right = self.float_operand(rhs, binary.rhs_dies() && lhs != rhs);
        let target = self.changeable_xmm(lhs, binary.lhs_dies());
        match op {
            F32Add => emit!(self.assembler, addss_a(target, right)),
            F64Add => emit!(self.assembler, addsd_a(target, right)),
            F32Sub => emit!(self.assembler, subss_a(target, right)),
            F64Sub => emit!(self.assembler, subsd_a(target, right)),
            F32Mul => emit!(self.assembler, mulss_a(target, right)),
            F64Mul => emit!(self.assembler, mulsd_a(target, right)),
            F32Div => emit!(self.assembler, divss_a(target, right)),
            F64Div => emit!(self.assembler, divsd_a(target, right)),
            _ => unreachable!("not of floats: {op:?}"),
        }
        self.define_xmm(dst, target);
    }

    /// The smaller or the greater of two. The machine's own takes the second operand where one is not a number or both
    /// are zeros: then it is the sum, which is not a number either, or what the bits of both, or of either, make.
    fn extreme(&mut self, is_least: bool, binary: Binary) {
        let Binary { dst, lhs, rhs, .. } = binary;
        let width = self.width(lhs);
        let right = self.xmm(rhs);
        let target = self.changeable_xmm(lhs, binary.lhs_dies() && lhs != rhs);
        let [unordered, differs, done] = std::array::from_fn(|_| self.assembler.label());
        match width {
            Width::Bits32 => emit!(self.assembler, ucomiss_a(target, right)),
            Width::Bits64 => emit!(self.assembler, ucomisd_a(target, right)),
        }
        self.assembler.jump_near_if(Condition::Parity, unordered);
        self.assembler.jump_near_if(Condition::NotEqual, differs);
        match is_least {
            true => emit!(self.assembler, orps_a(target, right)),
            false => emit!(self.assembler, andps_a(target, right)),
        }
        self.assembler.jump_near(done);
        self.assembler.bind(unordered);
        match width {
            Width::Bits32 => emit!(self.assembler, addss_a(target, right)),
            Width::Bits64 => emit!(self.assembler, addsd_a(target, right)),
        }
        self.assembler.jump_near(done);
        self.assembler.bind(differs);
        match (is_least, width) {
            (true, Width::Bits32) => emit!(self.assembler, minss_a(target, right)),
            (true, Width::Bits64) => emit!(self.assembler, minsd_a(target, right)),
            (false, Width::Bits32) => emit!(self.assembler, maxss_a(target, right)),
            (false, Width::Bits64) => emit!(self.assembler, maxsd_a(target, right)),
        }
        self.assembler.bind(done);
        self.define_xmm(dst, target);
    }

    /// The bit that is the sign of floats.
    fn sign_bit(width: Width) -> u64 {
        match width {
            Width::Bits32 => 1 << 31,
            Width::Bits64 => 1 << 63,
        }
    }

    fn copy_sign(&mut self, binary: Binary) {
        let Binary { dst, lhs, rhs, .. } = binary;
        let width = self.width(lhs);
        let sign = self.xmm(rhs);
        let target = self.changeable_xmm(lhs, binary.lhs_dies() && lhs != rhs);
        let mask = self.float_scratch(width, !Self::sign_bit(width) & Self::all_bits(width));
        emit!(self.assembler, andps_a(target, mask));
        emit!(self.assembler, andnps_a(mask, sign));
        emit!(self.assembler, orps_a(target, mask));
        self.define_xmm(dst, target);
    }

    fn all_bits(width: Width) -> u64 {
        match width {
            Width::Bits32 => u64::from(u32::MAX),
            Width::Bits64 => u64::MAX,
        }
    }

    /// An operation on one float.
    pub(super) fn float_unary(&mut self, op: UnaryOp, dst: Register, src: Register, dies: bool) {
        use UnaryOp::*;
        match op {
            F32Abs | F64Abs => self.abs(dst, src, dies),
            F32Neg | F64Neg => self.negate(dst, src, dies),
            F32Nearest | F64Nearest => self.round(dst, src, dies, 0),
            F32Floor | F64Floor => self.round(dst, src, dies, 1),
            F32Ceil | F64Ceil => self.round(dst, src, dies, 2),
            F32Trunc | F64Trunc => self.round(dst, src, dies, 3),
            F32Sqrt | F64Sqrt => {
                let source = self.float_operand(src, dies);
                let target = self.result_xmm(src, dies);
                match op {
                    F32Sqrt => emit!(self.assembler, sqrtss_a(target, source)),
                    _ => emit!(self.assembler, sqrtsd_a(target, source)),
                }
                self.define_xmm(dst, target);
            }
            _ => unreachable!("not of floats: {op:?}"),
        }
    }

    /// Where the result of an operation on `src` goes: to where that is, if it is not used again.
    fn result_xmm(&mut self, src: Register, dies: bool) -> Xmm {
        match dies && !self.is_in_slot(src) {
            true => self.xmm(src),
            false => {
                let target = self.new_xmm();
                // Scalar operations keep the rest of the register: they would wait for whatever it held.
                emit!(self.assembler, xorps_a(target, target));
                target
            }
        }
    }

    fn abs(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        let target = self.changeable_xmm(src, dies);
        let mask = self.float_scratch(width, !Self::sign_bit(width) & Self::all_bits(width));
        emit!(self.assembler, andps_a(target, mask));
        self.define_xmm(dst, target);
    }

    fn negate(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        let target = self.changeable_xmm(src, dies);
        let mask = self.float_scratch(width, Self::sign_bit(width));
        emit!(self.assembler, xorps_a(target, mask));
        self.define_xmm(dst, target);
    }

    /// Rounds: to nearest, down, up, to zero, by that number.
    fn round(&mut self, dst: Register, src: Register, dies: bool, mode: u8) {
        /// No exception because the result is not exact.
        const QUIET: u8 = 8;
        let width = self.width(src);
        let source = self.float_operand(src, dies);
        let target = self.result_xmm(src, dies);
        match width {
            Width::Bits32 => emit!(self.assembler, roundss_rmi(target, source, mode | QUIET)),
            Width::Bits64 => emit!(self.assembler, roundsd_rmi(target, source, mode | QUIET)),
        }
        self.define_xmm(dst, target);
    }

    /// A conversion between floats and integers, or between floats.
    pub(super) fn conversion(&mut self, op: UnaryOp, dst: Register, src: Register, dies: bool) {
        use UnaryOp::*;
        match op {
            F32DemoteF64 | F64PromoteF32 => {
                let source = self.float_operand(src, dies);
                let target = self.result_xmm(src, dies);
                match op {
                    F32DemoteF64 => emit!(self.assembler, cvtsd2ss_a(target, source)),
                    _ => emit!(self.assembler, cvtss2sd_a(target, source)),
                }
                self.define_xmm(dst, target);
            }
            I32ReinterpretF32 | I64ReinterpretF64 => {
                let (width, target) = (self.width(dst), self.new_gpr());
                match self.float_operand(src, dies) {
                    FloatOperand::Xmm(source) => self.assembler.bits_of(width, target, source),
                    FloatOperand::Mem(slot) => self.assembler.load_gpr(width, target, slot),
                }
                self.define_gpr(dst, target);
            }
            F32ReinterpretI32 | F64ReinterpretI64 => {
                let width = self.width(dst);
                if let Some(bits) = self.constant(src) {
                    return self.define_constant(dst, bits);
                }
                let target = self.new_xmm();
                match self.operand(src, dies) {
                    super::values::Operand::Gpr(source) => self.assembler.float_of(width, target, source),
                    super::values::Operand::Mem(slot) => self.assembler.load_xmm(width, target, slot),
                }
                self.define_xmm(dst, target);
            }
            _ if self.ty(dst).is_float() => self.float_of_integer(op, dst, src, dies),
            _ => self.integer_of_float(op, dst, src),
        }
    }

    fn float_of_integer(&mut self, op: UnaryOp, dst: Register, src: Register, dies: bool) {
        use UnaryOp::*;
        if matches!(op, F32ConvertI64U | F64ConvertI64U) {
            return self.float_of_unsigned(dst, src, dies);
        }
        let is_unsigned = matches!(op, F32ConvertI32U | F64ConvertI32U);
        // Of 32 bits without a sign 64 are converted.
        let source = match is_unsigned {
            true => super::values::Operand::Gpr(self.extended_gpr(src)),
            false => self.operand(src, dies),
        };
        let target = self.new_xmm();
        emit!(self.assembler, xorps_a(target, target));
        match op {
            F32ConvertI32S => emit!(self.assembler, cvtsi2ssl_a(target, source)),
            F64ConvertI32S => emit!(self.assembler, cvtsi2sdl_a(target, source)),
            F32ConvertI64S | F32ConvertI32U => emit!(self.assembler, cvtsi2ssq_a(target, source)),
            _ => emit!(self.assembler, cvtsi2sdq_a(target, source)),
        }
        self.define_xmm(dst, target);
    }

    /// From 64 bits without a sign. What the machine would take for negative is halved, so that the lowest bit still
    /// counts when the result is rounded, and the float is doubled.
    fn float_of_unsigned(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(dst);
        let (target, half) = (self.new_xmm(), self.changeable_gpr(src, dies));
        let [is_large, done] = std::array::from_fn(|_| self.assembler.label());
        emit!(self.assembler, xorps_a(target, target));
        emit!(self.assembler, testq_mr(half, half));
        self.assembler.jump_near_if(Condition::Sign, is_large);
        match width {
            Width::Bits32 => emit!(self.assembler, cvtsi2ssq_a(target, half)),
            Width::Bits64 => emit!(self.assembler, cvtsi2sdq_a(target, half)),
        }
        self.assembler.jump_near(done);
        self.assembler.bind(is_large);
        self.assembler.move_gpr(Width::Bits32, SCRATCH, half);
        emit!(self.assembler, shrq_mi(half, 1));
        emit!(self.assembler, andl_mi_sxb(SCRATCH, 1));
        emit!(self.assembler, orq_rm(half, SCRATCH));
        match width {
            Width::Bits32 => {
                emit!(self.assembler, cvtsi2ssq_a(target, half));
                emit!(self.assembler, addss_a(target, target));
            }
            Width::Bits64 => {
                emit!(self.assembler, cvtsi2sdq_a(target, half));
                emit!(self.assembler, addsd_a(target, target));
            }
        }
        self.assembler.bind(done);
        self.define_xmm(dst, target);
    }

    /// Compares `left` with `right`.
    pub(super) fn compare_xmm(&mut self, width: Width, left: Xmm, right: Xmm) {
        match width {
            Width::Bits32 => emit!(self.assembler, ucomiss_a(left, right)),
            Width::Bits64 => emit!(self.assembler, ucomisd_a(left, right)),
        }
    }

    /// `xmm15 = 0`
    pub(super) fn float_zero(&mut self) -> Xmm {
        emit!(self.assembler, xorps_a(FLOAT_SCRATCH, FLOAT_SCRATCH));
        FLOAT_SCRATCH
    }
}
