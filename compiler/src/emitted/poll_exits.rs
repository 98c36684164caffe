//! The cold blocks of polls, which Cranelift knows as exits: they get the calls by which frames may go on.
//!
//! ```text
//!   compiled:  cmp [rdi], -1         read:    cmp [rdi], -1           kept:    cmp [rdi], -1
//!              jne header                     jne header                       jne header
//!              jmp cold                       jmp cold                         jmp cold
//!      cold:   (stores the state)     cold:   call [stub]              cold:   call [stub]
//!              call [left]                    jmp  behind                      je   behind
//!                                                                              (stores the state)
//!                                                                              call [left]
//! ```
//!
//! To Cranelift a poll at which a frame leaves does not come back ([`poll`](super::poll)): nothing of its cold block is in the
//! loop, neither what the state needs nor an edge back. But mostly the frame stays, or is to be replaced by what reads its
//! state where it is. So the block begins with a call of the stub, which keeps all registers and says by a flag whether
//! the frame leaves: what the branch to the block leaves is what its other side expects.
//!
//! What the block stores says where the values are, and nothing else. It is a tenth of the code of real modules. So it is
//! [read](super::exit_state), which yields a frame map for the poll itself, and [goes](super::tightening). An exit that computes
//! something, or whose code is otherwise not as expected, is kept behind the call.

use std::ops::Range;

use cranelift_codegen::{CompiledCode, FinalizedMachExceptionHandler as Handler};
use iced_x86::Register as IcedRegister;
use osr_ir::{PointKind, Register, Type};

use super::disassembly::{Disassembly, NotReadable, branch_target, continues};
use super::exit_state::{ExitState, Held, Place, read};
use super::near_access::{NearAccess, NearWord};
use super::tightening::{CallBefore, Tight};
use crate::frame_map::MachineRegister;
use crate::safepoint::{Origin, Origins, Recorded, Safepoint, State, in_frame, layout};
use crate::source::Source;

/// The exits of a body.
#[derive(Debug, Default)]
pub(crate) struct PollExits {
    /// By poll, what is called where its exit begins.
    pub(crate) calls: Vec<CallBefore>,
    /// By poll, the number of its safepoint, and the frame state there, if its exit was read.
    states: Vec<(usize, Option<State>)>,
}

/// A poll, as it is in the code.
struct PollCode {
    /// The number of its safepoint.
    safepoint: usize,
    /// Where the call ends by which the frame is left.
    exit: u32,
    /// Whether there is nothing else by which it is left or goes on.
    is_one_way: bool,
}

impl PollExits {
    /// The exits of the polls in `code`, which is that of `compiled`. Fails if a one-way poll cannot be given its call.
    pub(crate) fn read(
        code: &Disassembly,
        source: Source<'_>,
        safepoints: &[Safepoint],
        compiled: &CompiledCode,
    ) -> Result<PollExits, NotReadable> {
        let mut exits = PollExits::default();
        for PollCode { safepoint, exit, is_one_way } in polls(safepoints, source, compiled) {
            let start = compiled.bb_starts.iter().rfind(|&&start| start < exit);
            let edge = start.and_then(|&start| Some((start, other_side(code, start)?)));
            let Some((start, next)) = edge else {
                if is_one_way {
                    return Err(NotReadable);
                }
                continue;
            };
            let state = exit_state(code, source, &safepoints[safepoint], compiled, start..exit);
            let keeps_block = state.is_none();
            if keeps_block && !is_one_way {
                continue;
            }
            // Behind the call of the poll no other is looked for.
            if keeps_block && code.at(start).is_none_or(|first| code.instructions[first].is_call_near()) {
                return Err(NotReadable);
            }
            exits.calls.push(CallBefore { start, next, keeps_block });
            exits.states.push((safepoint, state));
        }
        Ok(exits)
    }

    /// Says in `safepoints` where the values are in code that was tightened, with the calls. Returns these.
    pub(crate) fn record(self, safepoints: &mut [Safepoint], tight: &Tight) -> Vec<NearAccess> {
        let record = |((number, state), CallBefore { start, .. }): ((usize, Option<State>), CallBefore)| {
            let call = NearAccess::call(tight.offset(start), NearWord::PollStub);
            let safepoint = &mut safepoints[number];
            if let Some(state) = state {
                (safepoint.state, safepoint.exits_apart) = (state, false);
            }
            safepoint.returns_to = Some(call.end);
            call
        };
        self.states.into_iter().zip(self.calls).map(record).collect()
    }
}

/// The polls that have exits: those of loops by which frames are left, and that at the entry.
fn polls(safepoints: &[Safepoint], source: Source<'_>, compiled: &CompiledCode) -> Vec<PollCode> {
    let origins = Origins::of(compiled);
    let polls = compiled.buffer.call_sites().filter_map(|call| {
        let (safepoint, is_one_way) = match origins.at(call.ret_addr - 1)? {
            Origin::Leave(number) => (number, true),
            Origin::Safepoint(number) => (number, false),
            _ => return None,
        };
        let is_entry = source.analysis.points.kind(safepoints[safepoint].point) == PointKind::Entry;
        (is_one_way || is_entry).then_some(PollCode { safepoint, exit: call.ret_addr, is_one_way })
    });
    polls.collect()
}

/// The frame state of `safepoint` where its exit in `bytes` begins, if that can be read.
fn exit_state(
    code: &Disassembly,
    source: Source<'_>,
    safepoint: &Safepoint,
    compiled: &CompiledCode,
    bytes: Range<u32>,
) -> Option<State> {
    if safepoint.state.is_empty() {
        return Some(State::new());
    }
    if source.body.registers.contains(&Type::V128) {
        return None;
    }
    let frame_bytes = layout(compiled).frame_to_fp_offset as i32;
    let found = read(code, bytes, frame_bytes)?;
    state(&safepoint.state, source, compiled, &found)
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
    branch.is_jcc_short_or_near().then(|| behind_jump(code, next))
}

/// Where what is at `offset` leads, if it is a jump, which may be overwritten with the poll before it.
fn behind_jump(code: &Disassembly, offset: u32) -> u32 {
    let jump = code.at(offset).map(|number| &code.instructions[number]);
    let jump = jump.filter(|jump| jump.is_jmp_short_or_near());
    jump.map_or(offset, |jump| jump.near_branch_target() as u32)
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
