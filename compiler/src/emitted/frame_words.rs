//! The words of a frame in machine code: those that nothing accesses go, and the others are addressed in the shortest way.
//!
//! ```text
//!   rbp ──> | saved registers | spilled values | slots    | arguments | <── rsp        compiled
//!   rbp ──> | saved registers | spilled values | in use   | arguments | <── rsp        left of it
//! ```
//!
//! What a poll would store has a slot for each register, and most of these stores [are read, and go](super::poll_exits). But
//! Cranelift has made room for them between the stack pointer and what is spilled, whose distances from there then take four
//! bytes and not one. Without these words spilled values are where they were, and the stack pointer is nearer.
//!
//! Cranelift addresses all words from the stack pointer, which takes a byte that the frame pointer does not need. So what is
//! near enough to the frame pointer is addressed from there. Each word has one way, which depends on where it is alone: processors
//! forward what was stored to what is loaded by the same way with less delay.
//!
//! ```text
//!   mov [rsp + 0x98], rax     48 89 84 24 98 00 00 00
//!   mov [rbp - 0x28], rax     48 89 45 d8
//! ```

use cranelift_codegen::MachBufferFrameLayout;
use cranelift_codegen::ir::StackSlot;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::compared_in_memory::{Edits, PREFIX};
use super::disassembly::Disassembly;

const WORD: i32 = 8;

/// What the stack pointer is aligned to.
const ALIGNMENT: i32 = 16;

/// Which words of a frame are left, and where they are.
#[derive(Debug, Default)]
pub(crate) struct FrameWords {
    /// The slots in bytes from the stack pointer, as Cranelift has it, and where they end.
    slots: (i32, i32),
    /// By slot word, how many words below it in the frame have gone.
    gone_below: Vec<i32>,
    /// Bytes of the frame, below the frame pointer.
    bytes: i32,
    /// Of these, how many have gone.
    gone: i32,
}

impl FrameWords {
    /// Finds the words that the instructions of `code` access that are `reached` and not edited, and lets the others go. `kept` is
    /// in use otherwise. Nothing goes unless it may.
    pub(crate) fn of(
        (machine_code, code): (&[u8], &Disassembly),
        (reached, edits): (&[bool], &Edits),
        layout: &MachBufferFrameLayout,
        kept: Option<StackSlot>,
        may_go: bool,
    ) -> Option<FrameWords> {
        let bytes = layout.frame_to_fp_offset as i32;
        let offsets = || layout.stackslots.values().map(|slot| slot.offset as i32);
        let first = offsets().min().unwrap_or(0);
        // Every slot is one word, unless there are vectors.
        let end = offsets().max().map_or(0, |last| last + WORD);
        let mut in_use = vec![!may_go; ((end - first) / WORD) as usize];
        let mut use_word = |offset: i32| {
            if (first..end).contains(&offset) {
                in_use[((offset - first) / WORD) as usize] = true;
            }
        };
        let stays = |found: &&Instruction| !edits.contains_key(&(found.ip() as u32));
        for instruction in reached_instructions(code, reached).filter(stays) {
            let Some(offset) = from_stack_pointer(machine_code, instruction)? else { continue };
            let accessed = instruction.memory_size().size() as i32;
            (offset..offset + accessed).step_by(WORD as usize).for_each(&mut use_word);
        }
        kept.iter().for_each(|&slot| use_word(layout.stackslots[slot].offset as i32));
        let mut gone = 0;
        let gone_below: Vec<i32> = in_use
            .iter()
            .map(|&is_in_use| {
                gone += i32::from(!is_in_use);
                gone
            })
            .collect();
        let gone = gone * WORD / ALIGNMENT * ALIGNMENT;
        Some(FrameWords { slots: (first, end), gone_below, bytes, gone })
    }

    /// Where the word is that was at `offset` from the stack pointer.
    fn stack_offset(&self, offset: i32) -> i32 {
        let (first, end) = self.slots;
        match offset {
            _ if offset < first => offset,
            _ if offset >= end => offset - self.gone,
            _ => offset - WORD * self.gone_below[((offset - first) / WORD) as usize],
        }
    }

    /// Where the word is that was at `offset` from the frame base.
    pub(crate) fn base_offset(&self, offset: i32) -> i32 {
        self.stack_offset(offset + self.bytes) - (self.bytes - self.gone)
    }

    /// Addresses them so in `code`, as far as it is reached and not edited. What becomes shorter begins with prefixes that do nothing; what
    /// goes is left to `edits`.
    pub(crate) fn readdress(
        &self,
        code: &mut [u8],
        disassembly: &Disassembly,
        reached: &[bool],
        edits: &mut Edits,
    ) {
        for instruction in reached_instructions(disassembly, reached) {
            let bytes = instruction.ip() as usize..instruction.next_ip() as usize;
            if edits.contains_key(&(instruction.ip() as u32)) {
                continue;
            }
            if instruction.memory_base() == Register::RSP {
                let offset = self.stack_offset(instruction.memory_displacement64() as i32);
                readdress(&mut code[bytes], instruction, offset, offset - (self.bytes - self.gone));
            } else if moves_stack_pointer(instruction) {
                match self.bytes - self.gone {
                    0 => _ = edits.insert(instruction.ip() as u32, Vec::new()),
                    left => move_by(&mut code[bytes], left),
                }
            }
        }
    }
}

fn reached_instructions<'c>(
    code: &'c Disassembly,
    reached: &'c [bool],
) -> impl Iterator<Item = &'c Instruction> {
    code.instructions.iter().zip(reached).filter(|&(_, &reached)| reached).map(|(instruction, _)| instruction)
}

/// The offset from the stack pointer of what `instruction` of `code` accesses, if it accesses anything from there; or nothing
/// if it is not known what, or the address cannot be changed.
fn from_stack_pointer(code: &[u8], instruction: &Instruction) -> Option<Option<i32>> {
    if instruction.memory_base() != Register::RSP {
        return Some(None);
    }
    let is_known = instruction.memory_index() == Register::None
        && instruction.memory_size().size() > 0
        && instruction.mnemonic() != Mnemonic::Lea
        && Encoded::of(&code[instruction.ip() as usize..instruction.next_ip() as usize], instruction)
            .is_some();
    is_known.then(|| Some(instruction.memory_displacement64() as i32))
}

/// Where in an instruction its address from the stack pointer is.
struct Encoded {
    /// The byte that says which kind of address it is.
    mod_rm: usize,
    /// What is behind the address.
    immediate: usize,
}

impl Encoded {
    /// The byte behind `mod_rm`, which says that the address is from the stack pointer.
    const SIB: u8 = 0x24;

    fn of(bytes: &[u8], instruction: &Instruction) -> Option<Encoded> {
        let immediate_bytes: usize = instruction.op_kinds().map(immediate_bytes).sum();
        let displacement_bytes = match instruction.memory_displ_size() {
            short @ (0 | 1) => short as usize,
            _ => 4,
        };
        let immediate = bytes.len().checked_sub(immediate_bytes)?;
        let mod_rm = immediate.checked_sub(displacement_bytes + 2)?;
        let expected = match displacement_bytes {
            0 => 0x04,
            1 => 0x44,
            _ => 0x84,
        };
        let is_expected = bytes[mod_rm] & 0xc7 == expected && bytes[mod_rm + 1] == Self::SIB;
        // There are encodings whose distances count something else than bytes.
        (is_expected && bytes[0] != EVEX).then_some(Encoded { mod_rm, immediate })
    }
}

const EVEX: u8 = 0x62;

fn immediate_bytes(kind: OpKind) -> usize {
    use OpKind as K;
    match kind {
        K::Immediate8 | K::Immediate8_2nd | K::Immediate8to16 | K::Immediate8to32 | K::Immediate8to64 => 1,
        K::Immediate16 => 2,
        K::Immediate32 | K::Immediate32to64 => 4,
        K::Immediate64 => 8,
        _ => 0,
    }
}

/// Makes `instruction`, which `bytes` are, access what is at `offset` from the stack pointer, or at `from_base` from the frame
/// pointer.
fn readdress(bytes: &mut [u8], instruction: &Instruction, offset: i32, from_base: i32) {
    let Some(Encoded { mod_rm, immediate }) = Encoded::of(bytes, instruction) else { return };
    let operand = bytes[mod_rm] & 0x38;
    let (near_base, near) = (i8::try_from(from_base), i8::try_from(offset));
    let mut address = [0; 6];
    let length = match (near_base, near) {
        (Ok(distance), _) => place(&mut address, &[0x45 | operand, distance as u8]),
        (_, Ok(0)) => place(&mut address, &[0x04 | operand, Encoded::SIB]),
        (_, Ok(distance)) => place(&mut address, &[0x44 | operand, Encoded::SIB, distance as u8]),
        _ => {
            let [a, b, c, d] = from_base.to_le_bytes();
            place(&mut address, &[0x85 | operand, a, b, c, d])
        }
    };
    // What is behind the address stays where it is.
    let start = immediate - length;
    bytes.copy_within(..mod_rm, start - mod_rm);
    bytes[..start - mod_rm].fill(PREFIX);
    bytes[start..immediate].copy_from_slice(&address[..length]);
}

fn place(room: &mut [u8], bytes: &[u8]) -> usize {
    room[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

/// `sub rsp, number`, or `add rsp, number`
fn moves_stack_pointer(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Sub | Mnemonic::Add)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register() == Register::RSP
        && matches!(instruction.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64)
}

/// Makes the instruction that `bytes` are, which moves the stack pointer, move it by `distance`, which is not longer.
fn move_by(bytes: &mut [u8], distance: i32) {
    const LONG: u8 = 0x81;
    const SHORT: u8 = 0x83;
    // Behind what the epilogue may have put before it: the prefix, the opcode, and whether it adds.
    let start = bytes.iter().take_while(|&&byte| byte == PREFIX).count();
    let [rex, opcode, mod_rm, number @ ..] = &mut bytes[start..] else { return };
    let (rex, mod_rm) = (*rex, *mod_rm);
    match (i8::try_from(distance), *opcode) {
        (Ok(short), SHORT) => number.copy_from_slice(&[short as u8]),
        (Ok(short), LONG) => {
            let length = bytes.len();
            bytes[start..length - 4].fill(PREFIX);
            bytes[length - 4..].copy_from_slice(&[rex, SHORT, mod_rm, short as u8]);
        }
        (_, _) => number.copy_from_slice(&distance.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use cranelift_codegen::entity::SecondaryMap;
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    /// Slots one behind the other, from `first` on.
    fn layout(frame_to_fp_offset: u32, first: u32, slots: u32) -> MachBufferFrameLayout {
        let mut layout = MachBufferFrameLayout { frame_to_fp_offset, stackslots: SecondaryMap::new() };
        for slot in 0..slots {
            layout.stackslots[StackSlot::from_u32(slot)].offset = first + 8 * slot;
        }
        layout
    }

    fn words(code: &[u8], layout: &MachBufferFrameLayout, kept: Option<u32>) -> Option<FrameWords> {
        let disassembly = Disassembly::of_blocks(code, vec![0]).expect("it can be read");
        let reached = vec![true; disassembly.instructions.len()];
        FrameWords::of(
            (code, &disassembly),
            (&reached, &Edits::new()),
            layout,
            kept.map(StackSlot::from_u32),
            true,
        )
    }

    /// What becomes of `code`, as text.
    fn readdressed(code: &[u8], layout: &MachBufferFrameLayout) -> Vec<String> {
        let disassembly = Disassembly::of_blocks(code, vec![0]).expect("it can be read");
        let reached = vec![true; disassembly.instructions.len()];
        let mut code = code.to_vec();
        let mut edits = Edits::new();
        let words = words(&code, layout, None).expect("all is known");
        words.readdress(&mut code, &disassembly, &reached, &mut edits);
        let shown = |instruction: &Instruction| {
            let bytes = &code[instruction.ip() as usize..instruction.next_ip() as usize];
            let bytes = &bytes[bytes.iter().take_while(|&&byte| byte == PREFIX).count()..];
            let decoded = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
            assert_eq!(decoded.len(), bytes.len(), "one instruction");
            match edits.get(&(instruction.ip() as u32)) {
                Some(_) => "gone".to_owned(),
                None => format!("{decoded} ({})", bytes.len()),
            }
        };
        disassembly.instructions.iter().map(shown).collect()
    }

    /// `sub rsp, 0xb0; mov [rsp + 0xa8], rbx; mov [rsp + 0x88], rax; mov eax, [rsp + 0x18]; mov [rsp + 8], rcx;
    /// mov dword [rsp + 0x90], 7; movsd xmm9, [rsp + 0x98]; add rsp, 0xb0; ret`
    const CODE: [u8; 65] = [
        0x48, 0x81, 0xec, 0xb0, 0, 0, 0, 0x48, 0x89, 0x9c, 0x24, 0xa8, 0, 0, 0, 0x48, 0x89, 0x84, 0x24, 0x88,
        0, 0, 0, 0x8b, 0x44, 0x24, 0x18, 0x48, 0x89, 0x4c, 0x24, 8, 0xc7, 0x84, 0x24, 0x90, 0, 0, 0, 7, 0, 0,
        0, 0xf2, 0x44, 0x0f, 0x10, 0x8c, 0x24, 0x98, 0, 0, 0, 0x48, 0x81, 0xc4, 0xb0, 0, 0, 0, 0xc3, 0x0f,
        0x0b, 0x0f, 0x0b,
    ];

    #[test]
    fn words_that_nothing_accesses_go() {
        // Arguments up to 16, and 14 slots, of which one is in use, up to 128.
        let expected = [
            "sub rsp,50h (4)",
            "mov [rbp-8],rbx (4)",
            "mov [rbp-28h],rax (4)",
            "mov eax,[rbp-40h] (3)",
            "mov [rbp-48h],rcx (4)",
            "mov dword ptr [rbp-20h],7 (7)",
            "movsd xmm9,[rbp-18h] (6)",
            "add rsp,50h (4)",
            "ret (1)",
        ];
        assert_eq!(readdressed(&CODE, &layout(0xb0, 16, 14)), expected);
    }

    #[test]
    fn values_are_found_where_they_are_now() {
        let layout = layout(0xb0, 16, 14);
        let words = words(&CODE, &layout, Some(13)).expect("all is known");
        // An odd number of words would go, but the stack pointer stays aligned.
        assert_eq!(words.gone, 96);
        let from_base = |from_stack_pointer: i32| words.base_offset(from_stack_pointer - 0xb0);
        assert_eq!(from_base(0xa8), -8, "what is above the slots stays");
        assert_eq!(from_base(0x88), 0x88 - 0xb0);
        assert_eq!((from_base(0x18), from_base(0x78)), (0x10 - 0x50, 0x18 - 0x50));
        assert_eq!(from_base(8), 8 - 0x50, "arguments are where callees look for them");
        let nothing = FrameWords::default();
        assert_eq!((nothing.base_offset(-8), nothing.base_offset(-800)), (-8, -800));
    }

    #[test]
    fn a_frame_may_be_left_without_words() {
        // sub rsp, 16; mov [rdi], rax; add rsp, 16; ret
        let code = [0x48, 0x83, 0xec, 16, 0x48, 0x89, 7, 0x48, 0x83, 0xc4, 16, 0xc3];
        let expected = ["gone", "mov [rdi],rax (3)", "gone", "ret (1)"];
        assert_eq!(readdressed(&code, &layout(16, 0, 2)), expected);
    }

    #[test]
    fn far_words_are_addressed_from_the_nearer_end() {
        // sub rsp, 0x400; mov [rsp + 0x10], rax; mov [rsp + 0x200], rax; mov [rsp + 0x3f8], rax; mov [rsp], rax; ret
        let code = [
            &[0x48, 0x81, 0xec, 0, 4, 0, 0, 0x48, 0x89, 0x44, 0x24, 0x10][..],
            &[0x48, 0x89, 0x84, 0x24, 0, 2, 0, 0, 0x48, 0x89, 0x84, 0x24, 0xf8, 3, 0, 0],
            &[0x48, 0x89, 0x04, 0x24, 0xc3],
        ];
        let expected = [
            "sub rsp,400h (7)",
            "mov [rsp+10h],rax (5)",
            "mov [rbp-200h],rax (7)",
            "mov [rbp-8],rax (4)",
            "mov [rsp],rax (4)",
            "ret (1)",
        ];
        assert_eq!(readdressed(&code.concat(), &layout(0x400, 0, 0)), expected);
    }

    #[test]
    fn what_is_not_known_keeps_all_as_it_is() {
        let layout = layout(64, 0, 4);
        // lea rax, [rsp + 8]
        assert!(words(&[0x48, 0x8d, 0x44, 0x24, 8, 0xc3], &layout, None).is_none(), "an address");
        // mov rax, [rsp + 8 * rcx]
        assert!(words(&[0x48, 0x8b, 0x04, 0xcc, 0xc3], &layout, None).is_none(), "a word of several");
        // vmovups xmm16, [rsp + 16], by EVEX
        let evex = [0x62, 0xe1, 0x7c, 0x08, 0x10, 0x44, 0x24, 1, 0xc3];
        assert!(words(&evex, &layout, None).is_none(), "a distance in other units");
    }
}
