//! Instructions: registers, memory, tables and calls.

use std::ops::Range;

use osr_ir::module::{MAXIMUM_PAGES, PAGE_BYTES};
use osr_ir::{FunctionIndex, Instruction, LoadOp, MemoryIndex, TrapKind};

use super::operations::{binary, unary};
use super::{Frame, Instance};

impl Instance<'_> {
    pub(super) fn execute(&mut self, instruction: &Instruction, frame: &mut Frame) -> Result<(), TrapKind> {
        use Instruction as I;
        match instruction {
            I::Const { dst, value } => frame.set(*dst, value.to_bits()),
            I::Copy { dst, src } => frame.set(*dst, frame.get(*src)),
            I::Unary { op, dst, src } => frame.set(*dst, unary(*op, frame.get(*src))?),
            I::Binary { op, dst, lhs, rhs } => {
                frame.set(*dst, binary(*op, frame.get(*lhs), frame.get(*rhs))?);
            }
            I::Select { dst, condition, if_true, if_false } => {
                let (yes, no) = (frame.get(*if_true), frame.get(*if_false));
                frame.set(*dst, if frame.get32(*condition) != 0 { yes } else { no });
            }
            I::Load { memory, op, dst, address, offset } => {
                let range = self.bytes(*memory, frame.get32(*address), *offset, op.bytes())?;
                frame.set(*dst, loaded(*op, &self.memories[memory.index()][range]));
            }
            I::Store { memory, op, address, value, offset } => {
                let range = self.bytes(*memory, frame.get32(*address), *offset, op.bytes())?;
                let bytes = frame.get(*value).to_le_bytes();
                self.memories[memory.index()][range].copy_from_slice(&bytes[..op.bytes() as usize]);
            }
            I::TrapIf { condition, kind } => {
                return if frame.get32(*condition) == 0 { Ok(()) } else { Err(*kind) };
            }
            I::GlobalGet { dst, global } => frame.set(*dst, self.globals[global.index()]),
            I::GlobalSet { global, src } => self.globals[global.index()] = frame.get(*src),
            I::Call { function, arguments, results } => {
                let values = self.call(*function, frame.all(arguments))?;
                results.iter().zip(values).for_each(|(dst, value)| frame.set(*dst, value));
            }
            I::CallIndirect { table, signature, index, arguments, results } => {
                let entry = self.tables[table.index()].get(frame.get32(*index) as usize);
                let entry = *entry.ok_or(TrapKind::UndefinedElement)?;
                let callee = entry.checked_sub(1).ok_or(TrapKind::UninitializedElement)?;
                let callee = FunctionIndex::new(callee as usize);
                if self.module.function(callee).signature != *signature {
                    return Err(TrapKind::IndirectCallTypeMismatch);
                }
                let values = self.call(callee, frame.all(arguments))?;
                results.iter().zip(values).for_each(|(dst, value)| frame.set(*dst, value));
            }
            I::RefFunc { dst, function } => frame.set(*dst, u64::from(function.as_u32()) + 1),
            _ => {
                return self
                    .bulk(instruction, frame)
                    .and_then(|done| done.map_or_else(|| self.table(instruction, frame), Ok));
            }
        }
        Ok(())
    }

    fn bulk(&mut self, instruction: &Instruction, frame: &mut Frame) -> Result<Option<()>, TrapKind> {
        use Instruction as I;
        match instruction {
            I::MemorySize { memory, dst } => {
                frame.set(*dst, self.memories[memory.index()].len() as u64 / PAGE_BYTES);
            }
            I::MemoryGrow { memory, dst, delta } => {
                let old = self.memories[memory.index()].len() as u64 / PAGE_BYTES;
                let new = old + u64::from(frame.get32(*delta));
                let most = self.module.memories[memory.index()].maximum;
                let grows = new <= u64::from(most.unwrap_or(MAXIMUM_PAGES).min(4096));
                if grows {
                    self.memories[memory.index()].resize((new * PAGE_BYTES) as usize, 0);
                }
                frame.set(*dst, if grows { old } else { u64::from(u32::MAX) });
            }
            I::MemoryFill { memory, address, value, length } => {
                let range = self.bytes(*memory, frame.get32(*address), 0, frame.get32(*length))?;
                self.memories[memory.index()][range].fill(frame.get32(*value) as u8);
            }
            I::MemoryCopy { destination_memory, source_memory, destination, source, length } => {
                let length = frame.get32(*length);
                let source = self.bytes(*source_memory, frame.get32(*source), 0, length)?;
                let destination = self.bytes(*destination_memory, frame.get32(*destination), 0, length)?;
                let copied = self.memories[source_memory.index()][source].to_vec();
                self.memories[destination_memory.index()][destination].copy_from_slice(&copied);
            }
            I::AtomicWait { memory, is_64, dst, address, offset, expected, timeout } => {
                let size = if *is_64 { 8 } else { 4 };
                let range = self.bytes(*memory, frame.get32(*address), *offset, size)?;
                if !self.module.memories[memory.index()].is_shared {
                    return Err(TrapKind::ExpectedSharedMemory);
                }
                let found = self.memories[memory.index()][range].to_vec();
                let is_expected = frame.get(*expected).to_le_bytes().starts_with(&found);
                if is_expected && (frame.get(*timeout) as i64) < 0 {
                    return Err(TrapKind::EndlessWait);
                }
                frame.set(*dst, if is_expected { 2 } else { 1 });
            }
            I::MemoryInit { memory, segment, destination, source, length } => {
                let [at, from, length] = [destination, source, length].map(|r| frame.get32(*r));
                self.memory_init(memory.index(), segment.index(), at, from, length)?;
            }
            I::DataDrop { segment } => self.data[segment.index()].clear(),
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    fn table(&mut self, instruction: &Instruction, frame: &mut Frame) -> Result<(), TrapKind> {
        use Instruction as I;
        const OUT: TrapKind = TrapKind::TableOutOfBounds;
        match instruction {
            I::TableGet { table, dst, index } => {
                let index = frame.get32(*index) as usize;
                frame.set(*dst, *self.tables[table.index()].get(index).ok_or(OUT)?);
            }
            I::TableSet { table, index, value } => {
                let index = frame.get32(*index) as usize;
                *self.tables[table.index()].get_mut(index).ok_or(OUT)? = frame.get(*value);
            }
            I::TableSize { table, dst } => frame.set(*dst, self.tables[table.index()].len() as u64),
            I::TableGrow { table, dst, value, delta } => {
                let most = self.module.tables[table.index()].maximum.unwrap_or(u32::MAX).min(100_000);
                let entries = &mut self.tables[table.index()];
                let old = entries.len() as u64;
                let new = old + u64::from(frame.get32(*delta));
                let grows = new <= u64::from(most);
                if grows {
                    entries.resize(new as usize, frame.get(*value));
                }
                frame.set(*dst, if grows { old } else { u64::from(u32::MAX) });
            }
            I::TableFill { table, index, value, length } => {
                let entries = &mut self.tables[table.index()];
                let range = range(frame.get32(*index), frame.get32(*length), entries.len()).ok_or(OUT)?;
                entries[range].fill(frame.get(*value));
            }
            I::TableCopy { destination_table, source_table, destination, source, length } => {
                let length = frame.get32(*length);
                let from = &self.tables[source_table.index()];
                let from = from[range(frame.get32(*source), length, from.len()).ok_or(OUT)?].to_vec();
                let to = &mut self.tables[destination_table.index()];
                let at = range(frame.get32(*destination), length, to.len()).ok_or(OUT)?;
                to[at].copy_from_slice(&from);
            }
            I::TableInit { table, segment, destination, source, length } => {
                let [at, from, length] = [destination, source, length].map(|r| frame.get32(*r));
                self.table_init(table.index(), segment.index(), at, from, length)?;
            }
            I::ElementDrop { segment } => self.elements[segment.index()].clear(),
            other => panic!("not executed: {other:?}"),
        }
        Ok(())
    }

    pub(super) fn memory_init(
        &mut self,
        memory: usize,
        segment: usize,
        at: u32,
        from: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let to = self.bytes(MemoryIndex::new(memory), at, 0, length)?;
        let bytes = &self.data[segment];
        let from = range(from, length, bytes.len()).ok_or(TrapKind::MemoryOutOfBounds)?;
        self.memories[memory][to].copy_from_slice(&bytes[from]);
        Ok(())
    }

    pub(super) fn table_init(
        &mut self,
        table: usize,
        segment: usize,
        at: u32,
        from: u32,
        length: u32,
    ) -> Result<(), TrapKind> {
        let items = &self.elements[segment];
        let from = range(from, length, items.len()).ok_or(TrapKind::TableOutOfBounds)?;
        let entries = &mut self.tables[table];
        let to = range(at, length, entries.len()).ok_or(TrapKind::TableOutOfBounds)?;
        entries[to].copy_from_slice(&items[from]);
        Ok(())
    }

    fn bytes(
        &self,
        memory: MemoryIndex,
        address: u32,
        offset: u32,
        length: u32,
    ) -> Result<Range<usize>, TrapKind> {
        let start = address as usize + offset as usize;
        let end = start + length as usize;
        let size = self.memories[memory.index()].len();
        if end <= size { Ok(start..end) } else { Err(TrapKind::MemoryOutOfBounds) }
    }
}

fn range(start: u32, length: u32, of: usize) -> Option<Range<usize>> {
    let end = start as usize + length as usize;
    (end <= of).then_some(start as usize..end)
}

fn loaded(op: LoadOp, bytes: &[u8]) -> u64 {
    use LoadOp::*;
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    match op {
        I32Load8S => u64::from(word as i8 as u32),
        I32Load16S => u64::from(word as i16 as u32),
        I64Load8S => word as i8 as u64,
        I64Load16S => word as i16 as u64,
        I64Load32S => word as i32 as u64,
        _ => word,
    }
}
