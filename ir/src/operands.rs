//! The registers of instructions and terminators: which each reads, and which it writes. A list for each, to read and to
//! rename by.

use crate::body::{Body, Instruction, Terminator};
use crate::index::Register;
use crate::state_map::ExpressionStep;

/// Calls `$visit` for each register that an instruction reads, in operand order. Of a `&mut Instruction`, with `iter_mut`, they
/// may be replaced.
macro_rules! each_use {
    ($instruction:expr, $iter:ident, $visit:ident) => {{
        use Instruction as I;
        match $instruction {
            I::Const { .. }
            | I::GlobalGet { .. }
            | I::MemorySize { .. }
            | I::DataDrop { .. }
            | I::TableSize { .. }
            | I::ElementDrop { .. }
            | I::RefFunc { .. }
            | I::Throw { .. }
            | I::CaughtRef { .. }
            | I::Interpret => {}
            I::ThrowRef { exception: register } | I::TrapIf { condition: register, .. } => $visit(register),
            I::Copy { src, .. } | I::Unary { src, .. } | I::GlobalSet { src, .. } => $visit(src),
            I::Vector { operands, .. } => operands.$iter().for_each($visit),
            I::Binary { lhs, rhs, .. } | I::Shuffle { lhs, rhs, .. } => {
                [lhs, rhs].into_iter().for_each($visit)
            }
            I::Select { condition, if_true, if_false, .. } => {
                [condition, if_true, if_false].into_iter().for_each($visit);
            }
            I::Load { address, .. } => $visit(address),
            I::Store { address, value, .. } => [address, value].into_iter().for_each($visit),
            I::MemoryGrow { delta, .. } => $visit(delta),
            I::MemoryFill { address, value, length, .. } => {
                [address, value, length].into_iter().for_each($visit);
            }
            I::MemoryCopy { destination, source, length, .. }
            | I::MemoryInit { destination, source, length, .. }
            | I::TableCopy { destination, source, length, .. }
            | I::TableInit { destination, source, length, .. } => {
                [destination, source, length].into_iter().for_each($visit);
            }
            I::AtomicWait { address, expected, timeout, .. } => {
                [address, expected, timeout].into_iter().for_each($visit);
            }
            I::TableGet { index, .. } | I::TableRefers { index, .. } => $visit(index),
            I::TableSet { index, value, .. } => [index, value].into_iter().for_each($visit),
            I::TableGrow { value, delta, .. } => [value, delta].into_iter().for_each($visit),
            I::TableFill { index, value, length, .. } => [index, value, length].into_iter().for_each($visit),
            I::Call { arguments, .. } => arguments.$iter().for_each($visit),
            I::CallIndirect { index, arguments, .. } => {
                [index].into_iter().chain(arguments.$iter()).for_each($visit)
            }
        }
    }};
}

/// The registers that an instruction writes, in order, as a slice: `$one` makes one of a register.
macro_rules! definitions {
    ($instruction:expr, $one:path, $none:expr) => {{
        use Instruction as I;
        match $instruction {
            I::Const { dst, .. }
            | I::Copy { dst, .. }
            | I::Unary { dst, .. }
            | I::Binary { dst, .. }
            | I::Vector { dst, .. }
            | I::Shuffle { dst, .. }
            | I::Select { dst, .. }
            | I::Load { dst, .. }
            | I::GlobalGet { dst, .. }
            | I::MemorySize { dst, .. }
            | I::MemoryGrow { dst, .. }
            | I::AtomicWait { dst, .. }
            | I::TableGet { dst, .. }
            | I::TableSize { dst, .. }
            | I::TableRefers { dst, .. }
            | I::TableGrow { dst, .. }
            | I::RefFunc { dst, .. }
            | I::CaughtRef { dst } => $one(dst),
            I::Call { results, .. } | I::CallIndirect { results, .. } => results,
            I::Store { .. }
            | I::GlobalSet { .. }
            | I::MemoryFill { .. }
            | I::MemoryCopy { .. }
            | I::MemoryInit { .. }
            | I::DataDrop { .. }
            | I::TableSet { .. }
            | I::TableFill { .. }
            | I::TableCopy { .. }
            | I::TableInit { .. }
            | I::ElementDrop { .. }
            | I::Throw { .. }
            | I::ThrowRef { .. }
            | I::TrapIf { .. }
            | I::Interpret => $none,
        }
    }};
}

/// Calls `$visit` for each register that a terminator reads.
macro_rules! each_use_of_terminator {
    ($terminator:expr, $iter:ident, $visit:ident) => {
        match $terminator {
            Terminator::Jump { .. } | Terminator::Unreachable => {}
            Terminator::Branch { condition: register, .. }
            | Terminator::Guard { condition: register, .. }
            | Terminator::Switch { index: register, .. } => $visit(register),
            Terminator::Return { values: registers } | Terminator::TailCall { arguments: registers, .. } => {
                registers.$iter().for_each($visit);
            }
            Terminator::TailCallIndirect { index, arguments, .. } => {
                [index].into_iter().chain(arguments.$iter()).for_each($visit);
            }
            Terminator::Deoptimize { frames } => {
                let values = frames.$iter().flat_map(|frame| frame.values.$iter());
                for step in values.flat_map(|(_, expression)| expression.0.$iter()) {
                    if let ExpressionStep::Register(register) = step {
                        $visit(register);
                    }
                }
            }
        }
    };
}

impl Instruction {
    /// Calls `visit` for each register that is read, in operand order.
    pub fn each_use(&self, mut visit: impl FnMut(Register)) {
        let mut visit = |register: &Register| visit(*register);
        each_use!(self, iter, visit);
    }

    /// The registers that are written, in order.
    pub fn definitions(&self) -> &[Register] {
        definitions!(self, std::slice::from_ref, &[])
    }

    /// Renames the registers that are read, and then those that are written.
    pub(crate) fn rename(&mut self, mut rename: impl FnMut(Register) -> Register) {
        let mut visit = |register: &mut Register| *register = rename(*register);
        each_use!(self, iter_mut, visit);
        self.rename_definitions(rename);
    }

    /// Renames the registers that are written.
    pub(crate) fn rename_definitions(&mut self, mut rename: impl FnMut(Register) -> Register) {
        let registers: &mut [Register] = definitions!(self, std::slice::from_mut, &mut []);
        registers.iter_mut().for_each(|register| *register = rename(*register));
    }
}

impl Terminator {
    /// Calls `visit` for each register that is read.
    pub fn each_use(&self, mut visit: impl FnMut(Register)) {
        let mut visit = |register: &Register| visit(*register);
        each_use_of_terminator!(self, iter, visit);
    }

    /// Renames the registers that are read.
    pub(crate) fn rename(&mut self, mut rename: impl FnMut(Register) -> Register) {
        let mut visit = |register: &mut Register| *register = rename(*register);
        each_use_of_terminator!(self, iter_mut, visit);
    }
}

impl Body {
    /// Renames the registers of all instructions and terminators.
    pub fn rename_registers(&mut self, mut rename: impl FnMut(Register) -> Register) {
        for block in &mut self.blocks {
            block.instructions.iter_mut().for_each(|instruction| instruction.rename(&mut rename));
            block.terminator.rename(&mut rename);
        }
    }
}
