//! Single instructions in the place of others, as bytes. They are encoded by `cranelift-assembler-x64`.

use cranelift_assembler_x64::{CodeSink, DeferredTarget, Inst, KnownOffset, TrapCode, inst};

use crate::single_pass::machine::{Gpr, Machine, RSP, at};

/// `cmp qword [base + offset], value`
pub(crate) fn compare_memory(base: u8, offset: i32, value: i8) -> Vec<u8> {
    bytes(inst::cmpq_mi_sxb::<Machine>::new(at(Gpr(base), offset), value))
}

/// `cmp rsp, [base + offset]`
pub(crate) fn compare_stack_pointer(base: u8, offset: i32) -> Vec<u8> {
    bytes(inst::cmpq_rm::<Machine>::new(RSP, at(Gpr(base), offset)))
}

/// `cmp rsp, register`
pub(crate) fn compare_stack_pointer_with(register: u8) -> Vec<u8> {
    bytes(inst::cmpq_rm::<Machine>::new(RSP, Gpr(register)))
}

fn bytes(instruction: impl Into<Inst<Machine>>) -> Vec<u8> {
    let mut bytes = Bytes(Vec::new());
    instruction.into().encode(&mut bytes);
    bytes.0
}

/// The bytes.
struct Bytes(Vec<u8>);

impl CodeSink for Bytes {
    fn put1(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn put2(&mut self, word: u16) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    fn put4(&mut self, word: u32) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    fn put8(&mut self, word: u64) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    fn add_trap(&mut self, _: TrapCode) {}

    fn use_target(&mut self, _: DeferredTarget) {
        unreachable!("nothing is addressed relative to the instruction pointer");
    }

    fn known_offset(&self, _: KnownOffset) -> i32 {
        unreachable!("all offsets are known");
    }
}
