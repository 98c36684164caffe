//! The compiler: a unit to machine code with frame maps, by Cranelift.
//!
//! ```text
//!   Body ──recording──> what each safepoint must store
//!    └────translate───> CLIF ──Cranelift──> code, unwind rows
//!                        └──safepoints────> frame maps, trap sites
//! ```

mod attempt;
mod named_calls;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cranelift_codegen::Context as Cranelift;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_frontend::FunctionBuilderContext;
use gimli::write::CommonInformationEntry;
use osr_ir::{Body, GlobalIndex, Instruction};

pub(crate) use attempt::{Cells, LoadMerging, Request};

use crate::compiled_body::CompiledBody;
use crate::error::CompileError;
use crate::fallback::Fallback;
use crate::isa::isa;
use crate::residence::ResidenceCount;
use crate::settings::{BaselineCompiler, CompiledTier, ReturnSites, StateRecording};
use crate::single_pass::{Buffers, SinglePass};
use crate::source::{Merged, Source};
use crate::unit::Unit;
use attempt::{Failure, Scattering};

/// Compiles bodies for one machine.
pub struct Compiler {
    /// By tier.
    isas: [OwnedTargetIsa; 2],
    common_unwind: CommonInformationEntry,
    /// The other compiler of baseline code, or why this machine cannot have it.
    single_pass: Result<SinglePass, &'static str>,
    /// What compilations leave to the next.
    scratch: Mutex<Vec<Scratch>>,
}

/// Memory that a compilation needs.
struct Scratch {
    single_pass: Buffers,
    cranelift: Cranelift,
    builder_context: FunctionBuilderContext,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            single_pass: Buffers::default(),
            cranelift: Cranelift::new(),
            builder_context: FunctionBuilderContext::new(),
        }
    }
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Compiler({})", self.isas[0].triple())
    }
}

impl Compiler {
    /// A compiler for this machine.
    pub fn native() -> Compiler {
        let isas = CompiledTier::ALL.map(isa);
        let common_unwind = isas[0].create_systemv_cie().expect("x86-64 has System V unwind information");
        Compiler { isas, common_unwind, single_pass: SinglePass::native(), scratch: Mutex::default() }
    }

    /// The common part of all versions' unwind rows.
    pub fn common_unwind(&self) -> &CommonInformationEntry {
        &self.common_unwind
    }

    /// Compiles `unit`.
    ///
    /// # Errors
    /// If Cranelift refuses the body, or its frame would be larger than the unit allows.
    pub fn compile(&self, unit: &Unit<'_>) -> Result<CompiledBody, CompileError> {
        let residence = unit.settings.counts_residents.then(Box::<ResidenceCount>::default);
        let address = residence.as_ref().map(|count| count.address());
        let mut scratch = self.scratch().pop().unwrap_or_else(Scratch::new);
        let compiled = match self.single_pass(unit, address, &mut scratch.single_pass) {
            Some(Ok(compiled)) => Ok(compiled),
            Some(Err(reason)) => self.cranelift(unit, address, &mut scratch).map(|compiled| {
                let fallback = Some(Box::new(Fallback::Compiler { reason }));
                CompiledBody { fallback, ..compiled }
            }),
            None => self.cranelift(unit, address, &mut scratch),
        };
        self.scratch().push(scratch);
        Ok(CompiledBody { residence, ..compiled? })
    }

    /// By the single-pass compiler, if `unit` is for it, or why it refuses.
    fn single_pass(
        &self,
        unit: &Unit<'_>,
        residence: Option<i64>,
        buffers: &mut Buffers,
    ) -> Option<Result<CompiledBody, String>> {
        let is_wanted = unit.key.tier == CompiledTier::Baseline
            && unit.settings.baseline == BaselineCompiler::SinglePass
            && unit.settings.return_sites == ReturnSites::Plain;
        is_wanted.then(|| {
            let compiler = self.single_pass.as_ref().map_err(|reason| (*reason).to_owned())?;
            if unit.analysis.words.has_vectors() {
                return Err("it has vectors".to_owned());
            }
            let body = unit.linked.body(unit.key.function);
            if body.leaves_for_interpreter() {
                return Err("it makes tail calls, or says what it deoptimizes to".to_owned());
            }
            if unit.linked.module().memories.len() > 1 && body.accesses_further_memories() {
                return Err("it accesses further memories".to_owned());
            }
            let compiled = compiler.compile(unit, residence, buffers).map_err(|error| error.to_string())?;
            Ok(CompiledBody { stored_globals: stored_globals(unit, body), ..compiled })
        })
    }

    /// By Cranelift, in whichever way it can.
    fn cranelift(
        &self,
        unit: &Unit<'_>,
        residence: Option<i64>,
        scratch: &mut Scratch,
    ) -> Result<CompiledBody, CompileError> {
        let merged = Merged::of(unit)?;
        let source = Source::new(unit, merged.as_ref());
        let recording = match unit.key.tier {
            CompiledTier::Baseline => StateRecording::Slots,
            CompiledTier::Optimized => match unit.settings.recording {
                // A frame that leaves to make a tail call lands, or to deoptimize, whatever else does: also in an inlined body.
                StateRecording::None if source.body.leaves_for_interpreter() => StateRecording::Slots,
                recording => recording,
            },
        };
        let mut request = Request {
            unit: *unit,
            source,
            load_merging: LoadMerging::Allowed,
            cells: match unit.settings.has_near_words && unit.key.tier == CompiledTier::Optimized {
                true => Cells::Near,
                false => Cells::InContext,
            },
            scattering: Scattering::Refused,
            recording,
            residence,
        };
        // Where the frame is too large with one recording, it may not be with another. Slots are never scattered.
        let others = [StateRecording::Locations, StateRecording::Slots];
        let is_optimized = unit.key.tier == CompiledTier::Optimized && recording != StateRecording::None;
        let mut others = others.into_iter().filter(|&other| is_optimized && other != recording);
        // What would do, were its values not scattered.
        let mut scattered = None;
        let mut reason = String::new();
        let compiled = loop {
            match self.attempt(request, scratch) {
                Ok(compiled) => break compiled,
                Err(Failure::Refused(error @ CompileError::FrameTooLarge { .. })) => {
                    if let Some(scattered) = scattered.take() {
                        (request.recording, request.scattering) = (scattered, Scattering::Allowed);
                    } else {
                        request.recording = others.next().ok_or(error.clone())?;
                    }
                    reason = error.to_string();
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::TrapWithoutPoint) if request.load_merging == LoadMerging::Allowed => {
                    request.load_merging = LoadMerging::Prevented;
                }
                Err(Failure::TrapWithoutPoint) => {
                    debug_assert!(false, "instructions that trap have points: {:?}", unit.key);
                    return Err(CompileError::TrapWithoutPoint);
                }
                Err(Failure::NotReadable) => request.cells = Cells::InContext,
                Err(Failure::ImmovablePad) => {
                    reason = "a pad cannot be moved away from its code".to_owned();
                    request.recording = StateRecording::Slots;
                }
                Err(Failure::Scattered) => {
                    reason = "its frame would have several words for each value".to_owned();
                    scattered = Some(request.recording);
                    request.recording = StateRecording::Slots;
                }
                // Where pads or ways out are in the way, they are elsewhere with another recording.
                Err(Failure::NoRoom) => {
                    reason = CompileError::NoRoom.to_string();
                    request.recording = match request.recording {
                        StateRecording::Pads | StateRecording::CrossChecked => StateRecording::Locations,
                        StateRecording::Locations if is_optimized => StateRecording::Slots,
                        _ => return Err(CompileError::NoRoom),
                    };
                }
            }
        };
        let (from, to) = (recording, compiled.recording);
        let fallback = (from != to).then(|| Box::new(Fallback::Recording { from, to, reason }));
        let speculation = unit.speculation.cloned().map(Box::new);
        Ok(CompiledBody { fallback, speculation, ..compiled })
    }

    fn scratch(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The globals that what is compiled stores to, if they are asked for.
fn stored_globals(unit: &Unit<'_>, body: &Body) -> Box<[GlobalIndex]> {
    if !unit.settings.lists_stores {
        return Box::default();
    }
    let instructions = body.blocks.iter().flat_map(|block| &block.instructions);
    let stored = instructions.filter_map(|instruction| match instruction {
        Instruction::GlobalSet { global, .. } => Some(*global),
        _ => None,
    });
    stored.collect::<BTreeSet<_>>().into_iter().collect()
}
