//! Landing: control returns through a hijacked slot, and the frame it would have entered is rebuilt.
//!
//! Everything here but the last steps is plain data: the record says which frame, its frame map says
//! where each value is, the values go to a window of the value stack. That is the interpreter's frame, and
//! it is what a continuation takes.
//! All sources are read before `rsp` is raised over the old frame, which the stub does last.

use osr_ir::{FunctionIndex, Point, TrapKind};
use osr_stubs::{Context, LandingRegisters, x86_64 as stubs};

use crate::event::Event;
use crate::frame_map::{FrameMapEntry, FrameMaps, Location, MachineRegister, Site};
use crate::ledger::Record;
use crate::pad;
use crate::settings::{CompiledTier, StateRecording, Tier};
use crate::stress::{Stress, mix};
use crate::thread::Thread;
use crate::tiering::{self, Destination};

/// What dead registers and slots hold in checked runs.
pub(crate) const POISON: u64 = 0xdead_beef_dead_beef;

/// A landed frame that waits to be resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landed {
    /// The function.
    pub(crate) function: FunctionIndex,
    /// Where it resumes. Its frame state is at the value stack's top.
    pub(crate) point: Point,
}

/// The hook behind the landing stub.
///
/// # Safety
/// Called by the stub, with the context of a thread.
pub(crate) unsafe extern "C" fn land(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    // SAFETY: the stub has saved the registers and does not touch them before we are done.
    let registers = unsafe { &mut (*context).landing };
    let record = take_record(thread, registers.stack_pointer - 8);
    let version = record.version();
    let site = &version.frame_maps.site(record.site());
    let window = thread.values().top();
    let body = thread.instance().body(version.function);
    let words = body.registers.len();
    if thread.values().fits(window, words) {
        if thread.instance().settings().checked {
            poison_window(window, words);
        }
        let maps = &version.frame_maps;
        // SAFETY: the frame is whole until the stub raises `rsp`, and the window fits.
        unsafe { rebuild(maps, site, record.frame_base(), registers, thread.results(), window) };
        // SAFETY: just written.
        let state = unsafe { std::slice::from_raw_parts_mut(window, words) };
        registers.state = window as u64;
        if version.recording == StateRecording::CrossChecked {
            pad::check_slots(thread, &record, registers, state);
        }
        if let Some(address) = version.pad(record.site()) {
            return pad::begin(thread, record, address, state, registers);
        }
        return complete(thread, &record, state, registers);
    }
    thread.set_trap(TrapKind::StackExhausted, version.function, site.point);
    thread.observe(|| Event::Dropped { version, point: site.point, slot: record.slot });
    leave(thread, &record, registers);
    stubs::unwind_to_entry as *const u8
}

/// Goes on where `record` lands, with its frame state.
#[inline(always)]
pub(crate) fn complete(
    thread: &Thread,
    record: &Record,
    state: &[u64],
    registers: &mut LandingRegisters,
) -> *const u8 {
    let target = resume(thread, record, state);
    leave(thread, record, registers);
    target
}

/// Prepares what the stub does last: it pops the frame of `record`.
#[inline(always)]
fn leave(thread: &Thread, record: &Record, registers: &mut LandingRegisters) {
    let version = record.version();
    // SAFETY: the frame is of the version, and whole.
    registers.callee_saved =
        unsafe { version.callee_saves.restore(record.frame_base(), &registers.callee_saved) };
    if thread.instance().settings().checked {
        // SAFETY: everything was read.
        unsafe { poison_frame(record.slot, record.frame_base()) };
    }
    registers.stack_pointer = record.frame_base() + 8;
    if record.ends_run() {
        thread.instance().registry().drop_run(version);
    }
}

/// Where the frame of `record`, whose frame state is `state`, goes on: in a continuation, or by the
/// interpreter's thunk.
#[inline(always)]
fn resume(thread: &Thread, record: &Record, state: &[u64]) -> *const u8 {
    let version = record.version();
    let site = &version.frame_maps.site(record.site());
    thread.count(|transitions| transitions.landings += 1);
    let destination = destination(thread, record, site.point);
    let continuation = tiering::landing(thread, version, site.point, destination);
    let to = continuation.map_or(Tier::Interpreter, |(_, tier)| tier.into());
    let place = site.kind.into();
    let from = version.tier.into();
    thread.count_move(from, to, place);
    thread.observe(|| Event::Moved {
        place,
        from,
        from_version: Some(version),
        frame: Some(record.frame_base()),
        to,
        to_code: continuation.map(|(code, _)| code as u64),
        slot: Some(record.slot),
        state: thread.frame_state(version.function, site.point, state),
    });
    thread.cover(version, record.site(), to);
    if record.destination().is_none() {
        thread.record_landing(destination, to);
    }
    match continuation {
        Some((code, _)) => code,
        None => {
            thread.set_landed(Landed { function: version.function, point: site.point });
            stubs::resume_interpreter as *const u8
        }
    }
}

/// Where the frame is to go on: as was decided when it was hijacked, or as is forced, or as the policy
/// says.
#[inline(always)]
fn destination(thread: &Thread, record: &Record, point: Point) -> Destination {
    if let Some(tier) = record.destination() {
        return Destination::Compiled(tier);
    }
    let landing = thread.transitions().landings;
    let forced = match (&thread.instance().settings().stress, thread.instance().coverage()) {
        (Stress::Uncovered, Some(coverage)) => {
            coverage.destination(record.version(), record.site(), mix(landing))
        }
        (stress, _) => stress.land(landing),
    };
    match forced {
        Some(tier) => CompiledTier::try_from(tier).map_or(Destination::Interpreter, Destination::Compiled),
        None => thread.instance().policy().land(record.version(), point),
    }
}

/// The record of the slot that was just returned through: the innermost.
#[inline(always)]
fn take_record(thread: &Thread, slot: u64) -> Record {
    match thread.ledger().borrow_mut().pop() {
        Some(record) if record.slot == slot => record,
        other => broken_ledger(slot, other),
    }
}

#[cold]
fn broken_ledger(slot: u64, record: Option<Record>) -> ! {
    eprintln!("osr-engine: landed through slot {slot:#x}, but the innermost record is {record:#x?}");
    std::process::abort()
}

/// Reads every value of the frame state from where `site`'s frame map says, and writes it to `window`.
///
/// # Safety
/// `frame_base` is that of a whole frame of the version that has `maps`, which waits at `site`, and `registers` and
/// `results` are as the callee left them; `window` has a word for each register of the body.
#[inline(always)]
pub(crate) unsafe fn rebuild(
    maps: &FrameMaps,
    site: &Site,
    frame_base: u64,
    registers: &LandingRegisters,
    results: *const u64,
    window: *mut u64,
) {
    for entry in maps.entries(site) {
        let FrameMapEntry { register, location, wide } = entry;
        // SAFETY: the map says that it is there.
        let word = unsafe {
            match location {
                Location::FrameSlot(offset) => {
                    *(frame_base.wrapping_add_signed(i64::from(offset)) as *const u64)
                }
                Location::Register(register) => read_register(registers, register),
                Location::Constant(n) => maps.constant(n),
                Location::Result(n) => *results.add(n as usize),
                // Of values of 32 bits a pad stores only those.
                Location::Pad => 0,
            }
        };
        let word = if wide { word } else { word & 0xffff_ffff };
        // SAFETY: the window has a word for each register.
        unsafe { *window.add(register.index()) = word };
    }
}

fn read_register(registers: &LandingRegisters, register: MachineRegister) -> u64 {
    match register {
        MachineRegister::Rax => registers.results.integer[0],
        MachineRegister::Rdx => registers.results.integer[1],
        MachineRegister::Xmm0 => registers.results.float[0],
        MachineRegister::Xmm1 => registers.results.float[1],
        MachineRegister::Rbx => registers.callee_saved.rbx,
        MachineRegister::R12 => registers.callee_saved.r12,
        MachineRegister::R13 => registers.callee_saved.r13,
        MachineRegister::R14 => registers.callee_saved.r14,
        MachineRegister::R15 => registers.callee_saved.r15,
    }
}

/// A register that the frame map leaves out is dead: whoever reads it all the same gets poison.
fn poison_window(window: *mut u64, words: usize) {
    // SAFETY: the caller has checked that the window fits.
    unsafe { std::slice::from_raw_parts_mut(window, words) }.fill(POISON);
}

/// The popped frame is dead: whoever reads it all the same gets poison. Its saved frame pointer and
/// return slot stay.
///
/// # Safety
/// The frame between `slot` and `frame_base` is popped; `slot` is below it.
unsafe fn poison_frame(slot: u64, frame_base: u64) {
    let first = slot + 8;
    let words = (frame_base - first) / 8;
    // SAFETY: the words of the popped frame.
    unsafe { std::slice::from_raw_parts_mut(first as *mut u64, words as usize) }.fill(POISON);
}
