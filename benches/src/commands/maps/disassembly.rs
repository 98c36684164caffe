//! Disassembly of a version's code, jump tables and constants included.
//!
//! A linear sweep. What instructions refer to relative to themselves is data: the target of a `lea` is
//! a jump table (32-bit distances from its start), the target of a load is a constant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iced_x86::{
    Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, SymbolResolver, SymbolResult,
};

/// An instruction, or a piece of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its offset in the code.
    pub(super) offset: u32,
    /// The offset of what follows it.
    pub(super) end: u32,
    /// What it is.
    pub(super) text: String,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug)]
enum Data {
    JumpTable,
    Constant { bytes: u32 },
}

/// What addresses are called that are in the code.
pub(super) type Names = Vec<(&'static str, Range<u64>)>;

/// Disassembles `code`, in which addresses have `names`.
pub(super) fn disassemble(code: &[u8], names: Names) -> Vec<Piece> {
    let mut sweep = Sweep { code, data: BTreeMap::new(), targets: BTreeSet::new(), pieces: Vec::new() };
    let mut formatter = formatter(names);
    while sweep.offset() < code.len() as u32 {
        sweep.step(&mut formatter);
    }
    sweep.pieces
}

/// Finds the name of an address.
struct Resolver(Names);

impl SymbolResolver for Resolver {
    fn symbol(
        &mut self,
        _: &Instruction,
        _: u32,
        _: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let (name, range) = self.0.iter().find(|(_, range)| range.contains(&address))?;
        Some(SymbolResult::with_str(range.start, name))
    }
}

fn formatter(names: Names) -> IntelFormatter {
    let mut formatter = IntelFormatter::with_options(Some(Box::new(Resolver(names))), None);
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_displacement_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    options.set_first_operand_char_index(8);
    formatter
}

struct Sweep<'c> {
    code: &'c [u8],
    /// Data that instructions so far refer to, by offset.
    data: BTreeMap<u32, Data>,
    /// Where branches so far lead.
    targets: BTreeSet<u32>,
    pieces: Vec<Piece>,
}

impl Sweep<'_> {
    /// How far it has come.
    fn offset(&self) -> u32 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    fn push(&mut self, end: u32, text: String) {
        self.pieces.push(Piece { offset: self.offset(), end, text });
    }

    /// Adds what is next.
    fn step(&mut self, formatter: &mut IntelFormatter) {
        let offset = self.offset();
        let next_data = self.data.range(offset..).next().map(|(&at, &data)| (at, data));
        match next_data {
            Some((at, Data::JumpTable)) if at == offset => self.jump_table(offset),
            Some((at, Data::Constant { bytes })) if at == offset => self.constant(offset, bytes),
            Some((at, _)) if self.is_padding(offset, at) => self.push(at, "; padding".to_owned()),
            _ => self.instruction(offset, formatter),
        }
    }

    fn is_padding(&self, from: u32, to: u32) -> bool {
        self.code[from as usize..to as usize].iter().all(|&byte| byte == 0)
    }

    fn instruction(&mut self, offset: u32, formatter: &mut IntelFormatter) {
        let bytes = &self.code[offset as usize..];
        let instruction = Decoder::with_ip(64, bytes, u64::from(offset), DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            return self.push(offset + 1, format!("(byte {:#04x})", bytes[0]));
        }
        self.note(&instruction);
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        self.push(instruction.next_ip() as u32, text);
    }

    /// Remembers what `instruction` refers to.
    fn note(&mut self, instruction: &Instruction) {
        let inside = |address: u64| u32::try_from(address).ok().filter(|&at| (at as usize) < self.code.len());
        if instruction.near_branch_target() != 0 {
            self.targets.extend(inside(instruction.near_branch_target()));
        }
        if !instruction.is_ip_rel_memory_operand() {
            return;
        }
        let Some(at) = inside(instruction.ip_rel_memory_address()) else { return };
        let data = match instruction.mnemonic() {
            Mnemonic::Lea => Data::JumpTable,
            _ => Data::Constant { bytes: instruction.memory_size().size() as u32 },
        };
        self.data.insert(at, data);
    }

    /// Entries up to the first known code or data after the table.
    fn jump_table(&mut self, table: u32) {
        let mut at = table;
        while let Some(entry) = self.code.get(at as usize..at as usize + 4) {
            let known = self.targets.contains(&at) || self.data.contains_key(&at);
            let distance = i32::from_le_bytes(entry.try_into().expect("four bytes"));
            let target = table.wrapping_add_signed(distance);
            if (known && at != table) || target as usize >= self.code.len() {
                break;
            }
            self.targets.insert(target);
            at += 4;
            self.push(at, format!("(jump table: {target:#x})"));
        }
        if at == table {
            self.push(table + 1, format!("(byte {:#04x})", self.code[table as usize]));
        }
    }

    fn constant(&mut self, offset: u32, bytes: u32) {
        let end = (offset + bytes.max(1)).min(self.code.len() as u32);
        let digits = self.code[offset as usize..end as usize].iter().rev().map(|byte| format!("{byte:02x}"));
        let text = format!("(constant 0x{})", digits.collect::<String>());
        self.push(end, text);
    }
}

#[cfg(test)]
mod tests {
    use super::disassemble;

    #[test]
    fn data_is_told_from_code() {
        let code = [
            0x48, 0x8d, 0x05, 0x04, 0x00, 0x00, 0x00, // lea rax, [rip + 4] -> the table at 11
            0x90, 0x90, 0xff, 0xe0, // nop; nop; jmp rax
            0x08, 0x00, 0x00, 0x00, // -> 19
            0x10, 0x00, 0x00, 0x00, // -> 27
            0xf2, 0x0f, 0x10, 0x05, 0x05, 0x00, 0x00, 0x00, // 19: movsd xmm0, [rip + 5] -> 32
            0xc3, 0x00, 0x00, 0x00, 0x00, // 27: ret, padding
            0, 0, 0, 0, 0, 0, 0xf0, 0x3f, // 32: 1.0
        ];
        let pieces = disassemble(&code, Vec::new());
        let shown: Vec<(u32, &str)> = pieces.iter().map(|piece| (piece.offset, &*piece.text)).collect();
        let texts = ["lea", "nop", "nop", "jmp", "(jump table: 0x13)", "(jump table: 0x1b)", "movsd", "ret"];
        for (text, piece) in texts.iter().zip(&shown) {
            assert!(piece.1.starts_with(text), "{shown:?}");
        }
        assert_eq!(shown[8..], [(28, "; padding"), (32, "(constant 0x3ff0000000000000)")]);
        assert_eq!(pieces.last().unwrap().end as usize, code.len());
    }

    #[test]
    fn any_bytes_are_covered() {
        for seed in 0..64_u8 {
            let code: Vec<u8> = (0..97_u8).map(|i| i.wrapping_mul(seed).wrapping_add(seed ^ i)).collect();
            let pieces = disassemble(&code, Vec::new());
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].offset));
        }
    }
}
