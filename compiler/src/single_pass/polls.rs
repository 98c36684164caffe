//! Polls, and what is counted on the way.
//!
//! ```text
//!   entry:   sub [countdown], 1            header:  sub [countdown], 1
//!            je  cold                               je  cold
//!            cmp rsp, [limit]                       cmp [limit], -1
//!            jb  cold                               je  cold
//!   cold:    mov rdi, context
//!            call poll                     preserves every register
//!            jmp back
//! ```
//!
//! At both everything that is live is in its slot. What the cold part of a poll needs is remembered, and made when the rest
//! of the code is there; traps that code jumps to likewise.

use std::mem::offset_of;

use osr_ir::{Point, Points, Register, TrapKind};
use osr_stubs::Context;

use super::Pass;
use super::assembler::{Label, emit};
use super::machine::{self, Condition, PROFILE, RAX, RSP, SCRATCH, Width};
use super::memory::context_field;
use crate::profile::{ParameterWord, Profile};

/// Code that is seldom executed, behind the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    label: Label,
    point: Option<Point>,
    what: ColdCode,
}

#[derive(Clone, Copy, Debug)]
enum ColdCode {
    /// Calls the poll's stub, and comes back.
    Poll {
        back: Label,
    },
    Trap(TrapKind),
    /// The reference in `rax` is null, or to a function of another signature.
    Mismatch,
}

impl Pass<'_> {
    /// A poll at `point`, the entry or a loop header, where everything that is live is in its slot.
    pub(super) fn poll(&mut self, point: Point) {
        let [cold, back] = std::array::from_fn(|_| self.assembler.label());
        if let Some(profile) = self.unit.profile {
            if let Some(arrivals) = profile.header(point) {
                self.count(arrivals);
            }
            emit!(self.assembler, subl_mi_sxb(profile_word(Profile::COUNTDOWN), 1));
            self.assembler.jump_if(Condition::Equal, cold);
        }
        let limit = context_field(offset_of!(Context, stack_limit));
        if point == Points::entry() {
            emit!(self.assembler, cmpq_rm(RSP, limit));
            self.assembler.jump_if(Condition::Below, cold);
        } else {
            emit!(self.assembler, cmpq_mi_sxb(limit, -1));
            self.assembler.jump_if(Condition::Equal, cold);
        }
        self.assembler.bind(back);
        self.buffers.cold.push(Cold { label: cold, point: Some(point), what: ColdCode::Poll { back } });
    }

    /// Counts in word number `word` of the profile.
    pub(super) fn count(&mut self, word: u32) {
        emit!(self.assembler, addl_mi_sxb(profile_word(word), 1));
    }

    /// Counts the values of those arguments that are `live`, which are in their slots.
    pub(super) fn count_arguments(&mut self, live: &[Register]) {
        let Some(profile) = self.unit.profile else { return };
        let counted = profile.parameters().iter().map(|&(parameter, word)| (Register::new(parameter), word));
        for (register, first) in counted.filter(|(register, _)| live.binary_search(register).is_ok()) {
            let word = |word: ParameterWord| profile_word(first + word as u32);
            self.count(first + ParameterWord::Passed as u32);
            let (width, slot, same) = (self.width(register), self.slot(register), self.assembler.label());
            self.assembler.load_gpr(width, SCRATCH, slot);
            emit!(self.assembler, cmpq_rm(SCRATCH, word(ParameterWord::Value)));
            self.assembler.jump_near_if(Condition::Equal, same);
            self.count(first + ParameterWord::Changed as u32);
            self.assembler.store_gpr(Width::Bits64, word(ParameterWord::Value), SCRATCH);
            self.assembler.bind(same);
        }
    }

    /// Counts that an activation begins (1), or ends (-1): it returns next.
    pub(super) fn count_residents(&mut self, change: i8) {
        if let Some(address) = self.residence {
            self.assembler.set(SCRATCH, address);
            emit!(self.assembler, addq_mi_sxb(machine::at(SCRATCH, 0), change));
        }
    }

    /// Traps with `kind` if `condition` holds.
    pub(super) fn trap_if(&mut self, condition: Condition, kind: TrapKind) {
        self.cold_if(condition, ColdCode::Trap(kind));
    }

    /// Traps if `condition` holds, since the reference in `rax` is not to a function of the signature.
    pub(super) fn mismatch_if(&mut self, condition: Condition) {
        self.cold_if(condition, ColdCode::Mismatch);
    }

    fn cold_if(&mut self, condition: Condition, what: ColdCode) {
        let label = self.assembler.label();
        self.assembler.jump_if(condition, label);
        self.buffers.cold.push(Cold { label, point: self.assembler.sink.point, what });
    }

    /// Makes all cold code.
    pub(super) fn cold_code(&mut self) {
        let cold = std::mem::take(&mut self.buffers.cold);
        for &Cold { label, point, what } in &cold {
            self.assembler.bind(label);
            self.assembler.at(point);
            match what {
                ColdCode::Trap(kind) => self.assembler.trap(kind),
                ColdCode::Mismatch => {
                    let null = self.assembler.label();
                    emit!(self.assembler, testq_mr(RAX, RAX));
                    self.assembler.jump_near_if(Condition::Equal, null);
                    self.assembler.trap(TrapKind::IndirectCallTypeMismatch);
                    self.assembler.bind(null);
                    self.assembler.trap(TrapKind::UninitializedElement);
                }
                ColdCode::Poll { back } => {
                    emit!(self.assembler, callq_m(context_field(offset_of!(Context, poll_stub))));
                    self.site(point.expect("polls are at points"), &[], &[]);
                    self.assembler.jump(back);
                }
            }
        }
        self.buffers.cold = cold;
        self.buffers.cold.clear();
    }
}

/// A word of the profile.
fn profile_word(word: u32) -> machine::Address {
    machine::at(PROFILE, word as i32 * 4)
}
