//! What the code of an exit would store, read from it: where each value is before it executes.
//!
//! ```text
//!   cold:   mov  [rsp + 40], rbx         read:  slot 40 is what rbx is
//!           mov  rax, [rsp + 16]                slot 48 is what the frame has at 16
//!           mov  [rsp + 48], rax                slot 56 is 7
//!           mov  qword [rsp + 56], 7
//!           call left
//! ```
//!
//! An exit uses its values as plainly as code can: the allocator knows where they are, and nothing of the loop is in the way
//! of that. What it says by its moves is a frame map that holds where the exit begins. Instructions that compute something
//! on the way leave a value that is nowhere yet; such an exit has to be executed.

use std::collections::BTreeMap;
use std::ops::Range;

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::disassembly::{Disassembly, branch_target, continues};

/// Where a value can be before an exit executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// In that register, of full width.
    Register(Register),
    /// In the frame, that many bytes from the frame base.
    Frame(i32),
}

/// What a place holds when an exit has executed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// What that place held before.
    Before(Place),
    /// The lower half of that.
    LowHalf(Place),
    Constant(u64),
    /// What is computed.
    Unknown,
}

/// The state of an exit that is read.
#[derive(Clone, Debug)]
pub(crate) struct ExitState {
    held: BTreeMap<Place, Held>,
    /// Bytes from the stack pointer to the frame base.
    frame_bytes: i32,
}

/// How many instructions an exit may have.
const LONGEST: usize = 4096;

/// Reads the exit in `bytes`, up to the call that ends there. None if it does anything but to move values.
pub(crate) fn read(code: &Disassembly, bytes: Range<u32>, frame_bytes: i32) -> Option<ExitState> {
    let mut state = ExitState { held: BTreeMap::new(), frame_bytes };
    let mut factory = InstructionInfoFactory::new();
    let mut offset = bytes.start;
    for _ in 0..LONGEST {
        let instruction = &code.instructions[code.at(offset)?];
        let next = instruction.next_ip() as u32;
        offset = match (instruction.mnemonic(), branch_target(instruction)) {
            (Mnemonic::Call, _) => return (next == bytes.end).then_some(state),
            (_, Some(_)) if continues(instruction) => return None,
            (_, Some(target)) => target,
            _ => {
                state.step(instruction, &mut factory)?;
                next
            }
        };
    }
    None
}

impl ExitState {
    /// What is at `place`.
    pub(crate) fn held(&self, place: Place) -> Held {
        self.held.get(&place).copied().unwrap_or(Held::Before(place))
    }

    /// Executes `instruction`. None if it writes anything but registers and words of the frame.
    fn step(&mut self, instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Option<()> {
        let moved = self.moved(instruction);
        let info = factory.info(instruction);
        for used in info.used_registers().iter().filter(|used| is_written(used.access())) {
            self.held.insert(Place::Register(used.register().full_register()), Held::Unknown);
        }
        for used in info.used_memory().iter().filter(|used| is_written(used.access())) {
            let first = self.in_frame(used.base(), used.index(), used.displacement())?;
            let words = used.memory_size().size().div_ceil(8) as i32;
            (0..words).for_each(|word| _ = self.held.insert(Place::Frame(first + 8 * word), Held::Unknown));
        }
        if let Some((place, held)) = moved {
            self.held.insert(place, held);
        }
        Some(())
    }

    /// Where `instruction` moves a value, and which, if that is what it does.
    fn moved(&self, instruction: &Instruction) -> Option<(Place, Held)> {
        use Mnemonic as M;
        let to = self.operand(instruction, 0)?;
        if instruction.mnemonic() == M::Xor && instruction.op0_register() == instruction.op1_register() {
            let is_register = instruction.op1_kind() == OpKind::Register;
            return is_register.then_some((to, Held::Constant(0)));
        }
        let is_move = matches!(
            instruction.mnemonic(),
            M::Mov
                | M::Movaps
                | M::Movups
                | M::Movapd
                | M::Movupd
                | M::Movdqa
                | M::Movdqu
                | M::Movq
                | M::Movd
                | M::Movsd
                | M::Movss
                | M::Vmovaps
                | M::Vmovups
                | M::Vmovapd
                | M::Vmovupd
                | M::Vmovdqa
                | M::Vmovdqu
                | M::Vmovq
                | M::Vmovd
                | M::Vmovsd
                | M::Vmovss
        );
        if !is_move || instruction.op_count() != 2 {
            return None;
        }
        let bytes = match instruction.op0_kind() {
            OpKind::Memory => instruction.memory_size().size(),
            _ if instruction.op1_kind() == OpKind::Memory => instruction.memory_size().size(),
            _ => instruction.op0_register().size(),
        };
        if let Ok(immediate) = instruction.try_immediate(1) {
            return (bytes >= 4).then(|| {
                (to, Held::Constant(if bytes == 4 { immediate & u64::from(u32::MAX) } else { immediate }))
            });
        }
        let held = self.held(self.operand(instruction, 1)?);
        let is_between_vectors =
            (0..2).all(|n| instruction.op_kind(n) == OpKind::Register && instruction.op_register(n).is_xmm());
        let is_narrow = match instruction.mnemonic() {
            // These leave a part of the register as it was, which holds nothing.
            M::Movsd | M::Vmovsd => false,
            M::Movd | M::Vmovd | M::Movss | M::Vmovss => true,
            _ => bytes == 4,
        };
        match held {
            _ if !is_between_vectors && bytes < 4 => None,
            Held::Before(place) | Held::LowHalf(place) if is_narrow => Some((to, Held::LowHalf(place))),
            Held::Constant(bits) if is_narrow => Some((to, Held::Constant(bits & u64::from(u32::MAX)))),
            held => Some((to, held)),
        }
    }

    /// The place that operand `n` of `instruction` is, if it is one.
    fn operand(&self, instruction: &Instruction, n: u32) -> Option<Place> {
        match instruction.op_kind(n) {
            OpKind::Register => Some(Place::Register(instruction.op_register(n).full_register())),
            OpKind::Memory => {
                let (base, index) = (instruction.memory_base(), instruction.memory_index());
                self.in_frame(base, index, instruction.memory_displacement64()).map(Place::Frame)
            }
            _ => None,
        }
    }

    /// Where in the frame an operand is, in bytes from the frame base; none if it is elsewhere, or no whole words.
    fn in_frame(&self, base: Register, index: Register, displacement: u64) -> Option<i32> {
        let from_base = match base {
            Register::RSP => displacement as i32 - self.frame_bytes,
            Register::RBP => displacement as i32,
            _ => return None,
        };
        (index == Register::None && from_base % 8 == 0).then_some(from_base)
    }
}

/// Whether an operand that is so accessed is written.
pub(crate) fn is_written(access: OpAccess) -> bool {
    !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None | OpAccess::NoMemAccess)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the places hold at the call that ends `code`, in a frame of 64 bytes.
    fn state(code: &[u8]) -> Option<ExitState> {
        let mut code = code.to_vec();
        code.extend([0xff, 0x57, 0x48]);
        let end = code.len() as u32;
        code.extend([0x0f, 0x0b]);
        let disassembly = Disassembly::of_blocks(&code, vec![0]).expect("it can be read");
        read(&disassembly, 0..end, 64)
    }

    fn slot(from_stack_pointer: i32) -> Place {
        Place::Frame(from_stack_pointer - 64)
    }

    #[test]
    fn moves_are_followed() {
        // mov [rsp + 40], rbx; mov rax, [rsp + 16]; mov [rsp + 48], rax; mov qword [rsp + 56], 7
        let code = [
            &[0x48, 0x89, 0x5c, 0x24, 40][..],
            &[0x48, 0x8b, 0x44, 0x24, 16, 0x48, 0x89, 0x44, 0x24, 48],
            &[0x48, 0xc7, 0x44, 0x24, 56, 7, 0, 0, 0],
        ];
        let state = state(&code.concat()).expect("it moves values");
        assert_eq!(state.held(slot(40)), Held::Before(Place::Register(Register::RBX)));
        assert_eq!(state.held(slot(48)), Held::Before(slot(16)));
        assert_eq!(state.held(slot(56)), Held::Constant(7));
        assert_eq!(state.held(slot(32)), Held::Before(slot(32)), "nothing was stored there");
    }

    #[test]
    fn halves_vectors_and_what_is_computed_are_told_apart() {
        // mov eax, ecx; mov [rsp + 40], rax; lea rdx, [rdx + 4]; mov [rsp + 48], rdx; movups [rsp + 16], xmm3
        let code = [
            &[0x89, 0xc8, 0x48, 0x89, 0x44, 0x24, 40][..],
            &[0x48, 0x8d, 0x52, 4, 0x48, 0x89, 0x54, 0x24, 48],
            &[0x0f, 0x11, 0x5c, 0x24, 16],
        ];
        let state = state(&code.concat()).expect("it moves values");
        assert_eq!(state.held(slot(40)), Held::LowHalf(Place::Register(Register::RCX)));
        assert_eq!(state.held(slot(48)), Held::Unknown);
        assert_eq!(state.held(slot(16)), Held::Before(Place::Register(Register::ZMM3)));
        assert_eq!(state.held(slot(24)), Held::Unknown, "the other half of the vector");
    }

    #[test]
    fn what_does_more_is_not_read() {
        assert!(state(&[0x48, 0x89, 0x07]).is_none(), "mov [rdi], rax: a store elsewhere");
        assert!(state(&[0xff, 0xd0]).is_none(), "call rax: another call");
        assert!(state(&[0x48, 0x89, 0x44, 0x24, 36]).is_none(), "mov [rsp + 36], rax: no word of the frame");
    }
}
