//! Random bodies.

use osr_ir::{
    BasicBlock, BinaryOp, Block, Body, ElementIndex, FunctionIndex, GlobalIndex, Instruction, LoadOp,
    Register, Signature, SignatureIndex, StoreOp, TableIndex, Terminator, Type, UnaryOp, VectorOp,
};

use super::{Generator, Shape};

/// Registers of each type besides the parameters: as many as a signature may have results.
const REGISTERS_PER_TYPE: usize = 3;

impl Generator<'_> {
    pub(super) fn body(&mut self, signature: &Signature) -> Body {
        let mut body = Body { registers: signature.parameters.clone(), blocks: Vec::new() };
        Type::ALL.iter().for_each(|ty| body.registers.extend([*ty; REGISTERS_PER_TYPE]));
        if self.strays() {
            body.registers.remove(0);
        }
        let blocks = 1 + self.tape.below(6);
        for block in 0..blocks {
            let mut instructions = Vec::new();
            if block == Body::ENTRY && self.shape == Shape::Valid {
                let declared = body.registers.iter().enumerate().skip(signature.parameters.len());
                instructions.extend(declared.map(|(i, ty)| Instruction::Const {
                    dst: Register::new(i),
                    value: osr_ir::Value::zero(*ty),
                }));
            }
            for _ in 0..self.tape.below(6) {
                instructions.push(self.instruction(&body));
            }
            let terminator = self.terminator(&body, signature, blocks);
            body.blocks.push(BasicBlock { instructions, terminator });
        }
        body
    }

    /// A register of type `ty`.
    fn register(&mut self, body: &Body, ty: Type) -> Register {
        if self.strays() {
            return Register::new(self.tape.below(body.registers.len() + 2));
        }
        let registers = body.registers.iter().enumerate();
        let fitting: Vec<usize> = registers.filter(|(_, found)| **found == ty).map(|(i, _)| i).collect();
        Register::new(self.tape.pick(&fitting))
    }

    fn list(&mut self, body: &Body, types: &[Type]) -> Vec<Register> {
        let count = if self.strays() { types.len() / 2 } else { types.len() };
        types[..count].iter().map(|ty| self.register(body, *ty)).collect()
    }

    /// Distinct registers of `types`: there are enough, unless something has gone astray.
    fn results(&mut self, body: &Body, types: &[Type]) -> Vec<Register> {
        let mut list = self.list(body, types);
        let careless = self.strays();
        for i in 0..list.len() {
            if !careless && list[..i].contains(&list[i]) {
                let mut all = (0..body.registers.len()).map(Register::new);
                let free = all.find(|r| body.ty(*r) == types[i] && !list.contains(r));
                list[i] = free.unwrap_or(list[i]);
            }
        }
        list
    }

    /// Some block but the entry; in a wild body any, or none such.
    fn target(&mut self, blocks: usize) -> Block {
        let block = if self.strays() { self.tape.below(blocks + 1) } else { 1 + self.tape.below(blocks - 1) };
        Block::new(block)
    }

    fn terminator(&mut self, body: &Body, signature: &Signature, blocks: usize) -> Terminator {
        let choice = self.tape.below(7);
        match choice {
            1 | 2 if blocks > 1 => Terminator::Branch {
                condition: self.register(body, Type::I32),
                if_true: self.target(blocks),
                if_false: self.target(blocks),
            },
            3 if blocks > 1 => Terminator::Jump { target: self.target(blocks) },
            4 if blocks > 1 => Terminator::Switch {
                index: self.register(body, Type::I32),
                targets: (0..self.tape.below(4)).map(|_| self.target(blocks)).collect(),
                default: self.target(blocks),
            },
            5 => Terminator::Unreachable,
            6 if blocks > 1 => Terminator::Guard {
                condition: self.register(body, Type::I32),
                next: self.target(blocks),
                exit: self.target(blocks),
            },
            _ => Terminator::Return { values: self.list(body, &signature.results) },
        }
    }

    fn instruction(&mut self, body: &Body) -> Instruction {
        let made = match self.tape.below(8) {
            0 => None,
            1..=3 => self.plain_instruction(body),
            4 => self.call(body),
            5 => self.memory_instruction(body),
            6 => self.table_instruction(body),
            _ => self.global_instruction(body),
        };
        made.unwrap_or_else(|| {
            let ty = self.ty();
            Instruction::Const { dst: self.register(body, ty), value: self.value(ty) }
        })
    }

    fn plain_instruction(&mut self, body: &Body) -> Option<Instruction> {
        Some(match self.tape.below(6) {
            4 => {
                let op = self.tape.pick(VectorOp::ALL);
                let lane = if op.has_lane() { self.tape.below(op.lanes().into()) as u8 } else { 0 };
                let lane = lane + u8::from(self.strays()) * op.lanes();
                let dst = self.register(body, op.result());
                let operands = op.operands().iter().map(|&ty| self.register(body, ty)).collect();
                Instruction::Vector { op, lane, dst, operands }
            }
            5 => {
                let bound = if self.strays() { 256 } else { 32 };
                let lanes = std::array::from_fn(|_| self.tape.below(bound) as u8);
                let [dst, lhs, rhs] = [Type::V128; 3].map(|ty| self.register(body, ty));
                Instruction::Shuffle { lanes, dst, lhs, rhs }
            }
            0 => {
                let ty = self.ty();
                Instruction::Copy { dst: self.register(body, ty), src: self.register(body, ty) }
            }
            1 => {
                let op = self.tape.pick(UnaryOp::ALL);
                let dst = self.register(body, op.result());
                Instruction::Unary { op, dst, src: self.register(body, op.operands()[0]) }
            }
            2 => {
                let op = self.tape.pick(BinaryOp::ALL);
                let dst = self.register(body, op.result());
                let [lhs, rhs] = [0, 1].map(|i| self.register(body, op.operands()[i]));
                Instruction::Binary { op, dst, lhs, rhs }
            }
            _ => {
                let ty = self.ty();
                let [dst, condition, if_true, if_false] =
                    [ty, Type::I32, ty, ty].map(|ty| self.register(body, ty));
                Instruction::Select { dst, condition, if_true, if_false }
            }
        })
    }

    fn call(&mut self, body: &Body) -> Option<Instruction> {
        if self.tape.flag() {
            let function = FunctionIndex::new(self.index(self.module.functions.len())?);
            let callee = self.module.functions.get(function.index()).map(|callee| callee.signature);
            let (arguments, results) = self.call_lists(body, callee);
            return Some(Instruction::Call { function, arguments, results });
        }
        let tables: Vec<Type> = self.module.tables.iter().map(|table| table.ty).collect();
        let table = TableIndex::new(self.index_of(&tables, Type::Funcref)?);
        let signature = SignatureIndex::new(self.index(self.module.signatures.len())?);
        let index = self.register(body, Type::I32);
        let (arguments, results) = self.call_lists(body, Some(signature));
        Some(Instruction::CallIndirect { table, signature, index, arguments, results })
    }

    fn call_lists(
        &mut self,
        body: &Body,
        signature: Option<SignatureIndex>,
    ) -> (Vec<Register>, Vec<Register>) {
        let signature = signature.and_then(|s| self.module.signatures.get(s.index()).cloned());
        let signature = signature.unwrap_or_default();
        (self.list(body, &signature.parameters), self.results(body, &signature.results))
    }

    fn memory_instruction(&mut self, body: &Body) -> Option<Instruction> {
        if self.module.memories.is_empty() && !self.strays() {
            return None;
        }
        let [a, b, c] = [Type::I32; 3].map(|ty| self.register(body, ty));
        let (offset, memory) = (self.tape.bits() as u32, self.memory_index());
        Some(match self.tape.below(8) {
            0 => {
                let op = self.tape.pick(LoadOp::ALL);
                Instruction::Load { memory, op, dst: self.register(body, op.result()), address: a, offset }
            }
            1 => {
                let op = self.tape.pick(StoreOp::ALL);
                let value = self.register(body, op.result());
                Instruction::Store { memory, op, address: a, value, offset: 0 }
            }
            2 => Instruction::MemorySize { memory, dst: a },
            3 => Instruction::MemoryGrow { memory, dst: a, delta: b },
            4 => Instruction::MemoryFill { memory, address: a, value: b, length: c },
            5 => Instruction::MemoryCopy {
                destination_memory: memory,
                source_memory: self.memory_index(),
                destination: a,
                source: b,
                length: c,
            },
            6 => {
                let segment = self.data_index()?;
                Instruction::MemoryInit { memory, segment, destination: a, source: b, length: c }
            }
            _ => Instruction::DataDrop { segment: self.data_index()? },
        })
    }

    fn table_instruction(&mut self, body: &Body) -> Option<Instruction> {
        let [a, b, c] = [Type::I32; 3].map(|ty| self.register(body, ty));
        let tables: Vec<Type> = self.module.tables.iter().map(|table| table.ty).collect();
        let table = TableIndex::new(self.index(tables.len())?);
        let ty = tables.get(table.index()).copied().unwrap_or(Type::Funcref);
        let reference = self.register(body, ty);
        Some(match self.tape.below(9) {
            0 => Instruction::TableGet { table, dst: reference, index: a },
            1 => Instruction::TableSet { table, index: a, value: reference },
            2 => Instruction::TableSize { table, dst: a },
            3 => Instruction::TableGrow { table, dst: a, value: reference, delta: b },
            4 => Instruction::TableFill { table, index: a, value: reference, length: b },
            5 => {
                let source_table = TableIndex::new(self.index_of(&tables, ty)?);
                Instruction::TableCopy {
                    destination_table: table,
                    source_table,
                    destination: a,
                    source: b,
                    length: c,
                }
            }
            6 => {
                let segments: Vec<Type> = self.module.elements.iter().map(|segment| segment.ty).collect();
                let segment = ElementIndex::new(self.index_of(&segments, ty)?);
                Instruction::TableInit { table, segment, destination: a, source: b, length: c }
            }
            7 => {
                let table = TableIndex::new(self.index_of(&tables, Type::Funcref)?);
                let function = FunctionIndex::new(self.index(self.module.functions.len())?);
                Instruction::TableRefers { table, dst: a, index: b, function }
            }
            _ => {
                let segment = ElementIndex::new(self.index(self.module.elements.len())?);
                Instruction::ElementDrop { segment }
            }
        })
    }

    fn global_instruction(&mut self, body: &Body) -> Option<Instruction> {
        if self.tape.below(4) == 0 {
            let function = FunctionIndex::new(self.index(self.module.functions.len())?);
            return Some(Instruction::RefFunc { dst: self.register(body, Type::Funcref), function });
        }
        let global = GlobalIndex::new(self.index(self.module.globals.len())?);
        let found = self.module.globals.get(global.index());
        let (ty, mutable) = found.map_or((Type::I32, true), |found| (found.ty, found.mutable));
        let register = self.register(body, ty);
        Some(if self.tape.flag() && (mutable || self.strays()) {
            Instruction::GlobalSet { global, src: register }
        } else {
            Instruction::GlobalGet { dst: register, global }
        })
    }
}
