//! The answer: a line for each mechanism.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};
use serde::Serialize;

use crate::laboratory::kernels;
use crate::laboratory::results::{NOTHING, Record, Series};
use crate::laboratory::show;
use crate::laboratory::statistics::{Estimate, estimate, percentile};

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
    pub(crate) site: Option<f64>,
    /// What each active frame adds to an update.
    pub(crate) frame: Option<f64>,
    /// What a replaced frame adds to the way back.
    pub(crate) landing: Option<f64>,
    /// From the invalidation to the first new code, in nanoseconds.
    pub(crate) new_code: Option<Tail>,
    /// To the memory given back.
    pub(crate) memory: Option<Tail>,
    /// The same in a loop that does not end.
    pub(crate) endless: Option<f64>,
    /// Bytes of code relative to bare code, geometric mean.
    pub(crate) code: Option<f64>,
    /// Bytes for each replaced frame.
    pub(crate) record: Option<f64>,
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

    /// Medians by size, ascending.
    fn curve(&self, experiment: &str, program: &str, metric: &str) -> Vec<(u64, f64)> {
        let is_it = |series: &Series| {
            (&*series.experiment, &*series.program, &*series.metric) == (experiment, program, metric)
        };
        let of = self.series.iter().filter(|(series, _)| is_it(series));
        of.filter_map(|(series, samples)| Some((series.size?, estimate(samples)?.median))).collect()
    }

    /// What each of what the sizes count adds, from the smallest to the largest.
    fn slope(&self, experiment: &str, program: &str, metric: &str) -> Option<f64> {
        let curve = self.curve(experiment, program, metric);
        let (&(few, least), &(many, most)) = (curve.first()?, curve.last()?);
        (many > few).then(|| (most - least) / (many - few) as f64)
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
        let of =
            |program, metric| self.get("steady", program, metric, None).and_then(|samples| estimate(samples));
        let slope = |metric| self.slope("update", "call sites", metric);
        let plain = self.slope("update", "frames", "return");
        Answer {
            mechanism,
            steady: self.over_programs("time"),
            call: of("calls", "per call"),
            iteration: of("loop", "per iteration"),
            site: slope("unbind").map(|unbind| unbind + slope("bind").unwrap_or(0.0)),
            frame: self.slope("update", "frames", "replace"),
            landing: self.slope("update", "frames", "land").zip(plain).map(|(land, plain)| land - plain),
            new_code: self.tail("new code"),
            memory: self.tail("memory"),
            endless: self.get("infinite-loop", "infinite loop", "memory", None).map(|samples| samples[0]),
            code: self.over_programs("code").map(|code| code.median),
            record: self.curve("memory", "frames", "records").last().map(|&(_, bytes)| bytes),
            notes: self.notes(),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for Record { experiment, finding, .. } in &self.records {
            let Some(note) = finding.note.as_ref().filter(|_| finding.samples.is_empty()) else { continue };
            let note = match finding.metric == NOTHING {
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

/// The answers in `records`, in the order in which mechanisms appear there.
pub(crate) fn answers(records: &[Record]) -> Vec<Answer> {
    let mut order: Vec<&str> = Vec::new();
    for record in records {
        if !order.contains(&&*record.mechanism) {
            order.push(&record.mechanism);
        }
    }
    let answer = |mechanism: &str| {
        let mine: Vec<&Record> = records.iter().filter(|record| record.mechanism == mechanism).collect();
        let mut series: BTreeMap<Series, Vec<f64>> = BTreeMap::new();
        for record in &mine {
            series.entry(record.series()).or_default().extend(&record.finding.samples);
        }
        Samples { records: mine, series }.answer(mechanism.to_owned())
    };
    order.into_iter().map(answer).collect()
}

/// A column: its header, and what it says of a mechanism.
type Column = (&'static str, fn(&Answer) -> Option<String>);

/// All columns of the table.
pub(crate) const COLUMNS: [Column; 11] = [
    ("steady", |answer| answer.steady.as_ref().map(percent)),
    ("a call", |answer| answer.call.as_ref().map(|estimate| nanoseconds(estimate.median))),
    ("an iteration", |answer| answer.iteration.as_ref().map(|estimate| nanoseconds(estimate.median))),
    ("update, a site", |answer| answer.site.map(nanoseconds)),
    ("update, a frame", |answer| answer.frame.map(nanoseconds)),
    ("landing", |answer| answer.landing.map(nanoseconds)),
    ("new code after", |answer| answer.new_code.as_ref().map(tail)),
    ("memory after", |answer| answer.memory.as_ref().map(tail)),
    ("in an endless loop", |answer| answer.endless.map(nanoseconds)),
    ("code", |answer| answer.code.map(|ratio| format!("{:+.1}%", (ratio - 1.0) * 100.0))),
    ("a record", |answer| answer.record.map(|bytes| format!("{bytes:.0} B"))),
];

/// `+1.2% (0.9 to 1.6)`, with `~` if that is wide: against what there is to cost, not against the ratio.
fn percent(estimate: &Estimate) -> String {
    let [median, low, high] =
        [estimate.median, estimate.low, estimate.high].map(|ratio| (ratio - 1.0) * 100.0);
    let is_noisy = high - low > 2.0;
    format!("{median:+.1}% ({low:.1} to {high:.1}){}", if is_noisy { " ~" } else { "" })
}

/// The median and the 99th percentile.
fn tail(tail: &Tail) -> String {
    let mark = if tail.estimate.relative_half_width() > NOISE { " ~" } else { "" };
    format!("{}, p99 {}{mark}", nanoseconds(tail.estimate.median), nanoseconds(tail.p99))
}

/// A time with a unit that suits it, and three digits.
pub(crate) fn nanoseconds(time: f64) -> String {
    match time.abs() {
        ..9.995 => format!("{time:.2} ns"),
        ..99.95 => format!("{time:.1} ns"),
        ..1e4 => format!("{time:.0} ns"),
        ..1e7 => format!("{:.1} µs", time / 1e3),
        _ => format!("{:.1} ms", time / 1e6),
    }
}

/// The answers as a table with notes.
pub(crate) fn text(answers: &[Answer]) -> String {
    let shown: Vec<&Column> =
        COLUMNS.iter().filter(|(_, show)| answers.iter().any(|answer| show(answer).is_some())).collect();
    let mut header = vec!["mechanism"];
    header.extend(shown.iter().map(|(name, _)| *name));
    let mut table = show::table(&header);
    for answer in answers {
        let mut cells = vec![Cell::new(&answer.mechanism).set_alignment(CellAlignment::Left)];
        cells.extend(shown.iter().map(|(_, show)| Cell::new(show(answer).unwrap_or_else(|| "-".to_owned()))));
        table.add_row(cells);
    }
    let mut text = format!("{table}\n{LEGEND}");
    for Answer { mechanism, notes, .. } in answers {
        text.extend(notes.iter().map(|note| format!("{mechanism}: {note}\n")));
    }
    text
}

/// What columns mean.
pub(crate) const LEGEND: &str = "\
Against code that cannot be replaced: steady (time of programs, geometric mean), a call, an iteration, code (bytes).
An update: what each call site and each active frame adds to it. Landing: what a replaced frame adds to the way back.
After an invalidation under frames: until the first new code executes, and until the old memory is given back.
-: not measured, or it does not happen. ~: the interval (95%, bootstrap) is wide. p99: 99 of 100 are not above.
";
