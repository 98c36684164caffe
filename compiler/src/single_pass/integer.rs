//! Integer operations.

use cranelift_assembler_x64::{GprMem, Scale};
use osr_ir::{BinaryOp, Register, TrapKind, UnaryOp};

use super::Pass;
use super::assembler::{emit, trap_code};
use super::flags::Test;
use super::machine::{self, Condition, Gpr, MachineRegister, RAX, RCX, RDX, SCRATCH, Width};
use super::uses::Uses;
use super::values::Operand;

/// What two-operand arithmetic there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Or,
    And,
    Sub,
    Xor,
    Compare,
}

/// The right operand of arithmetic.
#[derive(Clone, Copy, Debug)]
pub(super) enum Right {
    Place(Operand),
    /// Sign-extended to the width of the operation.
    Number(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    Left,
    RightSigned,
    RightUnsigned,
    RotateLeft,
    RotateRight,
}

/// An instruction `dst = op lhs, rhs`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binary {
    pub(super) dst: Register,
    pub(super) lhs: Register,
    pub(super) rhs: Register,
    pub(super) uses: Uses,
}

impl Binary {
    /// Whether the left operand is not used again.
    pub(super) fn lhs_dies(&self) -> bool {
        self.uses.dies(0)
    }

    /// Whether the right one is not.
    pub(super) fn rhs_dies(&self) -> bool {
        self.uses.dies(1)
    }

    /// The same with the operands the other way round.
    pub(super) fn swap_operands(self) -> Binary {
        Binary { lhs: self.rhs, rhs: self.lhs, uses: self.uses.swapped(), ..self }
    }
}

impl Pass<'_> {
    /// Arithmetic on `lhs`, whose width is `width`, and `rhs`.
    pub(super) fn arithmetic(&mut self, op: Arithmetic, width: Width, lhs: Operand, rhs: Right) {
        use Arithmetic as A;
        macro_rules! by_operation {
            ($($op:ident: $rm:ident $rmq:ident $mr:ident $mrq:ident $b:ident $bq:ident $l:ident $lq:ident,)*) => {
                match (op, width, lhs, rhs) { $(
                    (A::$op, Width::Bits32, GprMem::Gpr(lhs), Right::Place(rhs)) => {
                        emit!(self.assembler, $rm(lhs, rhs))
                    }
                    (A::$op, Width::Bits64, GprMem::Gpr(lhs), Right::Place(rhs)) => {
                        emit!(self.assembler, $rmq(lhs, rhs))
                    }
                    (A::$op, Width::Bits32, lhs @ GprMem::Mem(_), Right::Place(GprMem::Gpr(rhs))) => {
                        emit!(self.assembler, $mr(lhs, rhs))
                    }
                    (A::$op, Width::Bits64, lhs @ GprMem::Mem(_), Right::Place(GprMem::Gpr(rhs))) => {
                        emit!(self.assembler, $mrq(lhs, rhs))
                    }
                    (A::$op, Width::Bits32, lhs, Right::Number(number)) => match i8::try_from(number) {
                        Ok(number) => emit!(self.assembler, $b(lhs, number)),
                        Err(_) => emit!(self.assembler, $l(lhs, number as u32)),
                    },
                    (A::$op, Width::Bits64, lhs, Right::Number(number)) => match i8::try_from(number) {
                        Ok(number) => emit!(self.assembler, $bq(lhs, number)),
                        Err(_) => emit!(self.assembler, $lq(lhs, number)),
                    },
                )*
                    (_, _, GprMem::Mem(_), Right::Place(GprMem::Mem(_))) => {
                        unreachable!("one operand is in a register")
                    }
                }
            };
        }
        by_operation! {
            Add: addl_rm addq_rm addl_mr addq_mr addl_mi_sxb addq_mi_sxb addl_mi addq_mi_sxl,
            Or: orl_rm orq_rm orl_mr orq_mr orl_mi_sxb orq_mi_sxb orl_mi orq_mi_sxl,
            And: andl_rm andq_rm andl_mr andq_mr andl_mi_sxb andq_mi_sxb andl_mi andq_mi_sxl,
            Sub: subl_rm subq_rm subl_mr subq_mr subl_mi_sxb subq_mi_sxb subl_mi subq_mi_sxl,
            Xor: xorl_rm xorq_rm xorl_mr xorq_mr xorl_mi_sxb xorq_mi_sxb xorl_mi xorq_mi_sxl,
            Compare: cmpl_rm cmpq_rm cmpl_mr cmpq_mr cmpl_mi_sxb cmpq_mi_sxb cmpl_mi cmpq_mi,
        }
    }

    /// The constant that `register` is known to hold, as the immediate operand of an instruction.
    pub(super) fn immediate(&self, register: Register) -> Option<i32> {
        let bits = self.constant(register)?;
        match self.width(register) {
            Width::Bits32 => Some(bits as i32),
            Width::Bits64 => i32::try_from(bits as i64).ok(),
        }
    }

    /// The right operand of arithmetic.
    pub(super) fn right(&mut self, register: Register, dies: bool) -> Right {
        match self.immediate(register) {
            Some(number) => Right::Number(number),
            None => Right::Place(self.operand(register, dies)),
        }
    }

    /// `dst = op lhs, rhs`, where nothing traps.
    fn compute(&mut self, op: Arithmetic, binary: Binary) {
        let width = self.width(binary.lhs);
        let commutes = op != Arithmetic::Sub;
        let is_better_swapped = self.constant(binary.lhs).is_some()
            || !binary.lhs_dies() && binary.rhs_dies() && self.constant(binary.rhs).is_none();
        let binary = if commutes && is_better_swapped { binary.swap_operands() } else { binary };
        let Binary { dst, lhs, rhs, .. } = binary;
        if op == Arithmetic::Add && self.add_apart(width, binary) {
            return;
        }
        if lhs == rhs {
            let operand = self.gpr(lhs);
            let target = self.changeable_gpr(lhs, binary.lhs_dies());
            self.arithmetic(op, width, GprMem::Gpr(target), Right::Place(GprMem::Gpr(operand)));
            return self.define_gpr(dst, target);
        }
        let right = self.right(rhs, binary.rhs_dies());
        let target = self.changeable_gpr(lhs, binary.lhs_dies());
        self.arithmetic(op, width, GprMem::Gpr(target), right);
        self.define_gpr(dst, target);
    }

    /// An addition that leaves its operands as they are: by `lea`. Whether it was one.
    fn add_apart(&mut self, width: Width, Binary { dst, lhs, rhs, uses }: Binary) -> bool {
        if uses.dies(0) || self.buffers.cache.home(lhs).is_none() {
            return false;
        }
        let sum = if let Some(number) = self.immediate(rhs) {
            machine::at(self.gpr(lhs), number)
        } else if self.buffers.cache.home(rhs).is_some() {
            let base = self.gpr(lhs);
            machine::at_index(base, self.gpr(rhs), Scale::One, 0)
        } else {
            return false;
        };
        let target = self.new_gpr();
        match width {
            Width::Bits32 => emit!(self.assembler, leal_rm(target, sum)),
            Width::Bits64 => emit!(self.assembler, leaq_rm(target, sum)),
        }
        self.define_gpr(dst, target);
        true
    }

    fn multiply(&mut self, binary: Binary) {
        let width = self.width(binary.lhs);
        let binary = match self.constant(binary.lhs) {
            Some(_) => binary.swap_operands(),
            None if !binary.lhs_dies() && binary.rhs_dies() => binary.swap_operands(),
            None => binary,
        };
        let Binary { dst, lhs, rhs, .. } = binary;
        if let (Some(number), None) = (self.immediate(rhs), self.constant(lhs)) {
            let source = self.operand(lhs, binary.lhs_dies());
            let target = self.new_gpr();
            match (width, i8::try_from(number)) {
                (Width::Bits32, Ok(number)) => emit!(self.assembler, imull_rmi_sxb(target, source, number)),
                (Width::Bits64, Ok(number)) => emit!(self.assembler, imulq_rmi_sxb(target, source, number)),
                (Width::Bits32, Err(_)) => emit!(self.assembler, imull_rmi(target, source, number as u32)),
                (Width::Bits64, Err(_)) => emit!(self.assembler, imulq_rmi_sxl(target, source, number)),
            }
            return self.define_gpr(dst, target);
        }
        let source = match lhs == rhs {
            true => GprMem::Gpr(self.gpr(rhs)),
            false => self.operand(rhs, binary.rhs_dies()),
        };
        let target = self.changeable_gpr(lhs, binary.lhs_dies());
        match width {
            Width::Bits32 => emit!(self.assembler, imull_rm(target, source)),
            Width::Bits64 => emit!(self.assembler, imulq_rm(target, source)),
        }
        self.define_gpr(dst, target);
    }

    fn shift(&mut self, shift: Shift, binary: Binary) {
        let Binary { dst, lhs, rhs, .. } = binary;
        let width = self.width(lhs);
        if let Some(count) = self.constant(rhs) {
            let target = self.changeable_gpr(lhs, binary.lhs_dies());
            let count = count as u8 & if width.is_wide() { 63 } else { 31 };
            self.shift_by_constant(shift, width, target, count);
            return self.define_shifted(dst, target);
        }
        // The count is in `cl`.
        let holds_count = self.buffers.cache.home(rhs) == Some(MachineRegister::General(RCX));
        if holds_count {
            self.gpr(rhs);
        } else {
            self.claim(RCX);
            let count = self.operand(rhs, binary.rhs_dies() && lhs != rhs);
            emit!(self.assembler, movl_rm(RCX, count));
        }
        let target = match holds_count && lhs == rhs {
            true => {
                let copy = self.new_gpr();
                self.assembler.move_gpr(width, copy, RCX);
                copy
            }
            false => self.changeable_gpr(lhs, binary.lhs_dies()),
        };
        self.shift_by_cl(shift, width, target);
        self.define_shifted(dst, target);
    }

    /// `dst` is `target`, which was shifted. A shift by nothing may leave the high half as it was.
    fn define_shifted(&mut self, dst: Register, target: Gpr) {
        let place = MachineRegister::General(target);
        let unextended = self.buffers.cache.is_unextended(place);
        self.define(dst, place);
        self.buffers.cache.set_unextended(place, unextended);
    }

    fn shift_by_constant(&mut self, shift: Shift, width: Width, target: Gpr, count: u8) {
        match (shift, width) {
            (Shift::Left, Width::Bits32) => emit!(self.assembler, shll_mi(target, count)),
            (Shift::Left, Width::Bits64) => emit!(self.assembler, shlq_mi(target, count)),
            (Shift::RightSigned, Width::Bits32) => emit!(self.assembler, sarl_mi(target, count)),
            (Shift::RightSigned, Width::Bits64) => emit!(self.assembler, sarq_mi(target, count)),
            (Shift::RightUnsigned, Width::Bits32) => emit!(self.assembler, shrl_mi(target, count)),
            (Shift::RightUnsigned, Width::Bits64) => emit!(self.assembler, shrq_mi(target, count)),
            (Shift::RotateLeft, Width::Bits32) => emit!(self.assembler, roll_mi(target, count)),
            (Shift::RotateLeft, Width::Bits64) => emit!(self.assembler, rolq_mi(target, count)),
            (Shift::RotateRight, Width::Bits32) => emit!(self.assembler, rorl_mi(target, count)),
            (Shift::RotateRight, Width::Bits64) => emit!(self.assembler, rorq_mi(target, count)),
        }
    }

    fn shift_by_cl(&mut self, shift: Shift, width: Width, target: Gpr) {
        match (shift, width) {
            (Shift::Left, Width::Bits32) => emit!(self.assembler, shll_mc(target, RCX)),
            (Shift::Left, Width::Bits64) => emit!(self.assembler, shlq_mc(target, RCX)),
            (Shift::RightSigned, Width::Bits32) => emit!(self.assembler, sarl_mc(target, RCX)),
            (Shift::RightSigned, Width::Bits64) => emit!(self.assembler, sarq_mc(target, RCX)),
            (Shift::RightUnsigned, Width::Bits32) => emit!(self.assembler, shrl_mc(target, RCX)),
            (Shift::RightUnsigned, Width::Bits64) => emit!(self.assembler, shrq_mc(target, RCX)),
            (Shift::RotateLeft, Width::Bits32) => emit!(self.assembler, roll_mc(target, RCX)),
            (Shift::RotateLeft, Width::Bits64) => emit!(self.assembler, rolq_mc(target, RCX)),
            (Shift::RotateRight, Width::Bits32) => emit!(self.assembler, rorl_mc(target, RCX)),
            (Shift::RotateRight, Width::Bits64) => emit!(self.assembler, rorq_mc(target, RCX)),
        }
    }

    /// Division, or the remainder. The machine traps where the divisor is zero; where the quotient does not fit, which
    /// is the same to the machine, there is a trap of its own, or no remainder.
    fn divide(&mut self, is_signed: bool, wants_remainder: bool, binary: Binary) {
        let Binary { dst, lhs, rhs, .. } = binary;
        let width = self.width(lhs);
        let divisor = self.divisor(rhs);
        let home = self.buffers.cache.home(lhs);
        if binary.lhs_dies() && lhs != rhs {
            self.buffers.cache.forget(lhs);
        }
        for register in [RAX, RDX] {
            self.claim(register);
        }
        match home {
            // It is there still, whatever register it holds by now.
            Some(MachineRegister::General(RAX)) => {}
            Some(MachineRegister::General(home)) => self.assembler.move_gpr(width, RAX, home),
            _ => self.fetch(lhs, MachineRegister::General(RAX)),
        }
        let done = self.assembler.label();
        if is_signed && self.immediate(rhs).is_none_or(|divisor| divisor == -1) {
            self.guard_quotient(width, divisor, wants_remainder, done);
        }
        let zero = trap_code(TrapKind::IntegerDivideByZero);
        match (is_signed, width) {
            (true, Width::Bits32) => {
                emit!(self.assembler, cltd_zo(RDX, RAX));
                emit!(self.assembler, idivl_m(RAX, RDX, divisor, zero));
            }
            (true, Width::Bits64) => {
                emit!(self.assembler, cqto_zo(RDX, RAX));
                emit!(self.assembler, idivq_m(RAX, RDX, divisor, zero));
            }
            (false, Width::Bits32) => {
                emit!(self.assembler, xorl_rm(RDX, RDX));
                emit!(self.assembler, divl_m(RAX, RDX, divisor, zero));
            }
            (false, Width::Bits64) => {
                emit!(self.assembler, xorl_rm(RDX, RDX));
                emit!(self.assembler, divq_m(RAX, RDX, divisor, zero));
            }
        }
        self.assembler.bind(done);
        self.define_gpr(dst, if wants_remainder { RDX } else { RAX });
    }

    /// The divisor, neither in `rax` nor in `rdx`.
    fn divisor(&mut self, register: Register) -> Gpr {
        let divisor = self.gpr(register);
        if divisor != RAX && divisor != RDX {
            return divisor;
        }
        // Nothing is locked but this.
        self.buffers.cache.unlock_all();
        self.assembler.move_gpr(Width::Bits64, SCRATCH, divisor);
        SCRATCH
    }

    /// Where the divisor is -1, there is no machine instruction: the least number has no quotient, and the remainder of
    /// all is 0.
    fn guard_quotient(
        &mut self,
        width: Width,
        divisor: Gpr,
        wants_remainder: bool,
        done: super::assembler::Label,
    ) {
        let divides = self.assembler.label();
        self.arithmetic(Arithmetic::Compare, width, GprMem::Gpr(divisor), Right::Number(-1));
        self.assembler.jump_near_if(Condition::NotEqual, divides);
        if wants_remainder {
            emit!(self.assembler, xorl_rm(RDX, RDX));
            self.assembler.jump_near(done);
        } else {
            // Negating sets the overflow flag for the least number alone.
            match width {
                Width::Bits32 => emit!(self.assembler, negl_m(RAX)),
                Width::Bits64 => emit!(self.assembler, negq_m(RAX)),
            }
            self.trap_if(Condition::Overflow, TrapKind::IntegerOverflow);
            self.assembler.jump_near(done);
        }
        self.assembler.bind(divides);
    }

    /// An operation on integers. Comparisons are [elsewhere](super::flags).
    pub(super) fn integer_binary(&mut self, op: BinaryOp, binary: Binary) {
        use BinaryOp::*;
        match op {
            I32Add | I64Add => self.compute(Arithmetic::Add, binary),
            I32Sub | I64Sub => self.compute(Arithmetic::Sub, binary),
            I32And | I64And => self.compute(Arithmetic::And, binary),
            I32Or | I64Or => self.compute(Arithmetic::Or, binary),
            I32Xor | I64Xor => self.compute(Arithmetic::Xor, binary),
            I32Mul | I64Mul => self.multiply(binary),
            I32Shl | I64Shl => self.shift(Shift::Left, binary),
            I32ShrS | I64ShrS => self.shift(Shift::RightSigned, binary),
            I32ShrU | I64ShrU => self.shift(Shift::RightUnsigned, binary),
            I32Rotl | I64Rotl => self.shift(Shift::RotateLeft, binary),
            I32Rotr | I64Rotr => self.shift(Shift::RotateRight, binary),
            I32DivS | I64DivS => self.divide(true, false, binary),
            I32DivU | I64DivU => self.divide(false, false, binary),
            I32RemS | I64RemS => self.divide(true, true, binary),
            I32RemU | I64RemU => self.divide(false, true, binary),
            _ => unreachable!("not of integers: {op:?}"),
        }
    }

    /// An operation on one integer.
    pub(super) fn integer_unary(&mut self, op: UnaryOp, dst: Register, src: Register, dies: bool) {
        use UnaryOp::*;
        match op {
            I32Clz | I64Clz => self.leading_zeros(dst, src, dies),
            I32Ctz | I64Ctz => self.trailing_zeros(dst, src, dies),
            I32Popcnt | I64Popcnt => self.ones(dst, src, dies),
            I32WrapI64 => self.copy_low(dst, src, dies),
            I64ExtendI32U => self.extend_unsigned(dst, src, dies),
            I32Extend8S | I32Extend16S | I64Extend8S | I64Extend16S | I64Extend32S | I64ExtendI32S => {
                let source = self.operand(src, dies);
                let target = self.new_gpr();
                match op {
                    I32Extend8S => emit!(self.assembler, movsbl_rm(target, source)),
                    I32Extend16S => emit!(self.assembler, movswl_rm(target, source)),
                    I64Extend8S => emit!(self.assembler, movsbq_rm(target, source)),
                    I64Extend16S => emit!(self.assembler, movswq_rm(target, source)),
                    _ => emit!(self.assembler, movslq_rm(target, source)),
                }
                self.define_gpr(dst, target);
            }
            _ => unreachable!("not of integers: {op:?}"),
        }
    }

    /// The low half of `src`.
    fn copy_low(&mut self, dst: Register, src: Register, dies: bool) {
        if let Some(bits) = self.constant(src) {
            return self.define_constant(dst, bits & u64::from(u32::MAX));
        }
        if self.is_in_slot(src) {
            let (slot, target) = (self.slot(src), self.new_gpr());
            self.assembler.load_gpr(Width::Bits32, target, slot);
            return self.define_gpr(dst, target);
        }
        let target = self.changeable_gpr(src, dies);
        self.define_gpr(dst, target);
        self.buffers.cache.set_unextended(MachineRegister::General(target), true);
    }

    /// `src` with the high half zero.
    fn extend_unsigned(&mut self, dst: Register, src: Register, dies: bool) {
        if let Some(bits) = self.constant(src) {
            return self.define_constant(dst, bits);
        }
        if let Some(home) = self.buffers.cache.home(src)
            && let MachineRegister::General(home) = home
        {
            self.extend(home);
        }
        let target = self.changeable_gpr(src, dies);
        self.define_gpr(dst, target);
    }

    fn leading_zeros(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        let source = self.gpr(src);
        let target = if dies { source } else { self.new_gpr() };
        if self.features.lzcnt {
            match width {
                Width::Bits32 => emit!(self.assembler, lzcntl_rm(target, source)),
                Width::Bits64 => emit!(self.assembler, lzcntq_rm(target, source)),
            }
        } else {
            // The position of the highest one; where there is none, what makes the difference the width.
            let (last, none) = if width.is_wide() { (63, 127) } else { (31, 63) };
            self.assembler.set(SCRATCH, none);
            match width {
                Width::Bits32 => emit!(self.assembler, bsrl_rm(target, source)),
                Width::Bits64 => emit!(self.assembler, bsrq_rm(target, source)),
            }
            self.assembler.move_if(Condition::Equal, width, target, GprMem::Gpr(SCRATCH));
            self.arithmetic(Arithmetic::Xor, width, GprMem::Gpr(target), Right::Number(last));
        }
        self.define_gpr(dst, target);
    }

    fn trailing_zeros(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        let source = self.gpr(src);
        let target = if dies { source } else { self.new_gpr() };
        match (self.features.bmi1, width) {
            (true, Width::Bits32) => emit!(self.assembler, tzcntl_a(target, source)),
            (true, Width::Bits64) => emit!(self.assembler, tzcntq_a(target, source)),
            (false, _) => {
                self.assembler.set(SCRATCH, if width.is_wide() { 64 } else { 32 });
                match width {
                    Width::Bits32 => emit!(self.assembler, bsfl_rm(target, source)),
                    Width::Bits64 => emit!(self.assembler, bsfq_rm(target, source)),
                }
                self.assembler.move_if(Condition::Equal, width, target, GprMem::Gpr(SCRATCH));
            }
        }
        self.define_gpr(dst, target);
    }

    fn ones(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        if !self.features.popcnt {
            return self.count_ones_in_steps(dst, src, dies);
        }
        let source = self.operand(src, dies);
        let target = self.new_gpr();
        match width {
            Width::Bits32 => emit!(self.assembler, popcntl_rm(target, source)),
            Width::Bits64 => emit!(self.assembler, popcntq_rm(target, source)),
        }
        self.define_gpr(dst, target);
    }

    /// The ones of neighbouring fields are added, of 1, 2 and 4 bits, then those of all bytes by a multiplication.
    fn count_ones_in_steps(&mut self, dst: Register, src: Register, dies: bool) {
        let width = self.width(src);
        let all = if width.is_wide() { u64::MAX } else { u64::from(u32::MAX) };
        let (count, part) = (self.changeable_gpr(src, dies), self.new_gpr());
        let mask = |pass: &mut Self, target: Gpr, bits: u64| {
            pass.assembler.set(SCRATCH, bits & all);
            pass.arithmetic(Arithmetic::And, width, GprMem::Gpr(target), Right::Place(GprMem::Gpr(SCRATCH)));
        };
        let place = |register: Gpr| Right::Place(GprMem::Gpr(register));
        self.assembler.move_gpr(width, part, count);
        self.shift_by_constant(Shift::RightUnsigned, width, part, 1);
        mask(self, part, 0x5555_5555_5555_5555);
        self.arithmetic(Arithmetic::Sub, width, GprMem::Gpr(count), place(part));
        self.assembler.move_gpr(width, part, count);
        self.shift_by_constant(Shift::RightUnsigned, width, part, 2);
        mask(self, part, 0x3333_3333_3333_3333);
        mask(self, count, 0x3333_3333_3333_3333);
        self.arithmetic(Arithmetic::Add, width, GprMem::Gpr(count), place(part));
        self.assembler.move_gpr(width, part, count);
        self.shift_by_constant(Shift::RightUnsigned, width, part, 4);
        self.arithmetic(Arithmetic::Add, width, GprMem::Gpr(count), place(part));
        mask(self, count, 0x0f0f_0f0f_0f0f_0f0f);
        self.assembler.set(SCRATCH, 0x0101_0101_0101_0101 & all);
        match width {
            Width::Bits32 => emit!(self.assembler, imull_rm(count, SCRATCH)),
            Width::Bits64 => emit!(self.assembler, imulq_rm(count, SCRATCH)),
        }
        self.shift_by_constant(Shift::RightUnsigned, width, count, if width.is_wide() { 56 } else { 24 });
        self.define_gpr(dst, count);
    }

    /// `dst = condition != 0 ? if_true : if_false`, of integers; `test` holds if it is.
    pub(super) fn select_gpr(&mut self, dst: Register, test: Test, [yes, no]: [(Register, bool); 2]) {
        let width = self.width(dst);
        // The flags are set: nothing here may change them.
        let otherwise = self.operand(no.0, no.1 && no.0 != yes.0);
        let target = self.changeable_gpr(yes.0, yes.1 && no.0 != yes.0);
        self.move_unless(test, width, target, otherwise);
        self.define_gpr(dst, target);
    }

    fn move_unless(&mut self, test: Test, width: Width, target: Gpr, source: Operand) {
        match test {
            Test::If(condition) => self.assembler.move_if(condition.negated(), width, target, source),
            Test::Equal => {
                self.assembler.move_if(Condition::NotEqual, width, target, source);
                self.assembler.move_if(Condition::Parity, width, target, source);
            }
            Test::NotEqual => {
                // Unordered counts as not equal: only what is equal and ordered takes the other.
                let keeps = self.assembler.label();
                self.assembler.jump_near_if(Condition::Parity, keeps);
                self.assembler.move_if(Condition::Equal, width, target, source);
                self.assembler.bind(keeps);
            }
        }
    }
}
