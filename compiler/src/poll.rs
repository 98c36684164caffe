//! Polls and the stack check: where compiled code looks whether a poll is requested.
//!
//! ```text
//!   entry:   cmp rsp, [limit]        optimized code,     again:   cmp [request], -1
//!            jb  cold                back-edges:                  jne header
//!   ...                                                           jmp cold
//!   cold:    store the frame state                       cold:    call left_poll, with the frame state
//!            call poll
//!            jmp back
//! ```
//!
//! At an entry the comparison is the stack check, too; optimized functions that call nothing have none. In
//! a loop the frame has not grown, and a copy of the stack pointer would take a register: there it is with
//! the value that requests polls. The context would take one as well: so it is a [word near the code](crate::emitted::near_polls)
//! that is compared, where the machine code is read.
//!
//! What a loop pays for a poll beyond the comparison is what the optimizer and the allocator do for its cold
//! block. An ordinary call would clobber the vector registers: the stub preserves every register, and has no argument. A use of
//! the frame state inside the loop, be it never executed, weighs as much as any other there, and pushes
//! values that the loop needs out of their registers: so to Cranelift the cold block leaves the frame for good, and is in no
//! loop. From such a block on, Cranelift hoists nothing out of the loop any
//! more: so the poll is the last thing in the loop, on the back-edge, as in HotSpot and V8. That the frame may stay is
//! [written into the machine code](crate::emitted::poll_exits): a call of the stub, where the cold block begins, that comes back to
//! the other side of the branch. What the block would store is read from it, and mostly nothing else remains of it.
//! Where it cannot be read, the frame map of a poll says where the state is at the call that leaves. Code whose machine code is not to be
//! read has a call of the stub in the cold block, a test whether the frame leaves, and an edge back.
//!
//! All back-edges of a loop lead to one poll, where the versions of all registers that the loop changes meet
//! once more than without it. Few edges bear that; in a dispatch loop, whose every arm ends with a back-edge, it
//! multiplies the code ([`docs/live_ranges.md`](../docs/live_ranges.md)). Such a loop polls at its header, where they
//! meet anyway.
//!
//! Where the setting is a [cheaper poll](Poll::is_overwritten), loops are compiled as they are for the stack limit, and
//! the comparison is overwritten in memory with what costs less while no poll is requested ([`poll_sites`](crate::emitted::poll_sites)).
//!
//! Baseline code, whose allocator has no idea of loops, polls at the header and stores before it calls.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, MemFlagsData, types};
use cranelift_codegen::isa::CallConv;
use osr_ir::{Block, Point, Points, TrapKind};
use osr_stubs::{Context, POLL_REQUEST};

use super::safepoint::{Origin, Safepoint};
use super::state::{Callee, Keeping, Resumption};
use super::translate::{Pending, Translator};
use super::trap_site::{never_trap_code, trap_code};
use crate::compiler::Cells;
use crate::emitted::near_access::Called;
use crate::settings::{CompiledTier, Poll, ReturnSites, StateRecording};

/// How many back-edges a loop may have that polls on them.
const MOST_BACK_EDGES: u32 = 4;

impl Translator<'_, '_> {
    /// A poll at `point`, the entry or a loop header. Code that profiles counts down here as well, and polls
    /// when the countdown has ended.
    pub(super) fn poll(&mut self, point: Point) {
        self.at(Some(point));
        let (cold, next) = (self.cold_block(), self.builder.create_block());
        if let Some(left) = self.profile_arrival(point) {
            let counted = self.builder.create_block();
            self.builder.ins().brif(left, counted, &[], cold, &[]);
            self.builder.switch_to_block(counted);
        }
        let is_entry = point == Points::entry();
        if is_entry && self.checks == Poll::Flag {
            let flag_checked = self.builder.create_block();
            let exhausted = self.is_below_limit();
            self.builder.ins().brif(exhausted, cold, &[], flag_checked, &[]);
            self.builder.switch_to_block(flag_checked);
        }
        let is_checked_by_limit = is_entry && self.checks != Poll::Flag;
        let wanted =
            if is_checked_by_limit { self.is_below_limit() } else { self.compare_request(IntCC::Equal) };
        self.builder.ins().brif(wanted, cold, &[], next, &[]);
        if self.checks_returns() {
            self.fill_poll(cold, point, next);
            return self.continue_at(next);
        }
        self.builder.switch_to_block(cold);
        let slots_current = self.slots_current.clone();
        let state = self.store_state(Resumption { point, results: &[], places: &[] });
        let call = self.call_poll();
        self.record_safepoint(call, Safepoint { state, ..Safepoint::new(point) });
        self.builder.ins().jump(next, &[]);
        self.slots_current = slots_current;
        self.continue_at(next);
    }

    /// What follows is in `next`, and knows what is known here.
    pub(super) fn continue_at(&mut self, next: ir::Block) {
        self.builder.switch_to_block(next);
        if self.has_slots() {
            // Whatever is needed again is cheaper made again than carried over.
            self.block_local.clear();
        }
    }

    /// Whether something is checked at the entry. Optimized code that calls nothing needs no check of the
    /// stack, since its caller has left it [enough](super::check), and no poll: it is soon over, or it loops.
    pub(super) fn checks_entry(&self) -> bool {
        let mut instructions = self.body.blocks.iter().flat_map(|block| &block.instructions);
        self.tier == CompiledTier::Baseline
            || self.unit.settings.shows_arrivals
            || instructions.any(|instruction| instruction.is_call())
    }

    /// Whether the loop of `header` polls there, not on its back-edges.
    fn polls_at(&self, header: Block) -> bool {
        self.tier == CompiledTier::Baseline
            || !self.unit.settings.shows_arrivals && self.analysis.points.back_edges(header) > MOST_BACK_EDGES
    }

    /// The poll at the entry of an inlined body, if `block` is one, and arrivals there are to be seen.
    pub(super) fn poll_at_inlined_entry(&mut self, block: Block) {
        if let Some(point) = self.analysis.points.entry_of(block).filter(|_| self.checks.stops_loops()) {
            self.poll(point);
        }
    }

    /// The poll of the loop of `header`, where that is what follows, if it is there.
    pub(super) fn poll_at_header(&mut self, header: Block) {
        let point = self.analysis.points.header(header).filter(|_| self.checks.stops_loops());
        let Some(point) = point.filter(|_| self.polls_at(header)) else { return };
        if self.tier == CompiledTier::Baseline {
            return self.poll(point);
        }
        let (cold, next) = (self.cold_block(), self.builder.create_block());
        self.branch_at_poll(point, IntCC::Equal, [cold, next]);
        self.fill_poll(cold, point, next);
        self.builder.switch_to_block(next);
    }

    /// The CLIF block that the edge to `to` leads to from the block that is translated, which is copy number
    /// `copy` of `from`: that of `to`, or a poll before it.
    pub(super) fn edge(&mut self, (from, copy): (Block, u8), to: Block) -> ir::Block {
        let next = self.unrolling.copy(from, copy, to);
        // Between the copies of a loop nothing goes back.
        let goes_back = next == 0 && self.analysis.points.goes_back(from, to);
        if !goes_back || !self.checks.stops_loops() || self.polls_at(to) {
            return self.block(to, next);
        }
        *self.back_edges[to.index()].get_or_insert_with(|| {
            self.pending.push(Pending::BackEdge(to));
            self.builder.create_block()
        })
    }

    /// Fills the block that is the back-edge to `header`.
    pub(super) fn go_back(&mut self, header: Block) {
        let point = self.analysis.points.header(header).expect("back-edges lead to loop headers");
        let (cold, next) = (self.cold_block(), self.block(header, 0));
        self.branch_at_poll(point, IntCC::NotEqual, [next, cold]);
        self.fill_poll(cold, point, next);
    }

    /// The comparison and the branch of the poll at `point`, whose machine code is found by its location.
    fn branch_at_poll(&mut self, point: Point, condition: IntCC, [yes, no]: [ir::Block; 2]) {
        self.builder.set_srcloc(Origin::Poll(point).location());
        let condition = match self.has_one_way_polls() && self.checks != Poll::Flag {
            true => self.compare_near_request(condition),
            false => self.compare_request(condition),
        };
        self.builder.ins().brif(condition, yes, &[], no, &[]);
        self.at(Some(point));
    }

    pub(super) fn cold_block(&mut self) -> ir::Block {
        let block = self.builder.create_block();
        self.builder.set_cold_block(block);
        block
    }

    /// Fills `cold`, where the poll at the loop header `point` stops before it continues at `next`.
    fn fill_poll(&mut self, cold: ir::Block, point: Point, next: ir::Block) {
        self.builder.switch_to_block(cold);
        self.builder.seal_block(cold);
        if self.has_one_way_polls() {
            let stub = self.left_poll_stub();
            let safepoint = self.leave(stub, point);
            self.safepoints.push(safepoint);
            return;
        }
        let call = self.call_poll();
        if self.recording == StateRecording::None {
            self.record_safepoint(call, Safepoint::new(point));
            self.builder.ins().jump(next, &[]);
            return;
        }
        if self.checks_returns() {
            self.record_safepoint(call, Safepoint::new(point));
            return self.leave_where_returning(point, next);
        }
        let leave = self.cold_block();
        let leaving = self.context_word(offset_of!(Context, leaving));
        self.builder.ins().brif(leaving, leave, &[], next, &[]);
        self.builder.switch_to_block(leave);
        self.builder.seal_block(leave);
        let stub = Callee::At(self.context_word(offset_of!(Context, left_poll_stub)));
        let safepoint = self.leave(stub, point);
        self.record_safepoint(call, safepoint);
    }

    /// Whether polls of loops are one-way to Cranelift: their cold blocks leave the frame for good, and that they may go on
    /// is [written into the machine code](crate::emitted::poll_exits).
    fn has_one_way_polls(&self) -> bool {
        self.tier == CompiledTier::Optimized
            && self.cells == Cells::Near
            && self.unit.settings.return_sites == ReturnSites::Plain
            && self.recording != StateRecording::CrossChecked
    }

    /// Leaves the frame at a poll, `point`, by the call of `stub`. Its state is what it is here.
    fn leave(&mut self, stub: Callee, point: Point) -> Safepoint {
        // The call asks for no register. What keeps contexts is of another convention.
        let convention = match self.recording {
            StateRecording::CrossChecked => CallConv::SystemV,
            _ => CallConv::PreserveAll,
        };
        let signature = self.builder.import_signature(ir::Signature::new(convention));
        let (call, safepoint) = self.leave_by(signature, (stub, &[]), point);
        self.builder.ins().trap(never_trap_code());
        // The safepoint is the next one.
        self.builder.func.set_srcloc(call, Origin::Leave(self.safepoints.len()).location());
        Safepoint { exits_apart: true, ..safepoint }
    }

    /// Calls the stub that the context has at `stub`, which does not return: the frame continues at `point` elsewhere. The
    /// stub is passed the context, and the number if there is one.
    pub(super) fn call_for_good(
        &mut self,
        stub: usize,
        number: Option<u32>,
        point: Point,
    ) -> (ir::Inst, Safepoint) {
        let stub = Callee::At(self.context_word(stub));
        let mut arguments = vec![self.context];
        arguments.extend(number.map(|number| self.builder.ins().iconst(types::I64, i64::from(number))));
        let mut signature = ir::Signature::new(CallConv::SystemV);
        signature.params.resize(arguments.len(), AbiParam::new(types::I64));
        let signature = self.builder.import_signature(signature);
        let (call, safepoint) = self.leave_by(signature, (stub, &arguments), point);
        if number.is_some() && self.unit.settings.exits_are_linked {
            // The call may have two bytes, the trap has two.
            self.builder.ins().debugtrap();
        }
        self.builder.ins().trap(never_trap_code());
        (call, safepoint)
    }

    /// Calls `callee`, by which the frame is left at `point`, with what is live there.
    fn leave_by(
        &mut self,
        signature: ir::SigRef,
        callee: (Callee, &[ir::Value]),
        point: Point,
    ) -> (ir::Inst, Safepoint) {
        let slots_current = self.slots_current.clone();
        let resumption = Resumption { point, results: &[], places: &[] };
        let keeping = Keeping::where_left(self.recording);
        let (call, safepoint, _) = self.call_with_state(signature, callee, resumption, keeping);
        self.slots_current = slots_current;
        (call, safepoint)
    }

    /// Ends `block`, which ends in the interpreter: the frame leaves its code for good, to make a tail call there, or to become
    /// others. It lands as one that a guard leaves, so that the callee finds the return slot where it was.
    pub(super) fn leave_for_interpreter(&mut self, block: Block) {
        let interpret = self.body.block(block).instructions.len() - 1;
        let point = self.analysis.points.at(block, interpret).expect("it is a call to points");
        self.count_exit();
        let (call, safepoint) = self.call_for_good(offset_of!(Context, left_return_stub), None, point);
        self.record_safepoint(call, safepoint);
    }

    /// The stub that leaves at polls, by its near word: no register is needed for it.
    fn left_poll_stub(&mut self) -> Callee {
        let signature = self.builder.import_signature(ir::Signature::new(CallConv::PreserveAll));
        self.named(Called::LeftPollStub, signature)
    }

    /// Calls the stub, which preserves every register, and needs nothing in any.
    fn call_poll(&mut self) -> ir::Inst {
        let stub = self.context_word(offset_of!(Context, poll_stub));
        let signature = self.builder.import_signature(ir::Signature::new(CallConv::PreserveAll));
        self.builder.ins().call_indirect(signature, stub, &[])
    }

    /// A word of the context, now.
    pub(super) fn context_word(&mut self, offset: usize) -> ir::Value {
        self.builder.ins().load(types::I64, MemFlagsData::trusted(), self.context, offset as i32)
    }

    /// The stack check alone, of code that does not poll.
    pub(super) fn check_stack(&mut self, point: Point) {
        self.at(Some(point));
        let below = self.is_below_limit();
        self.builder.ins().trapnz(below, trap_code(TrapKind::StackExhausted));
    }

    /// Whether polls are requested: `condition` says whether the word is equal to what requests them. Without the
    /// fence, which emits nothing, the load would be merged with an earlier one, and the poll would silently disappear.
    fn compare_request(&mut self, condition: IntCC) -> ir::Value {
        self.builder.ins().sequence_point();
        if self.checks == Poll::Flag {
            let flag = self.context_word(offset_of!(Context, poll_flag));
            return self.builder.ins().icmp_imm_u(condition.complement(), flag, 0);
        }
        let limit = self.context_word(offset_of!(Context, stack_limit));
        self.builder.ins().icmp_imm_s(condition, limit, POLL_REQUEST as i64)
    }

    /// The same, to be [read](crate::emitted::near_polls) as a comparison of the near word.
    fn compare_near_request(&mut self, condition: IntCC) -> ir::Value {
        self.builder.ins().sequence_point();
        let word = ir::StackSlotData::new(ir::StackSlotKind::ExplicitSlot, 8, 3);
        let slot = *self.request_slot.get_or_insert_with(|| self.builder.create_sized_stack_slot(word));
        let requested = self.builder.ins().stack_load(types::I64, types::I64, slot, 0);
        self.builder.ins().icmp_imm_s(condition, requested, POLL_REQUEST as i64)
    }

    /// Whether the stack pointer is below the thread's limit.
    fn is_below_limit(&mut self) -> ir::Value {
        let limit = self.context_word(offset_of!(Context, stack_limit));
        let stack_pointer = self.builder.ins().get_stack_pointer(types::I64);
        self.builder.ins().icmp(IntCC::UnsignedLessThan, stack_pointer, limit)
    }
}
