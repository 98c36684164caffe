//! The first memory, globals, tables. Functions that access further memories are Cranelift's.

use std::mem::offset_of;

use cranelift_assembler_x64::{GprMem, Scale};
use osr_ir::{FunctionIndex, GlobalIndex, LoadOp, Register, StoreOp, TableIndex, TrapKind, Type};
use osr_stubs::{Context, TableView};

use super::Pass;
use super::assembler::{emit, trap_code};
use super::integer::{Arithmetic, Right};
use super::machine::{self, Address, CONTEXT, Condition, Gpr, MEMORY, MachineRegister, SCRATCH, Width};

impl Pass<'_> {
    /// The machine address of guest address `address + offset` in the first memory. Whatever it is lies in the memory's
    /// reservation: no check, the fault is the trap.
    fn guest_address(&mut self, address: Register, offset: u32) -> Address {
        let place = match (self.constant(address), i32::try_from(offset)) {
            (Some(known), _) => {
                let sum = u64::from(known as u32) + u64::from(offset);
                match i32::try_from(sum) {
                    Ok(sum) => machine::at(MEMORY, sum),
                    Err(_) => {
                        self.assembler.set(SCRATCH, sum);
                        machine::at_index(MEMORY, SCRATCH, Scale::One, 0)
                    }
                }
            }
            (None, Ok(offset)) => {
                let index = self.extended_gpr(address);
                machine::at_index(MEMORY, index, Scale::One, offset)
            }
            (None, Err(_)) => {
                let index = self.extended_gpr(address);
                self.assembler.set(SCRATCH, u64::from(offset));
                emit!(self.assembler, addq_rm(SCRATCH, index));
                machine::at_index(MEMORY, SCRATCH, Scale::One, 0)
            }
        };
        machine::trapping(place, trap_code(TrapKind::MemoryOutOfBounds))
    }

    /// `dst = memory[address + offset]`; if it is not used, it may trap all the same.
    pub(super) fn load(&mut self, op: LoadOp, dst: Register, (address, dies): (Register, bool), offset: u32) {
        use LoadOp::*;
        let source = self.guest_address(address, offset);
        if matches!(op, F32Load | F64Load) {
            let target = self.new_xmm();
            self.assembler.load_xmm(self.width(dst), target, source);
            return self.define_xmm(dst, target);
        }
        let target = match self.buffers.cache.home(address) {
            Some(MachineRegister::General(home)) if dies => home,
            _ => self.new_gpr(),
        };
        match op {
            I32Load | I64Load32U => emit!(self.assembler, movl_rm(target, source)),
            I64Load => emit!(self.assembler, movq_rm(target, source)),
            I32Load8S => emit!(self.assembler, movsbl_rm(target, source)),
            I32Load8U | I64Load8U => emit!(self.assembler, movzbl_rm(target, source)),
            I32Load16S => emit!(self.assembler, movswl_rm(target, source)),
            I32Load16U | I64Load16U => emit!(self.assembler, movzwl_rm(target, source)),
            I64Load8S => emit!(self.assembler, movsbq_rm(target, source)),
            I64Load16S => emit!(self.assembler, movswq_rm(target, source)),
            I64Load32S => emit!(self.assembler, movslq_rm(target, source)),
            F32Load | F64Load => unreachable!("floats are loaded above"),
            V128Load | V128Load32Zero | V128Load64Zero => {
                unreachable!("functions with vectors are Cranelift's")
            }
        }
        self.define_gpr(dst, target);
    }

    /// `memory[address + offset] = value`
    pub(super) fn store_to_memory(&mut self, op: StoreOp, address: Register, value: Register, offset: u32) {
        use StoreOp::*;
        if let (Some(number), false) = (self.immediate(value), self.ty(value).is_float()) {
            let target = self.guest_address(address, offset);
            return match op {
                I32Store8 | I64Store8 => emit!(self.assembler, movb_mi(target, number as u8)),
                I32Store16 | I64Store16 => emit!(self.assembler, movw_mi(target, number as u16)),
                I32Store | I64Store32 => emit!(self.assembler, movl_mi(target, number as u32)),
                _ => emit!(self.assembler, movq_mi_sxl(target, number)),
            };
        }
        // First of all the value: the address may be in the scratch register.
        if self.ty(value).is_float() {
            let source = self.xmm(value);
            let target = self.guest_address(address, offset);
            return self.assembler.store_xmm(self.width(value), target, source);
        }
        let source = self.gpr(value);
        let target = self.guest_address(address, offset);
        match op {
            I32Store8 | I64Store8 => emit!(self.assembler, movb_mr(target, source)),
            I32Store16 | I64Store16 => emit!(self.assembler, movw_mr(target, source)),
            I32Store | I64Store32 => emit!(self.assembler, movl_mr(target, source)),
            _ => emit!(self.assembler, movq_mr(target, source)),
        }
    }

    /// `target = ` the context's word at that offset.
    pub(super) fn load_context(&mut self, target: Gpr, field: usize) {
        self.assembler.load_gpr(Width::Bits64, target, context_field(field));
    }

    /// The global's word.
    fn global(&mut self, global: GlobalIndex) -> Address {
        self.load_context(SCRATCH, offset_of!(Context, globals));
        let word = machine::at(SCRATCH, self.unit.linked.global_word(global) as i32 * 8);
        if !self.unit.linked.is_elsewhere(global) {
            return word;
        }
        self.assembler.load_gpr(Width::Bits64, SCRATCH, word);
        machine::at(SCRATCH, 0)
    }

    /// `dst = global`
    pub(super) fn global_get(&mut self, dst: Register, global: GlobalIndex) {
        let word = self.global(global);
        let width = self.width(dst);
        if self.ty(dst).is_float() {
            let target = self.new_xmm();
            self.assembler.load_xmm(width, target, word);
            self.define_xmm(dst, target);
        } else {
            let target = self.new_gpr();
            self.assembler.load_gpr(width, target, word);
            self.define_gpr(dst, target);
        }
    }

    /// `global = src`: the whole word, whose high half is zero where the type has 32 bits.
    pub(super) fn global_set(&mut self, global: GlobalIndex, src: Register) {
        let source = self.word(src);
        let word = self.global(global);
        match source {
            Right::Number(number) => emit!(self.assembler, movq_mi_sxl(word, number)),
            Right::Place(GprMem::Gpr(source)) => self.assembler.store_gpr(Width::Bits64, word, source),
            Right::Place(GprMem::Mem(_)) => unreachable!("words are in registers"),
        }
    }

    /// The value of `register` as a word whose high half is zero where the type has 32 bits: in a register, or as a number
    /// that makes that word when it is sign-extended.
    pub(super) fn word(&mut self, register: Register) -> Right {
        if let Some(number) = self.constant(register).and_then(|bits| i32::try_from(bits as i64).ok()) {
            return Right::Number(number);
        }
        let (ty, width) = (self.ty(register), self.width(register));
        Right::Place(GprMem::Gpr(match ty {
            Type::I32 => self.extended_gpr(register),
            Type::I64 | Type::Funcref | Type::Externref | Type::Exnref => self.gpr(register),
            Type::V128 => unreachable!("functions with vectors are Cranelift's"),
            Type::F32 | Type::F64 => {
                let (source, target) = (self.xmm(register), self.new_gpr());
                self.assembler.bits_of(width, target, source);
                target
            }
        }))
    }

    /// `dst =` pages of the first memory
    pub(super) fn memory_size(&mut self, dst: Register) {
        self.load_context(SCRATCH, offset_of!(Context, memory_pages));
        let target = self.new_gpr();
        self.assembler.load_gpr(Width::Bits32, target, machine::at(SCRATCH, 0));
        self.define_gpr(dst, target);
    }

    /// A field of a table's view; the scratch register then holds the address of the views.
    fn table_field(&mut self, table: TableIndex, field: usize) -> Address {
        self.load_context(SCRATCH, offset_of!(Context, tables));
        machine::at(SCRATCH, (table.index() * size_of::<TableView>() + field) as i32)
    }

    /// `dst =` entries of the table
    pub(super) fn table_size(&mut self, table: TableIndex, dst: Register) {
        let length = self.table_field(table, offset_of!(TableView, length));
        let target = self.new_gpr();
        self.assembler.load_gpr(Width::Bits32, target, length);
        self.define_gpr(dst, target);
    }

    /// `dst =` whether `table[index]` refers to `function`
    pub(super) fn table_refers(
        &mut self,
        table: TableIndex,
        dst: Register,
        index: Register,
        function: FunctionIndex,
    ) {
        let index = self.extended_gpr(index);
        let (target, reference) = (self.new_gpr(), self.new_gpr());
        self.assembler.set(target, 0);
        self.assembler.set(reference, self.unit.linked.reference(function));
        let (length, end) = (self.table_field(table, offset_of!(TableView, length)), self.assembler.label());
        let length = Right::Place(GprMem::Mem(length));
        self.arithmetic(Arithmetic::Compare, Width::Bits32, GprMem::Gpr(index), length);
        self.assembler.jump_near_if(Condition::AboveOrEqual, end);
        let entry = self.entry_of(table, index);
        let entry = Right::Place(GprMem::Mem(entry));
        self.arithmetic(Arithmetic::Compare, Width::Bits64, GprMem::Gpr(reference), entry);
        self.assembler.set_if(Condition::Equal, target);
        self.assembler.bind(end);
        self.define_gpr(dst, target);
    }

    /// `table[index]`, which is there; the scratch register holds the address of the views.
    fn entry_of(&mut self, table: TableIndex, index: Gpr) -> Address {
        let entries = (table.index() * size_of::<TableView>() + offset_of!(TableView, entries)) as i32;
        self.assembler.load_gpr(Width::Bits64, SCRATCH, machine::at(SCRATCH, entries));
        machine::at_index(SCRATCH, index, Scale::Eight, 0)
    }

    /// `table[index]`; traps with `kind` beyond the end.
    pub(super) fn table_entry(&mut self, table: TableIndex, index: Register, kind: TrapKind) -> Address {
        let index = self.extended_gpr(index);
        let length = self.table_field(table, offset_of!(TableView, length));
        self.arithmetic(
            Arithmetic::Compare,
            Width::Bits32,
            GprMem::Gpr(index),
            Right::Place(GprMem::Mem(length)),
        );
        self.trap_if(Condition::AboveOrEqual, kind);
        self.entry_of(table, index)
    }

    /// `dst = table[index]`
    pub(super) fn table_get(&mut self, table: TableIndex, dst: Register, index: Register) {
        let entry = self.table_entry(table, index, TrapKind::TableOutOfBounds);
        let target = self.new_gpr();
        self.assembler.load_gpr(Width::Bits64, target, entry);
        self.define_gpr(dst, target);
    }

    /// `table[index] = value`
    pub(super) fn table_set(&mut self, table: TableIndex, index: Register, value: Register) {
        let source = self.gpr(value);
        let entry = self.table_entry(table, index, TrapKind::TableOutOfBounds);
        self.assembler.store_gpr(Width::Bits64, entry, source);
    }
}

/// A field of the context.
pub(super) fn context_field(field: usize) -> Address {
    machine::at(CONTEXT, field as i32)
}
