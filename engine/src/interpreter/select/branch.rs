//! Terminators that go to other blocks.

use osr_ir::{BinaryOp, Block, Instruction, Register, Type, UnaryOp, Value};

use super::Selector;
use super::arithmetic::swapped;
use crate::interpreter::op::{Op, immediate};

/// The right side of a comparison.
#[derive(Clone, Copy)]
enum Right {
    Register(Register),
    Constant(i32),
}

/// A condition: `op lhs, rhs` is not zero, or is zero.
#[derive(Clone, Copy)]
struct Condition {
    op: BinaryOp,
    holds: bool,
    lhs: Register,
    rhs: Right,
    /// The instruction that compares, if the branch does it in its place.
    at: Option<usize>,
    /// Where in the block `lhs` is defined.
    left: Option<usize>,
}

impl Selector<'_> {
    /// A jump, unless `target` comes next.
    pub(super) fn jump(&mut self, target: Block) {
        if target.index() != self.block.index() + 1 {
            self.emit_jump_to(target);
        }
    }

    /// A jump, also if `target` comes next.
    pub(super) fn emit_jump_to(&mut self, target: Block) {
        let op = if self.is_header(target) { Op::Loop { target: 0 } } else { Op::Jump { target: 0 } };
        self.emit_jump(op, target);
    }

    fn emit_jump(&mut self, op: Op, target: Block) {
        self.out.jumps.push((self.out.ops.len() as u32, target));
        self.emit(op);
    }

    fn is_header(&self, block: Block) -> bool {
        self.analysis.points.header(block).is_some()
    }

    /// `count + 1` jumps, preceded by what chooses among them.
    pub(super) fn switch(&mut self, index: Register, targets: &[Block], default: Block) {
        self.emit_jump(Op::Jump { target: 0 }, default);
        for target in targets.iter().rev() {
            self.emit_jump(Op::Jump { target: 0 }, *target);
        }
        let index = self.read(index);
        self.emit(Op::Switch { index, count: targets.len() as u32 });
    }

    /// A branch on `condition`, fused with the comparison that computes it.
    pub(super) fn branch(&mut self, condition: Register, if_true: Block, if_false: Block) {
        let falls_through = if_true.index() == self.block.index() + 1;
        let (target, otherwise) = if falls_through { (if_false, if_true) } else { (if_true, if_false) };
        self.jump(otherwise);
        let condition = self.condition(condition, !falls_through);
        if let Some(at) = condition.at {
            self.taken[at] = true;
        }
        let counts = self.is_header(target);
        if counts && let Some(op) = self.step(condition) {
            return self.emit_jump(op, target);
        }
        let lhs = self.read(condition.lhs);
        let op = match condition.rhs {
            Right::Register(rhs) => {
                let rhs = self.read(rhs);
                Op::branch(condition.op, condition.holds, counts, lhs, rhs)
            }
            Right::Constant(value) => Op::branch_immediate(condition.op, condition.holds, counts, lhs, value),
        };
        self.emit_jump(op.expect("every comparison can be branched on"), target);
    }

    /// What it means that `register`, the terminator's operand, is not zero (or is, unless `holds`).
    fn condition(&self, register: Register, holds: bool) -> Condition {
        let end = self.body.block(self.block).instructions.len();
        let itself = || Condition {
            op: BinaryOp::I32Ne,
            holds,
            lhs: register,
            rhs: Right::Constant(0),
            at: None,
            left: self.definition(end, 0).map(|(at, _)| at),
        };
        let compared =
            self.compared(holds).or_else(|| self.compared_before_step(holds)).unwrap_or_else(itself);
        match inverse(compared.op) {
            Some(op) if !compared.holds => Condition { op, holds: true, ..compared },
            _ => compared,
        }
    }

    /// The comparison whose result the terminator's operand is, if nothing else needs that.
    fn compared(&self, holds: bool) -> Option<Condition> {
        let end = self.body.block(self.block).instructions.len();
        let (at, inner) = self.absorb(end, 0, end)?;
        let at_and = |op, lhs, rhs, operand| {
            let left = self.definition(at, operand).map(|(at, _)| at);
            Some(Condition { op, holds, lhs, rhs, at: Some(at), left })
        };
        let zero = Right::Constant(0);
        match *inner {
            Instruction::Unary { op: UnaryOp::I32Eqz, src, .. } => at_and(BinaryOp::I32Eq, src, zero, 0),
            Instruction::Unary {
                op: UnaryOp::I64Eqz | UnaryOp::RefIsNull | UnaryOp::ExternIsNull | UnaryOp::ExnIsNull,
                src,
                ..
            } => at_and(BinaryOp::I64Eq, src, zero, 0),
            Instruction::Binary { op, lhs, rhs, .. } if is_branchable(op) => {
                let encoded = |operand| {
                    let value = self.constant(at, operand)?;
                    immediate::encode(value.ty(), value.to_bits())
                };
                if let Some(constant) = encoded(1) {
                    return at_and(op, lhs, Right::Constant(constant), 0);
                }
                match (encoded(0), swapped(op)) {
                    (Some(constant), Some(op)) => at_and(op, rhs, Right::Constant(constant), 1),
                    _ => at_and(op, lhs, Right::Register(rhs), 0),
                }
            }
            _ => None,
        }
    }

    /// As [`Self::compared`] for what `while (n--)` becomes: `c = n != k; n = n + by`. Once `n` has changed
    /// the comparison is with `k + by`.
    fn compared_before_step(&self, holds: bool) -> Option<Condition> {
        let instructions = &self.body.block(self.block).instructions;
        let end = instructions.len();
        let (at, &Instruction::Binary { op: op @ (BinaryOp::I32Eq | BinaryOp::I32Ne), lhs, .. }) =
            self.definition(end, 0)?
        else {
            return None;
        };
        let Value::I32(constant) = self.constant(at, 1)? else { return None };
        let defines = |place: &usize| instructions[*place].definitions().contains(&lhs);
        let step = (at + 1..end).find(defines)?;
        let (Instruction::Binary { op: BinaryOp::I32Add, lhs: src, .. }, Value::I32(by)) =
            (&instructions[step], self.constant(step, 1)?)
        else {
            return None;
        };
        let is_only = !(step + 1..end).any(|place| defines(&place));
        let is_fused = *src == lhs && is_only && self.is_used_by_branch_only(at);
        let rhs = Right::Constant(constant.wrapping_add(by));
        is_fused.then_some(Condition { op, holds, lhs, rhs, at: Some(at), left: Some(step) })
    }

    /// The operation that adds a constant to the left side, compares, and loops.
    fn step(&mut self, condition: Condition) -> Option<Op> {
        let compare = condition.at.unwrap_or(self.body.block(self.block).instructions.len());
        let at = condition.left?;
        let inner = &self.body.block(self.block).instructions[at];
        let &Instruction::Binary { op, dst, lhs: src, .. } = inner else { return None };
        let by = match (op, self.constant(at, 1)?) {
            (BinaryOp::I32Add, Value::I32(by)) => by,
            (BinaryOp::I32Sub, Value::I32(by)) => by.wrapping_neg(),
            _ => return None,
        };
        if !condition.holds || !self.can_wait(at, dst, src, compare) {
            return None;
        }
        let (to, from) = (self.slot(dst), self.slot(src));
        let op = match condition.rhs {
            Right::Register(rhs) if rhs == dst => return None,
            Right::Register(rhs) => Op::step(condition.op, to, from, by, self.slot(rhs))?,
            Right::Constant(value) => {
                Op::step_immediate(condition.op, to, from, by, i16::try_from(value).ok()?)?
            }
        };
        self.taken[at] = true;
        self.needed.remove(dst);
        self.needed.insert(src);
        if let Right::Register(rhs) = condition.rhs {
            self.needed.insert(rhs);
        }
        Some(op)
    }
}

/// Whether there are branches on that operation.
fn is_branchable(op: BinaryOp) -> bool {
    let is_comparison = op.result() == Type::I32 && (op.operands()[0] != Type::I32 || inverse(op).is_some());
    is_comparison || op == BinaryOp::I32And
}

/// The comparison that holds exactly if `op` does not. Ordered comparisons of floats have none.
fn inverse(op: BinaryOp) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match op {
        I32Eq => I32Ne,
        I32Ne => I32Eq,
        I32LtS => I32GeS,
        I32GeS => I32LtS,
        I32LtU => I32GeU,
        I32GeU => I32LtU,
        I32GtS => I32LeS,
        I32LeS => I32GtS,
        I32GtU => I32LeU,
        I32LeU => I32GtU,
        I64Eq => I64Ne,
        I64Ne => I64Eq,
        I64LtS => I64GeS,
        I64GeS => I64LtS,
        I64LtU => I64GeU,
        I64GeU => I64LtU,
        I64GtS => I64LeS,
        I64LeS => I64GtS,
        I64GtU => I64LeU,
        I64LeU => I64GtU,
        F32Eq => F32Ne,
        F32Ne => F32Eq,
        F64Eq => F64Ne,
        F64Ne => F64Eq,
        _ => return None,
    })
}
