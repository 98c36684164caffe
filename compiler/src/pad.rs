//! Pads: a call's exception handler that stores the frame state, for landings to execute.
//!
//! A pad is entered as if its call had thrown, with two payloads: where the frame state goes (one word for
//! each register of the body), and what to call when it is there. What the allocator does to bring values to
//! the pad, and what the optimizer has moved into it because nothing else needs it, is in the pad's machine
//! code, so that it is right by construction.
//!
//! That code may be *moved*: pads outlive the code they were compiled with. They are straight pieces of it,
//! and refer to nothing by relative address but constants, which are copied along. This is checked here.

use cranelift_codegen::ir::{self, AbiParam, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use osr_ir::Register;

use super::clif_type::in_words;
use super::translate::Translator;
use super::trap_site::never_trap_code;
use crate::pad_sites::{PadRange, PadSites, Reference};

impl Translator<'_, '_> {
    /// Fills `pad`: it stores `values` into the frame state, and calls what it was given.
    pub(super) fn fill_pad(&mut self, pad: ir::Block, values: &[(Register, ir::Value)]) {
        let builder = &mut self.builder;
        let state = builder.append_block_param(pad, types::I64);
        let leave = builder.append_block_param(pad, types::I64);
        builder.set_cold_block(pad);
        builder.switch_to_block(pad);
        builder.seal_block(pad);
        for &(register, value) in values {
            let flags = in_words(self.builder.func.dfg.value_type(value));
            let word = self.source.word(register);
            self.builder.ins().store(flags, value, state, word as i32 * 8);
        }
        let builder = &mut self.builder;
        let signature = *self.leave_signature.get_or_insert_with(|| {
            let mut signature = ir::Signature::new(CallConv::SystemV);
            signature.params = Vec::<AbiParam>::new();
            builder.import_signature(signature)
        });
        builder.ins().call_indirect(signature, leave, &[]);
        builder.ins().trap(never_trap_code());
    }
}

/// A pad that cannot be moved.
#[derive(Debug)]
pub(super) struct Immovable;

/// The pads in `code` that begin at `starts`: per site, if it has one.
pub(super) fn read_pads(code: &[u8], starts: &[Option<u32>]) -> Result<PadSites, Immovable> {
    let mut references = Vec::new();
    let ranges = starts.iter().map(|start| match start {
        Some(start) => read_pad(code, *start, &mut references).map(Some),
        None => Ok(None),
    });
    let ranges: Vec<Option<PadRange>> = ranges.collect::<Result<_, _>>()?;
    Ok(PadSites::new(ranges, references))
}

/// The pad that begins at `start`: up to its call.
fn read_pad(code: &[u8], start: u32, references: &mut Vec<Reference>) -> Result<PadRange, Immovable> {
    let mut decoder = Decoder::with_ip(64, &code[start as usize..], u64::from(start), DecoderOptions::NONE);
    let mut targets = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        match instruction.flow_control() {
            FlowControl::Next if !instruction.is_invalid() => {
                references.extend(reference(&decoder, &instruction)?);
            }
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.push(instruction.near_branch_target());
            }
            FlowControl::IndirectCall => {
                let end = instruction.next_ip();
                let inside = targets.iter().all(|target| (u64::from(start)..end).contains(target));
                let range = PadRange { start, end: end as u32 };
                return if inside { Ok(range) } else { Err(Immovable) };
            }
            _ => return Err(Immovable),
        }
    }
    Err(Immovable)
}

/// What `instruction` refers to by relative address.
fn reference(decoder: &Decoder<'_>, instruction: &Instruction) -> Result<Option<Reference>, Immovable> {
    if !instruction.is_ip_rel_memory_operand() {
        return Ok(None);
    }
    let bytes = instruction.memory_size().size() as u32;
    if bytes == 0 || instruction.mnemonic() == Mnemonic::Lea {
        return Err(Immovable);
    }
    let displacement = decoder.get_constant_offsets(instruction).displacement_offset() as u32;
    let at = instruction.ip() as u32 + displacement;
    let (next, target) = (instruction.next_ip() as u32, instruction.ip_rel_memory_address() as u32);
    Ok(Some(Reference { at, next, target, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mov [rax + 8], rbx; call rdx; ud2`
    const STORE: [u8; 8] = [0x48, 0x89, 0x58, 0x08, 0xff, 0xd2, 0x0f, 0x0b];

    #[test]
    fn a_pad_ends_with_its_call() {
        let pads = read_pads(&STORE, &[None, Some(0)]).expect("it can be moved");
        assert_eq!(pads.range(0), None);
        assert_eq!(pads.range(1), Some(PadRange { start: 0, end: 6 }));
    }

    #[test]
    fn what_leaves_a_pad_in_another_way_cannot_be_moved() {
        let jump = [0xeb, 0x10, 0xff, 0xd2];
        assert!(read_pads(&jump, &[Some(0)]).is_err(), "a jump out of it");
        let endless = [0x90, 0x90];
        assert!(read_pads(&endless, &[Some(0)]).is_err(), "no call");
        let address = [0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xff, 0xd2];
        assert!(read_pads(&address, &[Some(0)]).is_err(), "an address relative to it");
    }

    #[test]
    fn constants_move_with_their_pads() {
        // movsd xmm0, [rip + 2]; call rdx; the constant
        let mut code = vec![0xf2, 0x0f, 0x10, 0x05, 2, 0, 0, 0, 0xff, 0xd2];
        code.extend(1.5f64.to_le_bytes());
        let pads = read_pads(&code, &[Some(0), Some(0)]).expect("it can be moved");
        let (copy, starts) = pads.copy(&code);
        for start in starts.iter().map(|start| start.expect("both have pads") as usize) {
            assert_eq!(copy[start..start + 4], code[..4]);
            let distance = i32::from_le_bytes(copy[start + 4..start + 8].try_into().unwrap());
            let constant = (start + 8).wrapping_add_signed(distance as isize);
            assert_eq!(copy[constant..constant + 8], 1.5f64.to_le_bytes());
        }
    }
}
