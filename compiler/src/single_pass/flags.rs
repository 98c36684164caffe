//! Comparisons: what a branch or a selection asks of the flags directly, if it comes next.

use cranelift_assembler_x64::GprMem;
use osr_ir::{BinaryOp, Instruction, Register, Terminator, TrapKind, UnaryOp};

use super::Pass;
use super::assembler::{Label, emit};
use super::integer::{Arithmetic, Binary, Right};
use super::machine::{Condition, MachineRegister, SCRATCH, Width};

/// What the flags are to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// The condition holds.
    If(Condition),
    /// Floats were equal, and so ordered.
    Equal,
    /// Floats were different, or unordered.
    NotEqual,
}

impl Test {
    /// The opposite.
    pub(super) fn negated(self) -> Test {
        match self {
            Test::If(condition) => Test::If(condition.negated()),
            Test::Equal => Test::NotEqual,
            Test::NotEqual => Test::Equal,
        }
    }
}

impl Pass<'_> {
    /// A comparison, if `op` is one.
    pub(super) fn comparison(&mut self, op: BinaryOp, binary: Binary, index: usize) -> bool {
        let test = if let Some(condition) = integer_condition(op) {
            Test::If(self.compare_integers(condition, binary))
        } else if let Some((test, swaps)) = float_test(op) {
            self.compare_floats(binary, swaps);
            test
        } else {
            return false;
        };
        self.set_from_flags(binary.dst, test, index);
        true
    }

    /// `dst = src == 0`
    pub(super) fn compare_zero(&mut self, dst: Register, src: Register, dies: bool, index: usize) {
        if let Some((tested, test)) = self.flags.take_if(|&mut (tested, _)| tested == src) {
            debug_assert_eq!(tested, src);
            return self.set_from_flags(dst, test.negated(), index);
        }
        self.test_zero(src, dies);
        self.set_from_flags(dst, Test::If(Condition::Equal), index);
    }

    /// Sets the flags as `register` is zero or not.
    fn test_zero(&mut self, register: Register, dies: bool) {
        let width = self.width(register);
        match self.operand(register, dies) {
            GprMem::Gpr(found) => match width {
                Width::Bits32 => emit!(self.assembler, testl_mr(found, found)),
                Width::Bits64 => emit!(self.assembler, testq_mr(found, found)),
            },
            slot => self.arithmetic(Arithmetic::Compare, width, slot, Right::Number(0)),
        }
    }

    /// Traps with `kind` if `condition` is not zero.
    pub(super) fn trap_if_not_zero(&mut self, condition: Register, dies: bool, kind: TrapKind) {
        self.test_zero(condition, dies);
        self.trap_if(Condition::NotEqual, kind);
    }

    /// What the flags say of `condition`: a comparison was the instruction before, or it is tested.
    pub(super) fn test(&mut self, condition: Register, dies: bool) -> Test {
        match self.flags.take() {
            Some((tested, test)) => {
                debug_assert_eq!(tested, condition, "flags are used at once");
                test
            }
            None => {
                self.test_zero(condition, dies);
                Test::If(Condition::NotEqual)
            }
        }
    }

    /// `dst` is what `test` says of the flags: in them, if only the next instruction wants to know.
    fn set_from_flags(&mut self, dst: Register, test: Test, index: usize) {
        if self.is_used_from_flags(dst, index) {
            self.buffers.cache.forget(dst);
            self.buffers.constants.undefine(dst);
            self.flags = Some((dst, test));
            return;
        }
        let target = self.new_gpr();
        match test {
            Test::If(condition) => self.assembler.set_if(condition, target),
            Test::Equal => {
                self.assembler.set_if(Condition::Equal, target);
                self.assembler.set_if(Condition::NoParity, SCRATCH);
                emit!(self.assembler, andl_rm(target, SCRATCH));
            }
            Test::NotEqual => {
                self.assembler.set_if(Condition::NotEqual, target);
                self.assembler.set_if(Condition::Parity, SCRATCH);
                emit!(self.assembler, orl_rm(target, SCRATCH));
            }
        }
        emit!(self.assembler, movzbl_rm(target, target));
        self.define_gpr(dst, target);
    }

    /// Whether nothing but the instruction after number `index` uses `dst`, and that can use flags.
    fn is_used_from_flags(&self, dst: Register, index: usize) -> bool {
        let next = index + 1;
        let finder = &self.buffers.uses;
        match self.block_instructions.get(next) {
            Some(&Instruction::Select { condition, if_true, if_false, .. }) => {
                let is_operand = if_true == dst || if_false == dst;
                condition == dst && !is_operand && finder.uses[next].dies(0) && !finder.uses[next].is_unused()
            }
            Some(&Instruction::Unary { op: UnaryOp::I32Eqz, src, .. }) => {
                src == dst && finder.uses[next].dies(0) && !finder.uses[next].is_unused()
            }
            Some(_) => false,
            None => {
                let branches = matches!(
                    self.block_terminator,
                    Some(Terminator::Branch { condition, .. } | Terminator::Guard { condition, .. })
                        if *condition == dst
                );
                branches && finder.terminator.dies(0)
            }
        }
    }

    fn compare_integers(&mut self, condition: Condition, binary: Binary) -> Condition {
        let Binary { lhs, rhs, .. } = binary;
        let width = self.width(lhs);
        if self.constant(lhs).is_some() && self.constant(rhs).is_none() {
            return self.compare_integers(condition.swapped(), binary.swap_operands());
        }
        let right = self.right(rhs, binary.rhs_dies() && lhs != rhs);
        let is_zero_test =
            matches!(right, Right::Number(0)) && matches!(condition, Condition::Equal | Condition::NotEqual);
        if is_zero_test {
            self.test_zero(lhs, binary.lhs_dies());
            return condition;
        }
        // One operand may be in memory.
        let left = match right {
            Right::Place(GprMem::Mem(_)) => GprMem::Gpr(self.gpr(lhs)),
            _ => self.operand(lhs, binary.lhs_dies() && lhs != rhs),
        };
        self.arithmetic(Arithmetic::Compare, width, left, right);
        condition
    }

    fn compare_floats(&mut self, binary: Binary, swaps: bool) {
        let binary = if swaps { binary.swap_operands() } else { binary };
        let Binary { lhs, rhs, .. } = binary;
        let right = self.float_operand(rhs, binary.rhs_dies() && lhs != rhs);
        let left = self.xmm(lhs);
        match self.width(lhs) {
            Width::Bits32 => emit!(self.assembler, ucomiss_a(left, right)),
            Width::Bits64 => emit!(self.assembler, ucomisd_a(left, right)),
        }
    }

    /// Jumps to `label` if `test` holds.
    pub(super) fn jump_if(&mut self, test: Test, label: Label) {
        match test {
            Test::If(condition) => self.assembler.jump_if(condition, label),
            Test::Equal => {
                let differs = self.assembler.label();
                self.assembler.jump_near_if(Condition::Parity, differs);
                self.assembler.jump_if(Condition::Equal, label);
                self.assembler.bind(differs);
            }
            Test::NotEqual => {
                self.assembler.jump_if(Condition::Parity, label);
                self.assembler.jump_if(Condition::NotEqual, label);
            }
        }
    }

    /// `dst = condition ? if_true : if_false`; `dies` says it of the operands in that order.
    pub(super) fn select(
        &mut self,
        dst: Register,
        condition: Register,
        [if_true, if_false]: [Register; 2],
        dies: [bool; 3],
    ) {
        let is_operand = condition == if_true || condition == if_false;
        let test = self.test(condition, dies[0] && !is_operand);
        let (yes, no) = ((if_true, dies[1]), (if_false, dies[2]));
        if !self.ty(dst).is_float() {
            return self.select_gpr(dst, test, [yes, no]);
        }
        let width = self.width(dst);
        let otherwise = self.float_operand(if_false, dies[2] && if_true != if_false);
        let target = self.changeable_xmm(if_true, dies[1] && if_true != if_false);
        let done = self.assembler.label();
        self.jump_near_if(test, done);
        match (otherwise, width) {
            (cranelift_assembler_x64::XmmMem::Xmm(source), _) => self.assembler.move_xmm(target, source),
            (cranelift_assembler_x64::XmmMem::Mem(slot), width) => {
                self.assembler.load_xmm(width, target, slot)
            }
        }
        self.assembler.bind(done);
        self.define(dst, MachineRegister::Vector(target));
    }

    /// Jumps to `label`, which is going to be bound within 100 bytes, if `test` holds.
    pub(super) fn jump_near_if(&mut self, test: Test, label: Label) {
        match test {
            Test::If(condition) => self.assembler.jump_near_if(condition, label),
            Test::Equal => {
                let differs = self.assembler.label();
                self.assembler.jump_near_if(Condition::Parity, differs);
                self.assembler.jump_near_if(Condition::Equal, label);
                self.assembler.bind(differs);
            }
            Test::NotEqual => {
                self.assembler.jump_near_if(Condition::Parity, label);
                self.assembler.jump_near_if(Condition::NotEqual, label);
            }
        }
    }
}

fn integer_condition(op: BinaryOp) -> Option<Condition> {
    use BinaryOp::*;
    Some(match op {
        I32Eq | I64Eq => Condition::Equal,
        I32Ne | I64Ne => Condition::NotEqual,
        I32LtS | I64LtS => Condition::Less,
        I32LtU | I64LtU => Condition::Below,
        I32GtS | I64GtS => Condition::Greater,
        I32GtU | I64GtU => Condition::Above,
        I32LeS | I64LeS => Condition::LessOrEqual,
        I32LeU | I64LeU => Condition::BelowOrEqual,
        I32GeS | I64GeS => Condition::GreaterOrEqual,
        I32GeU | I64GeU => Condition::AboveOrEqual,
        _ => return None,
    })
}

/// The test, and whether the operands are compared the other way round: so that what is unordered fails it.
fn float_test(op: BinaryOp) -> Option<(Test, bool)> {
    use BinaryOp::*;
    Some(match op {
        F32Eq | F64Eq => (Test::Equal, false),
        F32Ne | F64Ne => (Test::NotEqual, false),
        F32Lt | F64Lt => (Test::If(Condition::Above), true),
        F32Gt | F64Gt => (Test::If(Condition::Above), false),
        F32Le | F64Le => (Test::If(Condition::AboveOrEqual), true),
        F32Ge | F64Ge => (Test::If(Condition::AboveOrEqual), false),
        _ => return None,
    })
}
