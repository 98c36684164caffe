//! The disassembly of a compiled body: instructions, jump tables, and where control goes.
//!
//! ```text
//!   | block | block | ..                        | block | traps | constants |
//!     ends with a branch, or an indirect one          what only branches and
//!     and its table: distances from there             accesses lead to
//! ```
//!
//! Cranelift says where its blocks begin. Whatever is not as it is expected here yields no disassembly at all.

use std::cell::OnceCell;
use std::ops::Range;

use cranelift_codegen::CompiledCode;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};

/// The instructions of a body. Offsets are from the start of its code.
pub(crate) struct Disassembly {
    /// By ascending offset.
    pub(crate) instructions: Vec<Instruction>,
    /// By ascending offset.
    pub(crate) tables: Vec<Table>,
    /// Where the traps and the constants are that no block is.
    pub(crate) tail: Range<u32>,
    /// Targets with the numbers of the instructions that lead there, sorted; found when they are asked for.
    sources: OnceCell<Vec<(u32, usize)>>,
}

/// Code is not as it is expected, and what is to become of it must.
#[derive(Debug)]
pub(crate) struct NotReadable;

/// A jump table.
pub(crate) struct Table {
    /// The number of the instruction that jumps.
    pub(crate) jump: usize,
    pub(crate) bytes: Range<u32>,
    pub(crate) targets: Vec<u32>,
}

impl Disassembly {
    /// That of `code`, which is that of `compiled`, instruction for instruction.
    pub(crate) fn of(code: &[u8], compiled: &CompiledCode) -> Option<Disassembly> {
        Disassembly::of_blocks(code, compiled.bb_starts.clone())
    }

    /// That of `code`, whose blocks begin at `starts`.
    pub(crate) fn of_blocks(code: &[u8], mut starts: Vec<u32>) -> Option<Disassembly> {
        let end = code.len() as u32;
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let mut found = Disassembly {
            instructions: Vec::with_capacity(code.len() / 4),
            tables: Vec::new(),
            tail: end..end,
            sources: OnceCell::new(),
        };
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        for (n, &start) in starts.iter().enumerate() {
            let end = starts.get(n + 1).copied();
            found.read_block(code, &mut decoder, start..end.unwrap_or(code.len() as u32), end.is_none())?;
        }
        found.check_tail(code)?;
        Some(found)
    }

    /// Reads the block in `bytes`; behind the last one is the tail.
    fn read_block(
        &mut self,
        code: &[u8],
        decoder: &mut Decoder<'_>,
        bytes: Range<u32>,
        is_last: bool,
    ) -> Option<()> {
        decoder.set_position(bytes.start as usize).ok()?;
        decoder.set_ip(u64::from(bytes.start));
        let mut at = bytes.start;
        while at < bytes.end {
            let instruction = decoder.decode();
            at = instruction.next_ip() as u32;
            if instruction.is_invalid() || at > bytes.end {
                return None;
            }
            self.instructions.push(instruction);
            if instruction.flow_control() == FlowControl::IndirectBranch {
                // The table is the rest of the block.
                return if is_last { None } else { self.read_table(code, at..bytes.end) };
            }
            if is_last && !continues(&instruction) {
                self.tail.start = at;
                return Some(());
            }
        }
        Some(())
    }

    fn read_table(&mut self, code: &[u8], bytes: Range<u32>) -> Option<()> {
        let (entries, []) = code[bytes.start as usize..bytes.end as usize].as_chunks() else { return None };
        let target = |entry: &[u8; 4]| bytes.start.wrapping_add_signed(i32::from_le_bytes(*entry));
        let targets = entries.iter().map(target).collect();
        self.tables.push(Table { jump: self.instructions.len() - 1, bytes, targets });
        Some(())
    }

    /// Checks that there is nothing in the tail but traps, and constants where they are accessed.
    fn check_tail(&self, code: &[u8]) -> Option<()> {
        let constants = self.constants().unwrap_or(self.tail.end);
        let traps = code.get(self.tail.start as usize..constants as usize)?;
        let count = traps.chunks_exact(2).take_while(|pair| *pair == UD2).count();
        let padding = &traps[2 * count..];
        (padding.len() < MOST_PADDING && padding.iter().all(|&byte| byte == 0)).then_some(())
    }

    /// Where the constants begin, if there are any.
    pub(crate) fn constants(&self) -> Option<u32> {
        let accesses = self.instructions.iter().filter(|instruction| instruction.is_ip_rel_memory_operand());
        let accesses = accesses.filter(|instruction| instruction.mnemonic() != Mnemonic::Lea);
        accesses.map(|instruction| instruction.ip_rel_memory_address() as u32).min()
    }

    /// The number of the instruction at `offset`.
    pub(crate) fn at(&self, offset: u32) -> Option<usize> {
        self.instructions.binary_search_by_key(&u64::from(offset), Instruction::ip).ok()
    }

    /// What leads to `target`, other than what is before it in memory.
    pub(crate) fn sources(&self, target: u32) -> impl Iterator<Item = &Instruction> {
        let all = self.sources.get_or_init(|| {
            let branches = self.instructions.iter().enumerate();
            let branches = branches.filter_map(|(number, found)| Some((branch_target(found)?, number)));
            let jumps = self.tables.iter().flat_map(|table| table.targets.iter().map(|&to| (to, table.jump)));
            let mut all: Vec<(u32, usize)> = branches.chain(jumps).collect();
            all.sort_unstable();
            all
        });
        let from = all.partition_point(|&(to, _)| to < target);
        let found = all[from..].iter().take_while(move |&&(to, _)| to == target);
        found.map(|&(_, number)| &self.instructions[number])
    }

    /// By number, whether an instruction is reached from one of `roots`, where those at the first offset of a pair of
    /// `instead` are not, but what is at the second.
    pub(crate) fn reached(&self, roots: Vec<u32>, instead: impl Fn(u32) -> Option<u32>) -> Vec<bool> {
        let mut reached = vec![false; self.instructions.len()];
        let mut pending = roots;
        while let Some(offset) = pending.pop() {
            if let Some(target) = instead(offset) {
                pending.push(target);
                continue;
            }
            let Some(mut number) = self.at(offset) else { continue };
            while !reached[number] {
                reached[number] = true;
                let instruction = &self.instructions[number];
                pending.extend(branch_target(instruction));
                if instruction.flow_control() == FlowControl::IndirectBranch {
                    let table = self.tables.binary_search_by_key(&number, |table| table.jump);
                    pending.extend(table.iter().flat_map(|&table| &self.tables[table].targets));
                }
                if !continues(instruction) {
                    break;
                }
                if number + 1 == self.instructions.len() || instead(instruction.next_ip() as u32).is_some() {
                    pending.push(instruction.next_ip() as u32);
                    break;
                }
                number += 1;
            }
        }
        reached
    }
}

const UD2: [u8; 2] = [0x0f, 0x0b];

/// Constants are aligned to less than so many bytes.
const MOST_PADDING: usize = 64;

/// Where `instruction` branches to, if it says so.
pub(crate) fn branch_target(instruction: &Instruction) -> Option<u32> {
    let is_branch = instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near();
    is_branch.then(|| instruction.near_branch_target() as u32)
}

/// Whether execution may continue behind `instruction`.
pub(crate) fn continues(instruction: &Instruction) -> bool {
    let ends = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return
    );
    !ends && instruction.mnemonic() != Mnemonic::Ud2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `jmp rax`, and a table of two: to the `ret` behind it, and to the trap.
    const SWITCH: [u8; 13] = [0xff, 0xe0, 8, 0, 0, 0, 9, 0, 0, 0, 0xc3, 0x0f, 0x0b];

    #[test]
    fn a_table_is_the_rest_of_its_block() {
        let found = Disassembly::of_blocks(&SWITCH, vec![0, 10]).expect("as expected");
        let offsets: Vec<u64> = found.instructions.iter().map(Instruction::ip).collect();
        assert_eq!((offsets, found.tail.clone()), (vec![0, 10], 11..13));
        assert_eq!((found.tables[0].bytes.clone(), &found.tables[0].targets[..]), (2..10, &[10, 11][..]));
        assert_eq!(found.sources(10).map(Instruction::ip).collect::<Vec<_>>(), [0]);
        assert_eq!(found.reached(vec![0], |_| None), [true, true]);
        assert_eq!(found.reached(vec![10], |_| None), [false, true]);
    }

    #[test]
    fn what_is_not_as_expected_has_no_disassembly() {
        assert!(Disassembly::of_blocks(&SWITCH[..12], vec![0, 10]).is_none(), "half a trap in the tail");
        assert!(Disassembly::of_blocks(&SWITCH, vec![0, 9]).is_none(), "no whole table");
        assert!(
            Disassembly::of_blocks(&SWITCH[..10], vec![0]).is_none(),
            "a table at the end, of whatever length"
        );
        assert!(Disassembly::of_blocks(&[0xe8, 0, 0], vec![0]).is_none(), "half an instruction");
    }
}
