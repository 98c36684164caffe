//! Polls whose exits are not executed: their code is read, and replaced by what it says.
//!
//! ```text
//!   compiled:  cmp [rdi], -1          left of it:  cmp [rdi], -1
//!              jne header                          jne header
//!              jmp cold                            jmp cold
//!      cold:   call [rdi + 64]             cold:   call [stub]          with a frame map that says
//!              cmp  [rdi + 8], 0                   jmp  behind          where each value is at `cold`
//!              je   header
//!              (stores the frame state)
//!              call [rdi + 72]
//! ```
//!
//! The frame state of a poll is known where its frame is left for good, at stores in a block of their own
//! ([`poll`](super::poll)). The allocator does well with them, but they are a tenth of the code of real modules, and say
//! nothing but where the values are. So they are [read](super::exit_state), which yields a frame map for the poll itself,
//! whose stub keeps all registers; and what is behind them [goes](super::tightening).
//!
//! Nothing of the block is left but its call: it is executed in the state that the branch to it leaves, and continues on the
//! other side of that branch. An exit that computes something, or whose code is otherwise not as expected, stays as it is.

use std::collections::BTreeMap;

use cranelift_codegen::{CompiledCode, FinalizedMachExceptionHandler as Handler};
use iced_x86::Register as IcedRegister;
use osr_ir::{PointKind, Register, Type};

use super::disassembly::{Disassembly, branch_target, continues};
use super::exit_state::{ExitState, Held, Place, read};
use super::near_call::{NEAR_CALL, NEAR_DISTANCE, NearCall, NearWord};
use super::tightening::{Replacement, Tight};
use crate::frame_map::MachineRegister;
use crate::safepoint::{Origin, Origins, Recorded, Safepoint, State, in_frame, layout};
use crate::source::Source;

/// The exits of a body, read.
#[derive(Debug, Default)]
pub(crate) struct PollExits {
    /// By poll, what is left of its exit.
    pub(crate) replacements: Vec<Replacement>,
    /// By poll, the number of its safepoint, and the frame state there.
    states: Vec<(usize, State)>,
}

/// A poll, as it is in the code.
struct PollCode {
    /// The number of its safepoint.
    safepoint: usize,
    /// Where the call of the runtime ends.
    call: u32,
    /// Where the call ends by which the frame is left.
    exit: u32,
}

impl PollExits {
    /// The exits of the polls in `code`, which is that of `compiled`, as far as they can be read.
    pub(crate) fn read(
        code: &Disassembly,
        source: Source<'_>,
        safepoints: &[Safepoint],
        compiled: &CompiledCode,
    ) -> PollExits {
        let frame_bytes = layout(compiled).frame_to_fp_offset as i32;
        let read = |poll: &PollCode| {
            let start = *compiled.bb_starts.iter().rfind(|&&start| start < poll.call)?;
            let next = other_side(code, start)?;
            let found = read(code, start, (poll.call, poll.exit), frame_bytes)?;
            let state = state(&safepoints[poll.safepoint].state, source, compiled, &found)?;
            Some((Replacement { start, next }, (poll.safepoint, state)))
        };
        let has_vectors = source.body.registers.contains(&Type::V128);
        let polls = if has_vectors { Vec::new() } else { polls(safepoints, source, compiled) };
        let (replacements, states) = polls.iter().filter_map(read).unzip();
        PollExits { replacements, states }
    }

    /// Says in `safepoints` where the values are in code that was tightened, with the replacements. Returns the calls that
    /// these make.
    pub(crate) fn record(self, safepoints: &mut [Safepoint], tight: &Tight) -> Vec<NearCall> {
        let replaced = self.states.into_iter().zip(self.replacements);
        let record = |((number, state), Replacement { start, .. }): ((usize, State), Replacement)| {
            let call = tight.offset(start);
            let safepoint = &mut safepoints[number];
            (safepoint.state, safepoint.exits_apart) = (state, false);
            safepoint.returns_to = Some(call + NEAR_CALL.len() as u32);
            NearCall { offset: call + NEAR_DISTANCE, word: NearWord::PollStub }
        };
        replaced.map(record).collect()
    }
}

/// The polls that have exits: those of loops by which frames are left, and that at the entry.
fn polls(safepoints: &[Safepoint], source: Source<'_>, compiled: &CompiledCode) -> Vec<PollCode> {
    let origins = Origins::of(compiled);
    let mut calls = BTreeMap::new();
    let mut leaves = BTreeMap::new();
    for call in compiled.buffer.call_sites() {
        match origins.at(call.ret_addr - 1) {
            Some(Origin::Safepoint(number)) => _ = calls.insert(number, call.ret_addr),
            Some(Origin::Leave(number)) => _ = leaves.insert(number, call.ret_addr),
            _ => {}
        }
    }
    let poll = |(&safepoint, &call): (&usize, &u32)| {
        let Safepoint { point, exits_apart, .. } = safepoints[safepoint];
        let exit = if exits_apart { leaves.get(&safepoint).copied() } else { Some(call) };
        let is_poll = exits_apart || source.analysis.points.kind(point) == PointKind::Entry;
        is_poll.then_some(PollCode { safepoint, call, exit: exit? })
    };
    calls.iter().filter_map(poll).collect()
}

/// The handlers of calls that throw.
pub(crate) fn handlers(compiled: &CompiledCode) -> impl Iterator<Item = u32> {
    let handlers = compiled.buffer.call_sites().flat_map(|call| call.exception_handlers);
    handlers.filter_map(|handler| match handler {
        Handler::Default(start) | Handler::Tag(_, start) => Some(*start),
        Handler::Context(_) => None,
    })
}

/// Where the only branch that leads to `start` leads otherwise.
fn other_side(code: &Disassembly, start: u32) -> Option<u32> {
    let before = |offset: u32| Some(&code.instructions[code.at(offset)?.checked_sub(1)?]);
    let mut sources = code.sources(start);
    let falling = before(start).filter(|instruction| continues(instruction));
    let (branch, next) = match (sources.next(), sources.next(), falling) {
        // The block follows the branch.
        (None, None, Some(branch)) => (branch, branch_target(branch)?),
        (Some(jump), None, None) if jump.is_jmp_short_or_near() => {
            let at = jump.ip() as u32;
            let branch = before(at)?;
            let is_split = code.sources(at).next().is_some();
            (branch, branch_target(branch).filter(|_| !is_split)?)
        }
        (Some(branch), None, None) => (branch, branch.next_ip() as u32),
        _ => return None,
    };
    branch.is_jcc_short_or_near().then_some(next)
}

/// The frame state at the beginning of an exit whose code stores `stored` and does what `found` says.
fn state(
    stored: &[(Register, Recorded)],
    source: Source<'_>,
    compiled: &CompiledCode,
    found: &ExitState,
) -> Option<State> {
    let recorded = |&(register, recorded): &(Register, Recorded)| {
        let Recorded::Slot(slot) = recorded else {
            return matches!(recorded, Recorded::Constant(_)).then_some((register, recorded));
        };
        let is_narrow = matches!(source.body.ty(register), Type::I32 | Type::F32);
        let place = match found.held(Place::Frame(in_frame(layout(compiled), slot))) {
            Held::Constant(bits) => return Some((register, Recorded::Constant(bits))),
            Held::Before(place) => place,
            Held::LowHalf(place) if is_narrow => place,
            Held::LowHalf(_) | Held::Unknown => return None,
        };
        Some((
            register,
            match place {
                Place::Frame(offset) => Recorded::Frame(offset),
                Place::Register(register) => Recorded::Register(machine_register(register)?),
            },
        ))
    };
    stored.iter().map(recorded).collect()
}

fn machine_register(register: IcedRegister) -> Option<MachineRegister> {
    let number = register.number();
    if register.is_gpr64() { MachineRegister::general(number) } else { MachineRegister::vector(number) }
}
