//! Globals: words of the instance, or of another one; or constants, while they keep their values.

use std::mem::offset_of;

use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use osr_ir::{GlobalIndex, Register};
use osr_stubs::Context;

use super::clif_type::{in_words, wide_type};
use super::translate::Translator;

impl Translator<'_, '_> {
    /// `dst = global`
    pub(super) fn global_get(&mut self, dst: Register, global: GlobalIndex) {
        if let Some(bits) = self.kept_global(global) {
            let value = self.constant(self.body.ty(dst), bits);
            self.write(dst, value);
            self.constants[dst.index()] = Some(bits);
            return;
        }
        let (base, offset) = self.global_place(global);
        let ty = wide_type(self.body.ty(dst));
        let value = self.builder.ins().load(ty, in_words(ty), base, offset);
        self.write(dst, value);
    }

    /// The constant that `global` is taken for, if it is.
    fn kept_global(&mut self, global: GlobalIndex) -> Option<u64> {
        let bits = self.unit.speculation?.global(global)?;
        self.kept_globals.insert(global, bits);
        Some(bits)
    }

    /// Globals are words whose high half is zero where the type has 32 bits.
    pub(super) fn global_set(&mut self, global: GlobalIndex, src: Register) {
        let (base, offset) = self.global_place(global);
        let value = self.read_wide(src);
        self.store_word(value, base, offset);
    }

    /// The address of the global's word, and an offset from it.
    fn global_place(&mut self, global: GlobalIndex) -> (ir::Value, i32) {
        let globals = self.context_field(offset_of!(Context, globals));
        let offset = self.unit.linked.global_word(global) as i32 * 8;
        if self.unit.linked.is_elsewhere(global) {
            let flags = MemFlagsData::trusted().with_readonly().with_can_move();
            (self.builder.ins().load(types::I64, flags, globals, offset), 0)
        } else {
            (globals, offset)
        }
    }
}
