//! Memories and tables: their operators, but loads and stores, and what those access.

use wasmparser::{MemArg, MemArgTarget, Operator};

use super::function::Translator;
use super::narrowing::narrowed;
use crate::body::Instruction;
use crate::index::{DataIndex, ElementIndex, FunctionIndex, MemoryIndex, TableIndex};
use crate::value::Type;

impl Translator<'_> {
    /// The memory that is accessed, and the offset from the address, which is so many entries below the top of the operand
    /// stack, and of 32 bits from here on.
    pub(super) fn accessed(&mut self, memarg: &MemArg, below: usize) -> (MemoryIndex, u32) {
        let MemArgTarget::Memory(memory) = memarg.target else { unreachable!("validated to be a memory") };
        if self.module.is_memory_64(memory) {
            self.narrow([below]);
        }
        (MemoryIndex::new(memory as usize), narrowed(memarg.offset))
    }

    /// Translates `operator`, if it is about a memory as a whole.
    pub(super) fn memory(&mut self, operator: &Operator<'_>) -> bool {
        let index = |memory: u32| MemoryIndex::new(memory as usize);
        let instruction = match *operator {
            Operator::MemorySize { mem } => {
                let is_64 = self.module.is_memory_64(mem);
                self.push_size(is_64, |dst| Instruction::MemorySize { memory: index(mem), dst });
                return true;
            }
            Operator::MemoryGrow { mem } => {
                let is_64 = self.module.is_memory_64(mem);
                self.narrow(is_64.then_some(0));
                let delta = self.pop_register();
                self.push_size(is_64, |dst| Instruction::MemoryGrow { memory: index(mem), dst, delta });
                return true;
            }
            Operator::MemoryFill { mem } => {
                let is_64 = self.module.is_memory_64(mem);
                self.narrow([0, 2].into_iter().filter(|_| is_64));
                let [address, value, length] = self.pop_registers();
                Instruction::MemoryFill { memory: index(mem), address, value, length }
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                let (to, from) = (self.module.is_memory_64(dst_mem), self.module.is_memory_64(src_mem));
                self.narrow_copy(to, from);
                let [destination, source, length] = self.pop_registers();
                let (destination_memory, source_memory) = (index(dst_mem), index(src_mem));
                Instruction::MemoryCopy { destination_memory, source_memory, destination, source, length }
            }
            Operator::MemoryInit { data_index, mem } => {
                self.narrow(self.module.is_memory_64(mem).then_some(2));
                let [destination, source, length] = self.pop_registers();
                let segment = DataIndex::new(data_index as usize);
                Instruction::MemoryInit { memory: index(mem), segment, destination, source, length }
            }
            Operator::DataDrop { data_index } => {
                Instruction::DataDrop { segment: DataIndex::new(data_index as usize) }
            }
            _ => return false,
        };
        self.code.emit(instruction);
        true
    }

    /// The operands of a copy: the length has 64 bits if both addresses have.
    fn narrow_copy(&mut self, to: bool, from: bool) {
        let wide = [(0, to && from), (1, from), (2, to)];
        self.narrow(wide.into_iter().filter(|&(_, is_64)| is_64).map(|(below, _)| below));
    }

    /// Translates `operator`, if it is about a table.
    pub(super) fn table(&mut self, operator: &Operator<'_>) -> bool {
        let module = self.module;
        let is_64 = |index: u32| module.is_table_64(index);
        let table = |index: u32| TableIndex::new(index as usize);
        let instruction = match *operator {
            Operator::RefFunc { function_index } => Instruction::RefFunc {
                dst: self.operands.push_temporary(Type::Funcref),
                function: FunctionIndex::new(function_index as usize),
            },
            Operator::TableGet { table: of } => {
                self.narrow(is_64(of).then_some(0));
                let index = self.pop_register();
                let dst = self.operands.push_temporary(self.module.table(of));
                Instruction::TableGet { table: table(of), dst, index }
            }
            Operator::TableSet { table: of } => {
                self.narrow(is_64(of).then_some(1));
                let [index, value] = self.pop_registers();
                Instruction::TableSet { table: table(of), index, value }
            }
            Operator::TableSize { table: of } => {
                self.push_size(is_64(of), |dst| Instruction::TableSize { table: table(of), dst });
                return true;
            }
            Operator::TableGrow { table: of } => {
                let is_64 = is_64(of);
                self.narrow(is_64.then_some(0));
                let [value, delta] = self.pop_registers();
                self.push_size(is_64, |dst| Instruction::TableGrow { table: table(of), dst, value, delta });
                return true;
            }
            Operator::TableFill { table: of } => {
                let is_64 = is_64(of);
                self.narrow([0, 2].into_iter().filter(|_| is_64));
                let [index, value, length] = self.pop_registers();
                Instruction::TableFill { table: table(of), index, value, length }
            }
            Operator::TableCopy { dst_table, src_table } => {
                self.narrow_copy(is_64(dst_table), is_64(src_table));
                let [destination, source, length] = self.pop_registers();
                let (destination_table, source_table) = (table(dst_table), table(src_table));
                Instruction::TableCopy { destination_table, source_table, destination, source, length }
            }
            Operator::TableInit { elem_index, table: of } => {
                self.narrow(is_64(of).then_some(2));
                let [destination, source, length] = self.pop_registers();
                let segment = ElementIndex::new(elem_index as usize);
                Instruction::TableInit { table: table(of), segment, destination, source, length }
            }
            Operator::ElemDrop { elem_index } => {
                Instruction::ElementDrop { segment: ElementIndex::new(elem_index as usize) }
            }
            _ => return false,
        };
        self.code.emit(instruction);
        true
    }
}
