//! OSRKit's Tables 2 and 3, with ours beside: a row for each of their programs, and one for their ranges.

use osr_engine::Mechanism;

use super::super::answer::Figure;
use super::super::order::orc;
use super::super::osrkit::{PROGRAMS, Theirs};
use super::{Grid, Results};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::Estimate;

/// The results, and whose they are.
struct Ours<'r> {
    found: Results<'r>,
    /// Of those without transitions only what LLVM has built is shown, with nothing.
    mechanisms: Vec<(Mechanism, &'r str)>,
}

impl<'r> Ours<'r> {
    /// None if nothing was measured.
    fn of(records: &'r [Record]) -> Option<Ours<'r>> {
        let found = Results::of(records, "osrkit");
        let mut mechanisms = found.mechanisms();
        mechanisms.retain(|(mechanism, _)| has_transitions(&found, mechanism) || *mechanism == orc());
        (!mechanisms.is_empty()).then_some(Ours { found, mechanisms })
    }

    /// `what` of each mechanism.
    fn header(&self, what: &str) -> impl Iterator<Item = String> {
        self.mechanisms.iter().map(move |(_, name)| format!("{what}, {name}"))
    }

    /// The times of each mechanism.
    fn times(&self, program: &str, metric: &str) -> impl Iterator<Item = Figure> {
        self.mechanisms.iter().map(move |(mechanism, _)| self.found.time(mechanism, (program, None), metric))
    }

    /// A count that does not depend on the mechanism.
    fn count(&self, program: &str, metric: &str) -> Figure {
        let show = |estimate: &Estimate| Figure::count(estimate, |count| format!("{count:.0}"));
        let mut measured =
            self.mechanisms.iter().filter(|(mechanism, _)| has_transitions(&self.found, mechanism));
        let figure =
            |(mechanism, _): &(Mechanism, _)| self.found.figure(mechanism, (program, None), metric, show);
        measured.next().map_or_else(Figure::none, figure)
    }
}

fn has_transitions(found: &Results<'_>, mechanism: &Mechanism) -> bool {
    !found.samples(mechanism, (PROGRAMS[0].name, None), "fired").is_empty()
}

/// A row for each of their programs by `row`, and one for what is known of `all` of theirs, which has no figures of ours.
fn rows(row: impl Fn(&Theirs) -> Vec<Figure>, all: &[&str]) -> Vec<(String, Vec<Figure>)> {
    let mut rows: Vec<_> = PROGRAMS.iter().map(|program| (program.name.to_owned(), row(program))).collect();
    let columns = rows.first().map_or(0, |(_, figures)| figures.len());
    let mut ranges: Vec<Figure> = all.iter().map(|range| Figure::said(*range)).collect();
    ranges.resize(columns, Figure::none());
    rows.push(("all of theirs".to_owned(), ranges));
    rows
}

/// Beside Table 2.
pub(super) fn transitions(records: &[Record]) -> Option<Grid> {
    let ours = Ours::of(records)?;
    let row = |&Theirs { name, transition, live }: &Theirs| {
        let mut figures = vec![
            live.map_or_else(Figure::none, |live| Figure::said(live.to_string())),
            ours.count(name, "live values"),
            ours.count(name, "fired"),
            transition.map_or_else(Figure::none, |time| Figure::said(format!("{time:.2} ns"))),
        ];
        figures.extend(ours.times(name, "transition"));
        figures
    };
    let header = ["live values, CGO'16", "live values", "fired", "transition, CGO'16"].map(str::to_owned);
    Some(Grid {
        title: "One transition, by OSRKit's formula",
        caption: "(Always firing - never firing) / fired, beside Table 2 of D'Elia and Demetrescu, \u{201c}Flexible On-Stack \
                  Replacement in LLVM\u{201d} (CGO 2016), optimized code; where there is no figure of theirs, only the ranges in the \
                  last row are known. Live values: the median landing's. Theirs is a tail call between two clones; here a \
                  frame is taken from the stack, and rebuilt in other code, which is there.",
        corner: "program",
        header: header.into_iter().chain(ours.header("transition")).collect(),
        rows: rows(row, &["0 to 15", "-", "6 M to 19.4 G (theirs)", "-0.03 to 8.3 ns"]),
        notes: ours.found.notes(),
        command: ours.found.command()?,
    })
}

/// Beside Table 3.
pub(super) fn continuations(records: &[Record]) -> Option<Grid> {
    let ours = Ours::of(records)?;
    let row = |&Theirs { name, .. }: &Theirs| {
        let times = ours.times(name, "continuation").chain(ours.times(name, "continuation by instruction"));
        [Figure::none()].into_iter().chain(times).collect()
    };
    let header = ours.header("continuation").chain(ours.header("an instruction"));
    Some(Grid {
        title: "Making a continuation, beside OSRKit's",
        caption: "How long a continuation takes to be compiled, and by IR instruction of its body, beside Table 3 of the same paper, \
                  whose IR is LLVM's. Inserting a point takes them 12.9 to 16.3 µs, and making its stub 18.7 to 40 µs: here every entry, \
                  call and loop header is a point from the start, and there is one stub.",
        corner: "program",
        header: ["CGO'16".to_owned()].into_iter().chain(header).collect(),
        rows: rows(row, &["76 to 811 µs, 4.2 to 6.6 µs an instruction"]),
        notes: Vec::new(),
        command: ours.found.command()?,
    })
}
