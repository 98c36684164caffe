//! Reading code: how much of it only moves values about, and how large its frame is.
//!
//! Code is decoded from its first byte to its last. What little data lies in it, constants and jump tables, counts as the
//! instructions that it happens to decode to.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

/// What the instructions of a function's code are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instructions {
    /// Those that copy one register to another.
    pub(super) moves: u64,
    /// Those that copy between a register and the frame.
    pub(super) spills: u64,
    /// Bytes of the frame, from the saved `rbp` down.
    pub(super) frame_bytes: u64,
}

impl Instructions {
    /// Reads `code`.
    pub(super) fn of(code: &[u8]) -> Instructions {
        let mut counted = Instructions::default();
        for instruction in Decoder::new(64, code, DecoderOptions::NONE).iter() {
            match instruction.mnemonic() {
                Mnemonic::Sub if counted.frame_bytes == 0 => counted.frame_bytes = allocated(&instruction),
                mnemonic if copies(mnemonic) => match place(&instruction) {
                    Place::Register => counted.moves += 1,
                    Place::Frame => counted.spills += 1,
                    Place::Elsewhere => {}
                },
                _ => {}
            }
        }
        counted
    }
}

/// What a move's other side is.
enum Place {
    Register,
    Frame,
    Elsewhere,
}

fn place(instruction: &Instruction) -> Place {
    let is_register = |operand| instruction.op_kind(operand) == OpKind::Register;
    let is_memory = |operand| instruction.op_kind(operand) == OpKind::Memory;
    let in_frame = matches!(instruction.memory_base(), Register::RSP | Register::RBP)
        && instruction.memory_index() == Register::None;
    match () {
        () if is_register(0) && is_register(1) => Place::Register,
        () if in_frame && (is_register(0) && is_memory(1) || is_memory(0) && is_register(1)) => Place::Frame,
        () => Place::Elsewhere,
    }
}

/// Whether it leaves a value as it is.
fn copies(mnemonic: Mnemonic) -> bool {
    use Mnemonic::{
        Mov, Movapd, Movaps, Movdqa, Movdqu, Movq, Movsd, Movss, Movups, Vmovapd, Vmovaps, Vmovdqu, Vmovsd,
        Vmovss, Vmovups,
    };
    matches!(
        mnemonic,
        Mov | Movaps
            | Movapd
            | Movdqa
            | Movdqu
            | Movq
            | Movsd
            | Movss
            | Movups
            | Vmovaps
            | Vmovapd
            | Vmovdqu
            | Vmovsd
            | Vmovss
            | Vmovups
    )
}

/// `sub rsp, n`: the prologue allocates n bytes.
fn allocated(instruction: &Instruction) -> u64 {
    let is_stack = instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::RSP;
    let is_constant = matches!(instruction.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64);
    if is_stack && is_constant { instruction.immediate(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::Instructions;

    #[test]
    fn moves_and_spills_are_told_apart() {
        let code = [
            0x48, 0x83, 0xec, 0x20, // sub rsp, 32
            0x48, 0x89, 0xd8, // mov rax, rbx
            0x48, 0x89, 0x44, 0x24, 0x08, // mov [rsp + 8], rax
            0x48, 0x8b, 0x45, 0xf0, // mov rax, [rbp - 16]
            0x48, 0x8b, 0x03, // mov rax, [rbx]
            0xb8, 0x01, 0, 0, 0, // mov eax, 1
            0x48, 0x83, 0xec, 0x08, // sub rsp, 8: not the prologue's
            0xc3, // ret
        ];
        assert_eq!(Instructions::of(&code), Instructions { moves: 1, spills: 2, frame_bytes: 32 });
    }
}
