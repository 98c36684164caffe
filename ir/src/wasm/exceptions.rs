//! Exceptions: `throw`, `try_table`, and the older `try` with `catch` and `delegate`.
//!
//! In register code a `try` is a branch behind each of its calls; [`Tag`](crate::Tag) says what the branch is on.
//!
//! ```text
//!           call f
//!           caught = global.get           a call in a `try`; a `throw`, too
//!           branch caught, handler, next
//!  handler: global.set 0 ── dispatch: caught = tag 2? ── clause: its values, then a branch to its label
//!                             │ no
//!                             └─> the next clause, .. the dispatch of the `try` around it, or it is thrown once more
//! ```
//!
//! The clauses of `try_table` are branches to labels further out, so they are made where the construct begins, of what is
//! on the operand stack there. Those of `try` follow its body.

use wasmparser::{Catch, TryTable};

use super::code::Code;
use super::control::{Frame, FrameKind, FrameType};
use super::function::Translator;
use crate::body::{Instruction, Terminator};
use crate::index::{Block, Register, TagIndex};
use crate::operation::BinaryOp;
use crate::value::{Type, Value};

/// The registers in which a function dispatches what it catches.
#[derive(Clone, Copy)]
pub(super) struct Dispatch {
    /// What was caught: the number of the tag, from 1.
    caught: Register,
    /// What that is compared with, and whether it is equal.
    scratch: Register,
    /// Where that is thrown once more which no clause is for.
    rethrow: Block,
}

impl Translator<'_> {
    fn dispatch_registers(&mut self) -> Dispatch {
        let (operands, code) = (&mut self.operands, &mut self.code);
        *self.dispatch.get_or_insert_with(|| {
            let exception = operands.add_register(Type::Exnref);
            let again = vec![Instruction::CaughtRef { dst: exception }, Instruction::ThrowRef { exception }];
            Dispatch {
                caught: operands.add_register(Type::I32),
                scratch: operands.add_register(Type::I32),
                rethrow: code.edge(again, Terminator::Unreachable),
            }
        })
    }

    /// Behind a call: what it throws goes to the innermost handler, if there is one.
    pub(super) fn catch_behind_call(&mut self) {
        let Some((handler, _)) = self.control.handler(0) else { return };
        let condition = self.dispatch_registers().caught;
        let global = self.module.caught.expect("a module that catches has it");
        self.code.emit(Instruction::GlobalGet { dst: condition, global });
        let next = self.code.block();
        self.code.terminate(Terminator::Branch { condition, if_true: handler, if_false: next });
        self.code.start(next);
    }

    /// `throw`.
    pub(super) fn throw(&mut self, tag: u32) {
        let tag = TagIndex::new(tag as usize);
        let globals = self.module.tag(tag).to_vec();
        let base = self.operands.height() - globals.len();
        for (height, global) in (base..).zip(globals) {
            let src = self.read(self.operands.get(height), height);
            self.code.emit(Instruction::GlobalSet { global, src });
        }
        self.operands.truncate(base);
        self.throws(Instruction::Throw { tag });
    }

    /// `throw_ref`.
    pub(super) fn throw_ref(&mut self) {
        let exception = self.pop_register();
        self.throws(Instruction::ThrowRef { exception });
    }

    /// `rethrow` of what the `catch` at `depth` has caught.
    pub(super) fn rethrow(&mut self, depth: u32) {
        let FrameKind::Catch { exception: Some(exception), .. } = self.control.frame(depth).kind else {
            unreachable!("validated to be a catch, which was found to be named here")
        };
        self.throws(Instruction::ThrowRef { exception });
    }

    fn throws(&mut self, instruction: Instruction) {
        self.code.emit(instruction);
        self.catch_behind_call();
        self.leave(Terminator::Unreachable);
    }

    /// Where what no clause is for is dispatched next, seen from the frame at `depth`.
    fn outer_dispatch(&mut self, depth: u32) -> Block {
        let outer = self.control.handler(depth);
        outer.map_or_else(|| self.dispatch_registers().rethrow, |(_, dispatch)| dispatch)
    }

    /// The block that calls branch to which throw: what they threw is noted, and dispatched.
    fn handler(&mut self, dispatch: Block) -> Block {
        let scratch = self.dispatch_registers().scratch;
        let global = self.module.caught.expect("a module that catches has it");
        let clear = [
            Instruction::Const { dst: scratch, value: Value::I32(0) },
            Instruction::GlobalSet { global, src: scratch },
        ];
        self.code.edge(clear.into(), Terminator::Jump { target: dispatch })
    }

    /// Whether an exception of `tag` was caught: instructions, and the register that says so.
    fn compare(&mut self, tag: u32) -> ([Instruction; 2], Register) {
        let Dispatch { caught, scratch, .. } = self.dispatch_registers();
        let number = self.module.caught_tag(TagIndex::new(tag as usize)) as i32 + 1;
        let number = Instruction::Const { dst: scratch, value: Value::I32(number) };
        let compare = Instruction::Binary { op: BinaryOp::I32Eq, dst: scratch, lhs: caught, rhs: scratch };
        ([number, compare], scratch)
    }

    /// Puts the values of the exception of `tag` on the operand stack, by what `emit` takes.
    fn push_values(&mut self, tag: u32, mut emit: impl FnMut(&mut Code, Instruction)) {
        let globals = self.module.tag(TagIndex::new(tag as usize)).to_vec();
        for global in globals {
            let dst = self.operands.push_temporary(self.module.global(global.as_u32()));
            emit(&mut self.code, Instruction::GlobalGet { dst, global });
        }
    }

    /// `try_table`.
    pub(super) fn begin_try_table(&mut self, table: &TryTable, ty: FrameType) {
        let base = self.base_below(ty);
        self.save_assigned(base);
        let parameters = self.operands.above(base).to_vec();
        self.operands.truncate(base);
        let mut dispatch = self.outer_dispatch(0);
        let clauses: Vec<_> = table.catches.iter().map(|&catch| self.clause(catch, base)).collect();
        for (tag, clause) in clauses.into_iter().rev() {
            dispatch = match tag {
                None => clause,
                Some(tag) => {
                    let (compare, condition) = self.compare(tag);
                    let branch = Terminator::Branch { condition, if_true: clause, if_false: dispatch };
                    self.code.edge(compare.into(), branch)
                }
            };
        }
        parameters.into_iter().for_each(|operand| self.operands.push(operand));
        let handler = self.handler(dispatch);
        let kind = FrameKind::Try { handler, dispatch, legacy: None };
        let label = self.code.block();
        self.control.push(Frame { kind, ty, base, label, is_label_used: false });
    }

    /// The block of a clause of `try_table`, and its tag, unless it takes all.
    fn clause(&mut self, catch: Catch, base: usize) -> (Option<u32>, Block) {
        let (tag, label, has_reference) = match catch {
            Catch::One { tag, label } => (Some(tag), label, false),
            Catch::OneRef { tag, label } => (Some(tag), label, true),
            Catch::All { label } => (None, label, false),
            Catch::AllRef { label } => (None, label, true),
        };
        let mut instructions = Vec::new();
        if let Some(tag) = tag {
            self.push_values(tag, |_, instruction| instructions.push(instruction));
        }
        if has_reference {
            let dst = self.operands.push_temporary(Type::Exnref);
            instructions.push(Instruction::CaughtRef { dst });
        }
        let (moves, terminator) = self.transfer(label);
        instructions.extend(moves);
        self.operands.truncate(base);
        (tag, self.code.edge(instructions, terminator))
    }

    /// `try`.
    pub(super) fn begin_try(&mut self, ty: FrameType) {
        let base = self.base_below(ty);
        self.save_assigned(base);
        let dispatch = self.code.block();
        let kind = FrameKind::Try { handler: self.handler(dispatch), dispatch, legacy: Some(self.offset) };
        let label = self.code.block();
        self.control.push(Frame { kind, ty, base, label, is_label_used: false });
    }

    /// `catch` of a tag, or `catch_all`.
    pub(super) fn begin_catch(&mut self, tag: Option<u32>) {
        let mut frame = self.control.pop();
        self.meet(&mut frame);
        let (dispatch, start) = match frame.kind {
            FrameKind::Try { dispatch, legacy: Some(start), .. }
            | FrameKind::Catch { dispatch: Some(dispatch), start, .. } => (dispatch, start),
            _ => unreachable!("validated to follow `try` or `catch`"),
        };
        self.start_with(dispatch, frame.base, vec![]);
        let mut next = None;
        if let Some(tag) = tag {
            let (compare, condition) = self.compare(tag);
            compare.into_iter().for_each(|instruction| self.code.emit(instruction));
            let [clause, other] = std::array::from_fn(|_| self.code.block());
            self.code.terminate(Terminator::Branch { condition, if_true: clause, if_false: other });
            self.code.start(clause);
            self.push_values(tag, Code::emit);
            next = Some(other);
        }
        let exception = self.assignments.is_rethrown(start).then(|| self.operands.add_register(Type::Exnref));
        if let Some(dst) = exception {
            self.code.emit(Instruction::CaughtRef { dst });
        }
        frame.kind = FrameKind::Catch { dispatch: next, start, exception };
        self.control.push(frame);
    }

    /// `delegate`: ends a `try`, whose exceptions are dispatched as if they were thrown in the frame at `depth`.
    pub(super) fn delegate(&mut self, depth: u32) {
        let mut frame = self.control.pop();
        let FrameKind::Try { dispatch, .. } = frame.kind else { unreachable!("validated to end a `try`") };
        self.dispatch_outwards(&mut frame, dispatch, depth);
        self.end_block(frame);
    }

    /// What gets to `dispatch`, behind the last clause of `frame`, is dispatched from the frame at `depth`.
    pub(super) fn dispatch_outwards(&mut self, frame: &mut Frame, dispatch: Block, depth: u32) {
        self.meet(frame);
        self.start_with(dispatch, frame.base, vec![]);
        let target = self.outer_dispatch(depth);
        self.leave(Terminator::Jump { target });
    }
}
