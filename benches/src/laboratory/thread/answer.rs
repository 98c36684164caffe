//! The answer: a line for each mechanism.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};
use osr_engine::Mechanism;
use serde::Serialize;

use crate::laboratory::kernels;
use crate::laboratory::results::{Record, Series, processes};
use crate::laboratory::show;
use crate::laboratory::statistics::{
    Estimate, Processes, Steadiness, estimate, estimate_of, geometric_mean_of_medians, percentile,
};
use crate::laboratory::wide_table::WideTable;

use super::EXPERIMENTS;
use super::latency;
use super::order::in_order;

/// Intervals that are wider than this, to either side, are marked once, and twice.
const NOISE: [f64; 2] = [0.05, 0.2];

/// What is known of a mechanism. What was not measured, or never happens, is missing.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Answer {
    /// What the mechanism is called.
    pub(crate) mechanism: String,
    /// Time of programs relative to bare code, geometric mean.
    pub(crate) steady: Option<Estimate>,
    /// What a call costs more than in bare code, in nanoseconds.
    pub(crate) call: Option<Estimate>,
    /// What an iteration costs more.
    pub(crate) iteration: Option<Estimate>,
    /// What each call site adds to an update, in nanoseconds.
    pub(crate) site: Option<Estimate>,
    /// What each active frame adds to an update.
    pub(crate) frame: Option<Estimate>,
    /// What a replaced frame adds to the way back.
    pub(crate) landing: Option<Estimate>,
    /// From the invalidation to the first call of new code, in nanoseconds.
    pub(crate) new_call: Option<Tail>,
    /// To the first old frame that continues in other code.
    pub(crate) new_frame: Option<Tail>,
    /// Until nothing will return into old code.
    pub(crate) old_code: Option<Tail>,
    /// To the memory given back.
    pub(crate) memory: Option<Tail>,
    /// The same for code of a loop that does not end.
    pub(crate) endless: Option<Estimate>,
    /// For code of a function that waits for such a loop.
    pub(crate) waiting: Option<Estimate>,
    /// Bytes of code relative to bare code, geometric mean.
    pub(crate) code: Option<Estimate>,
    /// What was not found, and why.
    pub(crate) notes: Vec<String>,
}

/// A median with its tail.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tail {
    /// The median.
    #[serde(flatten)]
    pub(crate) estimate: Estimate,
    /// 95 of 100 are not above.
    pub(crate) p95: f64,
    /// 99 of 100 are not above.
    pub(crate) p99: f64,
    /// The highest.
    pub(crate) maximum: f64,
}

/// The samples of one mechanism.
struct Samples<'r> {
    records: Vec<&'r Record>,
    series: BTreeMap<Series, Processes>,
}

impl Samples<'_> {
    fn get(&self, experiment: &str, program: &str, metric: &str) -> Option<&Processes> {
        let is_it = |series: &Series| {
            (&*series.experiment, &*series.program, &*series.metric) == (experiment, program, metric)
        };
        self.series.iter().find(|(series, _)| is_it(series)).map(|(_, processes)| processes)
    }

    /// The smallest and the largest size, with their samples.
    fn ends(&self, experiment: &str, program: &str, metric: &str) -> Option<[(u64, &Processes); 2]> {
        let is_it = |series: &Series| {
            (&*series.experiment, &*series.program, &*series.metric) == (experiment, program, metric)
        };
        let mut of = self.series.iter().filter(|(series, _)| is_it(series));
        let mut end = || of.next().and_then(|(series, processes)| Some((series.size?, processes)));
        let few = end()?;
        let many = std::iter::from_fn(end).last()?;
        Some([few, many])
    }

    /// What each of what the sizes count adds to the sum of `added` metrics less that of `taken` ones, from the smallest to
    /// the largest. Those of `added` that were not measured, but the first, count as nothing.
    fn slope(&self, program: &str, added: &[&str], taken: &[&str]) -> Option<Estimate> {
        let ends = |metric: &str| self.ends("update", program, metric);
        ends(added.first()?)?;
        let of = added.iter().map(|metric| (1.0, metric)).chain(taken.iter().map(|metric| (-1.0, metric)));
        let mut weights: Vec<f64> = Vec::new();
        let mut series: Vec<&Processes> = Vec::new();
        for (sign, metric) in of {
            let Some([(few, least), (many, most)]) = ends(metric) else { continue };
            weights.push(sign / (many - few) as f64);
            series.extend([least, most]);
        }
        estimate_of(&series, |medians| {
            let differences = medians.chunks(2).map(|ends| ends[1] - ends[0]);
            differences.zip(&weights).map(|(difference, weight)| difference * weight).sum()
        })
    }

    /// The geometric means over all programs.
    fn over_programs(&self, metric: &str) -> Option<Estimate> {
        let is_it = |series: &Series| {
            series.experiment == "steady" && series.metric == metric && !kernels::is_kernel(&series.program)
        };
        let all: Vec<&Processes> =
            self.series.iter().filter(|(series, _)| is_it(series)).map(|(_, processes)| processes).collect();
        geometric_mean_of_medians(&all)
    }

    fn tail(&self, metric: &str) -> Option<Tail> {
        let processes = self.get("latency", latency::PROGRAM, metric)?;
        let samples = processes.all();
        let at = |percent| percentile(&samples, percent);
        Some(Tail { estimate: estimate(processes)?, p95: at(95.0)?, p99: at(99.0)?, maximum: at(100.0)? })
    }

    fn answer(&self, mechanism: String) -> Answer {
        let of = |experiment, program, metric| self.get(experiment, program, metric).and_then(estimate);
        Answer {
            mechanism,
            steady: self.over_programs("time"),
            call: of("steady", "calls", "per call"),
            iteration: of("steady", "loop", "per iteration"),
            site: self.slope("call sites", &["unbind", "bind"], &[]),
            frame: self.slope("frames", &["replace"], &[]),
            landing: self.slope("frames", &["land"], &["return"]),
            new_call: self.tail("new call"),
            new_frame: self.tail("new frame"),
            old_code: self.tail("old code"),
            memory: self.tail("memory"),
            endless: of("infinite-loop", "infinite loop", "memory"),
            waiting: of("infinite-loop", "waits for the loop", "memory"),
            code: self.over_programs("code"),
            notes: self.notes(),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for Record { experiment, finding, .. } in &self.records {
            let Some(note) = finding.note.as_ref().filter(|_| finding.samples.is_empty()) else { continue };
            let note = match finding.is_nothing() {
                true if note.starts_with("refused: ") => note.clone(),
                true => format!("{experiment}: {note}"),
                false => format!("{experiment}, {}: {note}", finding.metric),
            };
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes.extend(unsteady(&self.records));
        notes
    }
}

/// How many processes of each experiment reached no steady state in what they measured, and in what; nothing of those that all
/// did.
pub(super) fn unsteady(records: &[&Record]) -> Vec<String> {
    let mut experiments: BTreeMap<&str, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for Record { experiment, finding, .. } in records {
        let Some(steadiness) = finding.steadiness else { continue };
        let (all, unsteady) = experiments.entry(experiment).or_default();
        *all += 1;
        if steadiness == Steadiness::None {
            let size = finding.size.map_or(String::new(), |size| format!(" {size}"));
            *unsteady.entry(format!("{} {}{size}", finding.program, finding.metric)).or_default() += 1;
        }
    }
    let note = |(experiment, (all, unsteady)): (&str, (usize, BTreeMap<String, usize>))| {
        let none: usize = unsteady.values().sum();
        let most = unsteady.iter().max_by_key(|(_, count)| **count)?.0;
        Some(format!(
            "{experiment}: {none} of {all} series of a process reached no steady state (most: {most})"
        ))
    };
    experiments.into_iter().filter_map(note).collect()
}

/// The answers in `records`, presets first. Experiments that choose their own mechanisms have [tables](mod@super::grids) of
/// their own.
pub(crate) fn answers(records: &[Record]) -> Vec<Answer> {
    let of_all = |record: &&Record| {
        EXPERIMENTS.iter().any(|known| known.name == record.experiment && known.own_mechanisms.is_none())
    };
    let records: Vec<&Record> = records.iter().filter(of_all).collect();
    let answer = |(_, mechanism): (Mechanism, &str)| {
        let mine: Vec<&Record> =
            records.iter().copied().filter(|record| record.mechanism == mechanism).collect();
        let mut series: BTreeMap<Series, Vec<&Record>> = BTreeMap::new();
        for record in mine.iter().filter(|record| !record.finding.samples.is_empty()) {
            series.entry(record.series()).or_default().push(record);
        }
        let series = series.into_iter().map(|(series, records)| (series, processes(records))).collect();
        Samples { records: mine, series }.answer(mechanism.to_owned())
    };
    in_order(records.iter().copied()).into_iter().map(answer).collect()
}

/// What a table says in a place: a figure, and below it how well that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    /// The figure.
    pub(crate) figure: String,
    /// Its interval, tail, or source.
    pub(crate) below: String,
}

impl Figure {
    /// The figure with the interval of `estimate`, both shown by `show`, and marks; `~` for a wide interval, if `width` is more
    /// than the first of `wide`, and twice that if more than the second. A unit that both ends have stands behind the second.
    pub(crate) fn of(
        estimate: &Estimate,
        show: impl Fn(f64) -> String,
        width: f64,
        wide: [f64; 2],
    ) -> Figure {
        let Estimate { median, low, high, processes, unsteady, .. } = *estimate;
        let [figure, mut least, most] = [median, low, high].map(show);
        if let (Some((number, unit)), Some((_, same))) = (least.split_once(' '), most.split_once(' '))
            && unit == same
        {
            least.truncate(number.len());
        }
        let interval = if low < high { format!("{least} to {most}") } else { String::new() };
        let noise = "~".repeat(wide.iter().filter(|&&wide| width > wide).count());
        let unsteady = if unsteady > 0 { "!" } else { "" };
        let single = if processes == 1 { "?" } else { "" };
        let parts = [&*interval, &noise, unsteady, single];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Figure { figure, below: parts.join(" ") }
    }

    /// A time.
    pub(crate) fn time(estimate: &Estimate) -> Figure {
        Figure::of(estimate, nanoseconds, estimate.relative_half_width(), NOISE)
    }

    /// A count.
    pub(crate) fn count(estimate: &Estimate, show: impl Fn(f64) -> String) -> Figure {
        Figure::of(estimate, show, estimate.relative_half_width(), NOISE)
    }

    /// What a ratio adds, in percent. It is wide against what there is to cost, not against the ratio.
    pub(crate) fn percent(estimate: &Estimate) -> Figure {
        Figure::of(estimate, percent, estimate.high - estimate.low, [0.02, 0.05])
    }

    /// A median with its tail.
    fn tail(tail: &Tail) -> Figure {
        let Figure { figure, below } = Figure::time(&tail.estimate);
        Figure { figure: format!("{figure}, p99 {}", nanoseconds(tail.p99)), below }
    }

    /// Nothing.
    pub(crate) fn none() -> Figure {
        Figure::said("-")
    }

    /// What is not measured: a word, or somebody else's figure.
    pub(crate) fn said(figure: impl Into<String>) -> Figure {
        Figure { figure: figure.into(), below: String::new() }
    }

    /// On one line, or two.
    fn text(&self) -> String {
        if self.below.is_empty() { self.figure.clone() } else { format!("{}\n{}", self.figure, self.below) }
    }
}

/// A column: its header, and what it says of a mechanism.
type Column = (&'static str, fn(&Answer) -> Option<Figure>);

/// All columns, as many in a table as a page has room for.
const COLUMNS: [&[Column]; 2] = [&COSTS, &OUTCOMES];

/// What a mechanism costs.
const COSTS: [Column; 6] = [
    ("steady", |answer| answer.steady.as_ref().map(Figure::percent)),
    ("a call", |answer| answer.call.as_ref().map(Figure::time)),
    ("an iteration", |answer| answer.iteration.as_ref().map(Figure::time)),
    ("update, a site", |answer| answer.site.as_ref().map(Figure::time)),
    ("update, a frame", |answer| answer.frame.as_ref().map(Figure::time)),
    ("landing", |answer| answer.landing.as_ref().map(Figure::time)),
];

/// What comes of it, and when; and in how much code.
const OUTCOMES: [Column; 7] = [
    ("new call after", |answer| answer.new_call.as_ref().map(Figure::tail)),
    ("new frame after", |answer| answer.new_frame.as_ref().map(Figure::tail)),
    ("old code gone after", |answer| answer.old_code.as_ref().map(Figure::tail)),
    ("memory after", |answer| answer.memory.as_ref().map(Figure::tail)),
    ("of an endless loop", |answer| answer.endless.as_ref().map(Figure::time)),
    ("of what waits for it", |answer| answer.waiting.as_ref().map(Figure::time)),
    ("code", |answer| answer.code.as_ref().map(Figure::percent)),
];

/// `+1.2%`
fn percent(ratio: f64) -> String {
    format!("{:+.1}%", (ratio - 1.0) * 100.0)
}

/// Three digits of a number below a thousand. What rounds to nothing has no sign.
fn digits(number: f64) -> String {
    match number.abs() {
        ..0.005 => "0.00".to_owned(),
        ..9.995 => format!("{number:.2}"),
        ..99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// A time with a unit that suits it, and three digits.
pub(crate) fn nanoseconds(time: f64) -> String {
    match time.abs() {
        ..999.5 => format!("{} ns", digits(time)),
        ..999.5e3 => format!("{} µs", digits(time / 1e3)),
        _ => format!("{} ms", digits(time / 1e6)),
    }
}

/// The answers as a table with notes; nothing if there are none.
pub(crate) fn text(answers: &[Answer]) -> String {
    if answers.is_empty() {
        return String::new();
    }
    let mut text: String = tables(answers)
        .map(|(header, rows)| format!("{}\n", table("mechanism", header.into_iter(), &rows)))
        .collect();
    text += &difference(answers).map_or_else(String::new, |line| line + "\n");
    text += LEGEND;
    for Answer { mechanism, notes, .. } in answers {
        text.extend(notes.iter().map(|note| format!("{mechanism}: {note}\n")));
    }
    text
}

/// What the thread proposes against what LLVM has built, in one line; none if not both are there.
pub(crate) fn difference(answers: &[Answer]) -> Option<String> {
    let of = |name: &str| answers.iter().find(|answer| answer.mechanism == name);
    let (proposed, built) = (of("thread-2015")?, of("orc")?);
    let part = |(name, show): &Column| {
        let [mine, theirs] = [proposed, built].map(|answer| show(answer).map(|figure| figure.figure));
        let missing = if name.ends_with("after") || name.starts_with("of ") { "never" } else { "-" };
        (mine.is_some() || theirs.is_some()).then(|| {
            let [mine, theirs] = [mine, theirs].map(|figure| figure.unwrap_or_else(|| missing.to_owned()));
            format!("{name} {mine} against {theirs}")
        })
    };
    let parts: Vec<String> = COLUMNS.iter().flat_map(|columns| columns.iter().filter_map(part)).collect();
    (!parts.is_empty()).then(|| format!("thread-2015 against orc: {}.", parts.join("; ")))
}

/// A table without its corner: its header, and named rows.
type Rows = (Vec<String>, Vec<(String, Vec<Figure>)>);

/// The answers in tables, with the columns in which there is anything.
pub(crate) fn tables(answers: &[Answer]) -> impl Iterator<Item = Rows> {
    let table = |columns: &&[Column]| {
        let is_known = |column: &&Column| answers.iter().any(|answer| (column.1)(answer).is_some());
        let shown: Vec<&Column> = columns.iter().filter(is_known).collect();
        let row = |answer: &Answer| {
            let figures = shown.iter().map(|(_, show)| show(answer).unwrap_or_else(Figure::none)).collect();
            (answer.mechanism.clone(), figures)
        };
        (shown.iter().map(|(name, _)| (*name).to_owned()).collect(), answers.iter().map(row).collect())
    };
    COLUMNS.iter().map(table).filter(|(header, _): &Rows| !header.is_empty())
}

/// Named rows of figures as a table.
pub(crate) fn table(
    corner: &str,
    header: impl Iterator<Item = String>,
    rows: &[(String, Vec<Figure>)],
) -> WideTable {
    let header: Vec<String> = [corner.to_owned()].into_iter().chain(header).collect();
    let mut table = show::table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, figures) in rows {
        let mut cells = vec![Cell::new(name).set_alignment(CellAlignment::Left)];
        cells.extend(figures.iter().map(|figure| Cell::new(figure.text())));
        table.add_row(cells);
    }
    table
}

/// What columns mean.
pub(crate) const LEGEND: &str = "\
Medians, and 95% intervals by bootstrap: processes are resampled, and then the samples of each.
Against code that cannot be replaced: steady (time of programs, geometric mean), a call, an iteration, code (bytes).
An update: what each call site and each active frame adds to it. Landing: what a replaced frame adds to the way back.
After an invalidation under frames, with its 99th percentile: until the next call of an invalidated function enters new
code, which is compiled in between, the same event under all mechanisms; until the first old frame continues in other
code (the interpreter, unless the mechanism says otherwise; never where frames run out); until nothing will return into old
code; until the old memory is given back: of what has frames on the stack (if they run out, mostly at the next arrival in the
runtime: here the next call); of an endless loop; and of a function that waits for such a loop to return.
-: not measured, or it does not happen. ~: the interval is wide; ~~: very. !: some process reached no steady state; the second
half of its samples is taken. ?: a single process: others may differ by more. No interval: all are the same.
";

#[cfg(test)]
mod tests {
    use super::Figure;
    use crate::laboratory::statistics::{Processes, estimate};

    fn below(processes: &Processes) -> String {
        Figure::time(&estimate(processes).unwrap()).below
    }

    #[test]
    fn how_well_a_figure_is_known_is_beside_it() {
        let near: Vec<Vec<f64>> = (0..5).map(|n| vec![100.0 + f64::from(n); 3]).collect();
        let of = |spread: f64| {
            let processes: Vec<Vec<f64>> = (0..6).map(|n| vec![100.0 + spread * f64::from(n); 3]).collect();
            Processes::of(processes.iter().map(Vec::as_slice))
        };
        assert_eq!(below(&Processes::of(near.iter().map(Vec::as_slice))), "100 to 104 ns");
        assert!(below(&of(5.0)).ends_with(" ns ~"), "{}", below(&of(5.0)));
        assert!(below(&of(50.0)).ends_with(" ns ~~"), "{}", below(&of(50.0)));
        assert_eq!(below(&Processes::one(&[7.0])), "?", "a single sample is no measurement of others");
        assert_eq!(below(&Processes::one(&[7.0; 9])), "?", "nor is a single process");
        assert!(below(&Processes::one(&[100.0, 101.0, 102.0])).ends_with(" ns ?"));
        assert_eq!(below(&Processes::of([&[7.0][..]; 5])), "", "all are the same");
        let mut unsteady = of(0.0);
        unsteady.add(&[100.0], true);
        assert_eq!(below(&unsteady), "!");
    }
}
