//! Smaller schedules: fewer entries, smaller ordinals.

use osr_engine::Schedule;

use super::{Candidate, Shrinker};

impl Shrinker<'_> {
    /// Leaves out what is done at safepoints, then landings (which land in the interpreter then).
    pub(super) fn fewer_entries(&mut self) {
        let all = self.best.schedule.safepoints.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let safepoints = kept.iter().map(|&n| all[n]).collect();
            shrinker.attempt_schedule(|schedule| schedule.safepoints = safepoints)
        });
        let all = self.best.schedule.landings.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let landings = kept.iter().map(|&n| all[n]).collect();
            shrinker.attempt_schedule(|schedule| schedule.landings = landings)
        });
    }

    /// Moves entries forward, each as far as it can.
    pub(super) fn smaller_ordinals(&mut self) {
        for n in 0..self.best.schedule.safepoints.len() {
            let before = if n == 0 { 0 } else { self.best.schedule.safepoints[n - 1].0 };
            self.smaller_ordinal(before, |schedule| &mut schedule.safepoints[n].0);
        }
        for n in 0..self.best.schedule.landings.len() {
            let before = if n == 0 { 0 } else { self.best.schedule.landings[n - 1].0 };
            self.smaller_ordinal(before, |schedule| &mut schedule.landings[n].0);
        }
    }

    /// Makes an ordinal smaller; it stays greater than `before`.
    fn smaller_ordinal(&mut self, before: u64, ordinal: impl Fn(&mut Schedule) -> &mut u64) {
        let mut low = before + 1;
        loop {
            let mut schedule = self.best.schedule.clone();
            let now = *ordinal(&mut schedule);
            if low >= now {
                return;
            }
            // The first one, then halfway towards what is known to fail.
            let next = if low == before + 1 { low } else { low + (now - low) / 2 };
            if !self.attempt_schedule(|schedule| *ordinal(schedule) = next) {
                low = next + 1;
            }
        }
    }

    fn attempt_schedule(&mut self, edit: impl FnOnce(&mut Schedule)) -> bool {
        let mut candidate: Candidate = self.best.clone();
        edit(&mut candidate.schedule);
        self.attempt(candidate)
    }
}
