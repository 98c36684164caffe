//! Accounts: what a function has executed, and what its compilations have cost.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The account of a function.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Instructions executed, as far as they are counted.
    work: AtomicU64,
    /// Nanoseconds that its compilations have cost.
    paid: AtomicU64,
    /// The interpreter's count when it was last charged.
    charged: AtomicU32,
    /// How often code of the function was retired.
    generation: AtomicU32,
}

impl Account {
    /// The interpreter's count is `count`: charges what was not yet, `work` instructions each.
    pub(crate) fn charge_count(&self, count: u32, work: u32) {
        let before = self.charged.swap(count, Ordering::Relaxed);
        self.charge(count.saturating_sub(before), work);
    }

    /// The interpreter's count restarts at `count`.
    pub(crate) fn restart_count(&self, count: u32) {
        self.charged.store(count, Ordering::Relaxed);
    }

    /// Charges so many `arrivals`, `work` instructions each.
    pub(crate) fn charge(&self, arrivals: u32, work: u32) {
        self.work.fetch_add(u64::from(arrivals) * u64::from(work), Ordering::Relaxed);
    }

    /// Instructions executed.
    pub(crate) fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// A compilation has cost so many nanoseconds.
    pub(crate) fn pay(&self, nanoseconds: u64) {
        self.paid.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Nanoseconds that compilations have cost.
    pub(crate) fn paid(&self) -> u64 {
        self.paid.load(Ordering::Relaxed)
    }

    /// Code of the function is retired: what is being compiled of it was ordered before that.
    pub(crate) fn retire(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that happened.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn each_arrival_is_charged_once() {
        let account = Account::default();
        account.charge_count(200, 3);
        account.charge_count(201, 3);
        assert_eq!(account.work(), 603);
        account.restart_count(0);
        account.charge_count(201, 2);
        assert_eq!(account.work(), 603 + 402, "it has come as far again");
        account.charge(10, 7);
        assert_eq!(account.work(), 603 + 402 + 70);
    }
}
