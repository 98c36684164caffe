//! Unwind rows in a few words: what changes from one row to the next.
//!
//! ```text
//!   offset  change               | offset: 12 | what: 4 | 8-byte units, signed: 16 |
//!   1       CFA = rsp + 16       |          1 |       8 |  2 |
//!   1       rbp at CFA - 16      |          1 |       1 | -2 |
//!   4       CFA = rbp + 16       |          4 |      10 |  2 |
//!   11      rbx at CFA - 40      |         11 |       0 | -5 |
//! ```
//!
//! Rows of compiled code are kept for as long as the code, and for all of it. As a compiler gives them they
//! take hundreds of bytes a version; this is for keeping.

use gimli::X86_64;
use gimli::write::{Address, CallFrameInstruction, FrameDescriptionEntry};

use super::cfi_row::Save;
use super::cfi_rows::CfiRows;
use super::registers::CalleeSaved;

/// What a change is of: a [`CalleeSaved`] by its number, the CFA by rsp, or the CFA by one of those.
const CFA_BY_STACK_POINTER: u32 = 8;
const CFA_BY_REGISTER: u32 = 9;

/// The unwind rows of one code range, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactRows {
    changes: Box<[u32]>,
    length: u32,
}

/// What the rows say so far.
struct State {
    cfa: (u32, i32),
    saves: [i32; 6],
}

impl CompactRows {
    /// The rows, if they are such as ordinary prologues have: changes within 4,095 bytes, registers saved at
    /// multiples of 8 bytes from the CFA, less than 256 KiB away. They start where every function does, with
    /// the CFA at rsp + 8.
    #[must_use]
    pub fn of(rows: &CfiRows) -> Option<CompactRows> {
        let mut changes = Vec::new();
        let mut state = State { cfa: (CFA_BY_STACK_POINTER, 8), saves: [0; 6] };
        for (at, row) in rows.iter() {
            if row.is_outermost() {
                return None;
            }
            let base = row.cfa_register().map_or(CFA_BY_STACK_POINTER, |by| CFA_BY_REGISTER + by as u32);
            let cfa = (base, row.cfa_offset());
            if cfa != state.cfa {
                changes.push(pack(at, cfa)?);
                state.cfa = cfa;
            }
            for register in CalleeSaved::ALL {
                let saved = match row.save(register) {
                    Save::Same => 0,
                    Save::At(offset) if offset != 0 => offset,
                    Save::At(_) | Save::Unknown => return None,
                };
                if state.saves[register as usize] != saved {
                    changes.push(pack(at, (register as u32, saved))?);
                    state.saves[register as usize] = saved;
                }
            }
        }
        Some(CompactRows { changes: changes.into(), length: rows.length() })
    }

    /// The rows of code that begins at `start`, as unwinders take them.
    #[must_use]
    pub fn to_fde(&self, start: u64) -> FrameDescriptionEntry {
        let mut fde = FrameDescriptionEntry::new(Address::Constant(start), self.length);
        for &change in &self.changes {
            let (at, what, value) = (change >> 20, change >> 16 & 15, i32::from(change as i16) * 8);
            let instruction = match what {
                CFA_BY_STACK_POINTER => CallFrameInstruction::Cfa(X86_64::RSP, value),
                CFA_BY_REGISTER.. => {
                    CallFrameInstruction::Cfa(numbered(what - CFA_BY_REGISTER).dwarf(), value)
                }
                _ if value == 0 => CallFrameInstruction::SameValue(numbered(what).dwarf()),
                _ => CallFrameInstruction::Offset(numbered(what).dwarf(), value),
            };
            fde.add_instruction(at, instruction);
        }
        fde
    }

    /// Bytes that they take in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of::<CompactRows>() + size_of_val(&*self.changes)) as u64
    }
}

fn numbered(number: u32) -> CalleeSaved {
    CalleeSaved::ALL[number as usize]
}

fn pack(at: u32, (what, value): (u32, i32)) -> Option<u32> {
    let units = i16::try_from(value / 8).ok().filter(|_| value % 8 == 0)?;
    (at < 1 << 12).then_some(at << 20 | what << 16 | u32::from(units as u16))
}
