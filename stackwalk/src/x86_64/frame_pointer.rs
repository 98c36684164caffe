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

use crate::{Error, ExitRecord, Frame, ReturnPcs, StackMemory, WalkEnd};

/// A walk over one segment of compiled frames, innermost first. After the end or an error it is over.
#[derive(Clone, Debug)]
pub struct FramePointerWalk<M, P> {
    memory: M,
    pcs: P,
    return_slot: u64,
    frame_base: u64,
    over: bool,
    end: Option<WalkEnd>,
}

impl<M: StackMemory, P: ReturnPcs> FramePointerWalk<M, P> {
    /// A walk that starts at `exit`.
    #[inline(always)]
    pub fn new(memory: M, pcs: P, exit: ExitRecord) -> Self {
        let ExitRecord { return_slot, frame_base } = exit;
        Self { memory, pcs, return_slot, frame_base, over: false, end: None }
    }

    /// The next frame; nothing at the boundary.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::DidNotAdvance`], [`Error::NullReturnPc`],
    /// [`Error::UnrecordedHijack`].
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.over {
            return Ok(None);
        }
        match self.step() {
            Ok(Some(frame)) => Ok(Some(frame)),
            other => {
                self.over = true;
                other
            }
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Result<Option<Frame>, Error> {
        let (slot, frame_base) = (self.return_slot, self.frame_base);
        let pc = self.pcs.look_through(slot, self.memory.word(slot)?)?;
        if self.pcs.is_boundary(pc) {
            self.end = Some(WalkEnd::Boundary { slot });
            return Ok(None);
        }
        // A frame without locals has its base right above its return slot.
        if frame_base <= slot {
            return Err(Error::DidNotAdvance { slot });
        }
        self.frame_base = self.memory.word(frame_base)?;
        self.return_slot = frame_base.wrapping_add(8);
        Ok(Some(Frame::new(pc, slot, frame_base)))
    }

    /// Visits all frames that are left, and gives where the walk ended; nothing if it was over already.
    /// Faster than asking for one frame after the other: the walk's state stays in registers.
    ///
    /// # Errors
    /// Those of [`Self::next_frame`]. The frames before were visited.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(Frame)) -> Result<Option<WalkEnd>, Error> {
        self.visit_runs(|frame, _| visit(frame))
    }

    /// As [`Self::visit`], where `visit` may take more frames itself: those that follow, as long as control
    /// returns to the same PC in them, as in a recursion.
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn visit_runs(
        &mut self,
        mut visit: impl FnMut(Frame, &mut FrameRun<'_, M>),
    ) -> Result<Option<WalkEnd>, Error> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(None);
        }
        let mut run = FrameRun {
            memory: &self.memory,
            pc: 0,
            return_slot: self.return_slot,
            frame_base: self.frame_base,
        };
        loop {
            let (slot, frame_base) = (run.return_slot, run.frame_base);
            let word = self.memory.word(slot)?;
            let pc = self.pcs.look_through(slot, word)?;
            if self.pcs.is_boundary(pc) {
                self.end = Some(WalkEnd::Boundary { slot });
                return Ok(self.end);
            }
            if frame_base <= slot {
                return Err(Error::DidNotAdvance { slot });
            }
            // Read before the visit, which may write to the frame's slot but to nothing else.
            run.frame_base = self.memory.word(frame_base)?;
            run.return_slot = frame_base.wrapping_add(8);
            run.pc = word;
            visit(Frame::new(pc, slot, frame_base), &mut run);
        }
    }

    /// Where the walk ended; nothing while it goes on, or if it failed.
    #[inline(always)]
    pub fn end(&self) -> Option<WalkEnd> {
        self.end
    }

    /// Goes on at another segment, in the same memory.
    #[inline(always)]
    pub(crate) fn restart(&mut self, exit: ExitRecord) {
        self.return_slot = exit.return_slot;
        self.frame_base = exit.frame_base;
        self.over = false;
        self.end = None;
    }
}

/// Frames that follow a frame, as long as control returns to the same PC in them.
#[derive(Debug)]
pub struct FrameRun<'m, M> {
    memory: &'m M,
    /// What their slots hold.
    pc: u64,
    return_slot: u64,
    frame_base: u64,
}

impl<M: StackMemory> FrameRun<'_, M> {
    /// The next one. Not for the frames of hijacked slots. What is wrong with a frame is left to the walk to find.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Option<Frame> {
        let (slot, frame_base) = (self.return_slot, self.frame_base);
        if self.memory.read(slot) != Some(self.pc) || frame_base <= slot {
            return None;
        }
        self.frame_base = self.memory.read(frame_base)?;
        self.return_slot = frame_base.wrapping_add(8);
        Some(Frame::new(self.pc, slot, frame_base))
    }
}

impl<M: StackMemory, P: ReturnPcs> Iterator for FramePointerWalk<M, P> {
    type Item = Result<Frame, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}
