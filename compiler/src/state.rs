//! What calls and polls do so that the frame state is known while they last.
//!
//! ```text
//!   slots       store v7 -> slot 2              the state is in the frame
//!               call f
//!
//!   locations   try_call f, context [v7]        the call itself uses v7, so that the allocator keeps it
//!                 normal: what follows          in a callee-saved register or a spill slot, and says where
//!
//!   pads        try_call f                      v7 is live into the handler, which stores it for whoever
//!                 normal: what follows          throws: a landing
//!                 handler: the pad (cold)
//! ```
//!
//! A *context* of an exception table is meant for those who throw exceptions: values that they need to
//! find a handler. Cranelift promises that each is where its metadata says when the call returns, which is
//! what a frame map is. Contexts are uses after the call's clobbers ("late, any place"): nothing is moved
//! for them, unless the value was in a register that the call does not preserve. The handler that the
//! table must name carries the safepoint's number as its tag; with locations nothing ever goes there.
//!
//! Calls at which nothing is live but results and constants are plain calls, whatever the recording.
//! [Polls](super::poll) store into slots, in a cold block.

use cranelift_codegen::ir::{
    self, BlockArg, BlockCall, DebugTag, ExceptionTableData, ExceptionTableItem, ExceptionTag, InstBuilder,
};
use osr_ir::{Point, Register};

use super::safepoint::{Recorded, Safepoint, State};
use super::translate::Translator;
use super::trap_site::never_trap_code;
use crate::calling_convention::Place;
use crate::frame_map::Location;
use crate::settings::StateRecording;

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

impl Translator<'_, '_> {
    /// Calls `callee` in such a way that the frame state is known when it returns. Gives what it returns in
    /// registers.
    pub(super) fn recorded_call(
        &mut self,
        signature: ir::SigRef,
        callee: Callee,
        arguments: &[ir::Value],
        resumption: Resumption<'_>,
    ) -> Vec<ir::Value> {
        let (state, kept) = match self.recording {
            StateRecording::None | StateRecording::Slots => (self.store_state(resumption), Vec::new()),
            _ => self.keep_state(resumption),
        };
        if kept.is_empty() {
            let call = match callee {
                Callee::At(address) => self.builder.ins().call_indirect(signature, address, arguments),
                Callee::Named(function) => self.builder.ins().call(function, arguments),
            };
            self.tag(call, resumption.point, state);
            self.forget_values();
            return self.builder.inst_results(call).to_vec();
        }
        let stored = self.recording.stores().then(|| self.store_state(resumption));
        let tag = ExceptionTag::from_u32(self.safepoints.len() as u32);
        let has_pad = self.recording.has_pads();
        self.safepoints.push(Safepoint { state, stored, has_pad, ..Safepoint::new(resumption.point) });
        let handler = if has_pad { self.builder.create_block() } else { self.nowhere() };
        let next = self.builder.create_block();
        let returned = self.try_call(signature, (callee, arguments), &kept, next, (tag, handler));
        if has_pad {
            self.fill_pad(handler, &kept);
        }
        self.builder.switch_to_block(next);
        self.builder.seal_block(next);
        returned
    }

    /// Calls `callee`, which returns to `next`. Gives what it returns.
    fn try_call(
        &mut self,
        signature: ir::SigRef,
        (callee, arguments): (Callee, &[ir::Value]),
        kept: &[(Register, ir::Value)],
        next: ir::Block,
        (tag, handler): (ExceptionTag, ir::Block),
    ) -> Vec<ir::Value> {
        let returns = self.builder.func.dfg.signatures[signature].returns.clone();
        let returned = returns.iter().map(|returned| returned.value_type);
        let returned = returned.map(|ty| self.builder.append_block_param(next, ty)).collect();
        let payload = if self.recording.has_pads() { 0..2 } else { 0..0 };
        let passed = (0..returns.len() as u32).map(BlockArg::TryCallRet);
        let pool = &mut self.builder.func.dfg.value_lists;
        let normal = BlockCall::new(next, passed, pool);
        let handler = BlockCall::new(handler, payload.map(BlockArg::TryCallExn), pool);
        let contexts = kept.iter().filter(|_| self.recording.locates());
        let items = contexts
            .map(|&(_, value)| ExceptionTableItem::Context(value))
            .chain([ExceptionTableItem::Tag(tag, handler)]);
        let table = ExceptionTableData::new(signature, normal, items);
        let table = self.builder.func.dfg.exception_tables.push(table);
        match callee {
            Callee::At(address) => self.builder.ins().try_call_indirect(address, arguments, table),
            Callee::Named(function) => self.builder.ins().try_call(function, arguments, table),
        };
        returned
    }

    /// Where everything that is live is, and the values that stay where the allocator keeps them.
    fn keep_state(&mut self, resumption: Resumption<'_>) -> (State, Vec<(Register, ir::Value)>) {
        let mut kept = Vec::new();
        let locates = self.recording.locates();
        let state = self.state(resumption, |translator, register| {
            kept.push((register, translator.read(register)));
            if locates { Recorded::Allocated(kept.len() - 1) } else { Recorded::Pad }
        });
        (state, kept)
    }

    /// Stores what is live and not yet in its slot; says where everything is. Nothing, if no state is
    /// recorded.
    pub(super) fn store_state(&mut self, resumption: Resumption<'_>) -> State {
        if self.recording == StateRecording::None {
            return Vec::new();
        }
        self.state(resumption, |translator, register| Recorded::Slot(translator.stored(register)))
    }

    /// Where everything that is live is: results where the call leaves them, constants nowhere, and
    /// `record` says it of the rest.
    fn state(
        &mut self,
        Resumption { point, results, places }: Resumption<'_>,
        mut record: impl FnMut(&mut Self, Register) -> Recorded,
    ) -> State {
        let analysis = self.analysis;
        let mut state = Vec::new();
        for &register in analysis.liveness.at(point) {
            let recorded = if let Some(position) = results.iter().position(|&result| result == register) {
                Recorded::Result(Location::of_result(places[position]))
            } else if let Some(bits) = self.constants[register.index()] {
                Recorded::Constant(bits)
            } else {
                record(self, register)
            };
            state.push((register, recorded));
        }
        state
    }

    /// Makes `call` a safepoint, with that state. Gives its number.
    pub(super) fn tag(&mut self, call: ir::Inst, point: Point, state: State) -> usize {
        let number = self.safepoints.len();
        self.safepoints.push(Safepoint { state, ..Safepoint::new(point) });
        self.builder.func.debug_tags.set(call, [DebugTag::User(number as u32)]);
        number
    }

    /// The block of handlers that nothing is ever thrown to. It is filled at the end.
    fn nowhere(&mut self) -> ir::Block {
        *self.nowhere.get_or_insert_with(|| self.builder.create_block())
    }

    /// Fills the block that nothing is ever thrown to, if there is one.
    pub(super) fn fill_nowhere(&mut self) {
        if let Some(nowhere) = self.nowhere {
            self.builder.set_cold_block(nowhere);
            self.builder.switch_to_block(nowhere);
            self.builder.ins().trap(never_trap_code());
        }
    }
}
