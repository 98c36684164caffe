//! One instruction: an operation's name decides what follows it.

use super::super::error::{Failure, ParseErrorKind, Span};
use super::super::literal;
use super::code::{Code, Results};
use crate::body::Instruction;
use crate::index::{DataIndex, ElementIndex, MemoryIndex, SignatureIndex, TableIndex};
use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
use crate::trap::TrapKind;
use crate::value::{Type, Value};
use crate::vector::VectorOp;

impl Code<'_, '_> {
    /// The instruction named `name`, which stands at `span` and has been taken.
    pub(super) fn instruction(
        &mut self,
        name: &str,
        span: Span,
        results: Results,
    ) -> Result<Instruction, Failure> {
        if let Some(op) = BinaryOp::from_name(name) {
            let ([dst], [lhs, rhs]) = (results.take(name)?, self.registers()?);
            return Ok(Instruction::Binary { op, dst, lhs, rhs });
        }
        if let Some(op) = UnaryOp::from_name(name) {
            let ([dst], [src]) = (results.take(name)?, self.registers()?);
            return Ok(Instruction::Unary { op, dst, src });
        }
        if let Some(op) = LoadOp::from_name(name) {
            let ([dst], memory) = (results.take(name)?, self.accessed_memory()?);
            let address = self.register()?;
            return Ok(Instruction::Load { memory, op, dst, address, offset: self.displacement()? });
        }
        if let Some(op) = StoreOp::from_name(name) {
            let ([], memory) = (results.take(name)?, self.accessed_memory()?);
            let (address, offset) = (self.register()?, self.displacement()?);
            self.parser.expect(",")?;
            return Ok(Instruction::Store { memory, op, address, value: self.register()?, offset });
        }
        if let Some(op) = VectorOp::from_name(name) {
            return self.vector(name, op, results);
        }
        if let Some(ty) = name.strip_suffix(".const").and_then(Type::from_name) {
            return self.constant(name, ty, results);
        }
        match name.split_once('.').map_or(name, |(family, _)| family) {
            "memory" | "data" => self.memory_instruction(name, span, results),
            "table" | "elem" => self.table_instruction(name, span, results),
            _ => self.other_instruction(name, span, results),
        }
    }

    fn vector(&mut self, name: &str, op: VectorOp, results: Results) -> Result<Instruction, Failure> {
        let [dst] = results.take(name)?;
        let lane = if op.has_lane() { self.lane()? } else { 0 };
        let mut operands = vec![self.register()?];
        while operands.len() < op.operands().len() {
            self.parser.expect(",")?;
            operands.push(self.register()?);
        }
        Ok(Instruction::Vector { op, lane, dst, operands })
    }

    /// The number of a lane, and the comma behind it.
    fn lane(&mut self) -> Result<u8, Failure> {
        let (text, span) = self.number()?;
        let lane = literal::read_u32(text).ok().and_then(|number| u8::try_from(number).ok());
        self.parser.expect(",")?;
        lane.ok_or_else(|| span.error(ParseErrorKind::NotU32(text.to_owned())))
    }

    fn constant(&mut self, name: &str, ty: Type, results: Results) -> Result<Instruction, Failure> {
        let [dst] = results.take(name)?;
        let (text, span) = self.number()?;
        let value = literal::read_value(text, ty).map_err(|kind| span.error(kind))?;
        Ok(Instruction::Const { dst, value })
    }

    fn other_instruction(
        &mut self,
        name: &str,
        span: Span,
        results: Results,
    ) -> Result<Instruction, Failure> {
        Ok(match name {
            "copy" => {
                let ([dst], [src]) = (results.take(name)?, self.registers()?);
                Instruction::Copy { dst, src }
            }
            "select" => {
                let [dst] = results.take(name)?;
                let [condition, if_true, if_false] = self.registers()?;
                Instruction::Select { dst, condition, if_true, if_false }
            }
            "global.get" => {
                let [dst] = results.take(name)?;
                Instruction::GlobalGet { dst, global: self.parser.global()? }
            }
            "global.set" => {
                let [] = results.take(name)?;
                let global = self.parser.global()?;
                self.parser.expect(",")?;
                Instruction::GlobalSet { global, src: self.register()? }
            }
            "ref.null" => {
                let [dst] = results.take(name)?;
                Instruction::Const { dst, value: Value::NullFuncref }
            }
            "i8x16.shuffle" => {
                let [dst] = results.take(name)?;
                let (text, span) = self.number()?;
                let value = literal::read_value(text, Type::V128).map_err(|kind| span.error(kind))?;
                let [lhs, rhs] = self.more_registers()?;
                Instruction::Shuffle { lanes: value.to_bytes(), dst, lhs, rhs }
            }
            "extern.null" => {
                let [dst] = results.take(name)?;
                Instruction::Const { dst, value: Value::Externref(0) }
            }
            "exn.null" => {
                let [dst] = results.take(name)?;
                Instruction::Const { dst, value: Value::NullExnref }
            }
            "throw" => {
                let [] = results.take(name)?;
                Instruction::Throw { tag: self.parser.tag()? }
            }
            "throw_ref" => {
                let [] = results.take(name)?;
                Instruction::ThrowRef { exception: self.register()? }
            }
            "caught_ref" => {
                let [dst] = results.take(name)?;
                Instruction::CaughtRef { dst }
            }
            "trap_if" => {
                let ([], condition) = (results.take(name)?, self.register()?);
                self.parser.expect(",")?;
                Instruction::TrapIf { condition, kind: self.trap_kind()? }
            }
            "interpret" => {
                let [] = results.take(name)?;
                Instruction::Interpret
            }
            "ref.func" => {
                let [dst] = results.take(name)?;
                Instruction::RefFunc { dst, function: self.parser.function()? }
            }
            "call" => {
                let (function, arguments) = (self.parser.function()?, self.arguments()?);
                Instruction::Call { function, arguments, results: results.into_registers() }
            }
            "call_indirect" => self.call_indirect(results)?,
            _ => return Err(span.error(ParseErrorKind::UnknownOperation(name.to_owned()))),
        })
    }

    /// The name of a kind of traps.
    fn trap_kind(&mut self) -> Result<TrapKind, Failure> {
        let span = self.parser.span;
        let name = self.parser.name()?;
        let known = TrapKind::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| span.error(ParseErrorKind::UnknownTrap(name)))
    }

    /// A table, a signature, and in brackets the register of the index.
    pub(super) fn indirect_callee(
        &mut self,
    ) -> Result<(TableIndex, SignatureIndex, crate::Register), Failure> {
        let table = self.parser.table()?;
        let signature = self.parser.interned_signature()?;
        self.parser.expect("[")?;
        let index = self.register()?;
        self.parser.expect("]")?;
        Ok((table, signature, index))
    }

    fn call_indirect(&mut self, results: Results) -> Result<Instruction, Failure> {
        let (table, signature, index) = self.indirect_callee()?;
        let arguments = self.arguments()?;
        Ok(Instruction::CallIndirect {
            table,
            signature,
            index,
            arguments,
            results: results.into_registers(),
        })
    }

    fn memory_instruction(
        &mut self,
        name: &str,
        span: Span,
        results: Results,
    ) -> Result<Instruction, Failure> {
        Ok(match name {
            "memory.size" => {
                let [dst] = results.take(name)?;
                let is_named = self.parser.peek_index('m').is_some();
                let memory = if is_named { self.parser.memory()? } else { MemoryIndex::FIRST };
                Instruction::MemorySize { memory, dst }
            }
            "memory.grow" => {
                let ([dst], memory) = (results.take(name)?, self.accessed_memory()?);
                Instruction::MemoryGrow { memory, dst, delta: self.register()? }
            }
            "memory.fill" => {
                let ([], memory) = (results.take(name)?, self.accessed_memory()?);
                let [address, value, length] = self.registers()?;
                Instruction::MemoryFill { memory, address, value, length }
            }
            "memory.copy" => {
                let ([], destination_memory) = (results.take(name)?, self.accessed_memory()?);
                let source_memory = self.accessed_memory()?;
                let [destination, source, length] = self.registers()?;
                Instruction::MemoryCopy { destination_memory, source_memory, destination, source, length }
            }
            "memory.init" => {
                let ([], memory) = (results.take(name)?, self.accessed_memory()?);
                let segment = self.data()?;
                let [destination, source, length] = self.more_registers()?;
                Instruction::MemoryInit { memory, segment, destination, source, length }
            }
            "memory.atomic.wait32" | "memory.atomic.wait64" => {
                let ([dst], memory) = (results.take(name)?, self.accessed_memory()?);
                let (address, offset) = (self.register()?, self.displacement()?);
                let [expected, timeout] = self.more_registers()?;
                let is_64 = name.ends_with("64");
                Instruction::AtomicWait { memory, is_64, dst, address, offset, expected, timeout }
            }
            "data.drop" => {
                let [] = results.take(name)?;
                Instruction::DataDrop { segment: self.data()? }
            }
            _ => return Err(span.error(ParseErrorKind::UnknownOperation(name.to_owned()))),
        })
    }

    fn table_instruction(
        &mut self,
        name: &str,
        span: Span,
        results: Results,
    ) -> Result<Instruction, Failure> {
        Ok(match name {
            "table.get" => {
                let ([dst], table, [index]) = (results.take(name)?, self.table()?, self.more_registers()?);
                Instruction::TableGet { table, dst, index }
            }
            "table.set" => {
                let ([], table) = (results.take(name)?, self.table()?);
                let [index, value] = self.more_registers()?;
                Instruction::TableSet { table, index, value }
            }
            "table.size" => {
                let [dst] = results.take(name)?;
                Instruction::TableSize { table: self.table()?, dst }
            }
            "table.refers" => {
                let ([dst], table, [index]) = (results.take(name)?, self.table()?, self.more_registers()?);
                self.parser.expect(",")?;
                Instruction::TableRefers { table, dst, index, function: self.parser.function()? }
            }
            "table.grow" => {
                let ([dst], table) = (results.take(name)?, self.table()?);
                let [value, delta] = self.more_registers()?;
                Instruction::TableGrow { table, dst, value, delta }
            }
            "table.fill" => {
                let ([], table) = (results.take(name)?, self.table()?);
                let [index, value, length] = self.more_registers()?;
                Instruction::TableFill { table, index, value, length }
            }
            "table.copy" => {
                let ([], destination_table) = (results.take(name)?, self.table()?);
                self.parser.expect(",")?;
                let source_table = self.table()?;
                let [destination, source, length] = self.more_registers()?;
                Instruction::TableCopy { destination_table, source_table, destination, source, length }
            }
            "table.init" => {
                let ([], table) = (results.take(name)?, self.table()?);
                self.parser.expect(",")?;
                let segment = self.element()?;
                let [destination, source, length] = self.more_registers()?;
                Instruction::TableInit { table, segment, destination, source, length }
            }
            "elem.drop" => {
                let [] = results.take(name)?;
                Instruction::ElementDrop { segment: self.element()? }
            }
            _ => return Err(span.error(ParseErrorKind::UnknownOperation(name.to_owned()))),
        })
    }

    /// `N` registers, each after a comma.
    fn more_registers<const N: usize>(&mut self) -> Result<[crate::Register; N], Failure> {
        self.parser.expect(",")?;
        self.registers()
    }

    fn table(&mut self) -> Result<TableIndex, Failure> {
        self.parser.table()
    }

    /// The memory that is named before other operands, or else the first.
    fn accessed_memory(&mut self) -> Result<MemoryIndex, Failure> {
        if self.parser.peek_index('m').is_none() {
            return Ok(MemoryIndex::FIRST);
        }
        let memory = self.parser.memory()?;
        self.parser.expect(",")?;
        Ok(memory)
    }

    fn data(&mut self) -> Result<DataIndex, Failure> {
        let (index, span) = self.parser.index('d', "a data segment such as `d0`")?;
        self.parser.uses.data.note(index, span);
        Ok(DataIndex::new(index))
    }

    fn element(&mut self) -> Result<ElementIndex, Failure> {
        let (index, span) = self.parser.index('e', "an element segment such as `e0`")?;
        self.parser.uses.elements.note(index, span);
        Ok(ElementIndex::new(index))
    }
}
