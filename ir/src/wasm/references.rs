//! References: whether they are null, and calls of what they refer to.
//!
//! A reference is called through a table of one entry, which no code but this knows of:
//!
//! ```text
//!                           trap_if (ref.is_null r), "null reference"
//!   call_ref $t (r)   ──>   table.set called, 0, r
//!                           call_indirect called $t [0]
//! ```
//!
//! So whatever is done for indirect calls (counting their targets, guards on these, inlining) is done for these, too; and the
//! check of the signature, which always holds, needs no trust in validation.

use wasmparser::Operator;

use super::function::Translator;
use crate::body::{Instruction, Terminator};
use crate::index::{Register, TableIndex};
use crate::operation::UnaryOp;
use crate::trap::TrapKind;
use crate::value::{Type, Value};

impl Translator<'_> {
    /// Translates `operator`, if it is about references.
    pub(super) fn reference(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::RefIsNull => {
                let op = is_null(self.operands.top_type());
                let src = self.pop_register();
                let dst = self.operands.push_temporary(Type::I32);
                self.code.emit(Instruction::Unary { op, dst, src });
            }
            Operator::RefAsNonNull => self.as_non_null(),
            Operator::BrOnNull { relative_depth } => self.branch_on_null(relative_depth),
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(relative_depth),
            Operator::CallRef { type_index } => self.call_reference(type_index),
            Operator::ReturnCallRef { type_index } => self.tail_call_reference(type_index),
            _ => return false,
        }
        true
    }

    /// A register that says whether the top of the operand stack is null.
    fn top_is_null(&mut self) -> Register {
        let height = self.operands.height() - 1;
        let op = is_null(self.operands.top_type());
        let src = self.read(self.operands.get(height), height);
        let dst = self.scratch(Type::I32, 0);
        self.code.emit(Instruction::Unary { op, dst, src });
        dst
    }

    fn as_non_null(&mut self) {
        let condition = self.top_is_null();
        self.code.emit(Instruction::TrapIf { condition, kind: TrapKind::NullReference });
    }

    /// `br_on_null`: the branch has not the reference with it.
    fn branch_on_null(&mut self, depth: u32) {
        let condition = self.top_is_null();
        let reference = self.operands.pop();
        let if_true = self.branch_target(depth);
        let if_false = self.code.block();
        self.code.terminate(Terminator::Branch { condition, if_true, if_false });
        self.code.start(if_false);
        self.operands.push(reference);
    }

    /// `br_on_non_null`: the branch has the reference with it.
    fn branch_on_non_null(&mut self, depth: u32) {
        let condition = self.top_is_null();
        let if_false = self.branch_target(depth);
        let if_true = self.code.block();
        self.code.terminate(Terminator::Branch { condition, if_true, if_false });
        self.code.start(if_true);
        self.operands.pop();
    }

    /// Takes a reference from the operand stack, and has it called next: the table, and the register of the index.
    fn call_next(&mut self) -> (TableIndex, Register) {
        self.as_non_null();
        let value = self.pop_register();
        let table = self.called.expect("a module with typed references has it");
        let index = self.scratch(Type::I32, 0);
        self.code.emit(Instruction::Const { dst: index, value: Value::I32(0) });
        self.code.emit(Instruction::TableSet { table, index, value });
        (table, index)
    }

    fn call_reference(&mut self, ty: u32) {
        let (table, index) = self.call_next();
        let signature = self.types[ty as usize];
        let (arguments, results) = self.call_registers(signature);
        self.code.emit(Instruction::CallIndirect { table, signature, index, arguments, results });
        self.catch_behind_call();
    }

    fn tail_call_reference(&mut self, ty: u32) {
        let (table, index) = self.call_next();
        let signature = self.types[ty as usize];
        let (arguments, _) = self.call_registers(signature);
        self.leave_by_call(Terminator::TailCallIndirect { table, signature, index, arguments });
    }
}

/// The operation that says whether a reference of type `ty` is null.
fn is_null(ty: Type) -> UnaryOp {
    match ty {
        Type::Externref => UnaryOp::ExternIsNull,
        Type::Exnref => UnaryOp::ExnIsNull,
        _ => UnaryOp::RefIsNull,
    }
}
