//! Tightening code: what is not reached goes, what remains moves together, and branches take their short forms.
//!
//! Cranelift gives every branch four bytes of distance, since it emits them before it knows. Most need one. Distances
//! between what remains only become shorter, so that what has become short once stays so. Constants stay as aligned as they
//! were.

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::compared_in_memory::{Edits, padding};
use super::disassembly::{Disassembly, branch_target};
use super::near_access::{NEAR_CALL, NearWord};

/// Code that was tightened, and where what it was made of is in it.
#[derive(Debug)]
pub(crate) struct Tight {
    pub(crate) code: Vec<u8>,
    /// By ascending offset; none if nothing was moved.
    pieces: Vec<Piece>,
}

/// Bytes that stay together: an instruction, with its jump table, and a call before it if there is one.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it began and ended.
    start: u32,
    end: u32,
    /// Where it begins.
    offset: u32,
    /// How many bytes it has.
    bytes: u32,
    /// What it is.
    is: Is,
}

#[derive(Clone, Copy, Debug)]
enum Is {
    /// As it was: the instruction of that number.
    Instruction(usize),
    /// The short form of that instruction, a branch.
    Short(usize),
    /// A near call.
    NearCall,
    /// What the instruction at its start becomes.
    Edited,
    /// The call of that number before a block, with a long jump or branch, or a short one, and the block's first instruction if
    /// it keeps the block.
    CallBefore { number: usize, is_short: bool, first: usize },
    /// The tail.
    Tail,
}

/// What other code takes the place of.
#[derive(Clone, Copy)]
pub(crate) struct Replaced<'r> {
    /// Blocks.
    pub(crate) blocks: &'r [CallBefore],
    /// Where the direct calls begin whose places near calls take.
    pub(crate) calls: &'r BTreeMap<u32, NearWord>,
    /// Instructions, with what they become.
    pub(crate) edits: &'r Edits,
}

/// A near call before a block that only one branch leads to. Execution continues elsewhere, or in the block, if that is
/// kept and the zero flag is not set.
#[derive(Clone, Debug)]
pub(crate) struct CallBefore {
    /// Where the block begins.
    pub(crate) start: u32,
    /// Where execution continues.
    pub(crate) next: u32,
    /// Whether it may continue in the block.
    pub(crate) keeps_block: bool,
}

impl CallBefore {
    /// What leads to `next`.
    fn branch_bytes(&self, is_short: bool) -> u32 {
        match (is_short, self.keeps_block) {
            (true, _) => SHORT_JUMP_BYTES,
            (false, false) => LONG_JUMP_BYTES,
            (false, true) => LONG_BRANCH_BYTES,
        }
    }
}

const SHORT_JUMP: u8 = 0xeb;
const SHORT_JUMP_BYTES: u32 = 2;
const LONG_JUMP: u8 = 0xe9;
const LONG_JUMP_BYTES: u32 = 5;

/// `jcc rel8`, and the condition.
const SHORT_BRANCH: u8 = 0x70;
/// `jcc rel32`, and the condition in the second byte.
const LONG_BRANCH: [u8; 2] = [0x0f, 0x80];
const LONG_BRANCH_BYTES: u32 = 6;
/// That the zero flag is set, as a condition.
const IF_ZERO: u8 = 4;

/// What is never executed: `int3`.
const FILLING: u8 = 0xcc;

/// As much as any constant is aligned to.
const ALIGNMENT: u32 = 16;

/// How often it is looked for branches that have become near.
const ROUNDS: usize = 3;

impl Tight {
    /// `code` as it is.
    pub(crate) fn unchanged(code: Vec<u8>) -> Tight {
        Tight { code, pieces: Vec::new() }
    }

    /// Where what was at `offset` is. What was there may be gone: then what is before it ends there.
    pub(crate) fn offset(&self, offset: u32) -> u32 {
        if self.pieces.is_empty() { offset } else { moved(&self.pieces, offset) }
    }

    /// The same, if it is not gone.
    pub(crate) fn kept(&self, offset: u32) -> Option<u32> {
        let before = self.pieces.partition_point(|piece| piece.start <= offset);
        let is_gone = match before.checked_sub(1) {
            Some(last) => offset >= self.pieces[last].end,
            None => !self.pieces.is_empty(),
        };
        (!is_gone).then(|| self.offset(offset))
    }
}

fn moved(pieces: &[Piece], offset: u32) -> u32 {
    let before = pieces.partition_point(|piece| piece.start <= offset);
    let Some(piece) = before.checked_sub(1).map(|last| &pieces[last]) else { return 0 };
    if offset == piece.start {
        piece.offset
    } else if offset < piece.end && !matches!(piece.is, Is::Edited) {
        piece.offset + (offset - piece.start)
    } else {
        piece.offset + piece.bytes
    }
}

/// By number, whether an instruction is reached from the beginning, or from one of `roots`, where `blocks` are replaced.
pub(crate) fn reached(
    disassembly: &Disassembly,
    roots: impl Iterator<Item = u32>,
    blocks: &[CallBefore],
) -> Vec<bool> {
    let gone = blocks.iter().filter(|call| !call.keeps_block);
    let next: BTreeMap<u32, u32> = gone.map(|call| (call.start, call.next)).collect();
    disassembly.reached(roots.chain([0]).collect(), |offset| next.get(&offset).copied())
}

/// Replaces in `code` what is `replaced`, and tightens it. What is not `reached` goes; branches that begin at what `stays` says
/// keep their lengths.
pub(crate) fn tighten(
    code: &[u8],
    disassembly: &Disassembly,
    reached: &[bool],
    replaced: Replaced<'_>,
    stays: impl Fn(u32) -> bool,
) -> Tight {
    let mut tightening = Tightening { code, disassembly, replaced, pieces: Vec::new() };
    tightening.collect(reached);
    for _ in 0..ROUNDS {
        tightening.place();
        if !tightening.shorten(&stays) {
            break;
        }
    }
    tightening.place();
    let code = tightening.emit();
    Tight { code, pieces: tightening.pieces }
}

struct Tightening<'c> {
    code: &'c [u8],
    disassembly: &'c Disassembly,
    replaced: Replaced<'c>,
    pieces: Vec<Piece>,
}

impl Tightening<'_> {
    /// Collects the pieces that remain.
    fn collect(&mut self, reached: &[bool]) {
        let calls = self.replaced.blocks.iter().enumerate();
        let by_start: BTreeMap<u32, usize> = calls.map(|(position, call)| (call.start, position)).collect();
        let mut tables = self.disassembly.tables.iter().peekable();
        let mut pieces = Vec::with_capacity(reached.len());
        for (number, instruction) in self.disassembly.instructions.iter().enumerate() {
            let (at, mut end) = (instruction.ip() as u32, instruction.next_ip() as u32);
            if let Some(table) = tables.next_if(|table| table.jump == number) {
                end = table.bytes.end;
            }
            let call = if by_start.is_empty() { None } else { by_start.get(&at) };
            if let Some(&position) = call {
                pieces.push(self.call_before(position, number));
            } else if reached[number]
                && let Some(bytes) = self.replaced.edits.get(&at)
            {
                let bytes = bytes.len() as u32;
                pieces.push(Piece { start: at, end, offset: 0, bytes, is: Is::Edited });
            } else if reached[number] && self.replaced.calls.contains_key(&at) {
                let bytes = NEAR_CALL.len() as u32;
                pieces.push(Piece { start: at, end, offset: 0, bytes, is: Is::NearCall });
            } else if reached[number] {
                let start = at + padding(self.code, instruction);
                pieces.push(Piece { start, end, offset: 0, bytes: end - start, is: Is::Instruction(number) });
            }
        }
        let tail = &self.disassembly.tail;
        let bytes = tail.len() as u32;
        pieces.push(Piece { start: tail.start, end: tail.end, offset: 0, bytes, is: Is::Tail });
        self.pieces = pieces;
    }

    /// The call before a block at that position of all, with `first`, the number of the block's first instruction. Of a block
    /// that goes nothing is in the piece.
    fn call_before(&self, position: usize, first: usize) -> Piece {
        let call = &self.replaced.blocks[position];
        let end =
            if call.keeps_block { self.disassembly.instructions[first].next_ip() as u32 } else { call.start };
        let bytes =
            NEAR_CALL.len() as u32 + call.branch_bytes(false) + self.first_bytes(call, first).len() as u32;
        let is = Is::CallBefore { number: position, is_short: false, first };
        Piece { start: call.start, end, offset: 0, bytes, is }
    }

    /// The first instruction of the block behind `call`, whose number is `first`, without distances; nothing if the block goes.
    fn first_bytes(&self, call: &CallBefore, first: usize) -> &[u8] {
        if !call.keeps_block {
            return &[];
        }
        if let Some(edited) = self.replaced.edits.get(&call.start) {
            return edited;
        }
        let instruction = &self.disassembly.instructions[first];
        let start = call.start + padding(self.code, instruction);
        &self.code[start as usize..instruction.next_ip() as usize]
    }

    /// Puts the pieces one behind the other.
    fn place(&mut self) {
        let mut offset = 0;
        for piece in &mut self.pieces {
            piece.offset = offset;
            offset += piece.bytes;
        }
        let tail = self.pieces.last_mut().expect("there is a tail");
        if self.disassembly.constants().is_some() {
            tail.offset += tail.start.wrapping_sub(tail.offset) % ALIGNMENT;
        }
    }

    /// Makes branches short that are near; whether there are any.
    fn shorten(&mut self, stays: impl Fn(u32) -> bool) -> bool {
        let mut shorter = Vec::new();
        for (position, piece) in self.pieces.iter().enumerate() {
            let target = match piece.is {
                Is::Instruction(number) => {
                    let instruction = &self.disassembly.instructions[number];
                    let is_long = instruction.len() as u32 > SHORT_JUMP_BYTES && !stays(piece.start);
                    branch_target(instruction).filter(|_| is_long)
                }
                Is::CallBefore { number, is_short: false, .. } => Some(self.replaced.blocks[number].next),
                _ => None,
            };
            let Some(target) = target else { continue };
            let distance = i64::from(moved(&self.pieces, target)) - i64::from(piece.offset + piece.bytes);
            // What is filled up before constants may be more the next time; behind a branch may be an instruction more.
            let most = i64::from(i8::MAX) - i64::from(ALIGNMENT);
            if distance.abs() <= most {
                shorter.push(position);
            }
        }
        for &position in &shorter {
            let piece = &mut self.pieces[position];
            match piece.is {
                Is::Instruction(number) => {
                    (piece.is, piece.bytes) = (Is::Short(number), SHORT_JUMP_BYTES);
                }
                Is::CallBefore { number, first, .. } => {
                    let call = &self.replaced.blocks[number];
                    piece.is = Is::CallBefore { number, is_short: true, first };
                    piece.bytes -= call.branch_bytes(false) - call.branch_bytes(true);
                }
                _ => unreachable!("no branch"),
            }
        }
        !shorter.is_empty()
    }

    /// The code.
    fn emit(&self) -> Vec<u8> {
        let mut made = Vec::with_capacity(self.code.len());
        for piece in &self.pieces {
            made.resize(piece.offset as usize, FILLING);
            let end = piece.offset + piece.bytes;
            match piece.is {
                Is::Instruction(number) => {
                    made.extend(&self.code[piece.start as usize..piece.end as usize]);
                    self.lead(&mut made, number, end);
                }
                Is::Short(number) => {
                    let instruction = &self.disassembly.instructions[number];
                    let condition = self.code[piece.start as usize + 1] & 0xf;
                    let is_jump = instruction.is_jmp_short_or_near();
                    made.push(if is_jump { SHORT_JUMP } else { SHORT_BRANCH | condition });
                    made.push(self.distance(instruction.near_branch_target() as u32, end) as u8);
                }
                Is::CallBefore { number, is_short, first } => {
                    let call = &self.replaced.blocks[number];
                    let behind = self.first_bytes(call, first);
                    made.extend(NEAR_CALL);
                    match (is_short, call.keeps_block) {
                        (true, true) => made.push(SHORT_BRANCH | IF_ZERO),
                        (true, false) => made.push(SHORT_JUMP),
                        (false, true) => made.extend([LONG_BRANCH[0], LONG_BRANCH[1] | IF_ZERO]),
                        (false, false) => made.push(LONG_JUMP),
                    }
                    let distance = self.distance(call.next, end - behind.len() as u32).to_le_bytes();
                    made.extend(&distance[..if is_short { 1 } else { 4 }]);
                    made.extend(behind);
                    if call.keeps_block && !self.replaced.edits.contains_key(&call.start) {
                        self.lead(&mut made, first, end);
                    }
                }
                Is::NearCall => made.extend(NEAR_CALL),
                Is::Edited => made.extend(&self.replaced.edits[&piece.start]),
                Is::Tail => made.extend(&self.code[piece.start as usize..piece.end as usize]),
            }
        }
        self.write_tables(&mut made);
        made
    }

    /// The distance from `end` to where what was at `target` is.
    fn distance(&self, target: u32, end: u32) -> u32 {
        moved(&self.pieces, target).wrapping_sub(end)
    }

    /// Makes instruction `number`, which `made` ends with, lead to where it did.
    fn lead(&self, made: &mut [u8], number: usize, end: u32) {
        let instruction = &self.disassembly.instructions[number];
        let (length, made_length) = (instruction.len(), made.len());
        if let Some(target) = branch_target(instruction) {
            let bytes = if length as u32 == SHORT_JUMP_BYTES { 1 } else { 4 };
            let distance = self.distance(target, end).to_le_bytes();
            made[made_length - bytes..].copy_from_slice(&distance[..bytes]);
        } else if instruction.is_ip_rel_memory_operand() {
            let place = displacement(self.code, instruction);
            let distance = self.distance(instruction.ip_rel_memory_address() as u32, end).to_le_bytes();
            made[made_length - length + place..][..4].copy_from_slice(&distance);
        }
    }

    /// Writes the jump tables that are left.
    fn write_tables(&self, made: &mut [u8]) {
        for table in &self.disassembly.tables {
            let jump = self.disassembly.instructions[table.jump].ip() as u32;
            let Ok(position) = self.pieces.binary_search_by_key(&jump, |piece| piece.start) else { continue };
            let piece = &self.pieces[position];
            let start = piece.offset + (table.bytes.start - piece.start);
            for (n, &target) in table.targets.iter().enumerate() {
                let distance = self.distance(target, start).to_le_bytes();
                made[start as usize + 4 * n..][..4].copy_from_slice(&distance);
            }
        }
    }
}

/// Where in `instruction` of `code` its displacement is.
fn displacement(code: &[u8], instruction: &Instruction) -> usize {
    let bytes = &code[instruction.ip() as usize..instruction.next_ip() as usize];
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let decoded = decoder.decode();
    decoder.get_constant_offsets(&decoded).displacement_offset()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tighten_reached(
        code: &[u8],
        disassembly: &Disassembly,
        replaced: Replaced<'_>,
        stays: impl Fn(u32) -> bool,
    ) -> Tight {
        let reached = reached(disassembly, std::iter::empty(), replaced.blocks);
        tighten(code, disassembly, &reached, replaced, stays)
    }

    fn tight(code: &[u8], starts: &[u32], blocks: &[CallBefore]) -> Tight {
        let disassembly = Disassembly::of_blocks(code, starts.to_vec()).expect("it can be read");
        let replaced = Replaced { blocks, calls: &BTreeMap::new(), edits: &Edits::new() };
        tighten_reached(code, &disassembly, replaced, |_| false)
    }

    #[test]
    fn what_is_not_reached_goes_and_branches_become_short() {
        // je 14; jmp 15; three nops; ret; ret; ud2
        let code = [0x0f, 0x84, 8, 0, 0, 0, 0xe9, 4, 0, 0, 0, 0x90, 0x90, 0x90, 0xc3, 0xc3, 0x0f, 0x0b];
        let found = tight(&code, &[0, 11, 14, 15], &[]);
        assert_eq!(found.code, [0x74, 2, 0xeb, 1, 0xc3, 0xc3, 0x0f, 0x0b]);
        let offsets = [0, 6, 11, 12, 14, 15, 16, 18].map(|offset| found.offset(offset));
        assert_eq!(offsets, [0, 2, 4, 4, 4, 5, 6, 8]);
    }

    #[test]
    fn a_replacement_is_reached_by_its_branch_and_goes_where_it_is_to() {
        // je 7; ret; then what is replaced: nop, nop, jmp 0
        let code = [0x0f, 0x84, 1, 0, 0, 0, 0xc3, 0x90, 0x90, 0xe9, 0xf2, 0xff, 0xff, 0xff];
        let made = CallBefore { start: 7, next: 6, keeps_block: false };
        let found = tight(&code, &[0, 6, 7], &[made]);
        assert_eq!(found.code, [0x74, 1, 0xc3, 0xff, 0x15, 0, 0, 0, 0, 0xeb, 0xf7]);
        assert_eq!((found.offset(7), found.kept(7)), (3, None), "what was there is gone");
    }

    #[test]
    fn a_call_before_a_block_goes_on_or_enters_it() {
        // je 7; ret; then the block: mov [rsp + 8], rax, which may become another; jmp 0
        let code = [0x0f, 0x84, 1, 0, 0, 0, 0xc3, 0x48, 0x89, 0x44, 0x24, 8, 0xe9, 0xef, 0xff, 0xff, 0xff];
        let disassembly = Disassembly::of_blocks(&code, vec![0, 6, 7]).expect("it can be read");
        let blocks = [CallBefore { start: 7, next: 6, keeps_block: true }];
        let with_edits = |edits: Edits| {
            let replaced = Replaced { blocks: &blocks, calls: &BTreeMap::new(), edits: &edits };
            tighten_reached(&code, &disassembly, replaced, |_| false)
        };
        let found = with_edits(Edits::new());
        let called = [0x74, 1, 0xc3, 0xff, 0x15, 0, 0, 0, 0, 0x74, 0xf7];
        assert_eq!(found.code, [&called[..], &[0x48, 0x89, 0x44, 0x24, 8, 0xeb, 0xee]].concat());
        assert_eq!([7, 12].map(|offset| found.offset(offset)), [3, 16], "the call is where the block began");
        let found = with_edits(Edits::from([(7, vec![0x90])]));
        assert_eq!(found.code, [&called[..], &[0x90, 0xeb, 0xf2]].concat());
    }

    #[test]
    fn instructions_become_others_of_any_length() {
        // mov rax, [rdi]; mov rbx, rdi; cmp rsp, rax; je 16; ret; ret
        let code = [0x48, 0x8b, 7, 0x48, 0x89, 0xfb, 0x48, 0x39, 0xc4, 0x0f, 0x84, 1, 0, 0, 0, 0xc3, 0xc3];
        let disassembly = Disassembly::of_blocks(&code, vec![0, 15, 16]).expect("it can be read");
        let edits = Edits::from([(0, Vec::new()), (6, vec![0x49, 0x3b, 0x64, 0x24, 0])]);
        let replaced = Replaced { blocks: &[], calls: &BTreeMap::new(), edits: &edits };
        let found = tighten_reached(&code, &disassembly, replaced, |_| false);
        assert_eq!(found.code, [0x48, 0x89, 0xfb, 0x49, 0x3b, 0x64, 0x24, 0, 0x74, 1, 0xc3, 0xc3]);
        assert_eq!([0, 3, 6, 9].map(|offset| found.offset(offset)), [0, 0, 3, 8]);
    }

    #[test]
    fn tables_and_constants_move_with_what_refers_to_them() {
        // lea rcx, [table]; jmp rax; the table: to the load, and to the `ret`; two nops; movaps xmm0, [constant]; ret; padding
        let mut code = vec![0x48, 0x8d, 0x0d, 2, 0, 0, 0, 0xff, 0xe0, 10, 0, 0, 0, 17, 0, 0, 0, 0x90, 0x90];
        code.extend([0x0f, 0x28, 0x05, 6, 0, 0, 0, 0xc3]);
        code.resize(32, 0);
        code.extend([7; 16]);
        let found = tight(&code, &[0, 17, 19], &[]);
        assert_eq!(found.code[3..7], code[3..7], "the table is where it was");
        assert_eq!(found.code[9..17], [8, 0, 0, 0, 15, 0, 0, 0]);
        let (load, constant) = (found.offset(19) as usize, found.offset(32) as usize);
        assert_eq!((load, constant), (17, 32), "the constant is as aligned as it was");
        assert_eq!(found.code[load + 3..load + 7], 8_u32.to_le_bytes());
        assert_eq!(found.code[constant..], [7; 16]);
    }

    #[test]
    fn branches_that_are_to_stay_and_far_ones_are_long() {
        let mut code = vec![0x0f, 0x84, 200, 0, 0, 0];
        code.resize(206, 0x90);
        code.push(0xc3);
        assert_eq!(tight(&code, &[0, 206], &[]).code, code);
        let near = [0x0f, 0x84, 0, 0, 0, 0, 0xc3];
        let disassembly = Disassembly::of_blocks(&near, vec![0, 6]).expect("it can be read");
        let nothing = Replaced { blocks: &[], calls: &BTreeMap::new(), edits: &Edits::new() };
        assert_eq!(tighten_reached(&near, &disassembly, nothing, |at| at == 0).code, near);
    }

    #[test]
    fn near_calls_take_the_places_of_direct_ones() {
        // je 17; call; ret; call, which is not reached; ret
        let code = [0x0f, 0x84, 11, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3];
        let disassembly = Disassembly::of_blocks(&code, vec![0, 6, 12, 17]).expect("it can be read");
        let calls = [6, 12].map(|start| (start, NearWord::PollStub)).into();
        let replaced = Replaced { blocks: &[], calls: &calls, edits: &Edits::new() };
        let found = tighten_reached(&code, &disassembly, replaced, |_| false);
        assert_eq!(found.code, [0x74, 7, 0xff, 0x15, 0, 0, 0, 0, 0xc3, 0xc3]);
        assert_eq!([6, 11, 12].map(|offset| found.kept(offset)), [Some(2), Some(8), None]);
    }
}
