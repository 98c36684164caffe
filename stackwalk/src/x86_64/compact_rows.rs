//! The unwind rows of a compiled prologue in one word.
//!
//! Prologues with a frame pointer differ in few things: which registers they save, where, and how long the
//! instructions are that do. All else is implied:
//!
//! ```text
//!   offset  change                                   | gaps: 4 x 4 | first: 5 | words: 5 | registers: 5 |
//!   1       CFA = rsp + 16, rbp at CFA - 16          push rbp
//!   4       CFA = rbp + 16                           mov rbp, rsp
//!   first   rbx at CFA - 8 * words                   the first of the registers that are saved
//!   + gap   r12 at CFA - 8 * (words - 1)             the next one, a word further up; and so on
//! ```
//!
//! Rows of compiled code are kept for as long as the code, and for all of it. As a compiler gives them they
//! take hundreds of bytes a version; this is for keeping.

use gimli::X86_64;
use gimli::write::{Address, CallFrameInstruction, FrameDescriptionEntry};

use super::cfi_row::Save;
use super::cfi_rows::CfiRows;
use super::registers::CalleeSaved;

/// The unwind rows of a code range that begins with an ordinary prologue, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactRows(u32);

const WORDS: u32 = 5;
const FIRST: u32 = 10;
const GAPS: u32 = 15;
const GAP_BITS: u32 = 4;

/// From the frame base up to the CFA.
const FRAME_TO_CFA: i32 = 16;

/// What changes from one row to the next, and the offset from which on it holds.
type Change = (u32, What);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The CFA is that register (none: rsp) plus that many bytes.
    Cfa(Option<CalleeSaved>, i32),
    /// The register is saved that many bytes from the CFA.
    Saved(CalleeSaved, i32),
}

/// How every prologue begins: `push rbp`, `mov rbp, rsp`.
const BEGIN: [Change; 3] = [
    (1, What::Cfa(None, FRAME_TO_CFA)),
    (1, What::Saved(CalleeSaved::Rbp, -FRAME_TO_CFA)),
    (4, What::Cfa(Some(CalleeSaved::Rbp), FRAME_TO_CFA)),
];

impl CompactRows {
    /// The rows, if they are such as ordinary prologues have: `rbp` is pushed and set, then registers are
    /// saved in order, in neighbouring words less than 32 words below the CFA, the first within 31 bytes,
    /// each next one within 15 bytes of the one before.
    #[must_use]
    pub fn of(rows: &CfiRows) -> Option<CompactRows> {
        let changes = changes(rows)?;
        let (begin, saves) = changes.split_at_checked(BEGIN.len())?;
        if begin != BEGIN {
            return None;
        }
        let save = |&(at, what): &Change| match what {
            What::Saved(register, offset) => Some((at, register, offset)),
            What::Cfa(..) => None,
        };
        let packed = CompactRows::of_saves(saves.iter().map(save))?;
        let says_the_same = packed.changes().eq(saves.iter().copied());
        says_the_same.then_some(packed)
    }

    /// The rows of a prologue that begins with `push rbp`, `mov rbp, rsp` and then makes `saves`: for each the offset in the
    /// code behind it, the register, and where it is, in bytes from the CFA. They have to be such as [`of`](Self::of)
    /// takes, in neighbouring words.
    #[must_use]
    pub fn of_prologue(saves: impl IntoIterator<Item = (u32, CalleeSaved, i32)>) -> Option<CompactRows> {
        CompactRows::of_saves(saves.into_iter().map(Some))
    }

    /// The rows of a prologue whose instructions end where `moved` says, each by where it ended. `None` if they are too far
    /// apart there.
    #[must_use]
    pub fn moved(self, moved: impl Fn(u32) -> u32) -> Option<CompactRows> {
        let saves = self.changes().map(|(at, what)| match what {
            What::Saved(register, offset) => Some((moved(at), register, offset)),
            What::Cfa(..) => None,
        });
        CompactRows::of_saves(saves)
    }

    fn of_saves(saves: impl Iterator<Item = Option<(u32, CalleeSaved, i32)>>) -> Option<CompactRows> {
        let mut packed = CompactRows(0);
        let mut before = (0, 0);
        for (number, save) in (0..).zip(saves) {
            let (at, register, offset) = save?;
            let bit = Self::REGISTERS.iter().position(|&known| known == register)? as u32;
            let is_next = number == 0 || offset == before.1 + 8;
            if offset >= 0 || offset % 8 != 0 || packed.0 & 31 >= 1 << bit || !is_next {
                return None;
            }
            packed.0 |= 1 << bit;
            packed.0 |= match number {
                0 => fitting(offset.unsigned_abs() / 8, 5)? << WORDS | fitting(at, 5)? << FIRST,
                number => fitting(at - before.0, GAP_BITS)? << (GAPS + GAP_BITS * (number - 1)),
            };
            before = (at, offset);
        }
        Some(packed)
    }

    /// Those that code may save besides `rbp`, in the order of their places.
    pub const REGISTERS: [CalleeSaved; 5] =
        [CalleeSaved::Rbx, CalleeSaved::R12, CalleeSaved::R13, CalleeSaved::R14, CalleeSaved::R15];

    /// Where the registers are saved that the code saves besides `rbp`: the position of each in
    /// [`REGISTERS`](Self::REGISTERS), and its place in bytes from the frame base, where `rbp` is saved.
    #[inline(always)]
    pub fn saves(self) -> impl Iterator<Item = (usize, i32)> {
        let mut place = FRAME_TO_CFA - 8 * (self.0 >> WORDS & 31) as i32;
        let is_saved = move |position: &usize| self.0 >> position & 1 != 0;
        (0..Self::REGISTERS.len()).filter(is_saved).map(move |position| {
            place += 8;
            (position, place - 8)
        })
    }

    /// The changes after the [begin](BEGIN).
    fn changes(self) -> impl Iterator<Item = Change> {
        let mut at = self.0 >> FIRST & 31;
        let gap = move |number: u32| self.0 >> (GAPS + GAP_BITS * number) & ((1 << GAP_BITS) - 1);
        (0..).zip(self.saves()).map(move |(number, (position, place))| {
            at += if number == 0 { 0 } else { gap(number - 1) };
            (at, What::Saved(Self::REGISTERS[position], place - FRAME_TO_CFA))
        })
    }

    /// The rows of `length` bytes of code that begin at `start`, as unwinders take them.
    #[must_use]
    pub fn to_fde(self, start: u64, length: u32) -> FrameDescriptionEntry {
        let mut fde = FrameDescriptionEntry::new(Address::Constant(start), length);
        for (at, what) in BEGIN.into_iter().chain(self.changes()) {
            let instruction = match what {
                What::Cfa(base, offset) => {
                    CallFrameInstruction::Cfa(base.map_or(X86_64::RSP, CalleeSaved::dwarf), offset)
                }
                What::Saved(register, offset) => CallFrameInstruction::Offset(register.dwarf(), offset),
            };
            fde.add_instruction(at, instruction);
        }
        fde
    }
}

/// What changes from row to row, beginning where every function does: with the CFA at rsp + 8. Nothing if a
/// register is lost, or the frame has no caller.
fn changes(rows: &CfiRows) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    let mut cfa = What::Cfa(None, 8);
    let mut saves = [Save::Same; 6];
    for (at, row) in rows.iter() {
        if row.is_outermost() {
            return None;
        }
        let now = What::Cfa(row.cfa_register(), row.cfa_offset());
        if now != cfa {
            changes.push((at, now));
            cfa = now;
        }
        for register in CalleeSaved::ALL {
            let save = row.save(register);
            if save != saves[register as usize] {
                let Save::At(offset) = save else { return None };
                changes.push((at, What::Saved(register, offset)));
                saves[register as usize] = save;
            }
        }
    }
    Some(changes)
}

fn fitting(number: u32, bits: u32) -> Option<u32> {
    (number < 1 << bits).then_some(number)
}
