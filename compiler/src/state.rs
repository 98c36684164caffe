//! What calls and polls do so that the frame state is known while they last.
//!
//! ```text
//!   slots       store v7 -> slot 2              the state is in the frame
//!               call f
//!
//!   locations   try_call f, context [v7]        the call itself uses v7, so that the allocator keeps it
//!                 normal: what follows          in a callee-saved register or a spill slot, and says where
//!
//!   pads        try_call f                      v7 is live into the handler, which stores it when
//!                 normal: what follows          a landing throws
//!                 handler: the pad (cold)
//! ```
//!
//! A *context* of an exception table is meant for unwinders: values that they need to
//! find a handler. Cranelift promises that each is where its metadata says when the call returns, which is
//! what a frame map is. Contexts are uses after the call's clobbers ("late, any place"): nothing is moved
//! for them, unless the value was in a register that the call does not preserve. With locations the table names no
//! handler: the block of one, or of the edge to it, would lie between the call and what follows, and all
//! values would be dead there, which is what makes code explode ([`docs/live_ranges.md`](../docs/live_ranges.md)).
//!
//! Calls at which nothing is live but results and constants are plain calls, whatever the recording. Pads store
//! a dozen values at most; calls at which more are live have locations instead.

use cranelift_codegen::ir::{self, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, InstBuilder};
use osr_ir::{Point, Register};

use super::safepoint::{Origin, Recorded, Safepoint, State};
use super::translate::Translator;
use crate::calling_convention::Place;
use crate::frame_map::Location;
use crate::settings::{CompiledTier, StateRecording};

/// A safepoint: where execution resumes after it, and what the call itself will write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resumption<'r> {
    /// The point.
    pub(super) point: Point,
    /// The registers that take the results.
    pub(super) results: &'r [Register],
    /// Where the results are returned.
    pub(super) places: &'r [Place],
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callee {
    /// The code at an address.
    At(ir::Value),
    /// A function of the module, directly.
    Named(ir::FuncRef),
}

/// How a call makes the frame state known: in at least one of these ways, if at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// It is stored into slots before.
    stores: bool,
    /// It stays where the allocator has it.
    locates: bool,
    /// A pad stores it.
    has_pad: bool,
}

impl Keeping {
    /// Where the state is not known.
    const NOTHING: Keeping = Keeping { stores: false, locates: false, has_pad: false };

    /// How a call does that at which `live` registers are live.
    fn at_call(recording: StateRecording, live: usize) -> Keeping {
        let is_small = live <= MOST_PAD_VALUES || recording == StateRecording::CrossChecked;
        let has_pad = recording.has_pads() && is_small;
        let locates = recording.locates() || recording.has_pads() && !is_small;
        Keeping { stores: recording.stores(), locates, has_pad }
    }

    /// How the call does that by which a poll leaves the frame: it stores. The stores are executed where the frame is left
    /// and nowhere else, and what the loop keeps in registers ends with them. A context would be a use behind the
    /// call's clobbers: for that the allocator keeps the floats of a loop in memory, of which no call preserves any.
    pub(super) fn where_left(recording: StateRecording) -> Keeping {
        let locates = recording == StateRecording::CrossChecked;
        Keeping { stores: recording != StateRecording::None, locates, has_pad: false }
    }

    /// Whether values are kept for it.
    fn has_values(self) -> bool {
        self.locates || self.has_pad
    }
}

/// How many values a pad stores at most: each is an instruction of code that is seldom executed.
const MOST_PAD_VALUES: usize = 12;

impl Translator<'_, '_> {
    /// Calls `callee` in such a way that the frame state is known when it returns. Returns what it returns in
    /// registers.
    pub(super) fn recorded_call(
        &mut self,
        signature: ir::SigRef,
        callee: Callee,
        arguments: &[ir::Value],
        resumption: Resumption<'_>,
    ) -> Vec<ir::Value> {
        let keeping = match self.checks_returns() && self.tier == CompiledTier::Optimized {
            true => Keeping::NOTHING,
            false => Keeping::at_call(self.recording, self.analysis.liveness.at(resumption.point).len()),
        };
        let (call, safepoint, returned) =
            self.call_with_state(signature, (callee, arguments), resumption, keeping);
        self.forget_values();
        self.record_safepoint(call, safepoint);
        returned
    }

    /// Calls `callee`, keeping the frame state. What follows the call is in a block of its own, if it must be.
    pub(super) fn call_with_state(
        &mut self,
        signature: ir::SigRef,
        (callee, arguments): (Callee, &[ir::Value]),
        resumption: Resumption<'_>,
        keeping: Keeping,
    ) -> (ir::Inst, Safepoint, Vec<ir::Value>) {
        let (state, kept) = match keeping {
            _ if keeping.has_values() => self.keep_state(resumption, keeping),
            Keeping { stores: true, .. } => (self.store_state(resumption), Vec::new()),
            _ => (State::new(), Vec::new()),
        };
        let safepoint = Safepoint { state, ..Safepoint::new(resumption.point) };
        if kept.is_empty() {
            let call = match callee {
                Callee::At(address) => self.builder.ins().call_indirect(signature, address, arguments),
                Callee::Named(function) => self.builder.ins().call(function, arguments),
            };
            return (call, safepoint, self.builder.inst_results(call).to_vec());
        }
        let stored = keeping.stores.then(|| self.store_state(resumption));
        let pad = keeping.has_pad.then(|| self.builder.create_block());
        let next = self.builder.create_block();
        let contexts = if keeping.locates { &*kept } else { &[] };
        let (call, returned) = self.try_call(signature, (callee, arguments), contexts, next, pad);
        if let Some(pad) = pad {
            self.fill_pad(pad, &kept);
        }
        self.builder.switch_to_block(next);
        self.builder.seal_block(next);
        (call, Safepoint { stored, has_pad: keeping.has_pad, ..safepoint }, returned)
    }

    /// Calls `callee`, which returns to `next`, or throws to `pad`. Returns what it returns as well.
    fn try_call(
        &mut self,
        signature: ir::SigRef,
        (callee, arguments): (Callee, &[ir::Value]),
        contexts: &[(Register, ir::Value)],
        next: ir::Block,
        pad: Option<ir::Block>,
    ) -> (ir::Inst, Vec<ir::Value>) {
        let returns = self.builder.func.dfg.signatures[signature].returns.clone();
        let returned = returns.iter().map(|returned| returned.value_type);
        let returned = returned.map(|ty| self.builder.append_block_param(next, ty)).collect();
        let passed = (0..returns.len() as u32).map(BlockArg::TryCallRet);
        let pool = &mut self.builder.func.dfg.value_lists;
        let normal = BlockCall::new(next, passed, pool);
        let pad = pad.map(|pad| BlockCall::new(pad, (0..2).map(BlockArg::TryCallExn), pool));
        let contexts = contexts.iter().map(|&(_, value)| ExceptionTableItem::Context(value));
        let items = contexts.chain(pad.map(ExceptionTableItem::Default));
        let table = ExceptionTableData::new(signature, normal, items);
        let table = self.builder.func.dfg.exception_tables.push(table);
        let call = match callee {
            Callee::At(address) => self.builder.ins().try_call_indirect(address, arguments, table),
            Callee::Named(function) => self.builder.ins().try_call(function, arguments, table),
        };
        (call, returned)
    }

    /// Where everything that is live is, and the values that stay where the allocator keeps them.
    fn keep_state(
        &mut self,
        resumption: Resumption<'_>,
        Keeping { locates, .. }: Keeping,
    ) -> (State, Vec<(Register, ir::Value)>) {
        let mut kept = Vec::new();
        let state = self.state(
            resumption,
            |_, _| false,
            |translator, register| {
                kept.push((register, translator.held(register)));
                if locates { Recorded::Allocated(kept.len() - 1) } else { Recorded::Pad }
            },
        );
        (state, kept)
    }

    /// Stores what is live and not yet in its slot; says where everything is. Nothing, if no state is
    /// recorded.
    pub(super) fn store_state(&mut self, resumption: Resumption<'_>) -> State {
        if self.recording == StateRecording::None {
            return Vec::new();
        }
        // A constant of optimized code that is in its slot stays there: a slot is current from its store on.
        let is_stored = |translator: &Self, register| {
            translator.tier == CompiledTier::Optimized && translator.slots_current.contains(register)
        };
        self.state(resumption, is_stored, |translator, register| Recorded::Slot(translator.spill(register)))
    }

    /// Where everything that is live is: results where the call leaves them, constants nowhere, unless they are
    /// `recorded_anyway`, and `record` says it of the rest.
    fn state(
        &mut self,
        Resumption { point, results, places }: Resumption<'_>,
        recorded_anyway: impl Fn(&Self, Register) -> bool,
        mut record: impl FnMut(&mut Self, Register) -> Recorded,
    ) -> State {
        let analysis = self.analysis;
        let mut state = Vec::new();
        for &register in analysis.liveness.at(point) {
            let recorded = if let Some(position) = results.iter().position(|&result| result == register) {
                let first: usize =
                    results[..position].iter().map(|&result| self.body.ty(result).words()).sum();
                let places = &places[first..first + self.body.ty(register).words()];
                let low = Location::of_result(places[0]);
                Recorded::Result(low, places.get(1).map_or(low, |&place| Location::of_result(place)))
            } else if let Some(bits) = self.constants[register.index()]
                && !recorded_anyway(self, register)
            {
                Recorded::Constant(bits)
            } else {
                record(self, register)
            };
            state.push((register, recorded));
        }
        state
    }

    /// Makes `call` that safepoint. Returns the safepoint's number.
    pub(super) fn record_safepoint(&mut self, call: ir::Inst, safepoint: Safepoint) -> usize {
        let number = self.safepoints.len();
        self.safepoints.push(safepoint);
        self.builder.func.set_srcloc(call, Origin::Safepoint(number).location());
        number
    }
}
