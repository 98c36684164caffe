//! What a walker must know of the return PCs it meets: where to stop, and what is hijacked.

use crate::{Error, Frame, ReturnPc, ReturnSlot};

/// The knowledge of stubs and ledger that a walk needs. Called once per frame: keep it inlinable.
pub trait ReturnPcs {
    /// Whether `pc` is a return PC inside an entry stub: the segment ends there.
    fn is_boundary(&self, pc: ReturnPc) -> bool;

    /// Whether `pc` is the landing stub's, so that the slot is hijacked.
    fn is_landing(&self, pc: ReturnPc) -> bool;

    /// What the slot of `frame` held before it was hijacked; nothing if there is no record of it. The PC of the frame
    /// is what the slot holds, for which [`is_landing`](Self::is_landing) holds.
    fn original(&self, frame: Frame) -> Option<ReturnPc>;

    /// The PC whose unwind row describes the frame that a hijacked slot returns into. Where the code at
    /// `original` may be gone, or other code be there, it is one of the landing stub, whose row must then
    /// describe every hijacked frame.
    #[inline(always)]
    fn row_pc(&self, landing: ReturnPc, original: ReturnPc) -> ReturnPc {
        let _ = landing;
        original
    }

    /// The PC that the slot of `frame` stands for; the PC of the frame is what it holds.
    ///
    /// # Errors
    /// [`Error::NullReturnPc`], [`Error::UnrecordedHijack`].
    #[inline(always)]
    fn look_through(&self, frame: Frame) -> Result<ReturnPc, Error> {
        let Frame { pc, return_slot: slot, .. } = frame;
        if pc.is_null() {
            return Err(Error::NullReturnPc { slot });
        }
        if !self.is_landing(pc) {
            return Ok(pc);
        }
        self.original(frame).ok_or(Error::UnrecordedHijack { slot })
    }
}

impl<P: ReturnPcs + ?Sized> ReturnPcs for &P {
    #[inline(always)]
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        (**self).is_boundary(pc)
    }

    #[inline(always)]
    fn is_landing(&self, pc: ReturnPc) -> bool {
        (**self).is_landing(pc)
    }

    #[inline(always)]
    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        (**self).original(frame)
    }

    #[inline(always)]
    fn row_pc(&self, landing: ReturnPc, original: ReturnPc) -> ReturnPc {
        (**self).row_pc(landing, original)
    }
}

/// One entry stub, one landing stub, and a function that asks the ledger.
#[derive(Clone, Copy, Debug)]
pub struct StubPcs<F> {
    /// The return PC inside the entry stub.
    pub boundary: ReturnPc,
    /// The landing PC.
    pub landing: ReturnPc,
    /// `(slot, landing pc) -> original pc`.
    pub original: F,
}

impl<F: Fn(ReturnSlot, ReturnPc) -> Option<ReturnPc>> ReturnPcs for StubPcs<F> {
    #[inline(always)]
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        pc == self.boundary
    }

    #[inline(always)]
    fn is_landing(&self, pc: ReturnPc) -> bool {
        pc == self.landing
    }

    #[inline(always)]
    fn original(&self, frame: Frame) -> Option<ReturnPc> {
        (self.original)(frame.return_slot, frame.pc)
    }
}

/// A stack on which nothing is hijacked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHijacks {
    /// The return PC to stop at; with none, a DWARF walk goes on to the outermost frame.
    pub boundary: Option<ReturnPc>,
}

impl ReturnPcs for NoHijacks {
    #[inline(always)]
    fn is_boundary(&self, pc: ReturnPc) -> bool {
        self.boundary == Some(pc)
    }

    #[inline(always)]
    fn is_landing(&self, _pc: ReturnPc) -> bool {
        false
    }

    fn original(&self, _frame: Frame) -> Option<ReturnPc> {
        None
    }
}
