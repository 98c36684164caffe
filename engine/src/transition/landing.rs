//! Landing: control returns through a hijacked slot, and the frame it would have entered is rebuilt.
//!
//! Everything here but the last steps is plain data: the record says which frame, its frame map says
//! where each value is, the values go to a window of the value stack. That is the interpreter's frame, and
//! it is what a continuation takes.
//! All sources are read before `rsp` is raised over the old frame, which the stub does last.

use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;

use osr_compiler::frame_map::{MachineRegister, Source, Sources};
use osr_ir::TrapKind;
use osr_stackwalk::ReturnSlot;
use osr_stubs::{CalleeSaved, Context, LandingRegisters, NativeResults, PollRegisters, x86_64 as stubs};

use crate::code::CodeVersion;
use crate::code::ledger::{PendingSite, TakenRecord};
use crate::code::x86_64::callee_saves;
use crate::event::{Continuation, Event, FrameState};
use crate::settings::destination::Destination;
use crate::settings::stress::{Stress, mix};
use crate::settings::{CompiledTier, StateRecording, Tier};
use crate::thread::Thread;
use crate::thread::pending::Landed;
use crate::thread::phase::Phase;
use crate::thread::trap::Innermost;
use crate::tiering;
use crate::transition::{dispatch, state_pad, virtual_frames};

/// What dead registers and slots hold in checked runs.
pub(crate) const POISON: u64 = 0xdead_beef_dead_beef;

/// The hook behind the landing stub.
///
/// # Safety
/// Called by the stub, with the context of a thread.
pub(crate) unsafe extern "C" fn land(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    // SAFETY: the stub has saved the registers and does not touch them before we are done.
    let registers = unsafe { &mut (*context).landing };
    let record = take_record(thread, ReturnSlot::below(registers.stack_pointer));
    land_frame(thread, record, registers)
}

/// The hook behind the landing stub where slots may lead into landing tables.
///
/// # Safety
/// As for [`land`].
pub(crate) unsafe extern "C" fn land_from_table(context: *mut Context) -> *const u8 {
    // SAFETY: as in `land`.
    let (thread, registers) = unsafe { (&*context.cast::<Thread>(), &mut (*context).landing) };
    let slot = ReturnSlot::below(registers.stack_pointer);
    let record = thread.take_from_table(slot, registers).unwrap_or_else(|| take_record(thread, slot));
    land_frame(thread, record, registers)
}

/// The hook behind the landing stub where frames are rebuilt when they are hijacked.
///
/// # Safety
/// As for [`land`].
pub(crate) unsafe extern "C" fn land_rebuilt(context: *mut Context) -> *const u8 {
    // SAFETY: as in `land`.
    let (thread, registers) = unsafe { (&*context.cast::<Thread>(), &mut (*context).landing) };
    let record = take_record(thread, ReturnSlot::below(registers.stack_pointer));
    land_frame_from(thread, record, registers, |record, registers, window| {
        let copy = |state: &[u64]| {
            // SAFETY: the window has room for the state.
            unsafe { std::slice::from_raw_parts_mut(window, state.len()) }.copy_from_slice(state);
        };
        let is_rebuilt = thread.rebuilt().borrow_mut().take(record.slot, copy).is_some();
        let is_missing = |source: Source| !is_rebuilt || source.is_returned();
        // SAFETY: as in `land_frame`.
        unsafe { rebuild(record.site.sources(), registers, thread.results(), window, is_missing) };
    })
}

/// Rebuilds the frame of `record`, which `registers` are of. Returns the code to jump to.
#[inline(always)]
pub(crate) fn land_frame(
    thread: &Thread,
    record: TakenRecord,
    registers: &mut LandingRegisters,
) -> *const u8 {
    land_frame_from(thread, record, registers, |record, registers, window| {
        // SAFETY: the frame is whole until the stub raises `rsp`, the version is kept until the record is
        // finished, and the window fits.
        unsafe { rebuild(record.site.sources(), registers, thread.results(), window, |_| true) };
    })
}

/// The same, where `write` writes the state to the window that it is given.
#[inline(always)]
fn land_frame_from(
    thread: &Thread,
    record: TakenRecord,
    registers: &mut LandingRegisters,
    write: impl FnOnce(&TakenRecord, &LandingRegisters, *mut u64),
) -> *const u8 {
    if thread.watches_landings() {
        land_watched(thread, record, registers, write)
    } else {
        rebuild_frame(thread, record, registers, write, false)
    }
}

/// The same where more is done than landing. Observers, if there are any, cannot walk the stack meanwhile. Whatever else is
/// called by a landing finds the guest executing, which is enough to refuse.
#[cold]
#[inline(never)]
fn land_watched(
    thread: &Thread,
    record: TakenRecord,
    registers: &mut LandingRegisters,
    write: impl FnOnce(&TakenRecord, &LandingRegisters, *mut u64),
) -> *const u8 {
    let _landing = thread.phase().enter(Phase::Landing);
    rebuild_frame(thread, record, registers, write, true)
}

/// Either of them. `is_watched` is a constant, as in what follows: what watches is not in the way of what does not.
#[inline(always)]
fn rebuild_frame(
    thread: &Thread,
    record: TakenRecord,
    registers: &mut LandingRegisters,
    write: impl FnOnce(&TakenRecord, &LandingRegisters, *mut u64),
    is_watched: bool,
) -> *const u8 {
    let version = record.site.version();
    let (window, words) = (thread.values().top(), record.site.words());
    if !thread.values().fits(window, words) {
        let (function, point) = (record.site.function(), record.site.point());
        thread.set_trap(TrapKind::StackExhausted, function, point);
        thread.observe(|| Event::Dropped { version, function, point, slot: record.slot.address() });
        thread.instance().activations(version, record.site.number()).iter().skip(1).for_each(|caller| {
            thread.trap_leaves(caller.function, caller.point);
        });
        let record = leave(thread, record, registers, is_watched);
        thread.set_exit(ReturnSlot::new(registers.stack_pointer), registers.callee_saved.rbp);
        thread.trap_leaves_compiled(Innermost::Waits);
        finish(thread, record.dropped(thread.ledger(), thread.instance().registry()), registers);
        return stubs::unwind_to_entry as *const u8;
    }
    if is_watched && thread.instance().settings().checked {
        poison_window(window, words);
    }
    write(&record, registers, window);
    // SAFETY: just written.
    let state = unsafe { std::slice::from_raw_parts_mut(window, words) };
    registers.state = window as u64;
    if version.recording == StateRecording::CrossChecked {
        state_pad::check_slots(thread, version, record.site.number(), registers, state);
    }
    if let Some(address) = version.pad(record.site.number()) {
        return state_pad::begin(thread, record, address, state, registers);
    }
    complete(thread, record, state, registers, is_watched)
}

/// The frame of `record`, whose pad was executed, continues where it lands, with its frame state.
pub(crate) fn complete_from_pad(
    thread: &Thread,
    record: TakenRecord,
    state: &[u64],
    registers: &mut LandingRegisters,
) -> *const u8 {
    let is_watched = thread.watches_landings();
    let _landing = is_watched.then(|| thread.phase().enter(Phase::Landing));
    complete(thread, record, state, registers, is_watched)
}

/// Continues where `record` lands, with its frame state.
#[inline(always)]
fn complete(
    thread: &Thread,
    record: TakenRecord,
    state: &[u64],
    registers: &mut LandingRegisters,
    is_watched: bool,
) -> *const u8 {
    let target = resume(thread, &record, state, registers.callee_saved.rbp, is_watched);
    let record = leave(thread, record, registers, is_watched);
    finish(thread, record.landed(thread.ledger(), thread.instance().registry()), registers);
    target
}

/// The frame is popped that `registers` were of. If it was the last that was pending in `version`, which is not
/// current, the code may go.
#[inline(always)]
fn finish(thread: &Thread, version: Option<Arc<CodeVersion>>, registers: &LandingRegisters) {
    if let Some(version) = version {
        thread.set_exit(ReturnSlot::new(registers.stack_pointer), registers.callee_saved.rbp);
        thread.emptied(&version);
    }
}

/// Prepares what the stub does last: it pops the frame of `record`.
#[inline(always)]
fn leave(
    thread: &Thread,
    record: TakenRecord,
    registers: &mut LandingRegisters,
    is_watched: bool,
) -> TakenRecord {
    let version = record.site.version();
    let frame_base = registers.callee_saved.rbp;
    // SAFETY: the frame is of the version, and whole.
    unsafe { callee_saves::restore(version.unwind, &mut registers.callee_saved) };
    registers.stack_pointer = frame_base + 8;
    if is_watched { left(thread, record, registers) } else { record }
}

/// What else there is to do when the frame of `record` is left; `registers` are its caller's.
#[cold]
fn left(thread: &Thread, record: TakenRecord, registers: &LandingRegisters) -> TakenRecord {
    // More may be hijacked, while its version is kept.
    let record = thread.ledger().borrow_mut().detach(record);
    let slot = record.slot;
    let own_slot = ReturnSlot::new(registers.stack_pointer);
    if thread.instance().settings().checked {
        // SAFETY: everything was read.
        unsafe { poison_frame(slot, own_slot.address() - 8) };
    }
    if thread.is_front(slot) {
        thread.set_exit(own_slot, registers.callee_saved.rbp);
        thread.pass_front();
    }
    record
}

/// Where the frame at `frame_base`, which `record` is of and whose frame state is `state`, continues: in a
/// continuation, or by the interpreter's thunk.
#[inline(always)]
fn resume(
    thread: &Thread,
    record: &TakenRecord,
    state: &[u64],
    frame_base: u64,
    is_watched: bool,
) -> *const u8 {
    let site = &*record.site;
    let (version, point) = (site.version(), site.point());
    thread.count(|transitions| transitions.landings += 1);
    let destination = destination(thread, site, is_watched);
    let continuation = match destination {
        Destination::Interpreter => None,
        _ => continuation(thread, site, state, destination),
    };
    if continuation.is_none() && !site.is_plain() && site.has_chain() {
        return virtual_frames::resume(thread, (record.slot, site), state, frame_base, destination);
    }
    let to = continuation.map_or(Tier::Interpreter, |(_, tier)| tier.into());
    let place = site.kind().into();
    thread.count_move(version.tier.into(), to, place);
    if is_watched {
        thread.observe(|| Event::Landed {
            place,
            version,
            slot: record.slot.address(),
            frame: frame_base,
            further: 0,
            to: continuation.map(|(code, tier)| Continuation { tier, code: code as u64 }),
            state: innermost_state(thread, site, state),
        });
        thread.cover(version, site.number(), to);
        if site.destination().is_none() {
            thread.record_landing(destination, to);
        }
    }
    match continuation {
        Some((code, _)) => code,
        None => {
            thread.set_landed(Landed::Frame(version.function, point));
            stubs::resume_interpreter as *const u8
        }
    }
}

/// The code that frames of `site` with the frame state `state` continue in which are to land in `destination`, if it is code for all
/// that a frame stands for.
#[inline(always)]
fn continuation(
    thread: &Thread,
    site: &PendingSite,
    state: &[u64],
    destination: Destination,
) -> Option<(*const u8, CompiledTier)> {
    let (function, point) = (site.version().function, site.point());
    let usual = || tiering::landing(thread, function, point, destination);
    if site.is_plain() {
        // What has tiered up lands where that was decided.
        let specialized = || tiering::invariants::continuation(thread, function, point, state);
        return site.destination().and_then(|_| specialized()).or_else(usual);
    }
    dispatch::continuation(thread, site, destination).or_else(|| (!site.has_chain()).then(usual).flatten())
}

/// The state of the innermost of the activations that a frame at `site` stands for, which is a part of `state`.
#[cold]
fn innermost_state<'s>(thread: &'s Thread, site: &PendingSite, state: &'s [u64]) -> FrameState<'s> {
    let innermost = site.version().activations(site.number()).next();
    let offset = innermost.map_or(0, |activation| activation.offset);
    thread.frame_state(site.function(), site.point(), &state[offset..])
}

/// Where the frame is to continue: as was decided when it was hijacked, or as is forced, or as the policy
/// says.
#[inline(always)]
pub(super) fn destination(thread: &Thread, site: &PendingSite, is_watched: bool) -> Destination {
    if let Some(tier) = site.destination() {
        return Destination::Compiled(tier);
    }
    let forced = if is_watched { forced(thread, site) } else { None };
    match forced {
        Some(tier) => CompiledTier::try_from(tier).map_or(Destination::Interpreter, Destination::Compiled),
        None => thread.instance().landing().unwrap_or_else(|| asked(thread, site)),
    }
}

/// Where the policy says that the frame is to continue.
#[inline(never)]
fn asked(thread: &Thread, site: &PendingSite) -> Destination {
    let (version, point) = (site.version(), site.point());
    thread.ask_policy(Destination::Interpreter, |policy| policy.land(version, point))
}

/// The tier that the frame is forced to land in, if any that the mechanism allows.
fn forced(thread: &Thread, site: &PendingSite) -> Option<Tier> {
    let landing = thread.transitions().landings;
    let frames = thread.instance().settings().mechanism.frames;
    let tier = match (&thread.instance().settings().stress, thread.instance().coverage()) {
        (Stress::Uncovered, Some(coverage)) => {
            coverage.destination(site.version(), site.number(), mix(landing))
        }
        (stress, _) => stress.land(landing),
    };
    tier.filter(|&tier| frames.may_land_in(tier))
}

/// The record of the slot that was just returned through: the innermost.
#[inline(always)]
fn take_record(thread: &Thread, slot: ReturnSlot) -> TakenRecord {
    match thread.ledger().borrow_mut().pop() {
        Some(record) if record.slot == slot => record,
        other => broken_ledger(slot, other.map(|record| record.slot)),
    }
}

#[cold]
fn broken_ledger(slot: ReturnSlot, innermost: Option<ReturnSlot>) -> ! {
    eprintln!("osr-engine: landed through slot {slot:#x}, but the innermost record is of {innermost:#x?}");
    std::process::abort()
}

/// Reads the values of a frame state that `is_read` picks from where `sources` say, and writes them to `window`.
///
/// # Safety
/// The frame maps that `sources` are of are still there; `registers` and `results` are as the callee left them
/// that a whole frame waited for at the site; `window` has a word for each register of the body.
#[inline(always)]
pub(crate) unsafe fn rebuild(
    sources: &Sources,
    registers: &LandingRegisters,
    results: *const u64,
    window: *mut u64,
    is_read: impl Fn(Source) -> bool,
) {
    /// By kind, the bits of the word that count: narrow, wide, and so on.
    const MASKS: [u64; Source::KINDS] = {
        let (narrow, wide) = (u32::MAX as u64, u64::MAX);
        [narrow, wide, narrow, wide, narrow, wide, narrow, wide]
    };
    let frame = ptr::with_exposed_provenance::<u8>(registers.callee_saved.rbp as usize);
    let slots = frame.wrapping_offset(sources.lowest_slot as isize);
    let saved: *const u8 = ptr::from_ref(registers).cast();
    let (constants, results): (_, *const u8) = (sources.constants, results.cast());
    // By kind, where number 0 is.
    let first = [slots, slots, saved, saved, constants, constants, results, results];
    let read = |source: Source| {
        if !is_read(source) {
            return;
        }
        let place = first[source.kind].wrapping_add(8 * source.number);
        // SAFETY: the map says that it is there. What a pad is to store has a number, too: that of the saved
        // frame pointer; of values of 32 bits the pad stores only those.
        let word = unsafe { place.cast::<u64>().read_unaligned() };
        // SAFETY: the window has a word for each register.
        unsafe { *window.add(source.register) = word & MASKS[source.kind] };
    };
    // SAFETY: the caller says that the maps are there.
    unsafe { sources.each(read) };
}

/// The landing stub saves machine registers in the order of their numbers, results first.
const _: () = {
    use MachineRegister::{R12, R13, R14, R15, Rax, Rbx, Rdx, Xmm0, Xmm1};
    const RESULTS: usize = offset_of!(LandingRegisters, results);
    const SAVED: usize = offset_of!(LandingRegisters, callee_saved);
    assert!(RESULTS + offset_of!(NativeResults, integer) == 8 * Rax as usize && Rdx as usize == 1);
    assert!(RESULTS + offset_of!(NativeResults, float) == 8 * Xmm0 as usize && Xmm1 as usize == 3);
    assert!(SAVED + offset_of!(CalleeSaved, rbx) == 8 * Rbx as usize);
    assert!(SAVED + offset_of!(CalleeSaved, r12) == 8 * R12 as usize);
    assert!(SAVED + offset_of!(CalleeSaved, r13) == 8 * R13 as usize);
    assert!(SAVED + offset_of!(CalleeSaved, r14) == 8 * R14 as usize);
    assert!(SAVED + offset_of!(CalleeSaved, r15) == 8 * R15 as usize);
    assert!(SAVED + offset_of!(CalleeSaved, rbp) == 8 * MachineRegister::PAD);
    const POLL: usize = offset_of!(LandingRegisters, poll);
    assert!(POLL + offset_of!(PollRegisters, integer) == 8 * MachineRegister::Rcx as usize);
    assert!(POLL + offset_of!(PollRegisters, float) == 8 * MachineRegister::Xmm2 as usize);
    let kinds = [Source::SLOT, Source::MACHINE_REGISTER, Source::CONSTANT, Source::RESULT];
    assert!(kinds[0] == 0 && kinds[1] == 2 && kinds[2] == 4 && kinds[3] == 6);
};

/// A register that the frame map leaves out is dead: a wrong read finds poison.
fn poison_window(window: *mut u64, words: usize) {
    // SAFETY: the caller has checked that the window fits.
    unsafe { std::slice::from_raw_parts_mut(window, words) }.fill(POISON);
}

/// The popped frame is dead: a wrong read finds poison. Its saved frame pointer and
/// return slot stay.
///
/// # Safety
/// The frame between `slot` and `frame_base` is popped; `slot` is below it.
unsafe fn poison_frame(slot: ReturnSlot, frame_base: u64) {
    let first = slot.stack_pointer();
    let words = (frame_base - first) / 8;
    // SAFETY: the words of the popped frame.
    unsafe { std::slice::from_raw_parts_mut(first as *mut u64, words as usize) }.fill(POISON);
}
