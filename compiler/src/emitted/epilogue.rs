//! Epilogues in machine code: frames that are left without reading the frame pointer.
//!
//! Cranelift pops a frame, and then sets the stack pointer to the frame pointer, which is the same address. But the frame
//! pointer was loaded from the stack, so that each return waits for the load of the one before: in a deep recursion,
//! whose frames are not in the nearest cache, that is a list that is chased. Popping alone depends on nothing.
//!
//! ```text
//!   add rsp, 48                 add rsp, 48
//!   mov rsp, rbp       ──>
//!   pop rbp                     pop rbp
//!   ret                         ret
//! ```

use cranelift_codegen::CompiledCode;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::compared_in_memory::PREFIX;
use crate::safepoint::Origins;

/// Replaces the ends of frames in `code`, which is that of `compiled`.
pub(crate) fn replace(code: &mut [u8], compiled: &CompiledCode) {
    for range in Origins::of(compiled).returns() {
        replace_one(&mut code[range.start as usize..range.end as usize]);
    }
}

/// The one in `code`, if it is as expected. What is left of it has as many bytes, by prefixes that do nothing.
fn replace_one(code: &mut [u8]) {
    let instructions: Vec<Instruction> = Decoder::new(64, code, DecoderOptions::NONE).into_iter().collect();
    let is_end = |pair: &[Instruction; 2]| pops_frame(&pair[0]) && copies_frame_pointer(&pair[1]);
    let Some([pop, copy]) = instructions.array_windows().find(|pair| is_end(pair)) else { return };
    let bytes = pop.ip() as usize..copy.next_ip() as usize;
    let moved = code[pop.ip() as usize..pop.next_ip() as usize].to_vec();
    let (padding, place) = code[bytes].split_at_mut(copy.len());
    padding.fill(PREFIX);
    place.copy_from_slice(&moved);
}

/// `add rsp, number`
fn pops_frame(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Add
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == Register::RSP
        && matches!(instruction.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64)
}

/// `mov rsp, rbp`
fn copies_frame_pointer(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && [instruction.op0_kind(), instruction.op1_kind()] == [OpKind::Register; 2]
        && [instruction.op0_register(), instruction.op1_register()] == [Register::RSP, Register::RBP]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(code: &[u8]) -> Vec<String> {
        let mut code = code.to_vec();
        replace_one(&mut code);
        let instructions = Decoder::new(64, &code, DecoderOptions::NONE);
        instructions.into_iter().map(|one| one.to_string().replace("ds ", "")).collect()
    }

    #[test]
    fn the_frame_is_popped_alone() {
        // mov rbx, [rsp + 32]; add rsp, 48; mov rsp, rbp; pop rbp; ret
        let code = [0x48, 0x8b, 0x5c, 0x24, 0x20, 0x48, 0x83, 0xc4, 0x30, 0x48, 0x89, 0xec, 0x5d, 0xc3];
        assert_eq!(replaced(&code), ["mov rbx,[rsp+20h]", "add rsp,30h", "pop rbp", "ret"]);
        // add rsp, 4096; mov rsp, rbp; pop rbp; ret
        let code = [0x48, 0x81, 0xc4, 0, 0x10, 0, 0, 0x48, 0x89, 0xec, 0x5d, 0xc3];
        assert_eq!(replaced(&code), ["add rsp,1000h", "pop rbp", "ret"]);
    }

    #[test]
    fn without_a_frame_that_is_popped_the_frame_pointer_is_copied() {
        // mov rsp, rbp; pop rbp; ret
        assert_eq!(replaced(&[0x48, 0x89, 0xec, 0x5d, 0xc3]), ["mov rsp,rbp", "pop rbp", "ret"]);
        // add rsp, 48; mov rsp, rdi
        assert_eq!(replaced(&[0x48, 0x83, 0xc4, 0x30, 0x48, 0x89, 0xfc]), ["add rsp,30h", "mov rsp,rdi"]);
    }
}
