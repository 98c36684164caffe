//! A body to CLIF.
//!
//! Where the registers of the body are is in [`registers`](super::registers). The function is entered with
//! arguments, or, as a continuation, with the address of a frame state (an interpreter frame: one word per
//! register), from which it loads what is live.

use std::collections::BTreeMap;
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use osr_ir::liveness::RegisterSet;
use osr_ir::{
    Block, Body, GlobalIndex, Instruction, MemoryIndex, Points, Register, Terminator, TrapKind, Value,
};
use osr_stubs::Context;

use super::clif_type::{in_words, signature, wide_type};
use super::compiler::{Cells, LoadMerging, Request};
use super::guard::Guard;
use super::recording::{Stores, constant_registers};
use super::registers::Registers;
use super::safepoint::{Origin, Safepoint};
use super::source::Source;
use super::trap_site::trap_code;
use super::unrolling::Unrolling;
use crate::analysis::Analysis;
use crate::calling_convention::Place;
use crate::profile::Profile;
use crate::settings::{CallBinding, CompiledTier, Poll, ReturnSites, StateRecording};
use crate::unit::{Unit, VersionKey};

/// The state of translating one body.
pub(super) struct Translator<'a, 'b> {
    pub(super) unit: Unit<'a>,
    pub(super) source: Source<'a>,
    pub(super) body: &'a Body,
    pub(super) analysis: &'a Analysis,
    pub(super) builder: FunctionBuilder<'b>,
    pub(super) context: ir::Value,
    pub(super) safepoints: Vec<Safepoint>,
    /// The registers whose slots hold their values, here.
    pub(super) slots_current: RegisterSet,
    /// The constants that registers are known to hold, here.
    pub(super) constants: Vec<Option<u64>>,
    /// Those that they hold everywhere.
    pub(super) constants_everywhere: Vec<Option<u64>>,
    pub(super) slots: Vec<Option<ir::StackSlot>>,
    pub(super) tier: CompiledTier,
    /// How it calls other functions of the module.
    pub(super) binding: CallBinding,
    /// Where it finds call cells.
    pub(super) cells: Cells,
    /// What it checks at entries and in loops.
    pub(super) checks: Poll,
    /// How calls record the frame state.
    pub(super) recording: StateRecording,
    /// What optimized code stores for that.
    stores: Option<&'a Stores<'a>>,
    /// The signature of what pads call.
    pub(super) leave_signature: Option<ir::SigRef>,
    pub(super) registers: Registers,
    /// Per copy and block, if it is translated.
    blocks: BTreeMap<(u8, Block), ir::Block>,
    /// Which loops are translated how often.
    pub(super) unrolling: Unrolling,
    pub(super) pending: Vec<Pending>,
    /// Per loop header, the block that its back-edges lead to, if they poll.
    pub(super) back_edges: Vec<Option<ir::Block>>,
    /// The slot that stands for the word that requests polls, once a poll compares it.
    pub(super) request_slot: Option<ir::StackSlot>,
    /// What this block has made already.
    pub(super) block_local: Vec<(BlockLocal, ir::Value)>,
    load_merging: LoadMerging,
    /// What counts are written to, if the tier profiles.
    pub(super) profile: Option<&'a Profile>,
    /// The address that activations are counted at, if they are.
    pub(super) residence: Option<i64>,
    /// Those that have an exit, by their number.
    pub(super) guards: Vec<Guard>,
    /// The globals that are taken for constants, and for which.
    pub(super) kept_globals: BTreeMap<GlobalIndex, u64>,
}

/// What there is to know of a translated body besides its CLIF.
pub(super) struct Translated {
    pub(super) safepoints: Vec<Safepoint>,
    pub(super) guards: Vec<Guard>,
    pub(super) kept_globals: BTreeMap<GlobalIndex, u64>,
    /// The slot that [stands](crate::emitted::near_polls) for the word that requests polls, if polls compare that.
    pub(super) request_slot: Option<ir::StackSlot>,
}

/// What is still to be translated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// A copy of a block of the body.
    Block(Block, u8),
    /// The poll on the back-edges to a loop header.
    BackEdge(Block),
}

/// Values that a block needs more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockLocal {
    /// The context's field at that offset.
    ContextField(usize),
    /// The address of the profile.
    Profile,
    /// The number one, of 32 bits.
    One,
    /// The first byte of that memory.
    MemoryBase(MemoryIndex),
}

/// Builds the CLIF that `request` asks for.
pub(super) fn translate<'b>(
    request: Request<'_>,
    frontend: TargetFrontendConfig,
    clif: &'b mut ir::Function,
    builder_context: &'b mut FunctionBuilderContext,
) -> Translated {
    let Request { unit, source, load_merging, cells, recording, residence, .. } = request;
    let Unit { linked, key: VersionKey { function, tier, entry }, settings, .. } = unit;
    let Source { body, analysis, .. } = source;
    clif.signature = signature(linked, function, entry);
    // Cranelift keeps locations relative to the first one that it is told, where -1 means none.
    clif.params.ensure_base_srcloc(ir::SourceLoc::new(0));
    let mut builder = FunctionBuilder::new(clif, builder_context);
    let start = builder.create_block();
    builder.append_block_params_for_function_params(start);
    builder.switch_to_block(start);
    builder.set_srcloc(ir::SourceLoc::new(0));
    let registers = match tier {
        CompiledTier::Baseline => Registers::in_slots(body.registers.len()),
        CompiledTier::Optimized => Registers::Variables(
            body.registers.iter().map(|&ty| builder.declare_var(wide_type(ty))).collect(),
        ),
    };
    let context = builder.block_params(start)[0];
    let constants_everywhere = constant_registers(linked, function, body);
    let calls_store = recording.stores() && settings.return_sites != ReturnSites::Checked;
    let stores = calls_store && tier == CompiledTier::Optimized;
    let stores = stores.then(|| Stores::of(source, &constants_everywhere, unit.speculation));
    let copies = match tier {
        CompiledTier::Baseline => 1,
        CompiledTier::Optimized => settings.unrolling,
    };
    let checks = match tier {
        CompiledTier::Baseline => Poll::StackLimit,
        CompiledTier::Optimized => settings.poll,
    };
    let mut translator = Translator {
        unit,
        source,
        binding: settings.binding,
        cells,
        checks,
        body,
        analysis,
        builder,
        context,
        safepoints: Vec::new(),
        slots_current: RegisterSet::new(body.registers.len()),
        constants: constants_everywhere.clone(),
        constants_everywhere: constants_everywhere.clone(),
        slots: vec![None; body.registers.len()],
        tier,
        recording,
        stores: stores.as_ref(),
        leave_signature: None,
        registers,
        blocks: BTreeMap::new(),
        unrolling: Unrolling::of(body, &analysis.points, copies),
        pending: Vec::new(),
        back_edges: vec![None; body.blocks.len()],
        request_slot: None,
        block_local: Vec::new(),
        load_merging,
        profile: unit.profile,
        residence,
        guards: Vec::new(),
        kept_globals: BTreeMap::new(),
    };
    match entry.continues_at() {
        None => translator.enter_function(start),
        Some(point) => translator.enter_continuation(start, point),
    }
    translator.translate_pending();
    translator.builder.seal_all_blocks();
    translator.builder.finalize(frontend);
    let Translator { safepoints, guards, kept_globals, request_slot, .. } = translator;
    Translated { safepoints, guards, kept_globals, request_slot }
}

impl Translator<'_, '_> {
    fn enter_function(&mut self, start: ir::Block) {
        self.count_entry();
        let parameters = self.builder.block_params(start)[1..].to_vec();
        let signature = self.unit.linked.module().signature_of(self.unit.key.function);
        let mut words = parameters.into_iter();
        for position in 0..signature.parameters.len() {
            self.write_from_words(Register::new(position), &mut words);
        }
        let live = self.analysis.liveness.at(Points::entry());
        self.write_through(live);
        if self.has_slots() {
            let analysis = self.analysis;
            self.flush(analysis.liveness.at(Points::entry()).iter().copied());
            self.forget_values();
        }
        if self.checks_entry() {
            match self.checks {
                Poll::None => {}
                Poll::StackCheck => self.check_stack(Points::entry()),
                _ => self.poll(Points::entry()),
            }
        }
        self.profile_arguments();
        self.guard_arguments();
        self.forget();
        let entry = self.block(Block::new(Body::ENTRY), 0);
        self.builder.ins().jump(entry, &[]);
    }

    fn enter_continuation(&mut self, start: ir::Block, point: osr_ir::Point) {
        self.count_entry();
        let state = self.builder.block_params(start)[1];
        let live = match self.source.start.inner {
            Some(inner) => self.analysis.liveness.at(inner),
            // The function's own registers have the same numbers, whatever is inlined.
            None => self.unit.analysis.liveness.at(point),
        };
        for &register in live {
            let ty = wide_type(self.body.ty(register));
            let known = self.unit.values.iter().find(|&&(known, _)| known == register);
            let value = match known {
                Some(&(_, bits)) => self.builder.ins().iconst(ty, bits as i64),
                None => {
                    let offset = self.source.word(register) as i32 * 8;
                    self.builder.ins().load(ty, in_words(ty), state, offset)
                }
            };
            self.write(register, value);
        }
        self.write_through(live);
        // The rest of the block is a copy of its own: the block itself may be reached again. At a loop
        // header there is no poll, which was passed already: where each poll is the end of its version,
        // execution would not continue.
        let start = self.source.start;
        if !start.is_entry() {
            return self.translate_from((start.block, 0), start.index);
        }
        if self.has_slots() {
            self.flush(live.iter().copied());
        }
        let entry = self.block(start.block, 0);
        self.builder.ins().jump(entry, &[]);
    }

    /// Where execution begins: stores those of the `live` registers that are stored wherever they are defined.
    fn write_through(&mut self, live: &[Register]) {
        if let Some(stores) = self.stores {
            for &register in live.iter().filter(|&&register| stores.writes_through(register)) {
                self.spill(register);
            }
        }
    }

    /// The CLIF block of copy number `copy` of `block`, which will be translated if it is not yet.
    pub(super) fn block(&mut self, block: Block, copy: u8) -> ir::Block {
        *self.blocks.entry((copy, block)).or_insert_with(|| {
            self.pending.push(Pending::Block(block, copy));
            self.builder.create_block()
        })
    }

    fn translate_pending(&mut self) {
        while let Some(pending) = self.pending.pop() {
            match pending {
                Pending::Block(block, copy) => {
                    let clif_block = self.block(block, copy);
                    self.enter_block(clif_block, block);
                    if copy == 0 {
                        self.poll_at_inlined_entry(block);
                        self.poll_at_header(block);
                    }
                    self.translate_from((block, copy), 0);
                }
                Pending::BackEdge(header) => {
                    let clif_block = self.back_edges[header.index()].expect("it is pending");
                    self.enter_block(clif_block, header);
                    self.go_back(header);
                }
            }
        }
    }

    /// What follows is in `clif_block`, where is known what is known at the start of `block`.
    fn enter_block(&mut self, clif_block: ir::Block, block: Block) {
        self.builder.switch_to_block(clif_block);
        self.forget();
        if self.has_slots() {
            self.slots_current.clone_from(self.analysis.liveness.live_in(block));
        } else if let Some(stores) = self.stores {
            self.slots_current = stores.at_start(block);
        }
    }

    /// At a join nothing local is known.
    fn forget(&mut self) {
        self.constants.clone_from(&self.constants_everywhere);
        self.slots_current = RegisterSet::new(self.body.registers.len());
        self.block_local.clear();
        self.forget_values();
    }

    fn translate_from(&mut self, (block, copy): (Block, u8), from: usize) {
        let body = self.body;
        let basic_block = body.block(block);
        for (index, instruction) in basic_block.instructions.iter().enumerate().skip(from) {
            let point = self.analysis.points.at(block, index);
            // The address of an access is computed before it: an earlier load may be merged into that.
            if !matches!(instruction, Instruction::Load { .. } | Instruction::Store { .. }) {
                self.at(point);
            }
            self.instruction(instruction, point);
            if let Some(stores) = self.stores {
                for register in stores.after(block, index) {
                    self.spill(register);
                }
            }
        }
        self.check_slots(block);
        self.leave_block(&basic_block.terminator);
        self.at(self.analysis.points.at(block, basic_block.instructions.len()));
        self.terminator((block, copy), &basic_block.terminator);
    }

    /// In debug builds: what was [decided](Stores) is what was done, and the slots that are taken for current behind `block` are.
    fn check_slots(&self, block: Block) {
        let Some(stores) = self.stores.filter(|_| cfg!(debug_assertions)) else { return };
        self.body.block(block).terminator.each_successor(|successor| {
            let mut expected = stores.at_start(successor);
            expected.intersect(self.analysis.liveness.live_in(successor));
            let missing = expected.iter().find(|&register| !self.slots_current.contains(register));
            assert_eq!(
                missing, None,
                "{block} of {} does not store it for {successor}",
                self.unit.key.function
            );
        });
    }

    /// What follows belongs to `point`, and without one to the point before: where a load is merged
    /// into the instruction that uses its value, and nothing that can trap is between them, that
    /// instruction traps for the load.
    pub(super) fn at(&mut self, point: Option<osr_ir::Point>) {
        if let Some(point) = point {
            self.builder.set_srcloc(Origin::Point(point).location());
        }
    }

    /// A field of the context that does not change while the thread exists: loaded once in each block.
    pub(super) fn context_field(&mut self, offset: usize) -> ir::Value {
        self.once_in_block(BlockLocal::ContextField(offset), |builder, context| {
            let flags = MemFlagsData::trusted().with_readonly().with_can_move();
            builder.ins().load(types::I64, flags, context, offset as i32)
        })
    }

    /// The value that `make` makes, which it does once in each block.
    pub(super) fn once_in_block(
        &mut self,
        what: BlockLocal,
        make: impl FnOnce(&mut FunctionBuilder<'_>, ir::Value) -> ir::Value,
    ) -> ir::Value {
        let known = self.block_local.iter().find(|(known, _)| *known == what);
        if let Some(&(_, value)) = known {
            return value;
        }
        let value = make(&mut self.builder, self.context);
        self.block_local.push((what, value));
        value
    }

    fn instruction(&mut self, instruction: &Instruction, point: Option<osr_ir::Point>) {
        use Instruction as I;
        match *instruction {
            I::Const { dst, value: Value::V128(words) } => {
                let value = self.vector_constant(words);
                self.write(dst, value);
            }
            I::Const { dst, value } => {
                let bits = value.to_bits();
                let value = self.constant(value.ty(), bits);
                self.write(dst, value);
                self.constants[dst.index()] = Some(bits);
            }
            I::Vector { op, lane, dst, ref operands } => {
                let value = self.vector(op, lane, operands);
                self.write(dst, value);
            }
            I::Shuffle { lanes, dst, lhs, rhs } => {
                let value = self.shuffle(lanes, lhs, rhs);
                self.write(dst, value);
            }
            I::Copy { dst, src } => {
                let value = self.held(src);
                let constant = self.constants[src.index()];
                self.write(dst, value);
                self.constants[dst.index()] = constant;
            }
            I::Unary { op, dst, src } => {
                let value = self.unary(op, src);
                self.write(dst, value);
            }
            I::Binary { op, dst, lhs, rhs } => {
                let operands = (self.read(lhs), self.read(rhs));
                let value = self.binary(op, operands);
                self.write(dst, value);
            }
            I::Select { dst, condition, if_true, if_false } => {
                let (condition, yes, no) = (self.read(condition), self.held(if_true), self.held(if_false));
                let value = self.builder.ins().select(condition, yes, no);
                self.write(dst, value);
            }
            I::Load { memory, op, dst, address, offset } => {
                let value = self.load(op, (memory, address, offset), point);
                if self.load_merging == LoadMerging::Prevented {
                    // Emits nothing, but the load cannot be moved over it.
                    self.builder.ins().sequence_point();
                }
                self.write(dst, value);
            }
            I::Store { memory, op, address, value, offset } => {
                self.store(op, (memory, address, offset), value, point);
            }
            I::GlobalGet { dst, global } => self.global_get(dst, global),
            I::GlobalSet { global, src } => self.global_set(global, src),
            I::MemorySize { .. }
            | I::TableSize { .. }
            | I::TableRefers { .. }
            | I::TableGet { .. }
            | I::TableSet { .. } => self.size_or_entry(instruction),
            I::RefFunc { dst, function } => {
                let word = self.unit.linked.reference(function);
                let value = self.builder.ins().iconst(types::I64, word as i64);
                self.write(dst, value);
            }
            I::TrapIf { condition, kind } => {
                let condition = self.read(condition);
                self.builder.ins().trapnz(condition, trap_code(kind));
            }
            // The terminator leaves.
            I::Interpret => {}
            _ => self.call(instruction, point.expect("calls have points")),
        }
    }

    /// The size of a memory or table, or an entry of a table, read or written.
    fn size_or_entry(&mut self, instruction: &Instruction) {
        use Instruction as I;
        match *instruction {
            I::MemorySize { memory, dst } => {
                let pages = self.memory_pages(memory);
                let value = self.builder.ins().uload32(MemFlagsData::trusted(), pages, 0);
                self.write(dst, value);
            }
            I::TableSize { table, dst } => {
                let length = self.table_length(table);
                self.write(dst, length);
            }
            I::TableRefers { table, dst, index, function } => {
                let refers = self.table_refers(table, index, function);
                self.write(dst, refers);
            }
            I::TableGet { table, dst, index } => {
                let address = self.table_entry(table, index, TrapKind::TableOutOfBounds);
                let value = self.builder.ins().load(types::I64, MemFlagsData::trusted(), address, 0);
                self.write(dst, value);
            }
            I::TableSet { table, index, value } => {
                let address = self.table_entry(table, index, TrapKind::TableOutOfBounds);
                let value = self.read(value);
                self.builder.ins().store(MemFlagsData::trusted(), value, address, 0);
            }
            _ => unreachable!("no other instruction is of a table"),
        }
    }

    /// Stores `value` as whole words at `base + offset`.
    pub(super) fn store_word(&mut self, value: ir::Value, base: ir::Value, offset: i32) {
        let word = self.word(value);
        let flags = in_words(self.builder.func.dfg.value_type(word));
        self.builder.ins().store(flags, word, base, offset);
    }

    /// `value` as a word whose high half is zero where the type has 32 bits.
    pub(super) fn word(&mut self, value: ir::Value) -> ir::Value {
        match self.builder.func.dfg.value_type(value) {
            types::I32 => self.builder.ins().uextend(types::I64, value),
            types::F32 => {
                let bits = self.builder.ins().bitcast(types::I32, MemFlagsData::new(), value);
                self.builder.ins().uextend(types::I64, bits)
            }
            _ => value,
        }
    }

    fn terminator(&mut self, (block, copy): (Block, u8), terminator: &Terminator) {
        let here = (block, copy);
        if let Some(guard) = self.guard_of(block, terminator) {
            return self.guard(here, guard);
        }
        match terminator {
            Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => {
                self.leave_for_interpreter(block);
            }
            Terminator::Jump { target } => {
                let target = self.edge(here, *target);
                self.builder.ins().jump(target, &[]);
            }
            Terminator::Branch { condition, if_true, if_false }
            | Terminator::Guard { condition, next: if_true, exit: if_false } => {
                let condition = self.read(*condition);
                self.profile_branch(block, condition);
                let (yes, no) = (self.edge(here, *if_true), self.edge(here, *if_false));
                let goes_back = self.analysis.points.goes_back(block, *if_true);
                if goes_back && yes != self.block(*if_true, 0) {
                    // Cranelift puts what is named last next to the branch: a poll, or another copy.
                    let leaves = self.negated(condition);
                    self.builder.ins().brif(leaves, no, &[], yes, &[]);
                } else {
                    self.builder.ins().brif(condition, yes, &[], no, &[]);
                }
            }
            Terminator::Switch { index, targets, default } => self.switch(here, *index, targets, *default),
            Terminator::Return { values } => self.return_values(values),
            Terminator::Unreachable => {
                // Emits nothing. A block that only traps would be folded into the branches that lead
                // to it, and the trap would be at their points.
                self.builder.ins().sequence_point();
                self.builder.ins().trap(trap_code(TrapKind::Unreachable));
            }
        }
    }

    /// Whether `condition` is zero. Of a comparison of floats it is the opposite comparison, which Cranelift
    /// does not find by itself.
    fn negated(&mut self, condition: ir::Value) -> ir::Value {
        use ir::{InstructionData, Opcode};
        let dfg = &self.builder.func.dfg;
        let definition = |value| dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        let mut defined = definition(condition);
        while let Some(InstructionData::Unary { opcode: Opcode::Uextend | Opcode::Ireduce, arg }) = defined {
            defined = definition(arg);
        }
        if let Some(InstructionData::FloatCompare { args: [a, b], cond, .. }) = defined {
            return self.builder.ins().fcmp(cond.complement(), a, b);
        }
        self.builder.ins().icmp_imm_u(IntCC::Equal, condition, 0)
    }

    fn switch(&mut self, here: (Block, u8), index: Register, targets: &[Block], default: Block) {
        let index = self.read(index);
        let default = self.edge(here, default);
        let targets: Vec<ir::Block> = targets.iter().map(|&target| self.edge(here, target)).collect();
        let pool = &mut self.builder.func.dfg.value_lists;
        let default = ir::BlockCall::new(default, [], pool);
        let targets: Vec<_> =
            targets.into_iter().map(|target| ir::BlockCall::new(target, [], pool)).collect();
        let data = ir::JumpTableData::new(default, &targets);
        let table = self.builder.create_jump_table(data);
        self.builder.ins().br_table(index, table);
    }

    fn return_values(&mut self, values: &[Register]) {
        let guest = self.unit.linked.module().function(self.unit.key.function).signature;
        let places = &self.unit.linked.layout(guest).results;
        let mut returned = Vec::new();
        let words: Vec<_> = values.iter().flat_map(|&register| self.read_words(register)).collect();
        for (value, &place) in words.into_iter().zip(places) {
            if let Place::Memory(n) = place {
                let results = self.context_field(offset_of!(Context, results));
                self.store_word(value, results, n as i32 * 8);
            } else {
                returned.push(value);
            }
        }
        self.count_exit();
        let returns = self.builder.ins().return_(&returned);
        self.builder.func.set_srcloc(returns, Origin::Return.location());
    }
}
