//! From floats to integers.
//!
//! The machine truncates to 64 bits with a sign, and says `0x8000_0000_0000_0000` of what does not fit. What is to have 32 bits
//! fits if it is what its low half says. What is to have 64 bits without a sign is brought down by 2^63 first, if it is
//! that large.

use cranelift_assembler_x64::GprMem;
use osr_ir::{Register, TrapKind, UnaryOp};

use super::Pass;
use super::assembler::{Label, emit};
use super::integer::{Arithmetic, Right};
use super::machine::{Condition, Gpr, SCRATCH, Width, Xmm};

/// A truncation.
#[derive(Clone, Copy, Debug)]
struct Truncation {
    from: Width,
    to: Width,
    is_signed: bool,
    /// What does not fit is the nearest number that does, and what is no number 0.
    saturates: bool,
}

impl Truncation {
    fn of(op: UnaryOp) -> Truncation {
        use UnaryOp::*;
        use Width::{Bits32, Bits64};
        let (from, to, is_signed, saturates) = match op {
            I32TruncF32S => (Bits32, Bits32, true, false),
            I32TruncF32U => (Bits32, Bits32, false, false),
            I32TruncF64S => (Bits64, Bits32, true, false),
            I32TruncF64U => (Bits64, Bits32, false, false),
            I64TruncF32S => (Bits32, Bits64, true, false),
            I64TruncF32U => (Bits32, Bits64, false, false),
            I64TruncF64S => (Bits64, Bits64, true, false),
            I64TruncF64U => (Bits64, Bits64, false, false),
            I32TruncSatF32S => (Bits32, Bits32, true, true),
            I32TruncSatF32U => (Bits32, Bits32, false, true),
            I32TruncSatF64S => (Bits64, Bits32, true, true),
            I32TruncSatF64U => (Bits64, Bits32, false, true),
            I64TruncSatF32S => (Bits32, Bits64, true, true),
            I64TruncSatF32U => (Bits32, Bits64, false, true),
            I64TruncSatF64S => (Bits64, Bits64, true, true),
            I64TruncSatF64U => (Bits64, Bits64, false, true),
            _ => unreachable!("no truncation: {op:?}"),
        };
        Truncation { from, to, is_signed, saturates }
    }

    /// The bits of -2^63.
    fn least(self) -> u64 {
        match self.from {
            Width::Bits32 => u64::from((-9_223_372_036_854_775_808_f32).to_bits()),
            Width::Bits64 => (-9_223_372_036_854_775_808_f64).to_bits(),
        }
    }

    /// The least number of the type, and the greatest.
    fn range(self) -> (u64, u64) {
        match (self.to, self.is_signed) {
            (Width::Bits32, true) => (1 << 31, (1 << 31) - 1),
            (Width::Bits32, false) => (0, u64::from(u32::MAX)),
            (Width::Bits64, true) => (1 << 63, (1 << 63) - 1),
            (Width::Bits64, false) => (0, u64::MAX),
        }
    }
}

impl Pass<'_> {
    /// Truncates `src`.
    pub(super) fn integer_of_float(&mut self, op: UnaryOp, dst: Register, src: Register) {
        let truncation = Truncation::of(op);
        let (source, target) = (self.xmm(src), self.new_gpr());
        let done = self.assembler.label();
        match (truncation.to, truncation.is_signed) {
            (Width::Bits32, is_signed) => {
                self.truncate_to_32(truncation.from, target, source, is_signed, done)
            }
            (Width::Bits64, true) => self.truncate_to_signed(truncation, target, source, done),
            (Width::Bits64, false) => self.truncate_to_unsigned(truncation, target, source, done),
        }
        // What comes here does not fit.
        match truncation.saturates {
            true => self.saturate(truncation, target, source, done),
            false => self.trap_unfitting(truncation.from, source),
        }
        self.assembler.bind(done);
        self.define_gpr(dst, target);
    }

    fn truncate(&mut self, from: Width, target: Gpr, source: Xmm) {
        match from {
            Width::Bits32 => emit!(self.assembler, cvttss2si_aq(target, source)),
            Width::Bits64 => emit!(self.assembler, cvttsd2si_aq(target, source)),
        }
    }

    fn truncate_to_32(&mut self, from: Width, target: Gpr, source: Xmm, is_signed: bool, done: Label) {
        self.truncate(from, target, source);
        match is_signed {
            true => emit!(self.assembler, movslq_rm(SCRATCH, target)),
            false => emit!(self.assembler, movl_rm(SCRATCH, target)),
        }
        emit!(self.assembler, cmpq_rm(SCRATCH, target));
        if is_signed {
            // The high half is to be zero.
            emit!(self.assembler, movl_rm(target, target));
        }
        self.assembler.jump_near_if(Condition::Equal, done);
    }

    fn truncate_to_signed(&mut self, truncation: Truncation, target: Gpr, source: Xmm, done: Label) {
        self.truncate(truncation.from, target, source);
        // Overflows for nothing but what is said of numbers that do not fit.
        emit!(self.assembler, cmpq_mi_sxb(target, 1));
        self.assembler.jump_near_if(Condition::NoOverflow, done);
        if !truncation.saturates {
            // It fits, if it is that number.
            let least = self.float_scratch(truncation.from, truncation.least());
            let differs = self.assembler.label();
            self.compare_xmm(truncation.from, source, least);
            self.assembler.jump_near_if(Condition::Parity, differs);
            self.assembler.jump_near_if(Condition::Equal, done);
            self.assembler.bind(differs);
        }
    }

    fn truncate_to_unsigned(&mut self, truncation: Truncation, target: Gpr, source: Xmm, done: Label) {
        let unfitting = self.assembler.label();
        // -2^63 is added, not 2^63 subtracted, so that the constant does not have to be kept.
        let sum = self.float_scratch(truncation.from, truncation.least());
        match truncation.from {
            Width::Bits32 => emit!(self.assembler, addss_a(sum, source)),
            Width::Bits64 => emit!(self.assembler, addsd_a(sum, source)),
        }
        self.truncate(truncation.from, target, source);
        emit!(self.assembler, testq_mr(target, target));
        self.assembler.jump_near_if(Condition::NoSign, done);
        // Negative, too large for a sign, or no number: only what is at least 2^63 is not below zero now.
        self.truncate(truncation.from, SCRATCH, sum);
        emit!(self.assembler, testq_mr(SCRATCH, SCRATCH));
        self.assembler.jump_near_if(Condition::Sign, unfitting);
        self.assembler.set(target, 1 << 63);
        self.arithmetic(
            Arithmetic::Add,
            Width::Bits64,
            GprMem::Gpr(target),
            Right::Place(GprMem::Gpr(SCRATCH)),
        );
        self.assembler.jump_near(done);
        self.assembler.bind(unfitting);
    }

    fn trap_unfitting(&mut self, from: Width, source: Xmm) {
        self.compare_xmm(from, source, source);
        self.trap_if(Condition::Parity, TrapKind::InvalidConversionToInteger);
        self.assembler.trap(TrapKind::IntegerOverflow);
    }

    fn saturate(&mut self, truncation: Truncation, target: Gpr, source: Xmm, done: Label) {
        let (least, greatest) = truncation.range();
        let zero = self.float_zero();
        self.compare_xmm(truncation.from, source, zero);
        self.assembler.set(target, greatest);
        self.assembler.jump_near_if(Condition::Above, done);
        self.assembler.set(target, least);
        if least != 0 {
            self.assembler.jump_near_if(Condition::NoParity, done);
            self.assembler.set(target, 0);
        }
    }
}
