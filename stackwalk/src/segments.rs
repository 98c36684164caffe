//! Walking a thread's whole guest stack: several segments of compiled frames, with Rust frames between.
//!
//! Rust frames keep no frame pointers, so they are crossed by records: each time compiled code calls
//! out, its exit stub leaves an [`ExitRecord`], and the caller hands these over innermost first.

use crate::{
    Error, ExitRecord, Frame, FramePointerWalk, FrameRun, ReturnPcs, ReturnSlot, StackMemory, WalkEnd,
};

/// A walk over all segments of a thread, innermost frame first.
#[derive(Clone, Debug)]
pub struct SegmentedWalk<M, P, I> {
    walk: Option<FramePointerWalk<M, P>>,
    exits: I,
    segment: usize,
}

impl<M, P, I> SegmentedWalk<M, P, I>
where
    M: StackMemory,
    P: ReturnPcs,
    I: Iterator<Item = ExitRecord>,
{
    /// A walk over the segments that start at `exits`, innermost first.
    pub fn new(memory: M, pcs: P, exits: impl IntoIterator<IntoIter = I>) -> Self {
        let mut exits = exits.into_iter();
        let walk = exits.next().map(|exit| FramePointerWalk::new(memory, pcs, exit));
        Self { walk, exits, segment: 0 }
    }

    /// The next frame, of this segment or of the next one that has any; nothing after the last.
    ///
    /// # Errors
    /// Those of [`FramePointerWalk::next_frame`], and [`Error::SegmentOrder`].
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        while let Some(walk) = &mut self.walk {
            if let Some(frame) = walk.next_frame()? {
                return Ok(Some(frame));
            }
            // Without an end the walk failed earlier, and has no more frames.
            let Some(WalkEnd::Boundary { slot }) = walk.end() else { break };
            if !self.next_segment(slot)? {
                break;
            }
        }
        Ok(None)
    }

    /// Continues at the segment beyond the one that ended at `after`; says whether there is one.
    #[inline(always)]
    fn next_segment(&mut self, after: ReturnSlot) -> Result<bool, Error> {
        let (Some(exit), Some(walk)) = (self.exits.next(), &mut self.walk) else { return Ok(false) };
        if exit.return_slot <= after {
            self.walk = None;
            return Err(Error::SegmentOrder { slot: exit.return_slot, after });
        }
        walk.restart(exit);
        self.segment += 1;
        Ok(true)
    }

    /// Visits all frames that are left. Faster than asking for one frame after the other.
    ///
    /// # Errors
    /// Those of [`Self::next_frame`]. The frames before were visited.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(Frame)) -> Result<(), Error> {
        self.visit_runs(|frame, _| visit(frame))
    }

    /// [`FramePointerWalk::visit_runs`], segment after segment.
    ///
    /// # Errors
    /// As [`Self::visit`].
    #[inline(always)]
    pub fn visit_runs(&mut self, mut visit: impl FnMut(Frame, &mut FrameRun<'_, M>)) -> Result<(), Error> {
        while let Some(walk) = &mut self.walk {
            let Some(WalkEnd::Boundary { slot }) = walk.visit_runs(&mut visit)? else { break };
            if !self.next_segment(slot)? {
                break;
            }
        }
        Ok(())
    }

    /// The number of the segment of the frame that was yielded last; the innermost is 0.
    pub fn segment(&self) -> usize {
        self.segment
    }
}

impl<M, P, I> Iterator for SegmentedWalk<M, P, I>
where
    M: StackMemory,
    P: ReturnPcs,
    I: Iterator<Item = ExitRecord>,
{
    type Item = Result<Frame, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}
