//! Tables of experiments beside the answer: those that choose their own mechanisms, and the one that others have made.

mod bindings;
mod returns;

use osr_engine::{HijackDensity, Mechanism, PRESETS, Placement, Settings};

use super::answer::{Figure, nanoseconds, unsteady};
use super::order::{in_order, orc};
use super::osrkit::{self, Theirs};
use crate::laboratory::results::{Record, processes};
use crate::laboratory::statistics::{Estimate, Processes, estimate, geometric_mean_of_medians, percentile};
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
    /// Why mechanisms have no figures in it.
    pub(crate) notes: Vec<String>,
    /// The command that makes it.
    pub(crate) command: String,
}

/// The tables for which there are results in `records`.
pub(crate) fn grids(records: &[Record]) -> Vec<Grid> {
    let [transitions, continuations] = osrkit(records).map_or([None, None], |grids| grids.map(Some));
    [
        bindings::bindings(records),
        bindings::releases(records),
        latencies(records),
        polls(records),
        sparse(records),
        code_writes(records),
        returns::returns(records),
        transitions,
        continuations,
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
        estimate(&self.samples(mechanism, row, metric)).as_ref().map_or_else(Figure::none, of)
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
        let of = ["orc", "thread-2015"].into_iter().find(|name| {
            PRESETS.iter().any(|preset| preset.name == *name && preset.mechanism.poll == mechanism.poll)
        });
        let name = mechanism.poll.name();
        (of.map_or_else(|| name.to_owned(), |of| format!("{name} ({of})")), figures)
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
        notes: found.notes(),
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
        let named = |(mechanism, name): &(Mechanism, &str)| {
            let is_own =
                |density: &HijackDensity| *mechanism == Mechanism { density: *density, ..Mechanism::DEFAULT };
            let name = if HijackDensity::ALL.iter().any(is_own) { mechanism.density.name() } else { name };
            format!("{metric}, {name}")
        };
        mechanisms.iter().map(named).collect::<Vec<_>>()
    });
    Some(Grid {
        title: "Sparse hijacks against every frame",
        caption: "An invalidation on a stack of that depth, the way back through all its frames, and both together. Beside them what the same program takes \
                  whose frames are not replaced (orc).",
        corner: "frames",
        header: header.collect(),
        rows: found.rows().into_iter().map(row).collect(),
        notes: found.notes(),
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
    for (mechanism, name) in found.mechanisms() {
        let Mechanism { binding, placement, .. } = mechanism;
        let name = match placement {
            Placement::Elsewhere if mechanism == (Mechanism { binding, ..Mechanism::DEFAULT }) => {
                format!("binding={}", binding.name())
            }
            Placement::SameAddress => format!("placement={}", placement.name()),
            Placement::Elsewhere => name.to_owned(),
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
        notes: found.notes(),
        command: found.command()?,
    })
}

/// What happens at an update, as it is measured and as it is told of, in the order of time.
const EVENTS: [(&str, &str); 4] = [
    ("new call", "new call"),
    ("new frame", "new frame"),
    ("old code", "old code gone"),
    ("memory", "memory back"),
];

/// A row for each mechanism and event: how late it can be.
fn latencies(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "latency");
    let sizes = || found.rows().into_iter().filter(|(program, _)| *program == "descent");
    let mut rows = Vec::new();
    for (mechanism, name) in found.mechanisms() {
        for (row, (metric, event)) in sizes().flat_map(|row| EVENTS.map(|event| (row, event))) {
            let processes = found.samples(&mechanism, row, metric);
            let Some(median) = estimate(&processes) else { continue };
            let samples = processes.all();
            let at = |percent| {
                let latency = percentile(&samples, percent).map_or_else(|| "-".to_owned(), nanoseconds);
                Figure { figure: latency, below: String::new() }
            };
            let figures = [Figure::time(&median), at(95.0), at(99.0), at(100.0)];
            rows.push((format!("{name}, {event}"), figures.into()));
        }
    }
    if rows.is_empty() {
        return None;
    }
    Some(Grid {
        title: "How late it can be",
        caption: "From an invalidation until the next call enters new code, until the first old frame continues in other code, \
                  until nothing will return into any of the old code, and until all its memory is given back: medians, what 95 \
                  and 99 of 100 updates do not exceed, and the longest. What never happens has no row.",
        corner: "mechanism, event",
        header: ["median", "95 %", "99 %", "longest"].map(str::to_owned).into(),
        rows,
        notes: Vec::new(),
        command: found.command()?,
    })
}

/// Their Tables 2 and 3: a row for each of their programs, and one for their ranges.
fn osrkit(records: &[Record]) -> Option<[Grid; 2]> {
    let found = Results::of(records, "osrkit");
    let is_there = |mechanism: &Mechanism| {
        !found.samples(mechanism, (osrkit::PROGRAMS[0].name, None), "fired").is_empty()
    };
    // Of those without transitions only what LLVM has built is shown, with nothing.
    let all = found.mechanisms().into_iter();
    let mechanisms: Vec<(Mechanism, &str)> =
        all.filter(|(mechanism, _)| is_there(mechanism) || *mechanism == orc()).collect();
    if mechanisms.is_empty() {
        return None;
    }
    let first = mechanisms.iter().map(|(mechanism, _)| mechanism).find(|mechanism| is_there(mechanism));
    let said = |figure: String| Figure { figure, below: String::new() };
    let unknown = || said("-".to_owned());
    let count = |estimate: &Estimate| Figure::of(estimate, |count| format!("{count:.0}"), 0.0, [0.0; 2]);
    let counted = |name: &str, metric| {
        first.map_or_else(Figure::none, |mechanism| found.figure(mechanism, (name, None), metric, count))
    };
    let each = |name: &str, metric: &str| -> Vec<Figure> {
        mechanisms.iter().map(|(mechanism, _)| found.time(mechanism, (name, None), metric)).collect()
    };
    let empty = || vec![Figure::none(); mechanisms.len()];
    let names = |what: &str| mechanisms.iter().map(|(_, name)| format!("{what}, {name}")).collect::<Vec<_>>();
    let transitions = |&Theirs { name, transition, live }: &Theirs| {
        let mut figures = vec![
            live.map_or_else(unknown, |live| said(live.to_string())),
            counted(name, "live values"),
            counted(name, "fired"),
            transition.map_or_else(unknown, |time| said(format!("{time:.2} ns"))),
        ];
        figures.extend(each(name, "transition"));
        (name.to_owned(), figures)
    };
    let ranges =
        ["0 to 15", "-", "6 M to 19.4 G (theirs)", "-0.03 to 8.3 ns"].map(|range| said(range.to_owned()));
    let header = ["live values, CGO'16", "live values", "fired", "transition, CGO'16"].map(str::to_owned);
    let table_2 = Grid {
        title: "One transition, by OSRKit's formula",
        caption: "(Always firing - never firing) / fired, beside Table 2 of D'Elia and Demetrescu, \u{201c}Flexible On-Stack \
                  Replacement in LLVM\u{201d} (CGO 2016), optimized code: -: not known of theirs but for the ranges in the last row. \
                  Live values: the median landing's. Theirs is a tail call between two clones; here a frame is taken from the \
                  stack, and rebuilt in other code, which is there.",
        corner: "program",
        header: header.into_iter().chain(names("transition")).collect(),
        rows: osrkit::PROGRAMS
            .iter()
            .map(transitions)
            .chain([("all of theirs".to_owned(), ranges.into_iter().chain(empty()).collect())])
            .collect(),
        notes: found.notes(),
        command: found.command()?,
    };
    let continuations = |&Theirs { name, .. }: &Theirs| {
        let figures = each(name, "continuation").into_iter().chain(each(name, "continuation by instruction"));
        (name.to_owned(), [unknown()].into_iter().chain(figures).collect())
    };
    let ranges = ["76 to 811 µs, 4.2 to 6.6 µs an instruction"].map(|range| said(range.to_owned()));
    let table_3 = Grid {
        title: "Making a continuation, beside OSRKit's",
        caption: "How long a continuation takes to be compiled, and by IR instruction of its body, beside Table 3 of the same paper, \
                  whose IR is LLVM's. Inserting a point takes them 12.9 to 16.3 µs, and making its stub 18.7 to 40 µs: here every entry, \
                  call and loop header is a point from the start, and there is one stub.",
        corner: "program",
        header: ["CGO'16".to_owned()]
            .into_iter()
            .chain(names("continuation"))
            .chain(names("an instruction"))
            .collect(),
        rows: osrkit::PROGRAMS
            .iter()
            .map(continuations)
            .chain([("all of theirs".to_owned(), ranges.into_iter().chain(empty()).chain(empty()).collect())])
            .collect(),
        notes: Vec::new(),
        command: found.command()?,
    };
    Some([table_2, table_3])
}
