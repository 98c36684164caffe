//! Renaming the registers of instructions.

use crate::body::{Body, Instruction, Terminator};
use crate::index::Register;

impl Body {
    /// Renames the registers of all instructions and terminators.
    pub fn rename_registers(&mut self, mut rename: impl FnMut(Register) -> Register) {
        for block in &mut self.blocks {
            for instruction in &mut block.instructions {
                rename_uses(instruction, &mut rename);
                rename_definitions(instruction, &mut rename);
            }
            rename_terminator(&mut block.terminator, &mut rename);
        }
    }
}

/// Renames the registers that `terminator` reads.
pub(crate) fn rename_terminator(terminator: &mut Terminator, mut rename: impl FnMut(Register) -> Register) {
    match terminator {
        Terminator::Jump { .. } | Terminator::Unreachable => {}
        Terminator::Branch { condition: register, .. }
        | Terminator::Guard { condition: register, .. }
        | Terminator::Switch { index: register, .. } => {
            *register = rename(*register);
        }
        Terminator::Return { values: registers } | Terminator::TailCall { arguments: registers, .. } => {
            registers.iter_mut().for_each(|r| *r = rename(*r));
        }
        Terminator::TailCallIndirect { index, arguments, .. } => {
            *index = rename(*index);
            arguments.iter_mut().for_each(|r| *r = rename(*r));
        }
    }
}

/// Renames the registers that `instruction` writes.
pub(crate) fn rename_definitions(
    instruction: &mut Instruction,
    mut rename: impl FnMut(Register) -> Register,
) {
    use Instruction as I;
    match instruction {
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
        | I::CaughtRef { dst } => *dst = rename(*dst),
        I::Call { results, .. } | I::CallIndirect { results, .. } => {
            results.iter_mut().for_each(|register| *register = rename(*register));
        }
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
        | I::Interpret => {}
    }
}

/// Renames the registers that `instruction` reads.
pub(crate) fn rename_uses(instruction: &mut Instruction, mut rename: impl FnMut(Register) -> Register) {
    use Instruction as I;
    let mut each = |registers: &mut [&mut Register]| {
        registers.iter_mut().for_each(|register| **register = rename(**register));
    };
    match instruction {
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
        I::ThrowRef { exception: register } | I::TrapIf { condition: register, .. } => each(&mut [register]),
        I::Copy { src, .. } | I::Unary { src, .. } | I::GlobalSet { src, .. } => each(&mut [src]),
        I::Vector { operands, .. } => operands.iter_mut().for_each(|r| *r = rename(*r)),
        I::Binary { lhs, rhs, .. } | I::Shuffle { lhs, rhs, .. } => each(&mut [lhs, rhs]),
        I::Select { condition, if_true, if_false, .. } => each(&mut [condition, if_true, if_false]),
        I::Load { address, .. } => each(&mut [address]),
        I::Store { address, value, .. } => each(&mut [address, value]),
        I::MemoryGrow { delta, .. } => each(&mut [delta]),
        I::MemoryFill { address, value, length, .. } => each(&mut [address, value, length]),
        I::MemoryCopy { destination, source, length, .. }
        | I::MemoryInit { destination, source, length, .. }
        | I::TableCopy { destination, source, length, .. }
        | I::TableInit { destination, source, length, .. } => each(&mut [destination, source, length]),
        I::AtomicWait { address, expected, timeout, .. } => each(&mut [address, expected, timeout]),
        I::TableGet { index, .. } | I::TableRefers { index, .. } => each(&mut [index]),
        I::TableSet { index, value, .. } => each(&mut [index, value]),
        I::TableGrow { value, delta, .. } => each(&mut [value, delta]),
        I::TableFill { index, value, length, .. } => each(&mut [index, value, length]),
        I::Call { arguments, .. } => arguments.iter_mut().for_each(|r| *r = rename(*r)),
        I::CallIndirect { index, arguments, .. } => {
            *index = rename(*index);
            arguments.iter_mut().for_each(|r| *r = rename(*r));
        }
    }
}
