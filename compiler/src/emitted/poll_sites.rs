//! The polls of loops in machine code: what the comparison of the stack limit may be overwritten with.
//!
//! ```text
//!   compiled:                  over it, a jump:    over it, a load from a page:
//!     jge exit                   jl  next            jge exit
//!     cmp [limit], -1            jmp exit            test eax, [page]
//!     jne next                   ...                 jmp next
//!     jmp cold                                       ...
//! ```
//!
//! A back-edge that has nothing but a poll is a branch over it and a jump back. With the jump over the poll the branch leads
//! back by itself: nothing is left in the loop of its poll. Elsewhere the jump is over the comparison alone.
//!
//! What is in the other registers at `next` and at `cold` is what was there before the comparison, and nothing uses the
//! limit or the flags behind it. So any of these may be in its place whenever nothing executes in the middle of it, and
//! where the load faults execution may continue at `cold`.

use std::mem::offset_of;
use std::ops::Range;

use cranelift_codegen::CompiledCode;
use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register as IcedRegister,
};
use osr_stubs::{Context, POLL_REQUEST};

use super::disassembly::Disassembly;
use super::tightening::Tight;
use crate::safepoint::Origins;

/// The polls of a compiled body's loops.
#[derive(Debug)]
pub struct PollSites {
    /// Those that may be overwritten, by ascending offset.
    pub sites: Box<[PollSite]>,
    /// How many others there are, whose code is not of the shape that is known. They compare.
    pub others: u32,
}

/// A poll that may be overwritten. Offsets are from the start of the version's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollSite {
    /// The comparison.
    pub offset: u32,
    /// Where the branches behind it end.
    pub end: u32,
    /// Where the loop continues.
    pub next: u32,
    /// Where the poll is.
    pub cold: u32,
    /// The branch before the comparison, if nothing else leads there.
    pub branch: Option<PrecedingBranch>,
}

/// A branch behind which a poll is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrecedingBranch {
    /// The branch.
    pub offset: u32,
    /// Where it leads: out of the loop.
    pub exit: u32,
    /// On which condition, by its number in encodings.
    pub condition: u8,
}

/// `test eax, [rip + distance]`
const LOAD: [u8; 2] = [0x85, 0x05];
const LOAD_BYTES: u32 = 6;

impl PollSites {
    /// The polls in `code`, which is that of `compiled`. They are to be overwritten.
    pub(crate) fn of(code: &[u8], compiled: &CompiledCode, disassembly: Option<&Disassembly>) -> PollSites {
        let polls = Origins::of(compiled).polls();
        let read = |ranges: &Vec<Range<u32>>| {
            let site = ranges.iter().find_map(|range| read(code, range.clone()))?;
            let site = disassembly.map_or(site, |disassembly| with_jump(site, disassembly));
            let branch = disassembly.and_then(|disassembly| preceding_branch(code, disassembly, site.offset));
            Some(PollSite { branch, ..site })
        };
        let mut sites: Vec<PollSite> = polls.values().filter_map(read).collect();
        sites.sort_by_key(|site| site.offset);
        PollSites { others: (polls.len() - sites.len()) as u32, sites: sites.into() }
    }

    /// They, in code that was tightened.
    pub(crate) fn moved(self, tight: &Tight) -> PollSites {
        let moved = |site: &PollSite| PollSite {
            offset: tight.offset(site.offset),
            end: tight.offset(site.end),
            next: tight.offset(site.next),
            cold: tight.offset(site.cold),
            branch: site.branch.map(|branch| PrecedingBranch {
                offset: tight.offset(branch.offset),
                exit: tight.offset(branch.exit),
                ..branch
            }),
        };
        PollSites { sites: self.sites.iter().map(moved).collect(), ..self }
    }

    /// The one whose first instruction is at `offset`.
    pub fn at(&self, offset: u32) -> Option<&PollSite> {
        let found = self.sites.binary_search_by_key(&offset, |site| site.offset).ok()?;
        Some(&self.sites[found])
    }

    /// Bytes of what is known of them.
    pub fn bytes(&self) -> u64 {
        size_of_val(&*self.sites) as u64
    }
}

impl PollSite {
    /// What continues without a comparison, and where it is written. It is not longer than what it overwrites.
    pub fn idle(&self) -> (u32, Vec<u8>) {
        let leading = self.branch.filter(|_| self.next != self.end).map(|branch| {
            let mut bytes = branch_to(branch.condition ^ 1, branch.offset, self.next);
            let after = branch.offset + bytes.len() as u32;
            bytes.extend(jump_to(after, branch.exit));
            (branch.offset, bytes)
        });
        let fits = |(offset, bytes): &(u32, Vec<u8>)| bytes.len() <= (self.end - offset) as usize;
        leading.filter(fits).unwrap_or_else(|| (self.offset, self.jump()))
    }

    /// What continues in the place of the comparison.
    fn jump(&self) -> Vec<u8> {
        let jump = self.continuing(self.offset);
        assert!(
            jump.len() <= (self.end - self.offset) as usize,
            "a comparison and a branch have room for a jump"
        );
        jump
    }

    /// What loads from the page at `page`, in bytes from the start of the version's code, and continues; `None` if it
    /// is too far away, or there is no room.
    pub fn load(&self, page: i64) -> Option<Vec<u8>> {
        let after = self.offset + LOAD_BYTES;
        let distance = i32::try_from(page - i64::from(after)).ok()?;
        let load = [&LOAD[..], &distance.to_le_bytes(), &self.continuing(after)].concat();
        (load.len() <= (self.end - self.offset) as usize).then_some(load)
    }

    /// What leads from `from`, an offset inside, to where the loop continues.
    fn continuing(&self, from: u32) -> Vec<u8> {
        if self.next == self.end {
            return nops((self.end - from) as usize);
        }
        jump_to(from, self.next)
    }
}

/// A jump at `from` to `target`.
fn jump_to(from: u32, target: u32) -> Vec<u8> {
    leading(&[0xeb], &[0xe9], from, target)
}

/// A branch at `from` to `target`, on the condition of that number.
fn branch_to(condition: u8, from: u32, target: u32) -> Vec<u8> {
    leading(&[0x70 | condition], &[0x0f, 0x80 | condition], from, target)
}

/// What leads from `from` to `target`: with the first opcode if that is near.
fn leading(short: &[u8], long: &[u8], from: u32, target: u32) -> Vec<u8> {
    let distance = |bytes: usize| i64::from(target) - i64::from(from) - bytes as i64;
    match i8::try_from(distance(short.len() + 1)) {
        Ok(near) => [short, &[near as u8]].concat(),
        Err(_) => [long, &(distance(long.len() + 4) as i32).to_le_bytes()].concat(),
    }
}

/// `site` with the jump behind it, if that is where the loop continues, and nothing else leads there.
fn with_jump(site: PollSite, disassembly: &Disassembly) -> PollSite {
    let behind = disassembly.at(site.end).map(|number| &disassembly.instructions[number]);
    let is_alone = disassembly.sources(site.end).next().is_none();
    match behind.filter(|jump| jump.is_jmp_short_or_near() && is_alone && site.next == site.end) {
        Some(jump) => PollSite { end: jump.next_ip() as u32, next: jump.near_branch_target() as u32, ..site },
        None => site,
    }
}

/// The branch before the poll at `offset` of `code`, if nothing else leads to the poll.
fn preceding_branch(code: &[u8], disassembly: &Disassembly, offset: u32) -> Option<PrecedingBranch> {
    let branch = &disassembly.instructions[disassembly.at(offset)?.checked_sub(1)?];
    let is_alone = branch.is_jcc_short_or_near() && disassembly.sources(offset).next().is_none();
    is_alone.then(|| {
        let opcode = if branch.is_jcc_short() { 0 } else { 1 };
        PrecedingBranch {
            offset: branch.ip() as u32,
            exit: branch.near_branch_target() as u32,
            condition: code[branch.ip() as usize + opcode] & 0xf,
        }
    })
}

/// So many bytes that do nothing, in as few instructions as processors decode at full speed.
fn nops(mut bytes: usize) -> Vec<u8> {
    const LONGEST: usize = 11;
    const LONG: [u8; 8] = [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    const SHORTER: [&[u8]; 8] = [
        &[],
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0],
        &[0x0f, 0x1f, 0x44, 0, 0],
        &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
        &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
    ];
    let mut nops = Vec::with_capacity(bytes);
    while bytes > 0 {
        let length = bytes.min(LONGEST);
        match SHORTER.get(length) {
            Some(nop) => nops.extend(*nop),
            None => {
                nops.extend(std::iter::repeat_n(0x66, length - LONG.len()));
                nops.extend(LONG);
            }
        }
        bytes -= length;
    }
    nops
}

/// The poll whose code is in `range`, if it is as expected: the limit is loaded and compared with what requests polls,
/// then come a branch if they are equal or not, and perhaps a jump. Nothing leads into its middle: it is of one block, and
/// the branch and the jump are one instruction of Cranelift's. Around it, the allocator may have moved values.
fn read(code: &[u8], range: Range<u32>) -> Option<PollSite> {
    let bytes = &code[range.start as usize..range.end as usize];
    let mut decoder = Decoder::with_ip(64, bytes, u64::from(range.start), DecoderOptions::NONE);
    let instructions: Vec<Instruction> = decoder.iter().collect();
    let comparison = instructions.iter().position(compares_request)?;
    let (before, rest) = instructions.split_at(comparison);
    let [compare, branch, rest @ ..] = rest else { return None };
    // A load that is apart from it may stay: what it loads is used by nothing else. It is of the context, or of the word of
    // the frame that stands for a near one.
    let load = before
        .last()
        .filter(|load| compare.op0_kind() == OpKind::Register && loads(load, compare.op0_register()));
    let jump = rest.first().filter(|jump| jump.is_jmp_short_or_near());
    if !branch.is_jcc_short_or_near() {
        return None;
    }
    let end = jump.unwrap_or(branch).next_ip() as u32;
    let taken = branch.near_branch_target() as u32;
    let otherwise = jump.map_or(end, |jump| jump.near_branch_target() as u32);
    let (cold, next) = match branch.condition_code() {
        ConditionCode::e => (taken, otherwise),
        ConditionCode::ne => (otherwise, taken),
        _ => return None,
    };
    Some(PollSite { offset: load.unwrap_or(compare).ip() as u32, end, next, cold, branch: None })
}

/// Whether `instruction` compares a register, or a thread's stack limit, with what requests polls.
pub(crate) fn compares_request(instruction: &Instruction) -> bool {
    let compares = match instruction.op0_kind() {
        OpKind::Memory => is_limit(instruction),
        kind => kind == OpKind::Register,
    };
    instruction.mnemonic() == Mnemonic::Cmp
        && compares
        && instruction.op1_kind() == OpKind::Immediate8to64
        && instruction.immediate(1) == POLL_REQUEST
}

/// Whether `instruction` loads a thread's stack limit into `register`.
pub(crate) fn loads_limit(instruction: &Instruction, register: IcedRegister) -> bool {
    loads(instruction, register) && is_limit(instruction)
}

/// Whether `instruction` loads something into `register`.
fn loads(instruction: &Instruction, register: IcedRegister) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && (instruction.op0_kind(), instruction.op0_register()) == (OpKind::Register, register)
        && instruction.op1_kind() == OpKind::Memory
}

/// Whether the memory operand of `instruction`, which is of a poll, is a thread's stack limit.
pub(crate) fn is_limit(instruction: &Instruction) -> bool {
    instruction.memory_displacement64() == offset_of!(Context, stack_limit) as u64
        && instruction.memory_index() == IcedRegister::None
        && !matches!(instruction.memory_base(), IcedRegister::RSP | IcedRegister::RIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cmp qword [rdi], -1`
    const COMPARISON: [u8; 4] = [0x48, 0x83, 0x3f, 0xff];

    fn code(branches: &[u8]) -> Vec<u8> {
        [&COMPARISON[..], branches].concat()
    }

    fn poll(branches: &[u8]) -> Option<PollSite> {
        let code = code(branches);
        read(&code, 0..code.len() as u32)
    }

    const NOT_EQUAL: [u8; 6] = [0x0f, 0x85, 0, 1, 0, 0];
    const EQUAL: [u8; 6] = [0x0f, 0x84, 0, 1, 0, 0];
    const JUMP: [u8; 5] = [0xe9, 0xf1, 0xff, 0xff, 0xff];

    #[test]
    fn both_ways_of_a_poll_are_found() {
        let site = |next, cold, end| Some(PollSite { offset: 0, end, next, cold, branch: None });
        assert_eq!(poll(&NOT_EQUAL), site(0x10a, 10, 10));
        assert_eq!(poll(&EQUAL), site(10, 0x10a, 10));
        assert_eq!(poll(&[&NOT_EQUAL[..], &JUMP].concat()), site(0x10a, 0, 15));
        assert_eq!(poll(&[&EQUAL[..], &JUMP].concat()), site(0, 0x10a, 15));
    }

    #[test]
    fn a_load_is_part_of_it_unless_something_is_in_between() {
        // mov rcx, [rdi]; mov rsi, r13; cmp rcx, -1; je
        let (load, moved, compare) = ([0x48, 0x8b, 0x0f], [0x4c, 0x89, 0xee], [0x48, 0x83, 0xf9, 0xff]);
        let adjacent = [&moved[..], &load, &compare, &EQUAL, &moved].concat();
        let site = read(&adjacent, 0..adjacent.len() as u32).expect("a poll");
        assert_eq!(site, PollSite { offset: 3, end: 16, next: 16, cold: 0x110, branch: None });
        let apart = [&load[..], &moved, &compare, &EQUAL].concat();
        assert_eq!(read(&apart, 0..apart.len() as u32), Some(PollSite { offset: 6, ..site }));
        let other = [&[0x48, 0x8b, 0x17][..], &compare, &EQUAL].concat();
        assert_eq!(read(&other, 0..other.len() as u32).expect("a poll").offset, 3, "rdx is loaded");
    }

    #[test]
    fn what_is_not_as_expected_is_no_poll_site() {
        let below = [0x0f, 0x82, 0, 1, 0, 0];
        assert_eq!(poll(&below), None);
        assert_eq!(poll(&[0x90]), None);
        assert_eq!(poll(&[]), None);
        assert_eq!(read(&[0x48, 0x83, 0x3f, 0xfe, 0x0f, 0x84, 0, 1, 0, 0], 0..10), None, "another value");
        assert_eq!(read(&[0x48, 0x83, 0x7f, 0x08, 0xff, 0x74, 0x00], 0..7), None, "another word");
    }

    /// Where the code that is over a poll leads to, and whether it loads from `page` before.
    fn follow(site: &PollSite, bytes: &[u8], page: Option<u64>) -> u64 {
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(site.offset), DecoderOptions::NONE);
        if let Some(page) = page {
            let load = decoder.decode();
            assert_eq!((load.mnemonic(), load.ip_rel_memory_address()), (Mnemonic::Test, page));
        }
        let mut at = decoder.ip();
        for instruction in &mut decoder {
            at = match instruction.mnemonic() {
                Mnemonic::Jmp => return instruction.near_branch_target(),
                Mnemonic::Nop => instruction.next_ip(),
                other => panic!("{other:?}"),
            };
        }
        at
    }

    #[test]
    fn what_is_written_over_a_poll_continues_where_it_did() {
        for branches in [&EQUAL[..], &[&NOT_EQUAL[..], &JUMP].concat(), &[&EQUAL[..], &JUMP].concat()] {
            let site = poll(branches).expect("a poll");
            assert_eq!(follow(&site, &site.jump(), None), u64::from(site.next));
            let load = site.load(0x10_0000).expect("there is room");
            assert!(load.len() <= (site.end - site.offset) as usize);
            assert_eq!(follow(&site, &load, Some(0x10_0000)), u64::from(site.next));
            assert_eq!(site.load(1 << 40), None, "too far");
        }
        let full = poll(&NOT_EQUAL).expect("a poll");
        assert_eq!(follow(&full, &full.jump(), None), 0x10a);
        assert_eq!(full.load(0), None, "no room for a load and a long jump");
    }

    #[test]
    fn the_branch_before_a_poll_leads_back_by_itself() {
        let near = PrecedingBranch { offset: 0x20, exit: 0x60, condition: 0xd };
        let site = PollSite { offset: 0x22, end: 0x30, next: 0, cold: 0x90, branch: Some(near) };
        for (next, exit) in [(0, 0x60), (0x1000, 0x60), (0, 0x1000)] {
            let branch = Some(PrecedingBranch { exit, ..near });
            let site = PollSite { next, branch, ..site };
            let (offset, idle) = site.idle();
            assert!(offset == 0x20 && idle.len() <= 0x10, "{idle:x?}");
            let decoder = Decoder::with_ip(64, &idle, 0x20, DecoderOptions::NONE);
            let found: Vec<_> =
                decoder.into_iter().map(|found| (found.mnemonic(), found.near_branch_target())).collect();
            assert_eq!(found, [(Mnemonic::Jl, u64::from(next)), (Mnemonic::Jmp, u64::from(exit))]);
        }
        let full = PollSite {
            end: 0x29,
            next: 0x1000,
            branch: Some(PrecedingBranch { exit: 0x1000, ..near }),
            ..site
        };
        assert_eq!(full.idle(), (0x22, full.jump()), "there is no room for two long ones");
        let falls_through = PollSite { next: site.end, ..site };
        assert_eq!(falls_through.idle().0, 0x22, "it does not lead back");
    }

    #[test]
    fn nops_do_nothing() {
        for bytes in 0..40 {
            let nops = nops(bytes);
            assert_eq!(nops.len(), bytes);
            let mut decoder = Decoder::new(64, &nops, DecoderOptions::NONE);
            assert!(decoder.iter().all(|instruction| instruction.mnemonic() == Mnemonic::Nop));
        }
    }
}
