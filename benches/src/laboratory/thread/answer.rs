//! The answer: a line for each mechanism.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};
use serde::Serialize;

use crate::laboratory::kernels;
use crate::laboratory::results::{Record, Series};
use crate::laboratory::show;
use crate::laboratory::statistics::{Estimate, estimate, estimate_of, percentile};
use crate::laboratory::wide_table::WideTable;

use super::EXPERIMENTS;

/// Intervals that are wider than this, to either side, are marked.
const NOISE: f64 = 0.05;

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
    /// To the memory given back.
    pub(crate) memory: Option<Tail>,
    /// The same in a loop that does not end.
    pub(crate) endless: Option<Estimate>,
    /// Bytes of code relative to bare code, geometric mean.
    pub(crate) code: Option<Estimate>,
    /// Bytes for each replaced frame.
    pub(crate) record: Option<Estimate>,
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
    series: BTreeMap<Series, Vec<f64>>,
}

impl Samples<'_> {
    fn get(&self, experiment: &str, program: &str, metric: &str, size: Option<u64>) -> Option<&Vec<f64>> {
        let is_it = |series: &&Series| {
            (&*series.experiment, &*series.program, &*series.metric) == (experiment, program, metric)
                && size.is_none_or(|size| series.size == Some(size))
        };
        let found = self.series.keys().find(is_it)?;
        self.series.get(found).filter(|samples| !samples.is_empty())
    }

    /// The smallest and the largest size, with their samples.
    fn ends(&self, experiment: &str, program: &str, metric: &str) -> Option<[(u64, &[f64]); 2]> {
        let is_it = |series: &Series| {
            (&*series.experiment, &*series.program, &*series.metric) == (experiment, program, metric)
        };
        let mut of = self.series.iter().filter(|(series, samples)| is_it(series) && !samples.is_empty());
        let mut end = || of.next().and_then(|(series, samples)| Some((series.size?, &**samples)));
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
        let mut series: Vec<&[f64]> = Vec::new();
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

    /// The geometric means over all programs, by sample: samples of programs are independent.
    fn over_programs(&self, metric: &str) -> Option<Estimate> {
        let is_it = |series: &Series| {
            series.experiment == "steady" && series.metric == metric && !kernels::is_kernel(&series.program)
        };
        let all: Vec<&Vec<f64>> = self
            .series
            .iter()
            .filter(|(series, samples)| is_it(series) && !samples.is_empty())
            .map(|(_, s)| s)
            .collect();
        let fewest = all.iter().map(|samples| samples.len()).min()?;
        let mean = |sample: usize| {
            let logarithms: f64 = all.iter().map(|samples| samples[sample].ln()).sum();
            (logarithms / all.len() as f64).exp()
        };
        estimate(&(0..fewest).map(mean).collect::<Vec<_>>())
    }

    fn tail(&self, metric: &str) -> Option<Tail> {
        let samples = self.get("latency", "descent", metric, None)?;
        let at = |percent| percentile(samples, percent);
        Some(Tail { estimate: estimate(samples)?, p95: at(95.0)?, p99: at(99.0)?, maximum: at(100.0)? })
    }

    fn answer(&self, mechanism: String) -> Answer {
        let of = |experiment, program, metric| {
            self.get(experiment, program, metric, None).and_then(|samples| estimate(samples))
        };
        let record = self.ends("memory", "frames", "records").and_then(|[_, (_, samples)]| estimate(samples));
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
            memory: self.tail("memory"),
            endless: of("infinite-loop", "infinite loop", "memory"),
            code: self.over_programs("code"),
            record,
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
        notes
    }
}

/// The answers in `records`, in the order in which mechanisms appear there. Experiments that choose their own mechanisms have
/// [tables](mod@super::grids) of their own.
pub(crate) fn answers(records: &[Record]) -> Vec<Answer> {
    let of_all = |record: &&Record| {
        EXPERIMENTS.iter().any(|known| known.name == record.experiment && known.own_mechanisms.is_none())
    };
    let records: Vec<&Record> = records.iter().filter(of_all).collect();
    let mut order: Vec<&str> = Vec::new();
    for record in &records {
        if !order.contains(&&*record.mechanism) {
            order.push(&record.mechanism);
        }
    }
    let answer = |mechanism: &str| {
        let mine: Vec<&Record> =
            records.iter().copied().filter(|record| record.mechanism == mechanism).collect();
        let mut series: BTreeMap<Series, Vec<f64>> = BTreeMap::new();
        for record in &mine {
            series.entry(record.series()).or_default().extend(&record.finding.samples);
        }
        Samples { records: mine, series }.answer(mechanism.to_owned())
    };
    order.into_iter().map(answer).collect()
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
    /// The figure with the interval of `estimate`, both shown by `show`; `~` if the interval is `wide`. A unit that both
    /// ends have stands behind the second.
    pub(crate) fn of(estimate: &Estimate, show: impl Fn(f64) -> String, wide: bool) -> Figure {
        let [figure, mut low, high] = [estimate.median, estimate.low, estimate.high].map(show);
        let mark = if wide { " ~" } else { "" };
        if let (Some((number, unit)), Some((_, same))) = (low.split_once(' '), high.split_once(' '))
            && unit == same
        {
            low.truncate(number.len());
        }
        let below = if estimate.samples > 1 { format!("{low} to {high}{mark}") } else { String::new() };
        Figure { figure, below }
    }

    /// A time.
    pub(crate) fn time(estimate: &Estimate) -> Figure {
        Figure::of(estimate, nanoseconds, estimate.relative_half_width() > NOISE)
    }

    /// What a ratio adds, in percent. It is wide against what there is to cost, not against the ratio.
    pub(crate) fn percent(estimate: &Estimate) -> Figure {
        /// Wider intervals are marked.
        const WIDE: f64 = 0.02;
        Figure::of(estimate, percent, estimate.high - estimate.low > WIDE)
    }

    /// A median with its tail.
    fn tail(tail: &Tail) -> Figure {
        let Figure { figure, below } = Figure::time(&tail.estimate);
        Figure { figure: format!("{figure}, p99 {}", nanoseconds(tail.p99)), below }
    }

    /// Nothing.
    pub(crate) fn none() -> Figure {
        Figure { figure: "-".to_owned(), below: String::new() }
    }

    /// On one line, or two.
    fn text(&self) -> String {
        if self.below.is_empty() { self.figure.clone() } else { format!("{}\n{}", self.figure, self.below) }
    }
}

/// A column: its header, and what it says of a mechanism.
type Column = (&'static str, fn(&Answer) -> Option<Figure>);

/// All columns, as many in a table as a page has room for.
const COLUMNS: [[Column; 6]; 2] = [COSTS, OUTCOMES];

/// What a mechanism costs.
const COSTS: [Column; 6] = [
    ("steady", |answer| answer.steady.as_ref().map(Figure::percent)),
    ("a call", |answer| answer.call.as_ref().map(Figure::time)),
    ("an iteration", |answer| answer.iteration.as_ref().map(Figure::time)),
    ("update, a site", |answer| answer.site.as_ref().map(Figure::time)),
    ("update, a frame", |answer| answer.frame.as_ref().map(Figure::time)),
    ("landing", |answer| answer.landing.as_ref().map(Figure::time)),
];

/// What comes of it, when, and in how much memory.
const OUTCOMES: [Column; 6] = [
    ("new call after", |answer| answer.new_call.as_ref().map(Figure::tail)),
    ("new frame after", |answer| answer.new_frame.as_ref().map(Figure::tail)),
    ("memory after", |answer| answer.memory.as_ref().map(Figure::tail)),
    ("in an endless loop", |answer| answer.endless.as_ref().map(Figure::time)),
    ("code", |answer| answer.code.as_ref().map(Figure::percent)),
    ("a record", |answer| {
        let bytes = |bytes: f64| format!("{bytes:.0} B");
        answer.record.as_ref().map(|record| Figure::of(record, bytes, false))
    }),
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
    text += LEGEND;
    for Answer { mechanism, notes, .. } in answers {
        text.extend(notes.iter().map(|note| format!("{mechanism}: {note}\n")));
    }
    text
}

/// A table without its corner: its header, and named rows.
type Rows = (Vec<String>, Vec<(String, Vec<Figure>)>);

/// The answers in tables, with the columns in which there is anything.
pub(crate) fn tables(answers: &[Answer]) -> impl Iterator<Item = Rows> {
    let table = |columns: &[Column; 6]| {
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
Medians, and 95% intervals by bootstrap; of steady and code over processes, of geometric means over programs.
Against code that cannot be replaced: steady (time of programs, geometric mean), a call, an iteration, code (bytes).
An update: what each call site and each active frame adds to it. Landing: what a replaced frame adds to the way back.
After an invalidation under frames, with its 99th percentile: until the next call of an invalidated function enters new
code, which is compiled in between, the same event under all mechanisms; until the first old frame continues in other
code (the interpreter, unless the mechanism says otherwise; never where frames run out); until the old memory is given back.
-: not measured, or it does not happen. ~: the interval is wide.
";
