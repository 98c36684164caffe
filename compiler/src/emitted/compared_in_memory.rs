//! Stack checks and polls of loops in machine code: comparisons with memory, where Cranelift compares copies.
//!
//! Cranelift merges no load into what a branch compares, and copies the stack pointer before it compares it. Both copies
//! are of the comparison alone, so that one instruction can take their place: with the branch behind it, one operation of
//! the processor's for three or four.
//!
//! ```text
//!   stack check:   mov rax, [limit]                    loop:   mov rax, [limit]
//!                  mov rcx, rsp                                cmp rax, -1
//!                  cmp rcx, rax                                jne header
//!                  jb  cold
//!   instead:       cmp rsp, [limit]                            cmp [limit], -1
//!                  jb  cold                                    jne header
//! ```
//!
//! What is in their place has as many bytes. It is filled up with prefixes that do nothing, as assemblers do it to align
//! branches: an instruction that does nothing would be one more.
//!
//! Where other instructions are between a load and its comparison, the load goes when the code is
//! [tightened](super::tightening), and the comparison becomes one with memory.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::ops::Range;

use cranelift_codegen::CompiledCode;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register,
};
use osr_stubs::{Context, POLL_REQUEST};

use super::disassembly::Disassembly;
use super::encoding::{compare_memory, compare_stack_pointer, compare_stack_pointer_with};
use super::exit_state::is_written;
use super::poll_sites::{compares_request, is_limit, loads_limit};
use crate::safepoint::Origins;
use crate::settings::ReturnSites;

/// A function checks the stack within so many instructions.
const LOOKED_AT: usize = 32;

/// Where in a context the stack limit is.
const LIMIT: i32 = offset_of!(Context, stack_limit) as i32;

/// A segment override, which has no meaning for a comparison, nor for whatever else does not access memory in a segment that
/// has a base.
pub(crate) const PREFIX: u8 = 0x3e;

/// What instructions become, by their offsets.
pub(crate) type Edits = BTreeMap<u32, Vec<u8>>;

/// Replaces the comparisons in `code`, which is that of `compiled`.
pub(crate) fn replace(code: &mut [u8], compiled: &CompiledCode, return_sites: ReturnSites) {
    // Where returns are checked, the copy of the stack pointer may be compared there, too.
    if return_sites != ReturnSites::Checked {
        replace_stack_check(code);
    }
    for range in Origins::of(compiled).polls().into_values().flatten() {
        replace_poll(&mut code[range.start as usize..range.end as usize]);
    }
}

/// What becomes of comparisons that are apart from their loads, in `code`, which is that of `compiled`.
pub(crate) fn apart(code: &Disassembly, compiled: &CompiledCode, return_sites: ReturnSites) -> Edits {
    let mut edits = Edits::new();
    let mut edit = |compare: usize, in_memory: &dyn Fn(u8) -> Vec<u8>| {
        let instructions = &code.instructions[..=compare];
        if let Some(load) = load_before(instructions)
            && load.next_ip() != instructions[compare].ip()
        {
            edits.insert(load.ip() as u32, Vec::new());
            edits.insert(instructions[compare].ip() as u32, in_memory(load.memory_base().number() as u8));
        }
    };
    let compares_limit = |compare: &Instruction| {
        compare.mnemonic() == Mnemonic::Cmp
            && [compare.op0_kind(), compare.op1_kind()] == [OpKind::Register; 2]
            && compare.op0_register() == Register::RSP
    };
    let check = code.instructions.iter().take(LOOKED_AT).position(compares_limit);
    if let Some(check) = check.filter(|_| return_sites != ReturnSites::Checked) {
        edit(check, &|base| compare_stack_pointer(base, LIMIT));
    }
    for range in Origins::of(compiled).polls().into_values().flatten() {
        let first = code.instructions.partition_point(|found| found.ip() < u64::from(range.start));
        let of_range =
            code.instructions[first..].iter().take_while(|found| found.ip() < u64::from(range.end));
        let is_it = |found: &Instruction| compares_request(found) && found.op0_kind() == OpKind::Register;
        if let Some(position) = of_range.clone().position(is_it) {
            edit(first + position, &|base| compare_memory(base, LIMIT, POLL_REQUEST as i8));
        }
    }
    edits
}

/// The load of the stack limit that the last of `instructions` compares, if the register that points to the context is
/// written in between by nothing but the load.
fn load_before(instructions: &[Instruction]) -> Option<&Instruction> {
    /// What the allocator and the scheduler may have put in between.
    const LOOKED_AT: usize = 8;
    let (compare, before) = instructions.split_last()?;
    let mut factory = InstructionInfoFactory::new();
    let mut written = BTreeSet::new();
    for instruction in before.iter().rev().take(LOOKED_AT) {
        let compared = [compare.op0_register(), compare.op1_register()];
        if compared.into_iter().any(|register| register.is_gpr64() && loads_limit(instruction, register)) {
            return Some(instruction).filter(|load| !written.contains(&load.memory_base()));
        }
        let used = factory.info(instruction).used_registers().iter();
        let used = used.filter(|used| is_written(used.access()));
        written.extend(used.map(|used| used.register().full_register()));
        // What is compared may have been moved.
        let is_other = compared.into_iter().any(|register| written.contains(&register));
        if is_other || instruction.flow_control() != FlowControl::Next {
            return None;
        }
    }
    None
}

fn decode(code: &[u8]) -> impl Iterator<Item = Instruction> {
    Decoder::new(64, code, DecoderOptions::NONE).into_iter()
}

/// The stack check of the function that `code` begins with, if it is as expected.
fn replace_stack_check(code: &mut [u8]) {
    let instructions: Vec<Instruction> = decode(code).take(LOOKED_AT).collect();
    let is_check = |pair: &[Instruction]| copies_stack_pointer(&pair[0]) && compares_copy(&pair[1], &pair[0]);
    let Some(copy) = instructions.windows(2).position(is_check) else { return };
    let (before, compare) = (&instructions[..copy], &instructions[copy + 1]);
    let load = before.last().filter(|load| loads_limit(load, compare.op1_register()));
    let start = load.unwrap_or(&instructions[copy]).ip() as usize;
    let bytes = start..compare.next_ip() as usize;
    let with_limit = |base: Register| compare_stack_pointer(base.number() as u8, LIMIT);
    let comparison = match (load, compare.op1_kind()) {
        (Some(load), _) => with_limit(load.memory_base()),
        (None, OpKind::Memory) => with_limit(compare.memory_base()),
        (None, _) => compare_stack_pointer_with(compare.op1_register().number() as u8),
    };
    overwrite(code, bytes, &comparison);
}

/// The poll in `code`, if it is as expected.
fn replace_poll(code: &mut [u8]) {
    let instructions: Vec<Instruction> = decode(code).collect();
    let is_poll = |pair: &[Instruction]| {
        compares_request(&pair[1])
            && pair[1].op0_kind() == OpKind::Register
            && loads_limit(&pair[0], pair[1].op0_register())
    };
    let Some([load, compare]) = instructions.array_windows().find(|pair| is_poll(&pair[..])) else { return };
    // Processors fuse a comparison with an immediate and the branch behind it if there is no displacement.
    let comparison = compare_memory(load.memory_base().number() as u8, LIMIT, POLL_REQUEST as i8);
    overwrite(code, load.ip() as usize..compare.next_ip() as usize, &comparison);
}

/// `mov register, rsp`
fn copies_stack_pointer(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == Register::RSP
}

/// Whether `instruction` compares what `copy` has copied with the limit, or with another register.
fn compares_copy(instruction: &Instruction, copy: &Instruction) -> bool {
    let is_compared = instruction.mnemonic() == Mnemonic::Cmp
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == copy.op0_register();
    is_compared
        && match instruction.op1_kind() {
            OpKind::Memory => is_limit(instruction),
            kind => kind == OpKind::Register,
        }
}

/// How many bytes of `instruction`, which is of `code`, [fill it up](overwrite).
pub(crate) fn padding(code: &[u8], instruction: &Instruction) -> u32 {
    let bytes = &code[instruction.ip() as usize..instruction.next_ip() as usize];
    bytes.iter().take_while(|&&byte| byte == PREFIX).count() as u32
}

/// Has `comparison` where `bytes` of `code` are, unless it is longer.
fn overwrite(code: &mut [u8], bytes: Range<usize>, comparison: &[u8]) {
    let Some(padding) = bytes.len().checked_sub(comparison.len()) else { return };
    let place = &mut code[bytes];
    place[..padding].fill(PREFIX);
    place[padding..].copy_from_slice(comparison);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the instructions in `code`, as text.
    fn text(code: &[u8]) -> Vec<String> {
        decode(code).map(|instruction| instruction.to_string().replace("ds:", "")).collect()
    }

    #[test]
    fn the_stack_pointer_is_compared_with_memory() {
        // push rbp; mov rax, [rdi]; mov rcx, rsp; cmp rcx, rax; jb
        let mut code = [0x55, 0x48, 0x8b, 7, 0x48, 0x89, 0xe1, 0x48, 0x39, 0xc1, 0x72, 0];
        replace_stack_check(&mut code);
        assert_eq!(text(&code), ["push rbp", "cmp rsp,[rdi]", "jb short 000000000000000Ch"]);
        // mov rax, rsp; cmp rax, [r12]
        let mut code = [0x48, 0x89, 0xe0, 0x49, 0x3b, 4, 0x24];
        replace_stack_check(&mut code);
        assert_eq!(text(&code), ["cmp rsp,[r12]"]);
        // mov r9, [rdi]; mov rbx, rdi; mov rcx, rsp; cmp rcx, r9
        let apart = [0x4c, 0x8b, 0x0f, 0x48, 0x89, 0xfb, 0x48, 0x89, 0xe1, 0x4c, 0x39, 0xc9];
        let mut code = apart;
        replace_stack_check(&mut code);
        assert_eq!(text(&code), ["mov r9,[rdi]", "mov rbx,rdi", "cmp rsp,r9"]);
    }

    #[test]
    fn a_poll_compares_memory() {
        // mov rax, [rdi]; cmp rax, -1; jne
        let mut code = [0x48, 0x8b, 7, 0x48, 0x83, 0xf8, 0xff, 0x75, 0];
        replace_poll(&mut code);
        assert_eq!(text(&code), ["cmp qword ptr [rdi],0FFFFFFFFFFFFFFFFh", "jne short 9"]);
        // mov r8, [r13]; cmp r8, -1
        let mut code = [0x4d, 0x8b, 0x45, 0, 0x49, 0x83, 0xf8, 0xff];
        replace_poll(&mut code);
        assert_eq!(text(&code), ["cmp qword ptr [r13],0FFFFFFFFFFFFFFFFh"]);
    }

    #[test]
    fn a_load_apart_is_found_while_the_context_is_where_it_was() {
        let load = |code: &[u8]| {
            let instructions: Vec<Instruction> = decode(code).collect();
            load_before(&instructions).map(|load| (load.ip(), load.memory_base()))
        };
        let (first, moved, compare) = ([0x4c, 0x8b, 0x0f], [0x48, 0x89, 0xfb], [0x4c, 0x39, 0xcc]);
        // mov r9, [rdi]; mov rbx, rdi; cmp rsp, r9
        assert_eq!(load(&[first, moved, compare].concat()), Some((0, Register::RDI)));
        // mov r9, [rdi]; mov rdi, rbx; cmp rsp, r9
        assert_eq!(load(&[first, [0x48, 0x89, 0xdf], compare].concat()), None, "rdi is another");
        // mov r9, [rdi]; call rax; cmp rsp, r9
        assert_eq!(load(&[&first[..], &[0xff, 0xd0], &compare].concat()), None, "a call is in between");
        // mov r9, [rdi]; mov r9, rbx; cmp rsp, r9
        assert_eq!(load(&[first, [0x49, 0x89, 0xd9], compare].concat()), None, "something else is compared");
        assert_eq!(load(&compare), None);
    }

    #[test]
    fn what_compares_something_else_stays() {
        // mov rax, rsp; cmp rcx, rax
        let other_register = [0x48, 0x89, 0xe0, 0x48, 0x39, 0xc1];
        // mov rax, rsp; cmp rax, [rdi + 8]
        let other_word = [0x48, 0x89, 0xe0, 0x48, 0x3b, 0x47, 8];
        for code in [&other_register[..], &other_word] {
            let mut replaced = code.to_vec();
            replace_stack_check(&mut replaced);
            assert_eq!(replaced, code);
        }
        // mov rax, [rdi]; cmp rcx, -1
        let mut code = [0x48, 0x8b, 7, 0x48, 0x83, 0xf9, 0xff];
        let before = code;
        replace_poll(&mut code);
        assert_eq!(code, before);
    }
}
