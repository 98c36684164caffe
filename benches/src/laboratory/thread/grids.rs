//! Tables of experiments beside the answer: those that choose their own mechanisms, and the one that others have made.

mod bindings;
mod code_writes;
mod latency;
mod memory;
mod osrkit;
mod polls;
mod predictor;
mod releases;
mod sparse;

use osr_engine::Mechanism;

use super::answer::{Figure, unsteady};
use super::order::in_order;
use crate::laboratory::kernels;
use crate::laboratory::results::{Record, processes};
use crate::laboratory::statistics::{Estimate, Processes, estimate, geometric_mean_of_medians};

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// What it is of.
    pub(crate) title: &'static str,
    /// What its figures are.
    pub(crate) caption: &'static str,
    /// What its rows are of.
    pub(crate) corner: &'static str,
    /// The other columns.
    pub(crate) header: Vec<String>,
    /// Its rows, named.
    pub(crate) rows: Vec<(String, Vec<Figure>)>,
    /// Why mechanisms have no figures in it.
    pub(crate) notes: Vec<String>,
    /// The command that makes it.
    pub(crate) command: String,
}

/// The tables for which there are results in `records`.
pub(crate) fn grids(records: &[Record]) -> Vec<Grid> {
    let of = |grid: fn(&[Record]) -> Option<Grid>| grid(records);
    [
        of(bindings::grid),
        of(releases::grid),
        of(latency::grid),
        of(polls::grid),
        of(sparse::grid),
        of(code_writes::grid),
        of(predictor::grid),
        of(osrkit::transitions),
        of(osrkit::continuations),
        of(memory::grid),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The results of one experiment.
struct Results<'r>(Vec<&'r Record>);

impl<'r> Results<'r> {
    fn of(records: &'r [Record], experiment: &str) -> Results<'r> {
        Results(records.iter().filter(|record| record.experiment == experiment).collect())
    }

    /// The mechanisms, with their names.
    fn mechanisms(&self) -> Vec<(Mechanism, &'r str)> {
        in_order(self.0.iter().copied())
    }

    /// Programs and sizes, ascending.
    fn rows(&self) -> Vec<(&'r str, Option<u64>)> {
        let found = self.0.iter().filter(|record| !record.finding.samples.is_empty());
        let mut rows: Vec<_> = found.map(|record| (&*record.finding.program, record.finding.size)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// What processes have measured.
    fn samples(
        &self,
        mechanism: &Mechanism,
        (program, size): (&str, Option<u64>),
        metric: &str,
    ) -> Processes {
        let is_it = |record: &&Record| {
            let found = &record.finding;
            record.settings == *mechanism
                && (&*found.program, found.size, &*found.metric) == (program, size, metric)
        };
        processes(self.0.iter().copied().filter(is_it))
    }

    fn time(&self, mechanism: &Mechanism, row: (&str, Option<u64>), metric: &str) -> Figure {
        self.figure(mechanism, row, metric, Figure::time)
    }

    /// The geometric mean over programs of `metric` at `size`.
    fn mean(&self, mechanism: &Mechanism, size: u64, metric: &str) -> Option<Estimate> {
        let rows = self.rows().into_iter().filter(|(_, found)| *found == Some(size));
        let programs: Vec<Processes> = rows.map(|row| self.samples(mechanism, row, metric)).collect();
        geometric_mean_of_medians(&programs.iter().collect::<Vec<_>>())
    }

    fn figure(
        &self,
        mechanism: &Mechanism,
        row: (&str, Option<u64>),
        metric: &str,
        of: fn(&Estimate) -> Figure,
    ) -> Figure {
        shown(estimate(&self.samples(mechanism, row, metric)), of)
    }

    /// Why there are no figures of a mechanism.
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for Record { mechanism, finding, .. } in &self.0 {
            let why = finding.note.as_ref().filter(|_| finding.is_nothing());
            let Some(note) = why.map(|why| format!("{mechanism}: {why}")) else { continue };
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        for (mechanism, name) in self.mechanisms() {
            let mine: Vec<&Record> =
                self.0.iter().copied().filter(|record| record.settings == mechanism).collect();
            notes.extend(unsteady(&mine).into_iter().map(|note| format!("{name}: {note}")));
        }
        notes
    }

    fn command(&self) -> Option<String> {
        self.0
            .first()
            .map(|record| record.command.split(" --mechanism ").next().unwrap_or_default().to_owned())
    }

    /// The geometric mean of `metric` over programs, without kernels.
    fn programs(&self, mechanism: &Mechanism, metric: &str) -> Option<Estimate> {
        let rows = self.rows().into_iter().filter(|(program, size)| {
            size.is_none() && !kernels::is_kernel(program) && !program.starts_with("call sites")
        });
        let all: Vec<Processes> = rows
            .map(|row| self.samples(mechanism, row, metric))
            .filter(|processes| !processes.is_empty())
            .collect();
        geometric_mean_of_medians(&all.iter().collect::<Vec<_>>())
    }

    /// The sizes of `program`, ascending.
    fn sizes(&self, program: &str) -> Vec<u64> {
        let rows = self.rows().into_iter().filter(|(found, _)| *found == program);
        rows.filter_map(|(_, size)| size).collect()
    }
}

/// What `show` makes of an estimate, if there is one.
fn shown(estimate: Option<Estimate>, show: impl Fn(&Estimate) -> Figure) -> Figure {
    estimate.as_ref().map_or_else(Figure::none, show)
}
