//! Barriers: return slots that hold a stub's PC, so that the end of a frame is noticed.

use osr_stackwalk::{ReturnPc, ReturnSlot};

/// A slot that was swapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    pub(crate) slot: ReturnSlot,
    /// What it held.
    pub(crate) original: ReturnPc,
    /// The ticket of the code whose frame ends by it; none if another frame continues in its place.
    pub(crate) ticket: Option<u64>,
}

/// All of a stack, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Barriers(Vec<Barrier>);

impl Barriers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, slot: ReturnSlot) -> Result<usize, usize> {
        self.0.binary_search_by(|barrier| slot.cmp(&barrier.slot))
    }

    pub(crate) fn find(&self, slot: ReturnSlot) -> Option<&Barrier> {
        self.position(slot).ok().map(|position| &self.0[position])
    }

    /// Adds barriers that frames with these ends, innermost first, run into, and lets `swap` swap each slot and say
    /// what it held. A slot that has a barrier keeps it.
    pub(crate) fn add(
        &mut self,
        ends: impl DoubleEndedIterator<Item = (ReturnSlot, u64)>,
        mut swap: impl FnMut(ReturnSlot) -> ReturnPc,
    ) {
        let known = self.0.len();
        // Further out than the first new one all stays as it is.
        let mut first = known;
        for (slot, ticket) in ends.rev() {
            match self.0[..known].binary_search_by(|barrier| slot.cmp(&barrier.slot)) {
                Ok(position) => self.0[position].ticket = Some(ticket),
                Err(position) => {
                    first = first.min(position);
                    self.0.push(Barrier { slot, original: swap(slot), ticket: Some(ticket) });
                }
            }
        }
        // Two runs that are in order: one pass.
        self.0[first..].sort_by_key(|barrier| std::cmp::Reverse(barrier.slot));
    }

    /// Takes the barrier of `slot` out, which must be the innermost.
    pub(crate) fn take(&mut self, slot: ReturnSlot) -> Option<Barrier> {
        self.0.pop_if(|innermost| innermost.slot == slot)
    }

    /// Takes the innermost barrier out, if it is deeper in the stack than `depth`.
    pub(crate) fn take_below(&mut self, depth: u64) -> Option<Barrier> {
        self.0.pop_if(|innermost| innermost.slot.address() < depth)
    }

    /// The frame that ends by `slot` is left in another way, and a frame that ends by the same slot replaces it.
    pub(crate) fn disown(&mut self, slot: ReturnSlot) -> Option<u64> {
        let position = self.position(slot).ok()?;
        self.0[position].ticket.take()
    }
}
