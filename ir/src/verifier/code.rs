//! Instructions and terminators, each by itself: indices, types and counts.

use super::error::{CodeError, Item, List};
use crate::body::{Body, Instruction, Terminator};
use crate::index::{
    Block, DataIndex, ElementIndex, FunctionIndex, GlobalIndex, MemoryIndex, Register, TableIndex,
};
use crate::module::{Global, Module, Signature};
use crate::point::Position;
use crate::value::Type::{self, Exnref, Funcref, I32, I64, V128};
use crate::vector::VectorOp;

/// Checks all of `body`, a body with `signature` in `module`, reached or not.
pub(super) fn verify(
    module: &Module,
    signature: &Signature,
    body: &Body,
) -> Result<(), (Position, CodeError)> {
    let checker = Checker { module, signature, body };
    for block in body.block_indices() {
        let at = |index| move |error| (Position { block, index }, error);
        let basic_block = body.block(block);
        for (index, instruction) in basic_block.instructions.iter().enumerate() {
            checker.instruction(instruction).map_err(at(index))?;
        }
        let (end, leaves) = (basic_block.instructions.len(), basic_block.terminator.is_interpreted());
        let interpreted = basic_block.instructions.iter().position(|one| *one == Instruction::Interpret);
        if interpreted.map(|index| index + 1) != leaves.then_some(end) {
            return Err(at(end)(CodeError::InterpretedInCode));
        }
        checker.terminator(&basic_block.terminator).map_err(at(basic_block.instructions.len()))?;
    }
    Ok(())
}

struct Checker<'a> {
    module: &'a Module,
    signature: &'a Signature,
    body: &'a Body,
}

impl Checker<'_> {
    fn instruction(&self, instruction: &Instruction) -> Result<(), CodeError> {
        use Instruction as I;
        match *instruction {
            I::Const { dst, value } => self.register(dst, value.ty()),
            I::Copy { dst, src } => self.register(src, self.type_of(dst)?),
            I::Unary { op, dst, src } => {
                self.registers(&[src], op.operands())?;
                self.register(dst, op.result())
            }
            I::Binary { op, dst, lhs, rhs } => {
                self.registers(&[lhs, rhs], op.operands())?;
                self.register(dst, op.result())
            }
            I::Vector { op, lane, dst, ref operands } => self.vector(op, lane, dst, operands),
            I::Shuffle { lanes, dst, lhs, rhs } => {
                self.registers(&[dst, lhs, rhs], &[V128, V128, V128])?;
                match lanes.iter().find(|&&lane| lane >= 32) {
                    Some(&lane) => Err(CodeError::Lane { lane, lanes: 32 }),
                    None => Ok(()),
                }
            }
            I::Select { dst, condition, if_true, if_false } => {
                let ty = self.type_of(dst)?;
                self.registers(&[condition, if_true, if_false], &[I32, ty, ty])
            }
            I::GlobalGet { dst, global } => self.register(dst, self.global(global)?.ty),
            I::GlobalSet { global, src } => {
                let Global { ty, mutable, .. } = *self.global(global)?;
                self.register(src, ty)?;
                if mutable { Ok(()) } else { Err(CodeError::ImmutableGlobal(global)) }
            }
            I::RefFunc { dst, function } => {
                self.function(function)?;
                self.register(dst, Funcref)
            }
            I::Throw { tag } => match self.module.tags.get(tag.index()) {
                Some(_) => Ok(()),
                None => Err(no(Item::Tag(tag))),
            },
            I::ThrowRef { exception: register } | I::CaughtRef { dst: register } => {
                self.register(register, Exnref)
            }
            I::TrapIf { condition, .. } => self.register(condition, I32),
            I::Interpret => Ok(()),
            I::Call { function, ref arguments, ref results } => {
                self.call(self.function(function)?, arguments, results)
            }
            I::CallIndirect { table, signature, index, ref arguments, ref results } => {
                self.table_of(table, Funcref)?;
                self.register(index, I32)?;
                let callee = self.module.signatures.get(signature.index());
                self.call(callee.ok_or(no(Item::Signature(signature)))?, arguments, results)
            }
            I::TableGet { .. }
            | I::TableSet { .. }
            | I::TableSize { .. }
            | I::TableRefers { .. }
            | I::TableGrow { .. }
            | I::TableFill { .. }
            | I::TableCopy { .. }
            | I::TableInit { .. }
            | I::ElementDrop { .. } => self.table_instruction(instruction),
            _ => self.memory_instruction(instruction),
        }
    }

    fn vector(&self, op: VectorOp, lane: u8, dst: Register, operands: &[Register]) -> Result<(), CodeError> {
        self.list(List::Operands, operands, op.operands())?;
        self.register(dst, op.result())?;
        let lanes = if op.has_lane() { op.lanes() } else { 1 };
        if lane < lanes { Ok(()) } else { Err(CodeError::Lane { lane, lanes }) }
    }

    fn memory_instruction(&self, instruction: &Instruction) -> Result<(), CodeError> {
        use Instruction as I;
        match *instruction {
            I::Load { memory, op, dst, address, .. } => {
                self.memory(memory)?;
                self.registers(&[address], op.operands())?;
                self.register(dst, op.result())
            }
            I::Store { memory, op, address, value, .. } => {
                self.memory(memory)?;
                self.registers(&[address, value], op.operands())
            }
            I::MemorySize { memory, dst } => {
                self.memory(memory)?;
                self.register(dst, I32)
            }
            I::MemoryGrow { memory, dst, delta } => {
                self.memory(memory)?;
                self.registers(&[dst, delta], &[I32, I32])
            }
            I::MemoryFill { memory, address, value, length } => {
                self.memory(memory)?;
                self.registers(&[address, value, length], &[I32, I32, I32])
            }
            I::MemoryCopy { destination_memory, source_memory, destination, source, length } => {
                self.memory(destination_memory)?;
                self.memory(source_memory)?;
                self.registers(&[destination, source, length], &[I32, I32, I32])
            }
            I::DataDrop { segment } => self.data(segment),
            I::AtomicWait { memory, is_64, dst, address, expected, timeout, .. } => {
                self.memory(memory)?;
                let value = if is_64 { I64 } else { I32 };
                self.registers(&[dst, address, expected, timeout], &[I32, I32, value, I64])
            }
            I::MemoryInit { memory, segment, destination, source, length } => {
                self.memory(memory)?;
                self.data(segment)?;
                self.registers(&[destination, source, length], &[I32, I32, I32])
            }
            _ => unreachable!("{instruction:?} is not about memory"),
        }
    }

    fn table_instruction(&self, instruction: &Instruction) -> Result<(), CodeError> {
        use Instruction as I;
        match *instruction {
            I::TableGet { table, dst, index } => {
                let ty = self.table(table)?;
                self.registers(&[dst, index], &[ty, I32])
            }
            I::TableSet { table, index, value } => {
                let ty = self.table(table)?;
                self.registers(&[index, value], &[I32, ty])
            }
            I::TableSize { table, dst } => {
                self.table(table)?;
                self.register(dst, I32)
            }
            I::TableRefers { table, dst, index, function } => {
                self.table_of(table, Funcref)?;
                self.function(function)?;
                self.registers(&[dst, index], &[I32, I32])
            }
            I::TableGrow { table, dst, value, delta } => {
                let ty = self.table(table)?;
                self.registers(&[dst, value, delta], &[I32, ty, I32])
            }
            I::TableFill { table, index, value, length } => {
                let ty = self.table(table)?;
                self.registers(&[index, value, length], &[I32, ty, I32])
            }
            I::TableCopy { destination_table, source_table, destination, source, length } => {
                let ty = self.table(destination_table)?;
                self.table_of(source_table, ty)?;
                self.registers(&[destination, source, length], &[I32, I32, I32])
            }
            I::TableInit { table, segment, destination, source, length } => {
                let ty = self.element(segment)?;
                self.table_of(table, ty)?;
                self.registers(&[destination, source, length], &[I32, I32, I32])
            }
            I::ElementDrop { segment } => self.element(segment).map(drop),
            _ => unreachable!("{instruction:?} is not about tables"),
        }
    }

    fn terminator(&self, terminator: &Terminator) -> Result<(), CodeError> {
        match terminator {
            Terminator::Jump { .. } | Terminator::Unreachable | Terminator::Deoptimize { .. } => {}
            Terminator::Branch { condition, .. } | Terminator::Guard { condition, .. } => {
                self.register(*condition, I32)?
            }
            Terminator::Switch { index, .. } => self.register(*index, I32)?,
            Terminator::Return { values } => self.list(List::Returned, values, &self.signature.results)?,
            Terminator::TailCall { function, arguments } => {
                self.tail_call(self.function(*function)?, arguments)?;
            }
            Terminator::TailCallIndirect { table, signature, index, arguments } => {
                self.table_of(*table, Funcref)?;
                self.register(*index, I32)?;
                let callee = self.module.signatures.get(signature.index());
                self.tail_call(callee.ok_or(no(Item::Signature(*signature)))?, arguments)?;
            }
        }
        // What else is said of frames is checked when all bodies have been.
        let mut registers = Ok(());
        terminator.each_use(|used| registers = registers.clone().and(self.type_of(used).map(drop)));
        registers?;
        let mut targets = Ok(());
        terminator.each_successor(|block| targets = targets.clone().and_then(|()| self.target(block)));
        targets
    }

    fn tail_call(&self, callee: &Signature, arguments: &[Register]) -> Result<(), CodeError> {
        self.list(List::Arguments, arguments, &callee.parameters)?;
        if callee.results == self.signature.results { Ok(()) } else { Err(CodeError::TailCallResults) }
    }

    fn target(&self, block: Block) -> Result<(), CodeError> {
        match block.index() {
            Body::ENTRY => Err(CodeError::EntryTarget),
            index if index >= self.body.blocks.len() => Err(no(Item::Block(block))),
            _ => Ok(()),
        }
    }

    fn call(
        &self,
        callee: &Signature,
        arguments: &[Register],
        results: &[Register],
    ) -> Result<(), CodeError> {
        self.list(List::Arguments, arguments, &callee.parameters)?;
        self.list(List::Results, results, &callee.results)?;
        let mut sorted = results.to_vec();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(CodeError::DuplicateResult(pair[0])),
            None => Ok(()),
        }
    }

    fn list(&self, list: List, registers: &[Register], types: &[Type]) -> Result<(), CodeError> {
        if registers.len() != types.len() {
            return Err(CodeError::Count { list, expected: types.len(), found: registers.len() });
        }
        self.registers(registers, types)
    }

    fn registers(&self, registers: &[Register], types: &[Type]) -> Result<(), CodeError> {
        registers.iter().zip(types).try_for_each(|(register, ty)| self.register(*register, *ty))
    }

    fn register(&self, register: Register, expected: Type) -> Result<(), CodeError> {
        let found = self.type_of(register)?;
        if found == expected { Ok(()) } else { Err(CodeError::Type { register, expected, found }) }
    }

    fn type_of(&self, register: Register) -> Result<Type, CodeError> {
        self.body.registers.get(register.index()).copied().ok_or(no(Item::Register(register)))
    }

    fn function(&self, function: FunctionIndex) -> Result<&Signature, CodeError> {
        let found = self.module.functions.get(function.index()).ok_or(no(Item::Function(function)))?;
        Ok(self.module.signature(found.signature))
    }

    fn global(&self, global: GlobalIndex) -> Result<&Global, CodeError> {
        self.module.globals.get(global.index()).ok_or(no(Item::Global(global)))
    }

    /// The type of the table's entries.
    fn table(&self, table: TableIndex) -> Result<Type, CodeError> {
        self.module.tables.get(table.index()).map(|table| table.ty).ok_or(no(Item::Table(table)))
    }

    /// Checks that there is the table, and that its entries are of type `expected`.
    fn table_of(&self, table: TableIndex, expected: Type) -> Result<(), CodeError> {
        let found = self.table(table)?;
        if found == expected { Ok(()) } else { Err(CodeError::TableType { table, expected, found }) }
    }

    fn memory(&self, memory: MemoryIndex) -> Result<(), CodeError> {
        self.module.memories.get(memory.index()).map(|_| ()).ok_or(no(Item::Memory(memory)))
    }

    fn data(&self, data: DataIndex) -> Result<(), CodeError> {
        self.module.data.get(data.index()).map(|_| ()).ok_or(no(Item::Data(data)))
    }

    /// The type of the segment's references.
    fn element(&self, element: ElementIndex) -> Result<Type, CodeError> {
        let segment = self.module.elements.get(element.index()).ok_or(no(Item::Element(element)))?;
        Ok(segment.ty)
    }
}

fn no(item: Item) -> CodeError {
    CodeError::NoSuch(item)
}
