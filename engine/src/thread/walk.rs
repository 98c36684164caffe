//! Walking a thread's compiled frames.

use std::cell::RefMut;

use osr_compiler::frame_map::VirtualActivation;
use osr_ir::{FunctionIndex, Point};
use osr_stackwalk::{
    DwarfWalker, ExitRecord, Frame, LiveStack, NativeModules, ReturnPc, ReturnPcs, ReturnSlot, SegmentedWalk,
    StackBounds,
};
use osr_stubs::x86_64::visit_here;
use osr_stubs::{Context, EntryRecord};

use crate::code::ledger::{Ledger, LedgerPcs, Record};
use crate::code::{SiteRef, VersionId};
use crate::error::TransitionError;
use crate::thread::Thread;
use crate::thread::return_pcs::AllPcs;

/// A compiled frame of a thread, as seen from the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledFrame {
    /// Where it is.
    pub frame: Frame,
    /// The function it executes: of several activations that it stands for, that of the innermost.
    pub function: FunctionIndex,
    /// The version it is of.
    pub version: VersionId,
    /// Where it resumes.
    pub point: Point,
    /// Whether its return slot is hijacked.
    pub hijacked: bool,
}

/// An activation in compiled code: a frame, or, where bodies are inlined, one of several that a frame stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledActivation {
    /// The function.
    pub function: FunctionIndex,
    /// Where it resumes.
    pub point: Point,
    /// The version that it executes.
    pub version: VersionId,
    /// The frame. Those that stand for several activations come several times in a row.
    pub frame: Frame,
    /// Whether it is inlined into the next one.
    pub is_inlined: bool,
}

/// The exits of a thread's segments of compiled frames, innermost first.
#[derive(Debug)]
pub(crate) struct Exits {
    next: ExitRecord,
    entry: *const EntryRecord,
}

impl Exits {
    /// The exits of the thread whose context is `context`, which is in the runtime.
    fn of(context: &Context) -> Exits {
        let next =
            ExitRecord { return_slot: ReturnSlot::new(context.exit_slot), frame_base: context.exit_frame };
        Exits { next, entry: context.entry }
    }
}

impl Iterator for Exits {
    type Item = ExitRecord;

    fn next(&mut self) -> Option<ExitRecord> {
        if self.next.return_slot.address() == 0 {
            return None;
        }
        // SAFETY: an exit has an entry beyond it, whose record is on the stack.
        let entry = unsafe { &*self.entry };
        let outer =
            ExitRecord { return_slot: ReturnSlot::new(entry.exit_slot), frame_base: entry.exit_frame };
        self.entry = entry.previous;
        Some(std::mem::replace(&mut self.next, outer))
    }
}

/// A walk over the compiled frames of a thread that is in the runtime.
pub(crate) type Walk<P> = SegmentedWalk<LiveStack, P, Exits>;

impl Thread {
    /// Walks this thread's compiled frames, innermost first.
    #[inline(always)]
    pub(crate) fn walk<P: ReturnPcs>(&self, pcs: P) -> Walk<P> {
        // SAFETY: the context is only written by the stubs and the entry of guest code, and this thread
        // is in the runtime.
        let context = unsafe { &*self.context() };
        SegmentedWalk::new(self.live_stack(), pcs, Exits::of(context))
    }

    /// How many compiled frames this thread has: a walk by frame pointers that looks nothing up.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, or the stack cannot be walked: a broken invariant.
    pub fn count_compiled_frames(&self) -> Result<usize, TransitionError> {
        self.check_outside()?;
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let mut frames = 0;
        if self.swaps_by_ledger_only() {
            self.walk(&pcs).visit(|_| frames += 1)?;
        } else {
            self.walk(self.all_pcs(&pcs)).visit(|_| frames += 1)?;
        }
        Ok(frames)
    }

    /// This thread's stack, for reading.
    pub(crate) fn live_stack(&self) -> LiveStack {
        let here = 0u8;
        let bounds = StackBounds { low: (&raw const here) as u64, high: self.stack_high() };
        // SAFETY: from here outwards the stack of the current native thread is mapped.
        unsafe { LiveStack::new(bounds) }
    }

    /// Every frame of the native thread, innermost first, by unwind tables: Rust, host, stub and compiled
    /// frames, up to the outermost. The first is that of this function itself.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, a frame has no unwind rows or its stack cannot be
    /// read. It never guesses. Compiled frames of other instances, which called this one, have none here.
    #[inline(never)]
    pub fn native_frames(&self) -> Result<Vec<Frame>, TransitionError> {
        self.check_outside()?;
        let mut visit = Visit { thread: self, frames: Ok(Vec::new()) };
        // SAFETY: the visitor is called once, with this data, and does not unwind.
        unsafe { visit_here(Visit::visit, (&raw mut visit).cast()) };
        Ok(visit.frames?)
    }

    /// The walker through everything, made on first use.
    pub(crate) fn native_walker(&self) -> RefMut<'_, DwarfWalker> {
        RefMut::map(self.dwarf_walker().borrow_mut(), |walker| {
            walker.get_or_insert_with(|| {
                // SAFETY: the engine unloads no libraries.
                DwarfWalker::new(unsafe { NativeModules::discover() }, self.instance().registry().range())
            })
        })
    }

    fn walk_native(&self, start: ExitRecord) -> Result<Vec<Frame>, osr_stackwalk::Error> {
        let registry = self.instance().registry();
        let mut walker = self.native_walker();
        walker.refresh_arena(registry.epoch() + 1, || registry.unwind_section())?;
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let pcs = NativePcs(self.all_pcs(&pcs));
        walker.walk(self.live_stack(), pcs, start).collect()
    }

    /// This thread's compiled frames, innermost first.
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, or the stack cannot be walked: a broken invariant.
    pub fn compiled_frames(&self) -> Result<Vec<CompiledFrame>, TransitionError> {
        self.check_outside()?;
        self.list_frames()
    }

    /// The same, in any phase in which the stack can be walked.
    pub(crate) fn list_frames(&self) -> Result<Vec<CompiledFrame>, TransitionError> {
        let frame = |(frame, site): (Frame, SiteRef)| CompiledFrame {
            frame,
            function: site.function(),
            version: site.version.id,
            point: site.point(),
            // SAFETY: the walk vouches for the slot.
            hijacked: self.is_landing(unsafe { frame.return_slot.load() }),
        };
        Ok(self.frames_and_sites()?.into_iter().map(frame).collect())
    }

    /// The activations that this thread's compiled frames stand for, innermost first: the guest's own backtrace, as far as it
    /// is in compiled code.
    ///
    /// # Errors
    /// As for [`Self::compiled_frames`].
    pub fn compiled_activations(&self) -> Result<Vec<CompiledActivation>, TransitionError> {
        self.check_outside()?;
        let mut activations = Vec::new();
        for (frame, SiteRef { version, site }) in self.frames_and_sites()? {
            let chain = self.instance().activations(&version, site);
            let further = (0..chain.len()).rev();
            activations.extend(chain.into_iter().zip(further).map(|(activation, further)| {
                let VirtualActivation { function, point, .. } = activation;
                CompiledActivation { function, point, version: version.id, frame, is_inlined: further > 0 }
            }));
        }
        Ok(activations)
    }

    /// The compiled frames, and where each waits: innermost first.
    fn frames_and_sites(&self) -> Result<Vec<(Frame, SiteRef)>, TransitionError> {
        let ledger = self.ledger().borrow();
        let pcs = LedgerPcs::new(&ledger);
        let site = |frame: Result<Frame, _>| frame.map(|frame| (frame, self.site_of(&ledger, frame)));
        Ok(self.walk(self.all_pcs(&pcs)).map(site).collect::<Result<_, _>>()?)
    }

    /// Where `frame`, one of compiled code, waits. `ledger` is the thread's.
    pub(crate) fn site_of(&self, ledger: &Ledger, frame: Frame) -> SiteRef {
        match ledger.find(frame.return_slot) {
            Some(Record { site, .. }) => SiteRef { version: site.version().handle(), site: site.number() },
            None => {
                let site = self.instance().registry().site_at(frame.pc);
                site.expect("compiled frames are at sites of versions")
            }
        }
    }
}

/// As [`AllPcs`], without a boundary: the walk continues to the outermost frame.
struct NativePcs<'p, 'l>(AllPcs<'p, 'l>);

impl ReturnPcs for NativePcs<'_, '_> {
    fn is_boundary(&self, _pc: ReturnPc) -> bool {
        false
    }

    fn is_landing(&self, pc: ReturnPc) -> bool {
        self.0.is_landing(pc)
    }

    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        self.0.original(frame)
    }

    fn row_pc(&self, landing: ReturnPc, original: ReturnPc) -> ReturnPc {
        self.0.row_pc(landing, original)
    }
}

/// What the stub that says where we are calls back with.
struct Visit<'t> {
    thread: &'t Thread,
    frames: Result<Vec<Frame>, osr_stackwalk::Error>,
}

impl Visit<'_> {
    unsafe extern "C" fn visit(data: *mut (), return_slot: u64, frame_base: u64) {
        // SAFETY: `native_frames` passes its own visit.
        let visit = unsafe { &mut *data.cast::<Visit<'_>>() };
        visit.frames =
            visit.thread.walk_native(ExitRecord { return_slot: ReturnSlot::new(return_slot), frame_base });
    }
}
