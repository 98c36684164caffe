//! Return checks: after each call the code looks whether its frame is to leave.
//!
//! ```text
//!           call f
//!           mov  r, rsp
//!           cmp  r, [return limit]
//!           ja   cold
//!           ...
//!   cold:   call left_return, with the frame state
//! ```
//!
//! The limit is the return slot that leads into the innermost frame that is to leave. Frames further in have their stack
//! pointers below it, so one word of the context serves all code, and no frame that may stay leaves. (HotSpot's stack
//! watermarks, JEP 376, are limits of this kind.)
//!
//! The frame state is needed in the cold block only, like that of a [poll](super::poll) that leaves: a call keeps nothing,
//! and its own frame map is empty. A poll is a call of the runtime, and checks as others do.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};
use osr_ir::Point;
use osr_stubs::Context;

use super::translate::Translator;
use crate::settings::ReturnSites;

impl Translator<'_, '_> {
    /// Whether calls are followed by checks.
    pub(super) fn checks_returns(&self) -> bool {
        self.unit.settings.return_sites == ReturnSites::Checked
    }

    /// After a call, whose results are in their registers: execution is at `point`.
    pub(super) fn check_return(&mut self, point: Point) {
        if !self.checks_returns() {
            return;
        }
        let next = self.builder.create_block();
        self.leave_where_returning(point, next);
        self.builder.seal_block(next);
        self.continue_at(next);
    }

    /// Continues at `next`, unless the frame, which is at `point`, is to leave.
    pub(super) fn leave_where_returning(&mut self, point: Point, next: ir::Block) {
        let cold = self.cold_block();
        let limit = self.context_word(offset_of!(Context, return_limit));
        let stack_pointer = self.builder.ins().get_stack_pointer(types::I64);
        let leaves = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, stack_pointer, limit);
        self.builder.ins().brif(leaves, cold, &[], next, &[]);
        self.builder.switch_to_block(cold);
        self.builder.seal_block(cold);
        let (call, safepoint) = self.call_for_good(offset_of!(Context, left_return_stub), None, point);
        self.record_safepoint(call, safepoint);
    }
}
