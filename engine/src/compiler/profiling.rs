//! What baseline code counts: arrivals, branches, the targets of indirect calls.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use osr_ir::{Block, Point, Points};

use super::translate::Translator;
use crate::profile::{IndirectCallWord, Profile};

impl Translator<'_, '_> {
    /// Counts an arrival at the entry or the loop header `point`. Whether the countdown is over now; none
    /// if the tier does not profile.
    pub(super) fn profile_arrival(&mut self, point: Point) -> Option<ir::Value> {
        let profile = self.profile?;
        if point != Points::entry() {
            self.add_to_word(profile, profile.header(point), 1);
        }
        let left = self.add_to_word(profile, Profile::COUNTDOWN, -1);
        Some(self.builder.ins().icmp_imm_u(IntCC::Equal, left, 0))
    }

    /// Counts which way the branch at the end of `block` goes.
    pub(super) fn profile_branch(&mut self, block: Block, condition: ir::Value) {
        let Some(profile) = self.profile else { return };
        let first = self.word_address(profile, profile.branch(block));
        let not_taken = self.builder.ins().icmp_imm_u(IntCC::Equal, condition, 0);
        let word = self.builder.ins().uextend(types::I64, not_taken);
        let offset = self.builder.ins().ishl_imm_u(word, 2);
        let address = self.builder.ins().iadd(first, offset);
        self.add_at(address, 0, 1);
    }

    /// Counts that the indirect call before `point` calls `function`.
    pub(super) fn profile_indirect_call(&mut self, point: Point, function: ir::Value) {
        let Some(profile) = self.profile else { return };
        let first = self.word_address(profile, profile.indirect_call(point));
        self.add_at(first, IndirectCallWord::Calls as i32 * 4, 1);
        let function = self.builder.ins().ireduce(types::I32, function);
        let number = self.builder.ins().iadd_imm_u(function, 1);
        let flags = MemFlagsData::trusted();
        let last = self.builder.ins().load(types::I32, flags, first, IndirectCallWord::Last as i32 * 4);
        let same = self.builder.ins().icmp(IntCC::Equal, last, number);
        let same = self.builder.ins().uextend(types::I32, same);
        let offset = IndirectCallWord::Repeated as i32 * 4;
        let repeated = self.builder.ins().load(types::I32, flags, first, offset);
        let repeated = self.builder.ins().iadd(repeated, same);
        self.builder.ins().store(flags, repeated, first, offset);
        self.builder.ins().store(flags, number, first, IndirectCallWord::Last as i32 * 4);
    }

    fn word_address(&mut self, profile: &Profile, word: u32) -> ir::Value {
        let address = profile.address() + u64::from(word) * 4;
        self.builder.ins().iconst(types::I64, address as i64)
    }

    fn add_to_word(&mut self, profile: &Profile, word: u32, amount: i64) -> ir::Value {
        let address = self.word_address(profile, word);
        self.add_at(address, 0, amount)
    }

    /// Adds `amount` to the word at `address + offset`, and gives the sum.
    fn add_at(&mut self, address: ir::Value, offset: i32, amount: i64) -> ir::Value {
        let flags = MemFlagsData::trusted();
        let value = self.builder.ins().load(types::I32, flags, address, offset);
        let sum = self.builder.ins().iadd_imm_s(value, amount);
        self.builder.ins().store(flags, sum, address, offset);
        sum
    }
}
