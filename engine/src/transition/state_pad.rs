//! Landing by a pad: the call site's cold code stores what the frame map does not say.
//!
//! A landing is then in two halves, with the pad between them: the record waits here. Where state
//! recording is cross-checked, so does what locations and slots have given, for comparison.

use osr_compiler::frame_map::{FrameMapEntry, FrameMaps};
use osr_stubs::{Context, LandingRegisters, x86_64 as stubs};

use crate::code::CodeVersion;
use crate::code::ledger::TakenRecord;
use crate::settings::StateRecording;
use crate::thread::Thread;
use crate::thread::pending::PendingPad;
use crate::transition::landing;

/// Lets the pad at `pad` complete `state`, where `record` lands. Returns the code to jump to.
#[inline(always)]
pub(crate) fn begin(
    thread: &Thread,
    record: TakenRecord,
    pad: u64,
    state: &mut [u64],
    registers: &mut LandingRegisters,
) -> *const u8 {
    let is_checked = record.site.version().recording == StateRecording::CrossChecked;
    let expected = is_checked.then(|| expect(record.site.version(), record.site.number(), state));
    registers.pad = pad;
    thread.set_pending_pad(PendingPad { record, expected });
    stubs::run_pad as *const u8
}

/// What `state` is, which is then emptied where the pad is to store it.
fn expect(version: &CodeVersion, site: u32, state: &mut [u64]) -> Box<[u64]> {
    let expected = state.into();
    let maps = &version.frame_maps;
    for entry in maps.entries(&maps.site(site)) {
        if entry.location.is_allocated() {
            state[entry.register.index()] = 0;
        }
    }
    expected
}

/// The hook behind the stub that pads call.
///
/// # Safety
/// Called by the stub, with the context of a thread that is landing.
pub(crate) unsafe extern "C" fn land_from_pad(context: *mut Context) -> *const u8 {
    // SAFETY: the context is the first field of its thread.
    let thread = unsafe { &*context.cast::<Thread>() };
    // SAFETY: as at the landing; the pad does not know of them.
    let registers = unsafe { &mut (*context).landing };
    let PendingPad { record, expected } = thread.take_pending_pad();
    // SAFETY: where the first half has found room for so many, and the pad has stored them.
    let state = unsafe { std::slice::from_raw_parts(registers.state as *const u64, record.site.words()) };
    if let Some(expected) = expected {
        compare(
            record.site.version(),
            &record.site.version().frame_maps,
            record.site.number(),
            ("locations", &expected),
            ("pad", state),
        );
    }
    landing::complete_from_pad(thread, record, state, registers)
}

/// Compares what locations yielded, `state`, with what slots yield, where both are recorded.
pub(crate) fn check_slots(
    thread: &Thread,
    version: &CodeVersion,
    site: u32,
    registers: &LandingRegisters,
    state: &[u64],
) {
    let Some(maps) = &version.slot_maps else { return };
    let mut stored = vec![landing::POISON; state.len()];
    let sources = &maps.sources(&maps.site(site));
    // SAFETY: as for the locations: the frame is whole, and the state has a word for each register.
    unsafe {
        landing::rebuild(sources, registers, thread.results(), stored.as_mut_ptr(), |_| true);
    }
    compare(version, maps, site, ("locations", state), ("slots", &stored));
}

/// Ends the process if two ways to record a frame state do not agree.
fn compare(
    version: &CodeVersion,
    maps: &FrameMaps,
    site: u32,
    (one, ones): (&str, &[u64]),
    (other, others): (&str, &[u64]),
) {
    let site = &maps.site(site);
    let differs = |entry: &FrameMapEntry| ones[entry.register.index()] != others[entry.register.index()];
    let Some(entry) = maps.entries(site).find(differs) else { return };
    let (register, location) = (
        entry.register,
        version.frame_maps.entries(site).find(|e| e.register == entry.register).map(|e| e.location),
    );
    eprintln!(
        "osr-engine: frame states differ: {} of function {}, {}, {register} ({location:?}): {one} say {:#x}, {other} says {:#x}",
        version.id,
        version.function.index(),
        site.point,
        ones[register.index()],
        others[register.index()],
    );
    std::process::abort()
}
