//! Walking compiled frames by their frame pointers: two loads per frame.
//!
//! ```text
//!   exit record ----+-----------------+
//!             return_slot         frame_base                       (fp = rbp of the frame)
//!                   v                 v
//!   low   ... | pc A | A's frame | fp of B | pc B | B's frame | fp of C | boundary pc |   high
//!                                      |      ^                    ^
//!                                      +------|--------------------+
//!                                             return slot of B = fp of A + 8
//! ```
//!
//! Per frame: `slot = fp + 8; pc = [slot]; fp = [fp]`, until `pc` is the boundary's.
//! It relies on every frame of the segment having a frame pointer. It checks what is free to check: that
//! words are within the stack and aligned, and that each frame is further out than the last, so it ends.

use crate::{Error, ExitRecord, Frame, ReturnPc, ReturnPcs, ReturnSlot, StackMemory, WalkEnd};

/// A walk over one segment of compiled frames, innermost first. After the end or an error there are no more.
#[derive(Clone, Debug)]
pub struct FramePointerWalk<M, P> {
    memory: M,
    pcs: P,
    /// The next frame, or the boundary.
    at: ExitRecord,
    finished: bool,
    end: Option<WalkEnd>,
}

/// What a walk finds at a return slot.
enum Found {
    Frame(Frame),
    /// The end of the segment, at this slot.
    Boundary(ReturnSlot),
}

impl ExitRecord {
    /// Takes one step along the chain of frame pointers: from the slot and base of a frame to those of its
    /// caller.
    #[inline(always)]
    fn caller(self, memory: &impl StackMemory) -> Result<ExitRecord, Error> {
        let ExitRecord { return_slot, frame_base } = self;
        // A frame without locals has its base right above its return slot.
        if frame_base <= return_slot.address() {
            return Err(Error::DidNotAdvance { slot: return_slot });
        }
        // The saved rbp is at the base, and the return slot in the word above.
        let caller = memory.word(frame_base)?;
        memory.expect(frame_base);
        Ok(ExitRecord { return_slot: ReturnSlot::new(frame_base.wrapping_add(8)), frame_base: caller })
    }

    /// What is at this slot, which holds `held`; if it is a frame, moves on to its caller.
    #[inline(always)]
    fn advance(
        &mut self,
        held: ReturnPc,
        memory: &impl StackMemory,
        pcs: &impl ReturnPcs,
    ) -> Result<Found, Error> {
        let ExitRecord { return_slot, frame_base } = *self;
        let pc = pcs.look_through(Frame { pc: held, return_slot, frame_base })?;
        if pcs.is_boundary(pc) {
            return Ok(Found::Boundary(return_slot));
        }
        *self = self.caller(memory)?;
        Ok(Found::Frame(Frame { pc, return_slot, frame_base }))
    }
}

impl<M: StackMemory, P: ReturnPcs> FramePointerWalk<M, P> {
    /// A walk that starts at `exit`.
    #[inline(always)]
    pub fn new(memory: M, pcs: P, exit: ExitRecord) -> Self {
        Self { memory, pcs, at: exit, finished: false, end: None }
    }

    /// The next frame; nothing at the boundary.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::DidNotAdvance`], [`Error::NullReturnPc`],
    /// [`Error::UnrecordedHijack`].
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.finished {
            return Ok(None);
        }
        let held = self.at.return_slot.read(&self.memory);
        match held.and_then(|held| self.at.advance(held, &self.memory, &self.pcs)) {
            Ok(Found::Frame(frame)) => Ok(Some(frame)),
            Ok(Found::Boundary(slot)) => {
                self.finished = true;
                self.end = Some(WalkEnd::Boundary { slot });
                Ok(None)
            }
            Err(error) => {
                self.finished = true;
                Err(error)
            }
        }
    }

    /// Visits all frames that are left and returns where the walk ended; nothing if it had already ended or
    /// failed. Faster than asking for one frame after the other: the walk's state stays in registers.
    ///
    /// # Errors
    /// Those of [`Self::next_frame`]. The frames before were visited.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(Frame)) -> Result<Option<WalkEnd>, Error> {
        self.visit_runs(|frame, _| visit(frame))
    }

    /// As [`Self::visit`], where `visit` may take more frames itself: those that follow, as long as it knows the PC
    /// that control returns to in them, as in a recursion.
    ///
    /// # Errors
    /// Those of [`Self::next_frame`].
    #[inline(always)]
    pub fn visit_runs(
        &mut self,
        mut visit: impl FnMut(Frame, &mut FrameRun<'_, M>),
    ) -> Result<Option<WalkEnd>, Error> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(None);
        }
        let mut run = FrameRun::new(&self.memory, self.at);
        loop {
            let held = run.held()?;
            // The step comes before the visit, which may write to the frame's slot and to nothing else.
            match run.at.advance(held, &self.memory, &self.pcs)? {
                Found::Frame(frame) => {
                    run = FrameRun::new(&self.memory, run.at);
                    visit(frame, &mut run);
                }
                Found::Boundary(slot) => {
                    self.end = Some(WalkEnd::Boundary { slot });
                    return Ok(self.end);
                }
            }
        }
    }

    /// Where the walk ended; nothing while frames are left, or if it failed.
    #[inline(always)]
    pub fn end(&self) -> Option<WalkEnd> {
        self.end
    }

    /// Continues at another segment, in the same memory.
    #[inline(always)]
    pub(crate) fn restart(&mut self, exit: ExitRecord) {
        self.at = exit;
        self.finished = false;
        self.end = None;
    }
}

/// Frames that follow a frame, as long as it is known which PC control returns to in them.
#[derive(Clone, Copy, Debug)]
pub struct FrameRun<'m, M> {
    memory: &'m M,
    /// The next frame.
    at: ExitRecord,
    /// What its slot holds; null if that cannot be read.
    held: ReturnPc,
}

impl<'m, M: StackMemory> FrameRun<'m, M> {
    /// The frames from `at` on.
    #[inline(always)]
    fn new(memory: &'m M, at: ExitRecord) -> Self {
        let held = memory.read(at.return_slot.address()).map(ReturnPc::new).unwrap_or_default();
        Self { memory, at, held }
    }

    /// What the slot of the next frame holds.
    #[inline(always)]
    fn held(&self) -> Result<ReturnPc, Error> {
        if self.held.is_null() { self.at.return_slot.read(self.memory) } else { Ok(self.held) }
    }

    /// The next one, if `is_known` says so of what its slot holds, which then is a PC in code. Errors are left to the walk,
    /// which meets them at the same frame.
    #[inline(always)]
    pub fn next_frame_if(&mut self, is_known: impl FnOnce(ReturnPc) -> bool) -> Option<Frame> {
        let (ExitRecord { return_slot, frame_base }, pc) = (self.at, self.held);
        if !is_known(pc) || frame_base <= return_slot.address() {
            return None;
        }
        // The saved rbp, and above it the slot of the caller.
        let [caller, held] = self.memory.read_pair(frame_base)?;
        self.memory.expect(frame_base);
        self.at = ExitRecord { return_slot: ReturnSlot::new(frame_base.wrapping_add(8)), frame_base: caller };
        self.held = ReturnPc::new(held);
        Some(Frame { pc, return_slot, frame_base })
    }
}

impl<M: StackMemory, P: ReturnPcs> Iterator for FramePointerWalk<M, P> {
    type Item = Result<Frame, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}
