//! A reference evaluator: the plainest reading of the register code, for modules of the tests.
//!
//! Values are the 64-bit words of frame states; a function reference is its index plus one. Reading a
//! register before it was assigned is a failed test.

mod instructions;
mod operations;

use osr_ir::module::{GlobalInitial, PAGE_BYTES};
use osr_ir::{
    Block, Body, ConstantExpression, FunctionIndex, FunctionKind, Module, Register, SegmentMode, Terminator,
    TrapKind,
};

/// Guest frames before the stack counts as exhausted.
const DEEPEST: usize = 120_000;

/// A module with its state.
pub(crate) struct Instance<'m> {
    module: &'m Module,
    memories: Vec<Vec<u8>>,
    globals: Vec<u64>,
    tables: Vec<Vec<u64>>,
    data: Vec<Vec<u8>>,
    elements: Vec<Vec<u64>>,
    depth: usize,
}

/// The registers of an activation.
struct Frame {
    registers: Vec<Option<u64>>,
}

impl Frame {
    fn get(&self, register: Register) -> u64 {
        self.registers[register.index()].unwrap_or_else(|| panic!("{register} is read before it is assigned"))
    }

    fn get32(&self, register: Register) -> u32 {
        self.get(register) as u32
    }

    fn set(&mut self, register: Register, value: u64) {
        self.registers[register.index()] = Some(value);
    }

    fn all(&self, registers: &[Register]) -> Vec<u64> {
        registers.iter().map(|&register| self.get(register)).collect()
    }
}

impl<'m> Instance<'m> {
    /// Instantiates `module`.
    pub(crate) fn new(module: &'m Module) -> Result<Instance<'m>, TrapKind> {
        let bytes = |memory: &osr_ir::Memory| u64::from(memory.minimum) * PAGE_BYTES;
        let mut instance = Instance {
            module,
            memories: module.memories.iter().map(|memory| vec![0; bytes(memory) as usize]).collect(),
            globals: vec![],
            tables: vec![],
            data: module.data.iter().map(|segment| segment.bytes.clone()).collect(),
            elements: vec![],
            depth: 0,
        };
        for global in &module.globals {
            let value = match &global.initial {
                GlobalInitial::Import(_) => 0,
                GlobalInitial::Expression(expression) => instance.constant(expression),
            };
            instance.globals.push(value);
        }
        for table in &module.tables {
            let initial = table.initial.as_ref().map_or(0, |initial| instance.constant(initial));
            instance.tables.push(vec![initial; table.minimum as usize]);
        }
        let items = module
            .elements
            .iter()
            .map(|segment| segment.items.iter().map(|item| instance.constant(item)).collect::<Vec<_>>());
        instance.elements = items.collect();
        instance.write_segments()?;
        if let Some(start) = module.start {
            instance.call(start, vec![])?;
        }
        Ok(instance)
    }

    fn constant(&self, expression: &ConstantExpression) -> u64 {
        let reference = |function: FunctionIndex| u64::from(function.as_u32()) + 1;
        expression.evaluate(|global| self.globals[global.index()], reference)
    }

    fn write_segments(&mut self) -> Result<(), TrapKind> {
        for (index, segment) in self.module.elements.iter().enumerate() {
            if let SegmentMode::Active { target, offset } = &segment.mode {
                let at = self.constant(offset) as u32;
                let length = segment.items.len() as u32;
                self.table_init(target.index(), index, at, 0, length)?;
            }
            if segment.mode != SegmentMode::Passive {
                self.elements[index].clear();
            }
        }
        for (index, segment) in self.module.data.iter().enumerate() {
            if let SegmentMode::Active { target, offset } = &segment.mode {
                let at = self.constant(offset) as u32;
                self.memory_init(target.index(), index, at, 0, segment.bytes.len() as u32)?;
                self.data[index].clear();
            }
        }
        Ok(())
    }

    /// Calls `function`.
    pub(crate) fn call(
        &mut self,
        function: FunctionIndex,
        arguments: Vec<u64>,
    ) -> Result<Vec<u64>, TrapKind> {
        match &self.module.function(function).kind {
            FunctionKind::Import(name) if name.name == "call_back" => {
                let entry = self.tables[0].get(arguments[0] as u32 as usize).copied();
                let callee = entry.ok_or(TrapKind::UndefinedElement)?;
                let callee = callee.checked_sub(1).ok_or(TrapKind::UninitializedElement)?;
                self.call(FunctionIndex::new(callee as usize), vec![])
            }
            FunctionKind::Import(_) => Ok(vec![]),
            FunctionKind::Defined(_) if self.depth >= DEEPEST => Err(TrapKind::StackExhausted),
            FunctionKind::Defined(body) => {
                self.depth += 1;
                let result = self.run(body, arguments);
                self.depth -= 1;
                result
            }
        }
    }

    fn run(&mut self, body: &'m Body, arguments: Vec<u64>) -> Result<Vec<u64>, TrapKind> {
        let mut frame = Frame { registers: arguments.into_iter().map(Some).collect() };
        frame.registers.resize(body.registers.len(), None);
        let mut block = Block::new(Body::ENTRY);
        loop {
            let basic_block = body.block(block);
            for instruction in &basic_block.instructions {
                self.execute(instruction, &mut frame)?;
            }
            block = match &basic_block.terminator {
                Terminator::Jump { target } => *target,
                Terminator::Branch { condition, if_true, if_false } => {
                    if frame.get32(*condition) != 0 {
                        *if_true
                    } else {
                        *if_false
                    }
                }
                Terminator::Guard { .. } => unreachable!("WebAssembly has no guards"),
                Terminator::Switch { index, targets, default } => {
                    *targets.get(frame.get32(*index) as usize).unwrap_or(default)
                }
                Terminator::Return { values } => return Ok(frame.all(values)),
                Terminator::TailCall { .. }
                | Terminator::TailCallIndirect { .. }
                | Terminator::Deoptimize { .. } => {
                    unreachable!("no module of these tests has such")
                }
                Terminator::Unreachable => return Err(TrapKind::Unreachable),
            };
        }
    }
}
