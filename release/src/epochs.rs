//! Epochs: which calls were under way when something was retired. HHVM's Treadmill asks the same of requests.

use std::collections::VecDeque;

/// When a call began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// The calls that are under way.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    next: u64,
    /// When those under way began, oldest first.
    open: VecDeque<Epoch>,
}

impl Epochs {
    /// A call begins.
    pub fn begin(&mut self) -> Epoch {
        let epoch = Epoch(self.next);
        self.next += 1;
        self.open.push_back(epoch);
        epoch
    }

    /// The call that began at `epoch` has ended. Ending twice is ending once.
    pub fn end(&mut self, epoch: Epoch) {
        self.open.retain(|&other| other != epoch);
    }

    /// What is retired at this moment may be in use by calls before this epoch.
    #[must_use]
    pub fn now(&self) -> Epoch {
        Epoch(self.next)
    }

    /// Whether all calls have ended that began before `epoch`.
    #[must_use]
    pub fn is_past(&self, epoch: Epoch) -> bool {
        self.open.front().is_none_or(|&oldest| oldest >= epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_begin_later_are_not_waited_for() {
        let mut epochs = Epochs::default();
        assert!(epochs.is_past(epochs.now()), "nothing is under way");
        let (first, second) = (epochs.begin(), epochs.begin());
        let retired = epochs.now();
        let third = epochs.begin();
        epochs.end(second);
        assert!(!epochs.is_past(retired));
        epochs.end(first);
        assert!(epochs.is_past(retired), "the third began later");
        epochs.end(third);
    }
}
