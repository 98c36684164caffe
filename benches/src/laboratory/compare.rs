//! `osr-bench compare`: what changed between two files of results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use comfy_table::{Cell, CellAlignment};
use serde::Serialize;

use super::results::{Record, Series, mixtures, origins, processes, read_some};
use super::show;
use super::statistics::{Estimate, Processes, estimate, ratio_of_medians};
use crate::cli::percent;
use crate::error::Error;
use crate::output;

const COMPARE_EXAMPLES: &str = "\
Medians of the same experiment, mechanism, program, metric and size are compared, with 95% intervals of their ratio by \
bootstrap: processes are resampled, then the samples of each. A change counts if the interval excludes 1 and the median \
changed by more than --least. Where a file has results of a single process, the interval is that of its samples, and any \
other process may differ by more: such changes are marked with a ?, and count for nothing.

Examples:
  osr-bench compare before.jsonl after.jsonl
  osr-bench compare before.jsonl after.jsonl --least 5 --json

Exit codes: 0, also if something changed; 2 for bad input.";

/// Options of `compare`.
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub(crate) struct CompareOptions {
    /// Results, as `osr-bench thread -o` and `osr-bench sweep` write them.
    #[arg(value_name = "BEFORE.jsonl")]
    before: PathBuf,
    /// Other results.
    #[arg(value_name = "AFTER.jsonl")]
    after: PathBuf,
    /// The least change that is shown, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    least: f64,
    /// Show what did not change, too.
    #[arg(long)]
    all: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What became of a series.
#[derive(Clone, Debug, Serialize)]
struct Change {
    experiment: String,
    mechanism: String,
    program: String,
    metric: String,
    unit: String,
    size: Option<u64>,
    before: Estimate,
    after: Estimate,
    /// Of the medians; none where there was nothing before.
    ratio: Option<Estimate>,
    changed: bool,
    /// It would be, but one of both is of a single process.
    perhaps: bool,
}

/// The machines, versions and times of both files.
#[derive(Debug, Serialize)]
struct Origins {
    before: Vec<String>,
    after: Vec<String>,
}

/// All that is compared.
#[derive(Debug, Serialize)]
struct Comparison {
    compared: usize,
    only_before: usize,
    only_after: usize,
    /// Where each file is from.
    origins: Origins,
    /// What is not of one kind, in either file or between them.
    warnings: Vec<String>,
    changes: Vec<Change>,
}

/// Compares what `options` name.
pub(crate) fn run(options: &CompareOptions) -> Result<(), Error> {
    let (before, after) = (read_some(&options.before)?, read_some(&options.after)?);
    let warnings = warnings(&before, &after);
    let origins = Origins { before: origins(&before), after: origins(&after) };
    let (before, after) = (series(&before), series(&after));
    let both = before.iter().filter_map(|(series, old)| Some((series, old, after.get(series)?)));
    let changes: Vec<Change> =
        both.filter_map(|(series, old, new)| change(series, old, new, options.least)).collect();
    let compared = changes.len();
    let comparison = Comparison {
        compared,
        only_before: before.len() - compared,
        only_after: after.len() - compared,
        origins,
        warnings,
        changes: changes
            .into_iter()
            .filter(|change| options.all || change.changed || change.perhaps)
            .collect(),
    };
    if options.json { output::json_to_stdout(&comparison) } else { show::print(&text(&comparison)) }
}

/// What in a file is not of one kind; and whether the files are not of one machine: their versions are expected to differ.
fn warnings(before: &[Record], after: &[Record]) -> Vec<String> {
    let inside = [("before", before), ("after", after)].into_iter().flat_map(|(name, records)| {
        mixtures(records).into_iter().map(move |mixture| format!("{name}: {mixture}"))
    });
    let [old, new] = [before, after].map(machines);
    let between = (old != new).then(|| {
        let [old, new] = [old, new].map(|names| names.into_iter().collect::<Vec<_>>().join("; and "));
        format!("the machines differ ({old}, and then {new}): so do figures, whatever else changed")
    });
    inside.chain(between).collect()
}

/// What the machines are called.
fn machines(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| record.machine.name()).collect()
}

/// The samples of each series that has some, with their unit.
fn series(records: &[Record]) -> BTreeMap<Series, (String, Processes)> {
    let mut all: BTreeMap<Series, Vec<&Record>> = BTreeMap::new();
    // The times of one replacement after the other are no samples of one quantity.
    let records = records.iter().filter(|record| record.finding.program != "timeline");
    for record in records.filter(|record| !record.finding.samples.is_empty()) {
        all.entry(record.series()).or_default().push(record);
    }
    let measured = |records: Vec<&Record>| (records[0].finding.unit.clone(), processes(records));
    all.into_iter().map(|(series, records)| (series, measured(records))).collect()
}

fn change(
    series: &Series,
    (unit, before): &(String, Processes),
    (_, after): &(String, Processes),
    least: f64,
) -> Option<Change> {
    let Series { experiment, mechanism, program, metric, size } = series.clone();
    let ratio = ratio_of_medians(after, before).filter(|ratio| ratio.median.is_finite());
    let differs = ratio.is_some_and(|ratio| {
        let excludes_one = ratio.low > 1.0 || ratio.high < 1.0;
        excludes_one && (ratio.median - 1.0).abs() > least / 100.0
    });
    let is_single = ratio.is_some_and(|ratio| ratio.processes == 1);
    let (changed, perhaps) = (differs && !is_single, differs && is_single);
    let (before, after, unit) = (estimate(before)?, estimate(after)?, unit.clone());
    Some(Change {
        experiment,
        mechanism,
        program,
        metric,
        unit,
        size,
        before,
        after,
        ratio,
        changed,
        perhaps,
    })
}

fn text(comparison: &Comparison) -> String {
    let header = ["experiment", "mechanism", "program", "metric", "size", "before", "after", "change"];
    let mut table = show::table(&header);
    for change in &comparison.changes {
        let left = |text: &str| Cell::new(text).set_alignment(CellAlignment::Left);
        table.add_row([
            left(&change.experiment),
            left(&change.mechanism),
            left(&change.program),
            left(&change.metric),
            Cell::new(change.size.map_or(String::new(), |size| size.to_string())),
            Cell::new(value(&change.before, &change.unit)),
            Cell::new(value(&change.after, &change.unit)),
            Cell::new(change.ratio.as_ref().map_or("?".to_owned(), relative)),
        ]);
    }
    let Comparison { compared, only_before, only_after, origins, warnings, changes } = comparison;
    let changed = changes.iter().filter(|change| change.changed).count();
    let table = if changes.is_empty() { String::new() } else { format!("{table}\n") };
    let perhaps = changes.iter().filter(|change| change.perhaps).count();
    let perhaps = match perhaps {
        0 => String::new(),
        _ => format!("{perhaps} more may have (?): they are of a single process. More --repetitions tell.\n"),
    };
    let from = [("before", &origins.before), ("after", &origins.after)];
    let lines =
        from.iter().flat_map(|(name, lines)| lines.iter().map(move |line| format!("{name}: {line}\n")));
    let warnings = warnings.iter().map(|warning| format!("Warning: {warning}.\n"));
    let notes: String = lines.chain(warnings).collect();
    format!(
        "{table}{changed} of {compared} series changed; {only_before} are only in the first file, {only_after} only in \
         the second.\n{perhaps}{notes}"
    )
}

/// `812 ns (790 to 840)`
fn value(estimate: &Estimate, unit: &str) -> String {
    let [median, low, high] = [estimate.median, estimate.low, estimate.high].map(short);
    format!("{median} {unit} ({low} to {high})")
}

/// A number with some four digits.
fn short(number: f64) -> String {
    match number.abs() {
        1e3.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.3}"),
    }
}

/// `+3.1% (2.8 to 3.3)`
fn relative(ratio: &Estimate) -> String {
    let [median, low, high] = [ratio.median, ratio.low, ratio.high].map(|ratio| (ratio - 1.0) * 100.0);
    let mark = if ratio.processes == 1 { " ?" } else { "" };
    format!("{median:+.1}% ({low:.1} to {high:.1}){mark}")
}
