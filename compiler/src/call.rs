//! Calls and memory: where compiled code touches the world.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, MemFlagsData, types};
use cranelift_codegen::isa::CallConv;
use osr_ir::{
    FunctionIndex, Instruction, LoadOp, MemoryIndex, Point, Register, SignatureIndex, StoreOp, TableIndex,
    TrapKind,
};
use osr_stubs::{Context, MemoryView, TableView};

use super::clif_type::{VECTOR, call_signature, wide_type};
use super::compiler::Cells;
use super::state::{Callee, Resumption};
use super::translate::{BlockLocal, Translator};
use super::trap_site::{load_trap_code, trap_code};
use crate::calling_convention::Place;
use crate::emitted::near_access::Called;
use crate::reference::signature_half;
use crate::runtime_operation::RuntimeCall;
use crate::settings::CallBinding;

/// What is accessed: a memory, an address in it, and what is added to that.
pub(super) type GuestPlace = (MemoryIndex, Register, u32);

/// Where a field of a memory's view is, from the first view.
fn view_field(memory: MemoryIndex, field: usize) -> i32 {
    (memory.index() * size_of::<MemoryView>() + field) as i32
}

impl Translator<'_, '_> {
    /// Translates an instruction that calls.
    pub(super) fn call(&mut self, instruction: &Instruction, point: Point) {
        use Instruction as I;
        match instruction {
            I::Call { function, arguments, results } => {
                let signature = self.unit.linked.module().function(*function).signature;
                let callee = self.callee(*function, signature);
                self.guest_call(signature, callee, arguments, results, point);
            }
            I::CallIndirect { table, signature, index, arguments, results } => {
                let function = self.checked_callee(*table, *signature, *index);
                self.profile_indirect_call(point, function);
                let cells = self.context_field(offset_of!(Context, cells));
                let offset = self.builder.ins().ishl_imm_u(function, 3);
                let cell = self.builder.ins().iadd(cells, offset);
                let callee = self.in_cell(cell, 0);
                self.guest_call(*signature, callee, arguments, results, point);
            }
            _ => {
                let call = RuntimeCall::of(instruction).expect("nothing else calls");
                self.runtime_call(call, point);
            }
        }
    }

    /// How `function` is called: by its name, or that of its cell, which become distances when the code is in its
    /// place, or through the cells of the context. Functions of the host and of other instances have no place in code memory.
    fn callee(&mut self, function: FunctionIndex, signature: SignatureIndex) -> Callee {
        let is_defined = self.unit.linked.module().function(function).is_defined();
        let number = self.unit.linked.number(function);
        let called = match self.binding == CallBinding::Cell || !is_defined {
            true if self.cells == Cells::InContext => {
                let cells = self.context_field(offset_of!(Context, cells));
                return self.in_cell(cells, number as i32 * 8);
            }
            true => Called::Cell(number),
            false => Called::Function(function.as_u32()),
        };
        let signature = self.builder.import_signature(call_signature(self.unit.linked, signature));
        self.named(called, signature)
    }

    /// What becomes a distance when the code is in its place.
    pub(super) fn named(&mut self, called: Called, signature: ir::SigRef) -> Callee {
        let name = self.builder.func.declare_imported_user_function(called.name());
        let name = ir::ExternalName::User(name);
        let function = ir::ExtFuncData { name, signature, colocated: true, patchable: false };
        Callee::Named(self.builder.import_function(function))
    }

    /// Whatever the cell at an address and an offset holds: the current version.
    fn in_cell(&mut self, cell: ir::Value, offset: i32) -> Callee {
        Callee::At(self.builder.ins().load(types::I64, MemFlagsData::trusted(), cell, offset))
    }

    /// A call of guest code.
    fn guest_call(
        &mut self,
        signature: SignatureIndex,
        callee: Callee,
        arguments: &[Register],
        results: &[Register],
        point: Point,
    ) {
        let mut values = vec![self.context];
        values.extend(arguments.iter().flat_map(|&argument| self.read_words(argument)));
        let layout = self.unit.linked.layout(signature);
        let places = layout.results.clone();
        let clif_signature = self.builder.import_signature(call_signature(self.unit.linked, signature));
        let resumption = Resumption { point, results, places: &places };
        let mut returned = self.recorded_call(clif_signature, callee, &values, resumption).into_iter();
        let mut words = Vec::new();
        for (&place, &ty) in places.iter().zip(&layout.result_types) {
            words.push(if let Place::Memory(n) = place {
                let results = self.context_field(offset_of!(Context, results));
                self.builder.ins().load(wide_type(ty), MemFlagsData::trusted(), results, n as i32 * 8)
            } else {
                returned.next().expect("one value for each word in a register")
            });
        }
        let mut words = words.into_iter();
        results.iter().for_each(|&register| self.write_from_words(register, &mut words));
        self.check_return(point);
    }

    /// The number of the function that `table[index]` refers to; traps if there is none of that signature.
    fn checked_callee(&mut self, table: TableIndex, signature: SignatureIndex, index: Register) -> ir::Value {
        let address = self.table_entry(table, index, TrapKind::UndefinedElement);
        let entry = self.builder.ins().load(types::I64, MemFlagsData::trusted(), address, 0);
        let found = self.builder.ins().ushr_imm_u(entry, 32);
        let expected = i64::from(signature_half(self.unit.linked.signature_number(signature)));
        let differs = self.builder.ins().icmp_imm_u(IntCC::NotEqual, found, expected);
        let (good, bad) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(bad);
        self.builder.ins().brif(differs, bad, &[], good, &[]);
        self.builder.switch_to_block(bad);
        self.builder.ins().trapz(entry, trap_code(TrapKind::UninitializedElement));
        self.builder.ins().trap(trap_code(TrapKind::IndirectCallTypeMismatch));
        self.builder.switch_to_block(good);
        self.builder.ins().band_imm_u(entry, 0xffff_ffff)
    }

    /// A call of the runtime.
    fn runtime_call(&mut self, call: RuntimeCall, point: Point) {
        let RuntimeCall { operation, operands, immediate, result } = call;
        let mut values = vec![self.context];
        for operand in operands.into_iter().flatten() {
            values.push(self.read_wide(operand));
        }
        let zero = self.builder.ins().iconst(types::I64, 0);
        values.resize(4, zero);
        values.push(self.builder.ins().iconst(types::I64, immediate as i64));
        values.push(self.builder.ins().iconst(types::I64, operation as i64));
        let stub = self.context_field(offset_of!(Context, runtime_stub));
        let mut signature = ir::Signature::new(CallConv::SystemV);
        signature.params = vec![AbiParam::new(types::I64); 6];
        signature.returns = vec![AbiParam::new(types::I32)];
        let signature = self.builder.import_signature(signature);
        let resumption = Resumption { point, results: result.as_slice(), places: &[Place::Integer(0)] };
        let returned = self.recorded_call(signature, Callee::At(stub), &values, resumption);
        if let Some(register) = result {
            self.write(register, returned[0]);
        }
        self.check_return(point);
    }

    fn table_field(
        &mut self,
        table: TableIndex,
        field: usize,
        ty: ir::Type,
        flags: MemFlagsData,
    ) -> ir::Value {
        let tables = self.context_field(offset_of!(Context, tables));
        let offset = table.index() * size_of::<TableView>() + field;
        self.builder.ins().load(ty, flags, tables, offset as i32)
    }

    /// Entries of `table` now.
    pub(super) fn table_length(&mut self, table: TableIndex) -> ir::Value {
        self.table_field(table, offset_of!(TableView, length), types::I32, MemFlagsData::trusted())
    }

    /// The address of `table[index]`; traps with `kind` beyond the end.
    pub(super) fn table_entry(&mut self, table: TableIndex, index: Register, kind: TrapKind) -> ir::Value {
        let number = self.read(index);
        let length = self.table_length(table);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, number, length);
        self.builder.ins().trapnz(outside, trap_code(kind));
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        let entries = self.table_field(table, offset_of!(TableView, entries), types::I64, flags);
        let number = self.read_wide(index);
        let offset = self.builder.ins().ishl_imm_u(number, 3);
        self.builder.ins().iadd(entries, offset)
    }

    /// Whether `table[index]` refers to `function`. Beyond the end it is the length that is compared, which is no reference:
    /// the high half of a reference is not zero.
    pub(super) fn table_refers(
        &mut self,
        table: TableIndex,
        index: Register,
        function: FunctionIndex,
    ) -> ir::Value {
        let number = self.read_wide(index);
        let length =
            self.table_field(table, offset_of!(TableView, length), types::I64, MemFlagsData::trusted());
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        let entries = self.table_field(table, offset_of!(TableView, entries), types::I64, flags);
        let offset = self.builder.ins().ishl_imm_u(number, 3);
        let entry = self.builder.ins().iadd(entries, offset);
        let tables = self.context_field(offset_of!(Context, tables));
        let field = table.index() * size_of::<TableView>() + offset_of!(TableView, length);
        let elsewhere = self.builder.ins().iadd_imm_u(tables, field as i64);
        let is_inside = self.builder.ins().icmp(IntCC::UnsignedLessThan, number, length);
        let place = self.builder.ins().select(is_inside, entry, elsewhere);
        let found = self.builder.ins().load(types::I64, MemFlagsData::trusted(), place, 0);
        let reference = self.unit.linked.reference(function) as i64;
        let reference = self.builder.ins().iconst(types::I64, reference);
        let refers = self.builder.ins().icmp(IntCC::Equal, found, reference);
        self.builder.ins().uextend(types::I32, refers)
    }

    /// The first byte of `memory`.
    fn memory_base(&mut self, memory: MemoryIndex) -> ir::Value {
        if memory == MemoryIndex::FIRST {
            return self.context_field(offset_of!(Context, memory_base));
        }
        let memories = self.context_field(offset_of!(Context, memories));
        self.once_in_block(BlockLocal::MemoryBase(memory), |builder, _| {
            let flags = MemFlagsData::trusted().with_readonly().with_can_move();
            builder.ins().load(types::I64, flags, memories, view_field(memory, offset_of!(MemoryView, base)))
        })
    }

    /// Where the pages of `memory` are counted.
    pub(super) fn memory_pages(&mut self, memory: MemoryIndex) -> ir::Value {
        if memory == MemoryIndex::FIRST {
            return self.context_field(offset_of!(Context, memory_pages));
        }
        let memories = self.context_field(offset_of!(Context, memories));
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        let field = view_field(memory, offset_of!(MemoryView, pages));
        self.builder.ins().load(types::I64, flags, memories, field)
    }

    /// The machine address of guest address `address + offset`, and the offset that is left for the
    /// access itself. Whatever it is lies in the memory's reservation: no check, the fault is the trap.
    fn guest_address(&mut self, (memory, address, offset): GuestPlace) -> (ir::Value, i32) {
        let address = self.read_wide(address);
        let base = self.memory_base(memory);
        let sum = self.builder.ins().iadd(base, address);
        match i32::try_from(offset) {
            Ok(offset) => (sum, offset),
            Err(_) => (self.builder.ins().iadd_imm_u(sum, i64::from(offset)), 0),
        }
    }

    /// A load from linear memory. Its trap code is not a store's: it may be merged into the instruction
    /// that uses the value, but not into a store to the same address, which may trap by itself.
    pub(super) fn load(&mut self, op: LoadOp, place: GuestPlace, point: Option<Point>) -> ir::Value {
        let (base, offset) = self.guest_address(place);
        self.at(point);
        let flags = MemFlagsData::new()
            .with_endianness(ir::Endianness::Little)
            .with_trap_code(Some(load_trap_code()));
        let ins = self.builder.ins();
        match op {
            LoadOp::I32Load => ins.uload32(flags, base, offset),
            LoadOp::I64Load => ins.load(types::I64, flags, base, offset),
            LoadOp::F32Load => ins.load(types::F32, flags, base, offset),
            LoadOp::F64Load => ins.load(types::F64, flags, base, offset),
            LoadOp::I32Load8S => ins.sload8(types::I32, flags, base, offset),
            LoadOp::I32Load8U => ins.uload8(types::I64, flags, base, offset),
            LoadOp::I32Load16S => ins.sload16(types::I32, flags, base, offset),
            LoadOp::I32Load16U => ins.uload16(types::I64, flags, base, offset),
            LoadOp::I64Load8S => ins.sload8(types::I64, flags, base, offset),
            LoadOp::I64Load8U => ins.uload8(types::I64, flags, base, offset),
            LoadOp::I64Load16S => ins.sload16(types::I64, flags, base, offset),
            LoadOp::I64Load16U => ins.uload16(types::I64, flags, base, offset),
            LoadOp::I64Load32S => ins.sload32(flags, base, offset),
            LoadOp::I64Load32U => ins.uload32(flags, base, offset),
            LoadOp::V128Load => ins.load(VECTOR, flags, base, offset),
            LoadOp::V128Load32Zero => {
                let scalar = ins.load(types::I32, flags, base, offset);
                self.vector_of_lowest(types::I32X4, scalar)
            }
            LoadOp::V128Load64Zero => {
                let scalar = ins.load(types::I64, flags, base, offset);
                self.vector_of_lowest(types::I64X2, scalar)
            }
        }
    }

    /// A store to linear memory.
    pub(super) fn store(&mut self, op: StoreOp, place: GuestPlace, value: Register, point: Option<Point>) {
        let (base, offset) = self.guest_address(place);
        self.at(point);
        let value = self.read(value);
        let flags = MemFlagsData::new().with_endianness(ir::Endianness::Little);
        let ins = self.builder.ins();
        match op {
            StoreOp::I32Store
            | StoreOp::I64Store
            | StoreOp::F32Store
            | StoreOp::F64Store
            | StoreOp::V128Store => ins.store(flags, value, base, offset),
            StoreOp::I32Store8 | StoreOp::I64Store8 => ins.istore8(flags, value, base, offset),
            StoreOp::I32Store16 | StoreOp::I64Store16 => ins.istore16(flags, value, base, offset),
            StoreOp::I64Store32 => ins.istore32(flags, value, base, offset),
        };
    }
}
