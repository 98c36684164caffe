//! Trials that belong together: which are to be made, which were, and making one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use osr_engine::Mechanism;
use serde_json::Value;

use super::{Experiment, Sizes, Trial, make};
use crate::cli::mechanism;
use crate::laboratory::measuring::Machine;
use crate::laboratory::results::{Origin, Record, Versions};
use crate::laboratory::subjects::Line;
use crate::output;

/// `sizes` as results carry them: with hashes of programs that are files, which can change.
fn recorded(sizes: &Sizes) -> Value {
    let mut recorded = serde_json::to_value(sizes).expect("our data has string keys");
    let hash = |program: &String| match Line::read(program) {
        Ok(line @ Line::File(_)) => Some((program.clone(), line.load().ok()?.hash)),
        _ => None,
    };
    let hashes: BTreeMap<String, String> = sizes.programs.iter().filter_map(hash).collect();
    if !hashes.is_empty() {
        recorded["program_hashes"] = serde_json::to_value(hashes).expect("our data has string keys");
    }
    recorded
}

/// A trial that is to be made: its repetition, and what it is of.
pub(crate) type Planned = (u32, &'static Experiment, Mechanism);

/// All trials of `experiments` with the `chosen` mechanisms, or else with their own. Repetitions are outermost, and all trials of
/// one are in random order: what disturbs the machine for a while does not disturb one mechanism alone.
pub(crate) fn planned(
    experiments: &[&'static Experiment],
    chosen: &[Mechanism],
    repetitions: u32,
    seed: u64,
) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let repetition = |repetition| {
        let of = |&experiment: &&'static Experiment| {
            let mechanisms = experiment.mechanisms(chosen).into_iter();
            mechanisms.map(move |mechanism| (repetition, experiment, mechanism))
        };
        let mut trials: Vec<Planned> = experiments.iter().flat_map(of).collect();
        random.shuffle(&mut trials);
        trials
    };
    (1..=repetitions).flat_map(repetition).collect()
}

/// Trials that belong together.
#[derive(Debug)]
pub(crate) struct Campaign {
    sizes: Sizes,
    /// As results carry them.
    recorded: Value,
    /// Of everything random.
    pub(super) seed: u64,
    patience: Duration,
    /// Where.
    pub(crate) machine: Machine,
    versions: Versions,
    origin: Origin,
}

impl Campaign {
    /// On this machine.
    pub(crate) fn new(sizes: Sizes, seed: u64, patience: Duration) -> Campaign {
        let (machine, versions) = (Machine::current(), Versions::current());
        let recorded = recorded(&sizes);
        let origin = Origin::new(&machine, &versions, &recorded);
        Campaign { sizes, recorded, seed, patience, machine, versions, origin }
    }

    /// The seed of a repetition in a campaign with the seed `seed`.
    pub(crate) fn seed(seed: u64, repetition: u32) -> u64 {
        seed.wrapping_add(u64::from(repetition) << 32)
    }

    /// Whether `record` would be of this campaign, if it were of here and now.
    fn has_seed(&self, record: &Record) -> bool {
        record.seed == Campaign::seed(self.seed, record.repetition)
    }

    /// Those of `records`, from the file at `path`, that are of this campaign: of its seed and sizes, made on this machine by
    /// this version. Others of its seed are told of. Trials that failed are not among them: they are made again.
    pub(crate) fn own(&self, path: &Path, records: Vec<Record>) -> Vec<Record> {
        let seeded = records.into_iter().filter(|record| self.has_seed(record));
        let (own, others): (Vec<Record>, Vec<Record>) =
            seeded.partition(|record| Origin::of(record) == self.origin);
        let trials = others.iter().filter(|record| record.part.0 == 1).count();
        let reasons: BTreeSet<String> =
            others.iter().flat_map(|record| Origin::of(record).differences(&self.origin)).collect();
        if trials > 0 {
            output::to_stderr(format_args!(
                "{}: {trials} trials of this seed are left out, and made again: they are of {}\n",
                path.display(),
                output::join_some(reasons.into_iter())
            ));
        }
        own.into_iter().filter(|record| !record.finding.has_failed()).collect()
    }

    /// Tells of `records`, from the file at `path`, that a report of the file would mix with those that are to come.
    pub(super) fn warn_of_others(&self, path: &Path, records: &[Record]) {
        let others: BTreeSet<String> =
            records.iter().flat_map(|record| Origin::of(record).elsewhere(&self.origin)).collect();
        if !others.is_empty() {
            output::to_stderr(format_args!(
                "{}: there are results of {} in it; a report of the file mixes them with what comes\n",
                path.display(),
                output::join_some(others.into_iter())
            ));
        }
    }

    /// Whether all lines of the trial are in `records`, which are of this campaign.
    pub(crate) fn is_done(
        &self,
        experiment: &Experiment,
        mechanism: &Mechanism,
        repetition: u32,
        records: &[Record],
    ) -> bool {
        let of = |record: &&Record| {
            (&*record.experiment, record.repetition, &record.settings)
                == (experiment.name, repetition, mechanism)
        };
        let parts: BTreeMap<usize, usize> = records.iter().filter(of).map(|record| record.part).collect();
        parts.values().next().is_some_and(|&all| parts.len() == all)
    }

    /// Makes one trial, as `command` does. `None` if an interrupt ended it.
    pub(crate) fn trial(
        &self,
        experiment: &Experiment,
        settings: Mechanism,
        repetition: u32,
        command: &str,
    ) -> Option<Vec<Record>> {
        let seed = Campaign::seed(self.seed, repetition);
        let (sizes, name) = (self.sizes.clone(), experiment.name.to_owned());
        let trial = Trial { experiment: name, mechanism: settings, sizes, seed };
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let findings = make(&trial, self.patience)?;
        let parts = findings.len();
        let mechanism = mechanism::name(&settings);
        let record = |(position, finding)| Record {
            experiment: experiment.name.to_owned(),
            finding,
            mechanism: mechanism.clone(),
            settings,
            seed,
            repetition,
            part: (position + 1, parts),
            sizes: self.recorded.clone(),
            time: Some(time.clone()),
            machine: self.machine.clone(),
            versions: self.versions.clone(),
            command: command.to_owned(),
        };
        Some(findings.into_iter().enumerate().map(record).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::EXPERIMENTS;
    use super::{Experiment, Planned, planned};

    #[test]
    fn mechanisms_take_turns_in_random_order() {
        let experiments: Vec<&Experiment> = EXPERIMENTS.iter().collect();
        let trials = planned(&experiments, &[], 2, 7);
        let name = |(repetition, experiment, mechanism): &Planned| {
            (*repetition, experiment.name, mechanism.to_string())
        };
        let (first, second) = trials.split_at(trials.len() / 2);
        let made = |trials: &[Planned]| trials.iter().map(name).collect::<Vec<_>>();
        let sorted = |trials: &[Planned]| {
            let mut names: Vec<_> =
                made(trials).into_iter().map(|(_, name, mechanism)| (name, mechanism)).collect();
            names.sort();
            names
        };
        assert!(first.iter().all(|trial| trial.0 == 1) && second.iter().all(|trial| trial.0 == 2));
        assert_eq!(sorted(first), sorted(second), "each repetition has every trial");
        let listed = experiments.iter().flat_map(|experiment| experiment.mechanisms(&[]));
        assert_eq!(first.len(), listed.count());
        let order = |trials| made(trials).into_iter().map(|(_, name, _)| name).collect::<Vec<_>>();
        assert_ne!(order(first), order(second), "in another order");
        assert!(!order(first).is_sorted_by_key(|name| experiments.iter().position(|of| of.name == *name)));
        assert_eq!(made(&trials), made(&planned(&experiments, &[], 2, 7)), "it is a function of the seed");
    }
}
