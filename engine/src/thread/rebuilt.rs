//! Frame states that were made when their frames were hijacked, and wait for these to land.
//!
//! ```text
//!   block of a hijack   frames | innermost ... outermost |     words | state | state | .. |
//!                                ^ next                               ^ next
//! ```
//!
//! Landings come innermost first, as hijacks do; where two hijacks have frames between each other's, their blocks are
//! taken from in turn.

use osr_stackwalk::ReturnSlot;

/// The states of the frames of one hijack, innermost frame first.
#[derive(Debug, Default)]
pub(crate) struct StateBlock {
    /// The slot of each frame, and where in the words its state ends.
    frames: Vec<(ReturnSlot, usize)>,
    words: Vec<u64>,
    next: usize,
}

impl StateBlock {
    /// Adds the state of a frame that is further out than all before: so many words, which are to be written.
    pub(crate) fn push(&mut self, slot: ReturnSlot, words: usize, fill: u64) -> &mut [u64] {
        let begin = self.words.len();
        self.words.resize(begin + words, fill);
        self.frames.push((slot, self.words.len()));
        &mut self.words[begin..]
    }

    /// The innermost frame that waits.
    fn innermost(&self) -> Option<ReturnSlot> {
        self.frames.get(self.next).map(|&(slot, _)| slot)
    }

    /// Its state.
    fn state(&self) -> &[u64] {
        let begin = self.next.checked_sub(1).map_or(0, |before| self.frames[before].1);
        &self.words[begin..self.frames[self.next].1]
    }
}

/// Those of all hijacks of a thread.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt(Vec<StateBlock>);

impl Rebuilt {
    /// Adds what was made at a hijack.
    pub(crate) fn add(&mut self, block: StateBlock) {
        if block.innermost().is_some() {
            self.0.push(block);
        }
    }

    /// Has `read` read the state of the frame that was returned to through `slot`, the innermost, and forgets it. `None` if
    /// none was made.
    pub(crate) fn take<T>(&mut self, slot: ReturnSlot, read: impl FnOnce(&[u64]) -> T) -> Option<T> {
        let position = self.0.iter().rposition(|block| block.innermost() == Some(slot))?;
        let block = &mut self.0[position];
        let read = read(block.state());
        block.next += 1;
        if block.innermost().is_none() {
            self.0.remove(position);
        }
        Some(read)
    }

    /// The frames are gone that are deeper in the stack than `depth`.
    pub(crate) fn drop_deeper(&mut self, depth: u64) {
        self.0.retain_mut(|block| {
            while block.innermost().is_some_and(|slot| slot.address() < depth) {
                block.next += 1;
            }
            block.innermost().is_some()
        });
    }

    /// Forgets the states of frames that are not hijacked any more: of the slots that `is_kept` refuses.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(ReturnSlot) -> bool) {
        for mut block in std::mem::take(&mut self.0) {
            let mut kept = StateBlock::default();
            while let Some(slot) = block.innermost() {
                if is_kept(slot) {
                    kept.push(slot, block.state().len(), 0).copy_from_slice(block.state());
                }
                block.next += 1;
            }
            self.add(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(frames: &[(u64, &[u64])]) -> StateBlock {
        let mut block = StateBlock::default();
        for &(slot, state) in frames {
            block.push(ReturnSlot::new(slot), state.len(), 0).copy_from_slice(state);
        }
        block
    }

    fn take(rebuilt: &mut Rebuilt, slot: u64) -> Option<Vec<u64>> {
        rebuilt.take(ReturnSlot::new(slot), <[u64]>::to_vec)
    }

    #[test]
    fn states_are_taken_innermost_first_across_blocks() {
        let mut rebuilt = Rebuilt::default();
        rebuilt.add(block(&[(8, &[1, 2]), (24, &[]), (40, &[3])]));
        rebuilt.add(block(&[(16, &[4]), (32, &[5, 6])]));
        assert_eq!(take(&mut rebuilt, 16), Some(vec![4]));
        assert_eq!(take(&mut rebuilt, 8), Some(vec![1, 2]));
        assert_eq!(take(&mut rebuilt, 16), None, "taken");
        assert_eq!(take(&mut rebuilt, 24), Some(vec![]));
        rebuilt.retain(|slot| slot != ReturnSlot::new(32));
        assert_eq!(take(&mut rebuilt, 32), None, "forgotten");
        assert_eq!(take(&mut rebuilt, 40), Some(vec![3]));
        rebuilt.add(block(&[(8, &[1]), (16, &[2]), (24, &[3])]));
        rebuilt.drop_deeper(17);
        assert_eq!(take(&mut rebuilt, 24), Some(vec![3]));
        assert!(rebuilt.0.is_empty());
    }
}
