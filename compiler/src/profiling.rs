//! What baseline code counts: arrivals, branches, the targets of indirect calls.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use osr_ir::{Block, Point, Register};

use super::translate::{BlockLocal, Translator};
use crate::profile::{IndirectCallWord, IndirectCalls, ParameterWord, Profile};

impl Translator<'_, '_> {
    /// Counts an arrival at the entry or the loop header `point`. What is left of the countdown; none if
    /// the tier does not profile.
    pub(super) fn profile_arrival(&mut self, point: Point) -> Option<ir::Value> {
        let profile = self.profile?;
        let base = self.profile_base(profile);
        if let Some(arrivals) = profile.header(point) {
            self.increment(base, arrivals);
        }
        let flags = MemFlagsData::trusted();
        let offset = offset_of(Profile::COUNTDOWN);
        let left = self.builder.ins().load(types::I32, flags, base, offset);
        let one = self.one();
        let left = self.builder.ins().isub(left, one);
        self.builder.ins().store(flags, left, base, offset);
        Some(left)
    }

    /// Counts the values of arguments, where the function begins.
    pub(super) fn profile_arguments(&mut self) {
        let Some(profile) = self.profile else { return };
        for &(parameter, first) in profile.parameters() {
            let base = self.profile_base(profile);
            let [passed, changed, value] =
                [ParameterWord::Passed, ParameterWord::Changed, ParameterWord::Value]
                    .map(|word| first + word as u32);
            self.increment(base, passed);
            let found = self.read_wide(Register::new(parameter));
            let flags = MemFlagsData::trusted();
            let before = self.builder.ins().load(types::I64, flags, base, offset_of(value));
            let differs = self.builder.ins().icmp(IntCC::NotEqual, before, found);
            let differs = self.builder.ins().uextend(types::I32, differs);
            self.add(base, changed, differs);
            self.builder.ins().store(flags, found, base, offset_of(value));
        }
    }

    /// Counts which way the branch at the end of `block` goes.
    pub(super) fn profile_branch(&mut self, block: Block, condition: ir::Value) {
        let Some(profile) = self.profile else { return };
        let Some(taken) = profile.branch(block) else { return };
        let [taken, not_taken] = [taken, taken + 1].map(|word| {
            self.builder.ins().iconst(types::I64, (profile.address() + u64::from(word) * 4) as i64)
        });
        let address = self.builder.ins().select(condition, taken, not_taken);
        self.increment(address, 0);
    }

    /// Counts that the indirect call before `point` calls the function of that number.
    pub(super) fn profile_indirect_call(&mut self, point: Point, function: ir::Value) {
        let Some(profile) = self.profile else { return };
        let Some(first) = profile.indirect_call(point) else { return };
        let base = self.profile_base(profile);
        let [calls, repeated, last] =
            [IndirectCallWord::Calls, IndirectCallWord::Repeated, IndirectCallWord::Last]
                .map(|word| first + word as u32);
        self.increment(base, calls);
        let function = self.builder.ins().ireduce(types::I32, function);
        let one = self.one();
        let number = self.builder.ins().iadd(function, one);
        let flags = MemFlagsData::trusted();
        let before = self.builder.ins().load(types::I32, flags, base, offset_of(last));
        let same = self.builder.ins().icmp(IntCC::Equal, before, number);
        let same = self.builder.ins().uextend(types::I32, same);
        self.add(base, repeated, same);
        self.builder.ins().store(flags, number, base, offset_of(last));
        if profile.counts().targets {
            self.profile_target(base, first + IndirectCallWord::Targets as u32, number);
        }
    }

    /// Counts the target `number` in the pairs that begin with word `first`: in the first one that has it or is empty, else
    /// in the last.
    fn profile_target(&mut self, base: ir::Value, first: u32, number: ir::Value) {
        let flags = MemFlagsData::trusted();
        let mut pair = self.builder.ins().iadd_imm_u(base, i64::from(offset_of(first)));
        let mut is_further = None;
        for n in 0..IndirectCalls::MOST_TARGETS as u32 {
            let known = self.builder.ins().load(types::I32, flags, base, offset_of(first + 2 * n));
            let differs = self.builder.ins().icmp(IntCC::NotEqual, known, number);
            let is_full = self.builder.ins().icmp_imm_u(IntCC::NotEqual, known, 0);
            let is_other = self.builder.ins().band(differs, is_full);
            let further = is_further.map_or(is_other, |before| self.builder.ins().band(before, is_other));
            let offset = self.builder.ins().uextend(types::I64, further);
            let offset = self.builder.ins().ishl_imm_u(offset, 3);
            pair = self.builder.ins().iadd(pair, offset);
            is_further = Some(further);
        }
        self.builder.ins().store(flags, number, pair, 0);
        self.increment(pair, 1);
    }

    /// The address of the profile.
    fn profile_base(&mut self, profile: &Profile) -> ir::Value {
        let address = profile.address() as i64;
        self.once_in_block(BlockLocal::Profile, |builder, _| builder.ins().iconst(types::I64, address))
    }

    fn one(&mut self) -> ir::Value {
        self.once_in_block(BlockLocal::One, |builder, _| builder.ins().iconst(types::I32, 1))
    }

    fn increment(&mut self, base: ir::Value, word: u32) {
        let one = self.one();
        self.add(base, word, one);
    }

    /// Adds `amount` to a word of the profile at `base`.
    fn add(&mut self, base: ir::Value, word: u32, amount: ir::Value) {
        let flags = MemFlagsData::trusted();
        let value = self.builder.ins().load(types::I32, flags, base, offset_of(word));
        let sum = self.builder.ins().iadd(value, amount);
        self.builder.ins().store(flags, sum, base, offset_of(word));
    }
}

/// Where the word at `position` is in the profile, in bytes.
fn offset_of(position: u32) -> i32 {
    position as i32 * 4
}
