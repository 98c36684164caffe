//! Tables of experiments beside the answer: those that choose their own mechanisms, and the one that others have made.

mod bindings;
mod returns;

use osr_engine::{Mechanism, Placement, Settings};

use super::answer::Figure;
use super::order::in_order;
use super::osrkit;
use crate::laboratory::results::{Record, processes};
use crate::laboratory::statistics::{Estimate, Processes, estimate, geometric_mean_of_medians};
use crate::laboratory::stop_and_go;

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
    /// The command that makes it.
    pub(crate) command: String,
}

/// The tables for which there are results in `records`.
pub(crate) fn grids(records: &[Record]) -> Vec<Grid> {
    [
        bindings::bindings(records),
        bindings::releases(records),
        polls(records),
        sparse(records),
        code_writes(records),
        returns::returns(records),
        osrkit(records),
        returns::memory(records),
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
        estimate(&self.samples(mechanism, row, metric)).as_ref().map_or_else(Figure::none, Figure::time)
    }

    /// The geometric mean over programs of `metric` at `size`.
    fn mean(&self, mechanism: &Mechanism, size: u64, metric: &str) -> Option<Estimate> {
        let rows = self.rows().into_iter().filter(|(_, found)| *found == Some(size));
        let programs: Vec<Processes> = rows.map(|row| self.samples(mechanism, row, metric)).collect();
        geometric_mean_of_medians(&programs.iter().collect::<Vec<_>>())
    }

    fn command(&self) -> Option<String> {
        self.0
            .first()
            .map(|record| record.command.split(" --mechanism ").next().unwrap_or_default().to_owned())
    }
}

/// A row for each poll.
fn polls(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "polls");
    let unrolling = u64::from(Settings::DEFAULT_UNROLLING);
    let row = |(mechanism, _): (Mechanism, &str)| {
        let figure = |size, metric| {
            found.mean(&mechanism, size, metric).as_ref().map_or_else(Figure::none, Figure::percent)
        };
        let mut figures = [(unrolling, "time"), (unrolling, "code"), (1, "time"), (1, "code")]
            .map(|(size, metric)| figure(size, metric))
            .to_vec();
        let theirs = stop_and_go::figure(mechanism.poll);
        figures.push(Figure { figure: theirs, below: String::new() });
        (mechanism.poll.name().to_owned(), figures)
    };
    Some(Grid {
        title: "What a poll costs while nobody asks",
        caption: "Time and bytes that each adds to the stack check, geometric means over programs, with loops unrolled and as \
                  they are. Beside them the figures of Lin et al., \u{201c}Stop and Go\u{201d} (ISMM 2015), in Jikes RVM, where \
                  methods have yieldpoints at their exits, too. patched-nop-active is the same code as patched-nop.",
        corner: "poll",
        header: [
            &format!("time, unrolled {unrolling}x"),
            "code",
            "time, not unrolled",
            "code",
            "Stop and Go",
        ]
        .map(str::to_owned)
        .into(),
        rows: found.mechanisms().into_iter().map(row).collect(),
        command: found.command()?,
    })
}

/// A row for each depth.
fn sparse(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "sparse");
    let mechanisms = found.mechanisms();
    let metrics = ["update", "way back", "total"];
    let row = |row: (&str, Option<u64>)| {
        let figures = metrics.iter().flat_map(|metric| {
            mechanisms.iter().map(|(mechanism, _)| found.time(mechanism, row, metric)).collect::<Vec<_>>()
        });
        (row.1.map_or(String::new(), |depth| depth.to_string()), figures.collect())
    };
    let header = metrics.iter().flat_map(|metric| {
        let named = |(mechanism, _): &(Mechanism, _)| format!("{metric}, {}", mechanism.density.name());
        mechanisms.iter().map(named).collect::<Vec<_>>()
    });
    Some(Grid {
        title: "Sparse hijacks against every frame",
        caption: "An invalidation on a stack of that depth, the way back through all its frames, and both together.",
        corner: "frames",
        header: header.collect(),
        rows: found.rows().into_iter().map(row).collect(),
        command: found.command()?,
    })
}

/// A row for each mechanism and number of call sites.
fn code_writes(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "code-writes");
    let memories: Vec<&str> = osr_engine::CodeMemory::ALL.iter().map(|memory| memory.name()).collect();
    let mut sizes: Vec<Option<u64>> = found.rows().into_iter().map(|(_, size)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut rows = Vec::new();
    for (mechanism, _) in found.mechanisms() {
        let Mechanism { binding, placement, .. } = mechanism;
        let name = match placement {
            Placement::Elsewhere => format!("binding={}", binding.name()),
            Placement::SameAddress => format!("placement={}", placement.name()),
        };
        for &size in &sizes {
            let figures = ["unbind", "bind"].iter().flat_map(|metric| {
                let figure = |memory: &&str| found.time(&mechanism, (*memory, size), metric);
                memories.iter().map(figure).collect::<Vec<_>>()
            });
            let size = size.map_or(String::new(), |size| size.to_string());
            rows.push((format!("{name}, {size} call sites"), figures.collect()));
        }
    }
    let header = ["unbind", "bind"].iter().flat_map(|metric| {
        memories.iter().map(move |memory| format!("{metric}, {memory}")).collect::<Vec<_>>()
    });
    Some(Grid {
        title: "What it costs that no page is writable and executable at once",
        caption: "The same update with code memory that is mapped twice (arena), and with pages whose protection changes, for \
                  each version that is written to (jit-module: as cranelift-jit does it). Unbinding is the invalidation, \
                  binding the installation of the next version, without its compilation.",
        corner: "mechanism",
        header: header.collect(),
        rows,
        command: found.command()?,
    })
}

/// A row for each of their programs.
fn osrkit(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "osrkit");
    let is_there = |(mechanism, _): &(Mechanism, &str)| {
        osrkit::PROGRAMS
            .iter()
            .any(|(name, _)| !found.samples(mechanism, (name, None), "transition").is_empty())
    };
    let mechanisms: Vec<_> = found.mechanisms().into_iter().filter(is_there).collect();
    let row = |&(name, theirs): &(&str, f64)| {
        let theirs = [format!("{theirs:.2} ns"), "76 to 811 µs".to_owned()];
        let theirs = theirs.map(|figure| Figure { figure, below: String::new() });
        let ours = ["transition", "continuation"].map(|metric| {
            mechanisms.iter().map(move |(mechanism, _)| (mechanism, metric)).collect::<Vec<_>>()
        });
        let figures = theirs.into_iter().zip(ours).flat_map(|(theirs, ours)| {
            let ours =
                ours.into_iter().map(|(mechanism, metric)| found.time(mechanism, (name, None), metric));
            std::iter::once(theirs).chain(ours).collect::<Vec<_>>()
        });
        (name.to_owned(), figures.collect())
    };
    let header = ["transition", "continuation"].iter().flat_map(|metric| {
        let names = std::iter::once("CGO'16").chain(mechanisms.iter().map(|(_, name)| *name));
        names.map(move |name| format!("{metric}, {name}")).collect::<Vec<_>>()
    });
    if mechanisms.is_empty() {
        return None;
    }
    Some(Grid {
        title: "One transition, by OSRKit's formula",
        caption: "(Always firing - never firing) / fired, and how long a continuation takes to be compiled, beside Tables 2 and \
                  3 of D'Elia and Demetrescu, \u{201c}Flexible On-Stack Replacement in LLVM\u{201d} (CGO 2016). Theirs is a tail call \
                  between two clones; here a frame is taken from the stack, and rebuilt in other code.",
        corner: "program",
        header: header.collect(),
        rows: osrkit::PROGRAMS.iter().map(row).collect(),
        command: found.command()?,
    })
}
