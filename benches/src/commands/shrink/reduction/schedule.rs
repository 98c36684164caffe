//! Smaller schedules: fewer entries, smaller ordinals, less that the settings ask for.

use osr_engine::{FailingGuards, Schedule, Settings, SpeculationKind};

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
        let all = self.best.schedule.guards.clone();
        self.leave_out(all.len(), |shrinker, kept| {
            let guards = kept.iter().map(|&n| all[n]).collect();
            shrinker.attempt_schedule(|schedule| schedule.guards = guards)
        });
    }

    /// Leaves out speculation, and what becomes of failing guards, and inlining.
    pub(super) fn fewer_settings(&mut self) {
        let all: Vec<SpeculationKind> = self.best.settings.speculate.iter().copied().collect();
        self.leave_out(all.len(), |shrinker, kept| {
            let speculate = kept.iter().map(|&n| all[n]).collect();
            shrinker.attempt_settings(|settings| settings.speculate = speculate)
        });
        self.attempt_settings(|settings| settings.failing_guards = FailingGuards::default());
        self.attempt_settings(|settings| settings.inlining = None);
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
        for n in 0..self.best.schedule.guards.len() {
            let before = if n == 0 { 0 } else { self.best.schedule.guards[n - 1] };
            self.smaller_ordinal(before, |schedule| &mut schedule.guards[n]);
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

    fn attempt_settings(&mut self, edit: impl FnOnce(&mut Settings)) -> bool {
        let mut candidate: Candidate = self.best.clone();
        edit(&mut candidate.settings);
        self.attempt(candidate)
    }

    fn attempt_schedule(&mut self, edit: impl FnOnce(&mut Schedule)) -> bool {
        let mut candidate: Candidate = self.best.clone();
        edit(&mut candidate.schedule);
        self.attempt(candidate)
    }
}
