//! Polls that compare a [near word](super::near_access): what Cranelift compares is a word of the frame, which is never written.
//!
//! ```text
//!   compiled:   mov rax, [rsp + 24]          instead:   cmp [rip + distance], -1
//!               cmp rax, -1                             jne header
//!               jne header
//! ```
//!
//! By the context, every loop that polls would need the context in a register, or load it from the frame. A word of the frame
//! needs nothing that lives in the loop; and of whatever else needs no register (an address that the linker knows) Cranelift hoists
//! the address out of the loop, into a register.

use cranelift_codegen::CompiledCode;
use cranelift_codegen::ir::StackSlot;
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::compared_in_memory::Edits;
use super::disassembly::{Disassembly, NotReadable};
use super::near_access::{NEAR_COMPARISON, NearAccess, NearWord};
use super::poll_sites::compares_request;
use super::tightening::Tight;
use crate::safepoint::layout;

/// What the allocator and the scheduler may have put between a load and its comparison.
const LOOKED_AT: usize = 8;

/// The comparisons, by their offsets in Cranelift's code.
#[derive(Debug, Default)]
pub(crate) struct NearPolls(Vec<u32>);

impl NearPolls {
    /// Those in `code`, which is that of `compiled`, that compare `slot`. Has `edits` make them comparisons of the near word; fails
    /// if the slot is accessed in any other way.
    pub(crate) fn of(
        code: &Disassembly,
        compiled: &CompiledCode,
        slot: StackSlot,
        edits: &mut Edits,
    ) -> Result<NearPolls, NotReadable> {
        let word = u64::from(layout(compiled).stackslots[slot].offset);
        let mut comparisons = Vec::new();
        for (number, load) in code.instructions.iter().enumerate() {
            if load.memory_base() != Register::RSP || load.memory_displacement64() != word {
                continue;
            }
            let comparison = comparison_of(load, &code.instructions[number + 1..]).ok_or(NotReadable)?;
            edits.insert(load.ip() as u32, Vec::new());
            edits.insert(comparison, NEAR_COMPARISON.to_vec());
            comparisons.push(comparison);
        }
        Ok(NearPolls(comparisons))
    }

    /// The accesses in code that was tightened.
    pub(crate) fn accesses(&self, tight: &Tight) -> impl Iterator<Item = NearAccess> {
        let moved = |&start: &u32| Some(NearAccess::comparison(tight.kept(start)?, NearWord::PollRequest));
        self.0.iter().filter_map(moved)
    }
}

/// Where among the instructions that follow `load` the comparison of what it loads with what requests polls is.
fn comparison_of(load: &Instruction, following: &[Instruction]) -> Option<u32> {
    let loaded = load.op0_register();
    if load.mnemonic() != Mnemonic::Mov || load.op0_kind() != OpKind::Register || !loaded.is_gpr64() {
        return None;
    }
    let mut factory = InstructionInfoFactory::new();
    for instruction in following.iter().take(LOOKED_AT) {
        if compares_request(instruction) && instruction.op0_register() == loaded {
            return Some(instruction.ip() as u32);
        }
        let used = factory.info(instruction).used_registers();
        let uses_it = used.iter().any(|used| used.register().full_register() == loaded);
        if uses_it || instruction.flow_control() != FlowControl::Next {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};
    use osr_stubs::POLL_REQUEST;

    use super::*;

    /// Where what is loaded by the first instruction of `code` is compared.
    fn comparison(code: &[&[u8]]) -> Option<u32> {
        let code = code.concat();
        let instructions: Vec<Instruction> =
            Decoder::new(64, &code, DecoderOptions::NONE).into_iter().collect();
        comparison_of(&instructions[0], &instructions[1..])
    }

    /// `mov rax, [rsp + 24]`
    const LOAD: &[u8] = &[0x48, 0x8b, 0x44, 0x24, 24];
    /// `cmp rax, -1`
    const COMPARE: &[u8] = &[0x48, 0x83, 0xf8, 0xff];

    #[test]
    fn a_comparison_is_that_of_the_load_before() {
        let moved: &[u8] = &[0x48, 0x89, 0xd9]; // mov rcx, rbx
        assert_eq!(comparison(&[LOAD, COMPARE]), Some(5));
        assert_eq!(comparison(&[LOAD, moved, COMPARE]), Some(8));
    }

    #[test]
    fn what_is_used_otherwise_is_none() {
        let (used, written): (&[u8], &[u8]) = (&[0x48, 0x89, 0xc1], &[0x48, 0x89, 0xc8]); // mov rcx, rax; mov rax, rcx
        let (other, branch): (&[u8], &[u8]) = (&[0x48, 0x83, 0xf9, 0xff], &[0x74, 0]); // cmp rcx, -1; je
        for between in [used, written, branch] {
            assert_eq!(comparison(&[LOAD, between, COMPARE]), None);
        }
        assert_eq!(comparison(&[LOAD, other]), None);
        let address: &[u8] = &[0x48, 0x8d, 0x44, 0x24, 24]; // lea rax, [rsp + 24]
        assert_eq!(comparison(&[address, COMPARE]), None);
    }

    #[test]
    fn a_near_comparison_is_one() {
        let comparison = Decoder::new(64, &NEAR_COMPARISON, DecoderOptions::NONE).decode();
        assert_eq!(comparison.mnemonic(), Mnemonic::Cmp);
        assert_eq!((comparison.memory_base(), comparison.immediate(1)), (Register::RIP, POLL_REQUEST));
        let NearAccess { offset, end, .. } = NearAccess::comparison(0, NearWord::PollRequest);
        assert_eq!((comparison.len() as u32, offset), (end, end - 5), "a byte is behind the distance");
    }
}
