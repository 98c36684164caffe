//! The reclaimer: code that waits to be freed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use osr_stackwalk::{ReturnPc, ReturnSlot};

use crate::barriers::{Barrier, Barriers};
use crate::{Census, CodeRange, Epoch, Epochs};

/// How it is known that nobody is inside a piece of code any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// A census of the stack finds no frame of it: [`Reclaimer::scan`].
    Scan,
    /// Its owner tells of each end of a frame: [`Reclaimer::frame_ended`].
    Count,
    /// The return slots by which its frames end lead to a stub: [`Reclaimer::returned`].
    Barrier,
    /// Code counts its activations itself, and its owner looks: [`Reclaimer::look`].
    Residence,
    /// All calls have ended that were under way when it was retired: [`Reclaimer::call_began`],
    /// [`Reclaimer::call_ended`].
    Epoch,
}

/// Code that nobody is inside any more.
#[derive(Debug)]
pub struct Drained<C> {
    /// What frees it.
    pub code: C,
    /// Where it is.
    pub range: CodeRange,
    /// How long it took since it was retired.
    pub latency: Duration,
}

/// Code that waits.
#[derive(Debug)]
struct Waiting<C> {
    code: C,
    range: CodeRange,
    retired: Instant,
    /// When it was retired.
    epoch: Epoch,
    /// Frames of it that have not ended.
    frames: u64,
}

/// Retired code of one thread (of several: see [there](crate#several-threads)), until it is drained. `C` is what frees a piece
/// of code: it is handed back.
#[derive(Debug)]
pub struct Reclaimer<C> {
    strategy: Strategy,
    /// By ticket.
    waiting: BTreeMap<u64, Waiting<C>>,
    /// By the start of the code, the ticket.
    starts: BTreeMap<u64, u64>,
    drained: Vec<Drained<C>>,
    tickets: u64,
    epochs: Epochs,
    barriers: Barriers,
    stub: ReturnPc,
}

impl<C> Reclaimer<C> {
    /// One that needs no stub.
    ///
    /// # Panics
    /// If `strategy` is [`Strategy::Barrier`]: see [`Self::with_stub`].
    #[must_use]
    pub fn new(strategy: Strategy) -> Reclaimer<C> {
        assert_ne!(strategy, Strategy::Barrier, "barriers need a stub");
        Reclaimer::make(strategy, ReturnPc::default())
    }

    /// One whose barriers are returns to `stub`.
    ///
    /// # Safety
    /// Each census that is given to [`Self::retire`] is of the frames, as they are at that moment, of the stack of the
    /// thread that calls it, and the slots in it are those that the frames return through. What returns to `stub` asks
    /// [`Self::returned`], and continues at the PC that it says, with the registers that a return leaves: those that are the
    /// caller's, and all that results may be in, of integers and of floats.
    #[must_use]
    pub unsafe fn with_stub(stub: ReturnPc) -> Reclaimer<C> {
        Reclaimer::make(Strategy::Barrier, stub)
    }

    fn make(strategy: Strategy, stub: ReturnPc) -> Reclaimer<C> {
        Reclaimer {
            strategy,
            waiting: BTreeMap::new(),
            starts: BTreeMap::new(),
            drained: Vec::new(),
            tickets: 0,
            epochs: Epochs::default(),
            barriers: Barriers::default(),
            stub,
        }
    }

    /// How it is known that code is drained.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Nothing new enters `code`; `census` is of its ranges, in the same order. With [`Strategy::Epoch`] and
    /// [`Strategy::Residence`] it may be empty, for frames do not matter; with [`Strategy::Scan`], too: then the code waits
    /// for a [scan](Self::scan).
    ///
    /// # Panics
    /// If the census is of another number of pieces.
    pub fn retire(&mut self, code: impl IntoIterator<Item = (CodeRange, C)>, census: &Census) {
        let (first, retired, epoch) = (self.tickets, Instant::now(), self.epochs.now());
        for (piece, (range, code)) in code.into_iter().enumerate() {
            let is_unknown = matches!(self.strategy, Strategy::Epoch | Strategy::Scan | Strategy::Residence)
                && census.pieces() == 0;
            let frames = if is_unknown { u64::MAX } else { census.count(piece) };
            self.waiting.insert(self.tickets, Waiting { code, range, retired, epoch, frames });
            self.starts.insert(range.start(), self.tickets);
            self.tickets += 1;
        }
        if self.strategy == Strategy::Barrier {
            let stub = self.stub;
            let ends = census.frames().iter().map(|&(slot, piece)| (slot, first + piece as u64));
            self.barriers.add(ends, |slot| {
                // SAFETY: `with_stub`'s caller says that it is a return slot of this thread, and that the stub
                // continues at what it held.
                unsafe {
                    let original = slot.load();
                    slot.store(stub);
                    original
                }
            });
        }
        self.drain();
    }

    /// Where the code is that waits: of this a census is to be taken for [`Self::scan`].
    #[must_use]
    pub fn waiting(&self) -> Vec<CodeRange> {
        self.waiting.values().map(|waiting| waiting.range).collect()
    }

    /// Whether any code waits.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// With [`Strategy::Scan`]: what has no frame in `census`, which is of what [waits](Self::waiting), is drained. With
    /// [`Strategy::Count`]: so it is, and the frames in the census are those that have not ended: for when frames have
    /// ended that nobody has told of.
    ///
    /// # Panics
    /// If the census is of something else.
    pub fn scan(&mut self, census: &Census) {
        assert_eq!(census.pieces(), self.waiting.len(), "a census of what waits");
        for (piece, waiting) in self.waiting.values_mut().enumerate() {
            waiting.frames = census.count(piece);
        }
        self.drain();
    }

    /// With [`Strategy::Residence`]: what `is_empty` says has no activations is drained.
    pub fn look(&mut self, is_empty: impl Fn(&C) -> bool) {
        for waiting in self.waiting.values_mut().filter(|waiting| is_empty(&waiting.code)) {
            waiting.frames = 0;
        }
        self.drain();
    }

    /// With [`Strategy::Count`]: a frame that a census has found at `pc`, or elsewhere in the same code, has ended, or was
    /// replaced.
    pub fn frame_ended(&mut self, pc: ReturnPc) {
        let before = self.starts.range(..=pc.lookup_address()).next_back();
        if let Some((_, &ticket)) = before.filter(|(_, ticket)| self.waiting[ticket].range.holds(pc)) {
            self.count_down(ticket);
        }
    }

    /// With [`Strategy::Barrier`]: the stub was returned to through `slot`. Returns where to continue; nothing if no
    /// barrier stands there, or not the innermost, which is a broken invariant.
    pub fn returned(&mut self, slot: ReturnSlot) -> Option<ReturnPc> {
        let Barrier { original, ticket, .. } = self.barriers.take(slot)?;
        ticket.into_iter().for_each(|ticket| self.count_down(ticket));
        Some(original)
    }

    /// With [`Strategy::Barrier`]: the frames that end by slots below `depth` were jumped over.
    pub fn jumped_over(&mut self, depth: u64) {
        while let Some(barrier) = self.barriers.take_below(depth) {
            barrier.ticket.into_iter().for_each(|ticket| self.count_down(ticket));
        }
    }

    /// With [`Strategy::Barrier`]: the frame that ends by `slot` was replaced by another that ends by it. The barrier
    /// stays, and counts no more.
    pub fn replaced(&mut self, slot: ReturnSlot) {
        self.barriers.disown(slot).into_iter().for_each(|ticket| self.count_down(ticket));
    }

    /// What `slot` held before a barrier was put there.
    #[must_use]
    pub fn original(&self, slot: ReturnSlot) -> Option<ReturnPc> {
        self.barriers.find(slot).map(|barrier| barrier.original)
    }

    /// Whether any barrier stands.
    #[must_use]
    pub fn has_barriers(&self) -> bool {
        !self.barriers.is_empty()
    }

    /// With [`Strategy::Epoch`]: an outermost call begins.
    pub fn call_began(&mut self) -> Epoch {
        self.epochs.begin()
    }

    /// With [`Strategy::Epoch`]: the call that began at `epoch` has ended.
    pub fn call_ended(&mut self, epoch: Epoch) {
        self.epochs.end(epoch);
        self.drain();
    }

    /// Takes out what has drained, in the order in which it did.
    pub fn take_drained(&mut self) -> impl Iterator<Item = Drained<C>> + use<C> {
        std::mem::take(&mut self.drained).into_iter()
    }

    /// Whether something has drained that was not taken out.
    #[must_use]
    pub fn has_drained(&self) -> bool {
        !self.drained.is_empty()
    }

    fn count_down(&mut self, ticket: u64) {
        let Some(waiting) = self.waiting.get_mut(&ticket) else { return };
        waiting.frames = waiting.frames.saturating_sub(1);
        if waiting.frames == 0 {
            let waiting = self.waiting.remove(&ticket).expect("it is there");
            self.drained(waiting);
        }
    }

    fn drain(&mut self) {
        let (strategy, epochs) = (self.strategy, &self.epochs);
        let is_over = |_: &u64, waiting: &mut Waiting<C>| match strategy {
            Strategy::Epoch => epochs.is_past(waiting.epoch),
            _ => waiting.frames == 0,
        };
        let over: Vec<_> = self.waiting.extract_if(.., is_over).collect();
        over.into_iter().for_each(|(_, waiting)| self.drained(waiting));
    }

    fn drained(&mut self, Waiting { code, range, retired, .. }: Waiting<C>) {
        self.starts.remove(&range.start());
        self.drained.push(Drained { code, range, latency: retired.elapsed() });
    }
}

#[cfg(test)]
mod tests;
