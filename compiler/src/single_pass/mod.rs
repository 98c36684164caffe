//! The single-pass compiler: baseline code straight from the body, one block after the other, each instruction once.
//!
//! ```text
//!   Body ──control──> blocks ──> instructions ──assembler──> machine code, trap sites
//!                        │             │
//!                        │           cache: which values are in machine registers
//!                      uses: which values are used again      └─ calls, polls ──> frame maps
//! ```
//!
//! It does what a compiler can that never looks back: constants go into operands, a comparison into the branch that follows,
//! and values stay in machine registers within a block, and from a block to the next if nothing else leads there. Everything
//! else is in the [frame](frame), where each register of the body has its slot.
//!
//! That is the design of V8's Liftoff and Wizard's SPC (Titzer, "Whose baseline compiler is it anyway?", CGO 2024), as
//! far as registers go, and of Sparkplug and of SpiderMonkey's baseline compiler, as far as frames go: a frame that
//! mirrors the interpreter's needs no map for each point.

mod assembler;
mod cache;
mod calls;
mod constants;
mod control;
mod flags;
mod float;
mod frame;
mod integer;
pub(crate) mod machine;
mod memory;
mod moves;
mod polls;
#[cfg(test)]
mod tests;
mod truncation;
mod uses;
mod values;

use osr_ir::liveness::RegisterSet;
use osr_ir::{Block, Body, Instruction, Point, Register, Terminator, UnaryOp};
use osr_stubs::Context;

use assembler::{Assembler, Label};
use cache::Cache;
use constants::Constants;
use control::{JumpTable, Layout};
use flags::Test;
use frame::Frame;
use integer::Binary;
use machine::{CONTEXT, MEMORY, PROFILE, RDI, Width};
use moves::Move;
use polls::Cold;
use uses::UseFinder;

use crate::analysis::Analysis;
use crate::calling_convention::Place;
use crate::compiled_body::CompiledBody;
use crate::error::CompileError;
use crate::frame_map::{FrameMapBuilder, FrameMapEntry, Location, Mirrored, MirroredSites};
use crate::settings::StateRecording;
use crate::unit::Unit;

/// What processors may have that this compiler makes use of.
#[derive(Clone, Copy, Debug)]
struct Features {
    lzcnt: bool,
    bmi1: bool,
    popcnt: bool,
}

/// The compiler.
#[derive(Debug)]
pub(crate) struct SinglePass {
    features: Features,
}

/// Memory that one compilation leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    assembler: Assembler,
    cache: Cache,
    constants: Constants,
    uses: UseFinder,
    layout: Layout,
    moves: Vec<Move>,
    cold: Vec<Cold>,
    sites: MirroredSites,
    tables: Vec<JumpTable>,
    live_out: RegisterSet,
    switch_live: RegisterSet,
}

/// The compilation of a body.
struct Pass<'u> {
    unit: Unit<'u>,
    body: &'u Body,
    analysis: &'u Analysis,
    features: Features,
    frame: Frame,
    assembler: Assembler,
    buffers: &'u mut Buffers,
    /// The frame maps, if they are not by rule.
    maps: Option<FrameMapBuilder>,
    /// The address that activations are counted at, if they are.
    residence: Option<u64>,
    /// The instructions of the block that is compiled.
    block_instructions: &'u [Instruction],
    block_terminator: Option<&'u Terminator>,
    /// What the flags say of a register that is nowhere else.
    flags: Option<(Register, Test)>,
    /// The block that finds machine registers as they are where the one before it ends.
    kept_for: Option<Block>,
    /// Where the function ends.
    epilogue: Option<Label>,
}

impl SinglePass {
    /// The compiler for this machine.
    ///
    /// # Errors
    /// If the machine lacks what every code of this compiler needs: the reason.
    pub(crate) fn native() -> Result<SinglePass, &'static str> {
        if !std::is_x86_feature_detected!("sse4.1") {
            return Err("the processor has no SSE 4.1, which rounding needs");
        }
        Ok(SinglePass {
            features: Features {
                lzcnt: std::is_x86_feature_detected!("lzcnt"),
                bmi1: std::is_x86_feature_detected!("bmi1"),
                popcnt: std::is_x86_feature_detected!("popcnt"),
            },
        })
    }

    /// Compiles `unit`; its activations are counted at `residence`, if they are.
    ///
    /// # Errors
    /// [`CompileError::FrameTooLarge`].
    pub(crate) fn compile(
        &self,
        unit: &Unit<'_>,
        residence: Option<i64>,
        buffers: &mut Buffers,
    ) -> Result<CompiledBody, CompileError> {
        let body = unit.linked.body(unit.key.function);
        let frame = Frame::of(unit, body);
        let limit = unit.settings.frame_limit;
        if frame.bytes() > u64::from(limit) {
            let bytes = u32::try_from(frame.bytes()).unwrap_or(u32::MAX);
            return Err(CompileError::FrameTooLarge { bytes, limit });
        }
        buffers.cache.reset(body.registers.len());
        buffers.uses.reset(body.registers.len());
        buffers.constants.reset(unit, body);
        let mut assembler = std::mem::take(&mut buffers.assembler);
        assembler.clear();
        let pass = Pass {
            unit: *unit,
            body,
            analysis: unit.analysis,
            features: self.features,
            frame,
            assembler,
            buffers,
            maps: frame.has_several_results.then(FrameMapBuilder::default),
            residence: residence.map(|address| address as u64),
            block_instructions: &[],
            block_terminator: None,
            flags: None,
            kept_for: None,
            epilogue: None,
        };
        Ok(pass.run())
    }
}

impl Pass<'_> {
    fn run(mut self) -> CompiledBody {
        let unwind = self.frame.enter(&mut self.assembler);
        self.assembler.move_gpr(Width::Bits64, CONTEXT, RDI);
        if self.frame.has_memory {
            self.load_context(MEMORY, std::mem::offset_of!(Context, memory_base));
        }
        if let Some(profile) = self.unit.profile {
            self.assembler.set(PROFILE, profile.address());
        }
        self.blocks(self.unit.key.entry);
        self.cold_code();
        self.jump_tables();
        self.assembler.finish();
        let frame_maps = match self.maps {
            Some(maps) => maps.finish(),
            None => {
                let (body, liveness) = (self.body, &self.analysis.liveness);
                let frame = Mirrored { body, liveness, lowest_slot: self.frame.lowest_slot() };
                self.buffers.sites.finish(frame, |register| self.buffers.constants.everywhere(register))
            }
        };
        let compiled = CompiledBody {
            code: self.assembler.code().into(),
            frame_maps,
            trap_sites: self.assembler.sink.trap_sites.as_slice().into(),
            recording: StateRecording::Slots,
            pads: None,
            slot_maps: None,
            virtual_frames: None,
            polls: None,
            in_place: Box::default(),
            residence: None,
            kept_return_pc: self.frame.kept_return_pc(),
            unwind,
            direct_calls: std::mem::take(&mut self.assembler.direct_calls),
            near_accesses: Vec::new(),
            guards: Box::default(),
            speculation: None,
            kept_globals: Box::default(),
            stored_globals: Box::default(),
            fallback: None,
        };
        self.buffers.assembler = self.assembler;
        compiled
    }

    /// The call before this was a safepoint, where execution resumes at `point`; it has these results.
    fn site(&mut self, point: Point, results: &[Register], places: &[Place]) {
        let (offset, kind) = (self.assembler.offset(), self.analysis.points.kind(point));
        if self.maps.is_none() {
            debug_assert!(!matches!(places.first(), Some(Place::Memory(_))) && results.len() < 2);
            let result = results.first().map(|&result| (result, self.ty(result)));
            return self.buffers.sites.site(offset, (point, kind), result);
        }
        let live = self.analysis.liveness.at(point);
        let entries = live.iter().map(|&register| self.entry(register, results, places)).collect();
        if let Some(maps) = &mut self.maps {
            maps.site(offset, (point, kind), entries);
        }
    }

    /// Where `register` is after a call with these results, of a function that calls others with several results.
    fn entry(&mut self, register: Register, results: &[Register], places: &[Place]) -> FrameMapEntry {
        let result = results.iter().position(|&result| result == register);
        let location = match (result, self.buffers.constants.everywhere(register), &mut self.maps) {
            (Some(position), ..) => Location::of_result(places[position]),
            (None, Some(bits), Some(maps)) => maps.constant(bits),
            (None, ..) => Location::FrameSlot(self.frame.slot_offset(register)),
        };
        FrameMapEntry { register, location, wide: self.width(register).is_wide() }
    }

    /// Compiles instruction number `index` of the block, which is at `point`, if it is at one.
    fn instruction(&mut self, instruction: &Instruction, point: Option<Point>, index: usize) {
        use Instruction as I;
        self.assembler.at(point);
        let uses = self.buffers.uses.uses[index];
        if uses.is_unused() && !instruction.definitions().is_empty() && !has_effect(instruction) {
            return self.release(instruction, index);
        }
        match *instruction {
            I::Const { dst, value } => self.define_constant(dst, value.to_bits()),
            I::Copy { dst, src } => self.copy(dst, src, uses.dies(0)),
            I::Unary { op, dst, src } => self.unary(op, dst, (src, uses.dies(0)), index),
            I::Binary { op, dst, lhs, rhs } => {
                let binary = Binary { dst, lhs, rhs, uses };
                if !self.comparison(op, binary, index) {
                    match self.ty(lhs).is_float() {
                        true => self.float_binary(op, binary),
                        false => self.integer_binary(op, binary),
                    }
                }
            }
            I::Select { dst, condition, if_true, if_false } => {
                let dies = [0, 1, 2].map(|operand| uses.dies(operand));
                self.select(dst, condition, [if_true, if_false], dies);
            }
            I::Load { op, dst, address, offset, .. } => self.load(op, dst, (address, uses.dies(0)), offset),
            I::Store { op, address, value, offset, .. } => self.store_to_memory(op, address, value, offset),
            I::GlobalGet { dst, global } => self.global_get(dst, global),
            I::GlobalSet { global, src } => self.global_set(global, src),
            I::MemorySize { dst, .. } => self.memory_size(dst),
            I::TableSize { table, dst } => self.table_size(table, dst),
            I::TableRefers { table, dst, index, function } => self.table_refers(table, dst, index, function),
            I::TableGet { table, dst, index } => self.table_get(table, dst, index),
            I::TableSet { table, index, value } => self.table_set(table, index, value),
            I::TrapIf { condition, kind } => {
                self.trap_if_not_zero(condition, uses.dies(0), kind);
            }
            I::RefFunc { dst, function } => self.define_constant(dst, self.unit.linked.reference(function)),
            _ => {
                self.buffers.cache.unlock_all();
                self.call(instruction, point.expect("calls have points"));
                self.buffers.cache.unlock_all();
                return;
            }
        }
        self.release(instruction, index);
    }

    /// Operands of instruction number `index` that are not used again need no machine registers any more.
    fn release(&mut self, instruction: &Instruction, index: usize) {
        let uses = self.buffers.uses.uses[index];
        let definitions = instruction.definitions();
        if uses.is_unused() {
            definitions.iter().for_each(|&register| self.buffers.cache.forget(register));
        }
        let mut operand = 0;
        instruction.each_use(|register| {
            if uses.dies(operand) && !definitions.contains(&register) {
                self.buffers.cache.forget(register);
            }
            operand += 1;
        });
        self.buffers.cache.unlock_all();
    }

    fn unary(&mut self, op: UnaryOp, dst: Register, (src, dies): (Register, bool), index: usize) {
        use UnaryOp::*;
        match op {
            I32Eqz | I64Eqz | RefIsNull | ExternIsNull | ExnIsNull => {
                self.compare_zero(dst, src, dies, index)
            }
            I32Clz | I32Ctz | I32Popcnt | I64Clz | I64Ctz | I64Popcnt | I32Extend8S | I32Extend16S
            | I64Extend8S | I64Extend16S | I64Extend32S | I32WrapI64 | I64ExtendI32S | I64ExtendI32U => {
                self.integer_unary(op, dst, src, dies);
            }
            _ if op.operands()[0] == op.result() => self.float_unary(op, dst, src, dies),
            _ => self.conversion(op, dst, src, dies),
        }
    }
}

/// Whether `instruction` does more than define something.
fn has_effect(instruction: &Instruction) -> bool {
    instruction.is_call() || instruction.may_trap()
}
