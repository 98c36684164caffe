//! The machine code of a version, as found by following control from its first byte.
//!
//! Following it tells code from the jump tables between. A jump table (the target of an `lea` relative
//! to the instruction pointer) holds 32-bit distances from its own start, and ends before whatever control
//! is known to reach.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

/// An instruction.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The offset of what follows it.
    pub(super) end: u32,
    /// Whether it calls.
    pub(super) is_call: bool,
    /// Where control goes from it.
    pub(super) successors: Vec<u32>,
    /// What it does to registers and the frame.
    pub(super) effect: Effect,
}

impl Step {
    /// The bytes of the frame that it writes: from the frame base, and how many.
    pub(super) fn write(&self) -> Option<(i32, u32)> {
        self.effect.frame
    }
}

/// Where a value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a machine register, named as a whole.
    Register(Register),
    /// In the frame, from the frame base.
    Frame(i32),
}

/// What an instruction does to registers and the frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Effect {
    /// The bytes of the frame that it writes: from the frame base, and how many.
    pub(super) frame: Option<(i32, u32)>,
    /// The registers that it writes, as wholes.
    pub(super) registers: Vec<Register>,
    /// If it does nothing but move a value.
    pub(super) copy: Option<Copied>,
}

/// A value that moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) from: Place,
    pub(super) to: Place,
    /// How much of it.
    pub(super) bytes: u32,
}

/// The instructions that control can reach, and the frame that they work in.
#[derive(Debug)]
pub(super) struct Machine {
    /// By offset.
    pub(super) steps: BTreeMap<u32, Step>,
    /// Bytes below the frame base.
    pub(super) frame_bytes: i32,
    /// Where the prologue keeps registers of the caller: offsets from the frame base.
    pub(super) saved: Vec<i32>,
}

impl Machine {
    /// Reads `code`; the error is the offset of what cannot be read.
    pub(super) fn read(code: &[u8]) -> Result<Machine, u32> {
        let mut reader = Reader {
            code,
            instructions: BTreeMap::new(),
            targets: BTreeSet::from([0]),
            tables: BTreeMap::new(),
        };
        reader.follow(0)?;
        while reader.read_tables()? {}
        reader.machine()
    }

    /// The return offsets of all calls.
    pub(super) fn calls(&self) -> BTreeSet<u32> {
        self.steps.values().filter(|step| step.is_call).map(|step| step.end).collect()
    }
}

struct Reader<'c> {
    code: &'c [u8],
    instructions: BTreeMap<u32, Instruction>,
    /// Where branches lead.
    targets: BTreeSet<u32>,
    /// Per jump table, where its entries lead.
    tables: BTreeMap<u32, Vec<u32>>,
}

impl Reader<'_> {
    fn decode(&self, offset: u32) -> Result<Instruction, u32> {
        let bytes = self.code.get(offset as usize..).ok_or(offset)?;
        let instruction = Decoder::with_ip(64, bytes, u64::from(offset), DecoderOptions::NONE).decode();
        if instruction.is_invalid() { Err(offset) } else { Ok(instruction) }
    }

    /// Reads all that control reaches from `start`, jump tables aside.
    fn follow(&mut self, start: u32) -> Result<(), u32> {
        let mut pending = vec![start];
        while let Some(offset) = pending.pop() {
            if self.instructions.contains_key(&offset) {
                continue;
            }
            let instruction = self.decode(offset)?;
            if takes_table(&instruction) {
                self.tables.entry(instruction.ip_rel_memory_address() as u32).or_default();
            }
            let target = branch_target(&instruction);
            self.targets.extend(target);
            pending.extend(target);
            pending.extend(falls_through(&instruction).then_some(instruction.next_ip() as u32));
            self.instructions.insert(offset, instruction);
        }
        Ok(())
    }

    /// Reads entries of jump tables, as far as they are not read yet; whether there were any.
    fn read_tables(&mut self) -> Result<bool, u32> {
        let starts: Vec<u32> = self.tables.keys().copied().collect();
        for table in starts {
            let read = self.tables[&table].len() as u32;
            let at = table + 4 * read;
            let is_known = self.targets.contains(&at) || self.instructions.contains_key(&at);
            let is_table = read > 0 && self.tables.contains_key(&at);
            let Some(entry) = self.code.get(at as usize..at as usize + 4) else { continue };
            let target = table.wrapping_add_signed(i32::from_le_bytes(entry.try_into().expect("four bytes")));
            if is_known || is_table || target as usize >= self.code.len() {
                continue;
            }
            self.tables.get_mut(&table).expect("a known table").push(target);
            self.targets.insert(target);
            self.follow(target)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn machine(&self) -> Result<Machine, u32> {
        let frame_bytes = self.frame_bytes()?;
        let mut information = InstructionInfoFactory::new();
        let mut steps = BTreeMap::new();
        for (&offset, instruction) in &self.instructions {
            let mut successors: Vec<u32> = branch_target(instruction).into_iter().collect();
            successors.extend(falls_through(instruction).then_some(instruction.next_ip() as u32));
            if instruction.flow_control() == FlowControl::IndirectBranch && !self.is_behind_call(offset) {
                successors.extend(self.table_before(offset).ok_or(offset)?);
            }
            let effect = effect(instruction, &mut information, frame_bytes);
            let is_call = matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
            steps.insert(offset, Step { end: instruction.next_ip() as u32, is_call, successors, effect });
        }
        Ok(Machine { steps, frame_bytes, saved: self.saved(frame_bytes) })
    }

    /// Whether what is at `offset` stands behind a call: a jump there goes back to the stub that was called, by which the frame is
    /// left.
    fn is_behind_call(&self, offset: u32) -> bool {
        let before = self.instructions.range(..offset).next_back().map(|(_, instruction)| instruction);
        before.is_some_and(|before| {
            before.next_ip() == u64::from(offset)
                && matches!(before.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
        })
    }

    /// Where the jump table leads whose address was taken last before the jump at `offset`.
    fn table_before(&self, offset: u32) -> Option<&[u32]> {
        let mut before = self.instructions.range(..offset).rev().map(|(_, instruction)| instruction);
        let taken = before.find(|instruction| takes_table(instruction))?;
        self.tables.get(&(taken.ip_rel_memory_address() as u32)).map(Vec::as_slice)
    }

    /// The prologue: `push rbp; mov rbp, rsp`, and `sub rsp` where there is more.
    fn frame_bytes(&self) -> Result<i32, u32> {
        let mut prologue = self.instructions.values();
        let mut next = |mnemonic, register| {
            let found = prologue.next()?;
            (found.mnemonic() == mnemonic && found.op0_register() == register).then_some(*found)
        };
        next(Mnemonic::Push, Register::RBP).ok_or(0_u32)?;
        next(Mnemonic::Mov, Register::RBP).ok_or(1_u32)?;
        Ok(next(Mnemonic::Sub, Register::RSP).map_or(0, |sub| sub.immediate(1) as i32))
    }

    /// What the prologue stores of the registers that callees preserve.
    fn saved(&self, frame_bytes: i32) -> Vec<i32> {
        const PRESERVED: [Register; 5] =
            [Register::RBX, Register::R12, Register::R13, Register::R14, Register::R15];
        let body = self.instructions.values().skip(2 + usize::from(frame_bytes > 0));
        let saves = body.take_while(|instruction| {
            instruction.mnemonic() == Mnemonic::Mov
                && instruction.op0_kind() == OpKind::Memory
                && matches!(instruction.memory_base(), Register::RSP | Register::RBP)
                && PRESERVED.contains(&instruction.op1_register())
        });
        let place = |save: &Instruction| {
            let from_stack_pointer = save.memory_base() == Register::RSP;
            save.memory_displacement64() as i32 - if from_stack_pointer { frame_bytes } else { 0 }
        };
        saves.map(place).collect()
    }
}

fn takes_table(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Lea && instruction.is_ip_rel_memory_operand()
}

fn branch_target(instruction: &Instruction) -> Option<u32> {
    let is_branch = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    is_branch.then(|| instruction.near_branch_target() as u32)
}

/// A trap ends a path: what it jumps to is not in this code.
fn falls_through(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::Next
        | FlowControl::ConditionalBranch
        | FlowControl::Call
        | FlowControl::IndirectCall => true,
        FlowControl::Interrupt => instruction.mnemonic() != Mnemonic::Ud2,
        _ => false,
    }
}

/// What `instruction` does.
fn effect(instruction: &Instruction, information: &mut InstructionInfoFactory, frame_bytes: i32) -> Effect {
    let frame = frame_write(instruction, information, frame_bytes);
    let used = information.info(instruction).used_registers();
    let written = used.iter().filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
    let registers = written.map(|used| used.register().full_register()).collect();
    Effect { frame, registers, copy: copy(instruction, frame_bytes) }
}

/// The value that `instruction` moves, if that is all it does.
fn copy(instruction: &Instruction, frame_bytes: i32) -> Option<Copied> {
    use Mnemonic as M;
    let whole = matches!(
        instruction.mnemonic(),
        M::Movaps
            | M::Movups
            | M::Movapd
            | M::Movupd
            | M::Movdqa
            | M::Movdqu
            | M::Vmovaps
            | M::Vmovups
            | M::Vmovapd
            | M::Vmovupd
            | M::Vmovdqa
            | M::Vmovdqu
    );
    let scalar = matches!(
        instruction.mnemonic(),
        M::Mov | M::Movq | M::Movd | M::Movsd | M::Movss | M::Vmovq | M::Vmovd | M::Vmovsd | M::Vmovss
    );
    if !(whole || scalar) || instruction.op_count() != 2 {
        return None;
    }
    let place = |operand| match instruction.op_kind(operand) {
        OpKind::Register => Some(Place::Register(instruction.op_register(operand).full_register())),
        OpKind::Memory if instruction.memory_index() == Register::None => {
            let displacement = instruction.memory_displacement64() as i32;
            match instruction.memory_base() {
                Register::RSP => Some(Place::Frame(displacement - frame_bytes)),
                Register::RBP => Some(Place::Frame(displacement)),
                _ => None,
            }
        }
        _ => None,
    };
    let (to, from) = (place(0)?, place(1)?);
    let in_memory = (0..2).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    let bytes = match instruction.mnemonic() {
        _ if in_memory => instruction.memory_size().size(),
        // Between vector registers these leave a part of the target as it was.
        M::Movss | M::Movsd => return None,
        M::Movd | M::Vmovd => 4,
        M::Movq | M::Vmovq => 8,
        _ => instruction.op0_register().size(),
    };
    Some(Copied { from, to, bytes: bytes as u32 })
}

/// The bytes of the frame that `instruction` writes through `rsp` or `rbp`.
fn frame_write(
    instruction: &Instruction,
    information: &mut InstructionInfoFactory,
    frame_bytes: i32,
) -> Option<(i32, u32)> {
    if matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Call) {
        return None;
    }
    let memory = information.info(instruction).used_memory();
    let written = memory.iter().find(|used| {
        matches!(
            used.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        )
    })?;
    let from = match written.base() {
        Register::RSP => -frame_bytes,
        Register::RBP => 0,
        _ => return None,
    };
    let offset = from + written.displacement() as i32;
    (written.index() == Register::None).then(|| (offset, written.memory_size().size() as u32))
}
