//! Reading a pad: from where each value is that it stores.
//!
//! A pad is straight code that moves values and stores them into the frame state. Followed from its start,
//! where callee-saved registers and the frame hold what the allocator keeps there, each store says what
//! became of a live value. This is a statistic: what cannot be followed counts as recomputed.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

/// Where a pad has a value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A register that the call preserves.
    Register,
    /// The frame.
    Spill,
    /// A constant in the pad's code, or beside it.
    Constant,
    /// The pad computes it.
    Recomputed,
}

/// Where the pad that begins at `start` of `code` has the values from that it stores, in the order of stores.
pub(super) fn sources(code: &[u8], start: u32) -> Vec<Source> {
    use Register::{R12, R13, R14, R15, RAX, RBX};
    let mut held: HashMap<Register, Source> =
        [RBX, R12, R13, R14, R15].map(|register| (register, Source::Register)).into();
    // The frame state's address may move.
    let mut state = vec![RAX];
    let mut information = InstructionInfoFactory::new();
    let mut stored = Vec::new();
    let decoder = Decoder::with_ip(64, &code[start as usize..], u64::from(start), DecoderOptions::NONE);
    for instruction in decoder {
        if instruction.flow_control() == FlowControl::IndirectCall || instruction.is_invalid() {
            break;
        }
        let is_store = instruction.op0_kind() == OpKind::Memory && state.contains(&instruction.memory_base());
        if is_store {
            stored.push(operand(&instruction, 1, &held));
            continue;
        }
        let source = written(&instruction, &held);
        let is_state = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op1_kind() == OpKind::Register
            && state.contains(&instruction.op1_register().full_register());
        let used = information.info(&instruction).used_registers();
        let targets =
            used.iter().filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
        for target in targets.map(|used| used.register().full_register()) {
            state.retain(|&register| register != target);
            held.insert(target, source);
            if is_state {
                state.push(target);
            }
        }
    }
    stored
}

/// What `instruction` leaves in the register that it writes.
fn written(instruction: &Instruction, held: &HashMap<Register, Source>) -> Source {
    let is_zero = matches!(
        instruction.mnemonic(),
        Mnemonic::Xor | Mnemonic::Xorps | Mnemonic::Pxor | Mnemonic::Vxorps | Mnemonic::Vpxor
    ) && instruction.op_register(instruction.op_count() - 1) == instruction.op0_register();
    let name = format!("{:?}", instruction.mnemonic());
    match () {
        () if is_zero => Source::Constant,
        // Extensions leave the value what it is.
        () if name.starts_with("Mov") || name.starts_with("Vmov") => {
            operand(instruction, instruction.op_count() - 1, held)
        }
        () => Source::Recomputed,
    }
}

fn operand(instruction: &Instruction, number: u32, held: &HashMap<Register, Source>) -> Source {
    match instruction.op_kind(number) {
        OpKind::Register => {
            let register = instruction.op_register(number).full_register();
            held.get(&register).copied().unwrap_or(Source::Recomputed)
        }
        OpKind::Memory if instruction.is_ip_rel_memory_operand() => Source::Constant,
        OpKind::Memory if matches!(instruction.memory_base(), Register::RSP | Register::RBP) => Source::Spill,
        OpKind::Memory => Source::Recomputed,
        _ => Source::Constant,
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, sources};

    #[test]
    fn each_store_says_where_its_value_is_from() {
        let pad = [
            0x48, 0x89, 0xc1, // mov rcx, rax
            0x48, 0x89, 0x59, 0x08, // mov [rcx + 8], rbx
            0x48, 0x8b, 0x44, 0x24, 0x10, // mov rax, [rsp + 16]
            0x48, 0x89, 0x41, 0x10, // mov [rcx + 16], rax
            0xc7, 0x41, 0x18, 0x05, 0, 0, 0, // mov dword [rcx + 24], 5
            0x48, 0x8d, 0x43, 0x01, // lea rax, [rbx + 1]
            0x48, 0x89, 0x41, 0x20, // mov [rcx + 32], rax
            0xff, 0xd2, // call rdx
            0x48, 0x89, 0x59, 0x08, // (not of the pad)
        ];
        let expected = [Source::Register, Source::Spill, Source::Constant, Source::Recomputed];
        assert_eq!(sources(&pad, 0), expected);
    }
}
