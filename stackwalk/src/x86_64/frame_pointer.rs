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

    /// Visits all frames that are left, each with what its return slot holds, and gives where the walk ended;
    /// nothing if it was over already. Faster than asking for one frame after the other: the walk's state stays in registers.
    ///
    /// # Errors
    /// Those of [`Self::next_frame`]. The frames before were visited.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(Frame, u64)) -> Result<Option<WalkEnd>, Error> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(None);
        }
        let (mut slot, mut frame_base) = (self.return_slot, self.frame_base);
        loop {
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
            let outer = self.memory.word(frame_base)?;
            visit(Frame::new(pc, slot, frame_base), word);
            (slot, frame_base) = (frame_base.wrapping_add(8), outer);
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

impl<M: StackMemory, P: ReturnPcs> Iterator for FramePointerWalk<M, P> {
    type Item = Result<Frame, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}
