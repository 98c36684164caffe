//! Where optimized code stores registers into the frame, where state recording is *slots*.
//!
//! The frame state at a call is kept in slots, one per register of the body. A slot stays current until
//! its register is written again, so a call stores only what no call has stored on *every* path
//! before it: a forward dataflow whose join is intersection. That is cheapest for what changes more often than
//! calls are reached.
//!
//! Where paths join of which one has called and the other has not, everything must be stored again: a state
//! machine of a hundred registers and a hundred arms would have ten thousand stores. So a register that calls
//! store more often than it is written is *written through*: stored where it is defined, if a call can be
//! reached from there. Then its slot is current at every call. "More often" counts instructions by the loops that they
//! are in.
//!
//! Polls store in their cold block, which most executions do not take: they profit from what is stored, but do
//! not count as having stored anything.

use osr_ir::frequency::weights;
use osr_ir::liveness::RegisterSet;
use osr_ir::point::reverse_postorder;
use osr_ir::{Block, Body, FunctionIndex, Instruction, Register, Type};

use super::source::{Source, Start};
use crate::analysis::Analysis;
use crate::linked_module::LinkedModule;
use crate::speculation::Speculations;

/// What is stored where.
#[derive(Debug)]
pub(super) struct Stores<'c> {
    body: &'c Body,
    analysis: &'c Analysis,
    /// The registers that hold one constant wherever they are live.
    constants_everywhere: RegisterSet,
    /// Which globals are taken for constants.
    speculation: Option<&'c Speculations>,
    /// Where execution begins.
    start: Start,
    /// The reached blocks, each before its successors except along back-edges.
    order: Vec<Block>,
    /// The registers that are stored where they are defined.
    written_through: RegisterSet,
    /// Per block, the definitions that are stored, by ascending position.
    stored_definitions: Vec<Vec<(usize, Register)>>,
    /// Per block, the registers whose slots are current where it begins; none if it is not reached.
    current_at_start: Vec<Option<RegisterSet>>,
}

impl<'c> Stores<'c> {
    /// Decides it for code of `source` that speculates so. `constants_everywhere` are the registers that hold one constant
    /// wherever they are live.
    pub(super) fn of(
        Source { body, analysis, start, .. }: Source<'c>,
        constants_everywhere: &[Option<u64>],
        speculation: Option<&'c Speculations>,
    ) -> Stores<'c> {
        let nothing = RegisterSet::new(body.registers.len());
        let mut constant = nothing.clone();
        let constants = constants_everywhere.iter().enumerate().filter(|(_, constant)| constant.is_some());
        constants.for_each(|(register, _)| constant.insert(Register::new(register)));
        let mut stores = Stores {
            body,
            analysis,
            constants_everywhere: constant,
            speculation,
            start,
            order: reverse_postorder(body),
            written_through: nothing,
            stored_definitions: vec![Vec::new(); body.blocks.len()],
            current_at_start: Vec::new(),
        };
        stores.solve();
        if stores.choose_written_through() {
            stores.solve();
        }
        stores
    }

    /// The registers whose slots are current where `block` begins.
    pub(super) fn at_start(&self, block: Block) -> RegisterSet {
        let current = self.current_at_start[block.index()].clone();
        current.unwrap_or_else(|| RegisterSet::new(self.body.registers.len()))
    }

    /// Whether `register` is stored wherever it is defined, and where execution begins.
    pub(super) fn writes_through(&self, register: Register) -> bool {
        self.written_through.contains(register)
    }

    /// What is stored after instruction `index` of `block`, which defines it.
    pub(super) fn after(&self, block: Block, index: usize) -> impl Iterator<Item = Register> + '_ {
        let stored = &self.stored_definitions[block.index()];
        let from = stored.partition_point(|&(definition, _)| definition < index);
        let here = stored[from..].iter().take_while(move |&&(definition, _)| definition == index);
        here.map(|&(_, register)| register)
    }

    /// Finds what is current where.
    fn solve(&mut self) {
        self.current_at_start = vec![None; self.body.blocks.len()];
        let Start { block, index: from, .. } = self.start;
        let entered = self.written_through.clone();
        if self.start.is_entry() {
            self.current_at_start[Body::ENTRY] = Some(entered);
        } else {
            // The rest of the block is a copy of its own; the entry is not reached at all.
            let after = self.step_block(block, from, entered, |_, _| ());
            self.flow(block, &after);
        }
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for position in 0..self.order.len() {
                let block = self.order[position];
                let Some(start) = self.current_at_start[block.index()].clone() else { continue };
                let end = self.step_block(block, 0, start, |_, _| ());
                changed |= self.flow(block, &end);
            }
        }
    }

    /// What `block` does to the current slots, from its instruction `from` on; `store` sees what its calls store.
    /// Mirrors the translator: what is a known constant at a call is not stored.
    fn step_block(
        &self,
        block: Block,
        from: usize,
        mut current: RegisterSet,
        mut store: impl FnMut(usize, Register),
    ) -> RegisterSet {
        let mut constants = self.constants_everywhere.clone();
        for (index, instruction) in self.body.block(block).instructions.iter().enumerate().skip(from) {
            for register in self.state_at(block, index, instruction) {
                if !constants.contains(register) && !current.contains(register) {
                    current.insert(register);
                    store(index, register);
                }
            }
            let constant = self.is_constant(instruction, &constants);
            instruction.definitions().iter().for_each(|&register: &Register| {
                current.remove(register);
                constants.remove(register);
                if constant {
                    constants.insert(register);
                }
            });
            self.after(block, index).for_each(|register| current.insert(register));
        }
        current
    }

    /// Whether `instruction` defines what the translator knows for a constant, where it knows `constants`.
    fn is_constant(&self, instruction: &Instruction, constants: &RegisterSet) -> bool {
        match instruction {
            // Only constants of one word are.
            Instruction::Const { value, .. } => value.ty() != Type::V128,
            Instruction::Copy { src, .. } => constants.contains(*src),
            Instruction::GlobalGet { global, .. } => {
                self.speculation.is_some_and(|speculation| speculation.global(*global).is_some())
            }
            _ => false,
        }
    }

    /// What is live at a call, but its results.
    fn state_at<'i>(
        &'i self,
        block: Block,
        index: usize,
        instruction: &'i Instruction,
    ) -> impl Iterator<Item = Register> + 'i {
        let point = instruction.is_call().then(|| self.analysis.points.at(block, index));
        let point = point.map(|point| point.expect("calls have points"));
        let live = point.map_or(&[][..], |point| self.analysis.liveness.at(point));
        live.iter().copied().filter(|register| !instruction.definitions().contains(register))
    }

    fn flow(&mut self, block: Block, end: &RegisterSet) -> bool {
        let mut changed = false;
        let current_at_start = &mut self.current_at_start;
        self.body.block(block).terminator.each_successor(|successor| {
            let start = &mut current_at_start[successor.index()];
            let joined = match start {
                None => end.clone(),
                Some(current) => {
                    let mut joined = current.clone();
                    joined.intersect(end);
                    joined
                }
            };
            if start.as_ref() != Some(&joined) {
                *start = Some(joined);
                changed = true;
            }
        });
        changed
    }

    /// Finds the registers that are written through. Whether there are any.
    fn choose_written_through(&mut self) -> bool {
        let weights = weights(self.body, &self.order);
        let mut at_calls = vec![0; self.body.registers.len()];
        for &block in &self.order {
            if let Some(current) = self.current_at_start[block.index()].clone() {
                let weight = weights[block.index()];
                self.step_block(block, 0, current, |_, register| at_calls[register.index()] += weight);
            }
        }
        if at_calls.iter().all(|&weight| weight <= 1) {
            return false;
        }
        let definitions = self.definitions_that_reach_calls();
        let mut at_definitions = vec![0; self.body.registers.len()];
        // Each is stored where execution begins, too.
        let entered = self.analysis.liveness.live_in(self.start.block);
        entered.iter().for_each(|register| at_definitions[register.index()] += 1);
        for (block, definitions) in self.body.block_indices().zip(&definitions) {
            let weight = weights[block.index()];
            definitions.iter().for_each(|&(_, register)| at_definitions[register.index()] += weight);
        }
        let is_chosen = |register: Register| at_definitions[register.index()] < at_calls[register.index()];
        let chosen =
            (0..self.body.registers.len()).map(Register::new).filter(|&register| is_chosen(register));
        chosen.for_each(|register| self.written_through.insert(register));
        self.stored_definitions = definitions;
        let stored = self.stored_definitions.iter_mut();
        stored.for_each(|stored| stored.retain(|&(_, register)| is_chosen(register)));
        true
    }

    /// Per block, the definitions from which a call is reached at which they are live.
    fn definitions_that_reach_calls(&self) -> Vec<Vec<(usize, Register)>> {
        let registers = self.body.registers.len();
        let mut wanted_at_start = vec![RegisterSet::new(registers); self.body.blocks.len()];
        let mut definitions = vec![Vec::new(); self.body.blocks.len()];
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &block in self.order.iter().rev() {
                let mut wanted = RegisterSet::new(registers);
                let basic_block = self.body.block(block);
                let each = |successor: Block| wanted.union(&wanted_at_start[successor.index()]);
                basic_block.terminator.each_successor(each);
                let found = &mut definitions[block.index()];
                Vec::clear(found);
                for (index, instruction) in basic_block.instructions.iter().enumerate().rev() {
                    for &register in instruction.definitions() {
                        if wanted.contains(register) && !self.constants_everywhere.contains(register) {
                            found.push((index, register));
                        }
                        wanted.remove(register);
                    }
                    self.state_at(block, index, instruction).for_each(|register| wanted.insert(register));
                }
                found.reverse();
                if wanted_at_start[block.index()] != wanted {
                    wanted_at_start[block.index()] = wanted;
                    changed = true;
                }
            }
        }
        definitions
    }
}

/// Per register of the body of `function`, the constant that it holds wherever it is live: all its definitions are the same
/// one. None are known if activations may be carried into the body: then registers hold what a state map says.
pub(super) fn constant_registers(
    linked: &LinkedModule,
    function: FunctionIndex,
    body: &Body,
) -> Vec<Option<u64>> {
    let mut held = Vec::new();
    find_constant_registers(linked, function, body, &mut held);
    held.into_iter().map(Held::constant).collect()
}

/// What a register holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing defines it.
    #[default]
    Nothing,
    /// This, wherever it is live.
    Constant(u64),
    /// One thing here, another there.
    Various,
}

impl Held {
    /// The constant, if it is one.
    #[inline]
    pub(super) fn constant(self) -> Option<u64> {
        match self {
            Held::Constant(bits) => Some(bits),
            Held::Nothing | Held::Various => None,
        }
    }
}

/// The same as [`constant_registers`], into `held`, which has anything in it.
pub(super) fn find_constant_registers(
    linked: &LinkedModule,
    function: FunctionIndex,
    body: &Body,
    held: &mut Vec<Held>,
) {
    let module = linked.module();
    held.clear();
    if module.has_alternatives(function) {
        return held.resize(body.registers.len(), Held::Various);
    }
    held.resize(module.signature_of(function).parameters.len(), Held::Various);
    held.resize(body.registers.len(), Held::Nothing);
    for instruction in body.blocks.iter().flat_map(|block| &block.instructions) {
        if let Instruction::Const { dst, value } = instruction
            && value.ty() != Type::V128
        {
            let (held, bits) = (&mut held[dst.index()], value.to_bits());
            let is_first = *held == Held::Nothing;
            *held =
                if is_first || *held == Held::Constant(bits) { Held::Constant(bits) } else { Held::Various };
        } else {
            instruction.definitions().iter().for_each(|register| held[register.index()] = Held::Various);
        }
    }
}
