//! Results in the forms that other tools read.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::{Record, Series};
use crate::error::Error;
use crate::output;

/// As comma-separated values with a header, one sample on each line: the mechanism by its name and by its axes, what the
/// machine is, what was measured with, and how much.
pub(crate) fn tidy(records: &[Record]) -> String {
    let mut text =
        "experiment,mechanism,program,metric,unit,size,seed,repetition,sample,value,note".to_owned();
    let axes = axes(records);
    axes.iter().for_each(|axis| text += &format!(",{axis}"));
    text += ",time,processor,cores,kernel,load,version,commit,sources,rustc,optimized,sizes\n";
    for record in records {
        let Record { experiment, finding, mechanism, seed, repetition, .. } = record;
        let size = finding.size.map_or(String::new(), |size| size.to_string());
        let note = quoted(finding.note.as_deref().unwrap_or_default());
        let [mechanism, program] = [mechanism, &finding.program].map(|text| quoted(text));
        let (metric, unit) = (quoted(&finding.metric), quoted(&finding.unit));
        let start = format!("{experiment},{mechanism},{program},{metric},{unit},{size},{seed},{repetition}");
        let end = end(record, &axes);
        for (position, value) in finding.samples.iter().enumerate() {
            text += &format!("{start},{},{value},{note}{end}\n", position + 1);
        }
        if finding.samples.is_empty() {
            text += &format!("{start},,,{note}{end}\n");
        }
    }
    text
}

/// The axes of a mechanism.
fn axes(records: &[Record]) -> Vec<String> {
    let settings = records.first().map(|record| json(&record.settings));
    settings.iter().filter_map(Value::as_object).flat_map(|axes| axes.keys().cloned()).collect()
}

/// The columns that are the same for all samples of a record.
fn end(record: &Record, axes: &[String]) -> String {
    let (settings, machine, versions) =
        (json(&record.settings), json(&record.machine), json(&record.versions));
    let sizes = record.sizes.as_object().into_iter().flatten();
    let sizes: Vec<String> = sizes.map(|(name, size)| format!("{name}={}", in_words(size))).collect();
    let mut end = String::new();
    let mut column = |text: &str| {
        let _ = write!(end, ",{}", quoted(text));
    };
    axes.iter().for_each(|axis| column(&in_words(&settings[axis])));
    column(record.time.as_deref().unwrap_or_default());
    ["processor", "cores", "kernel", "load"].iter().for_each(|name| column(&in_words(&machine[*name])));
    let names = ["crate", "commit", "sources", "rustc", "optimized"];
    names.iter().for_each(|name| column(&in_words(&versions[*name])));
    column(&sizes.join(";"));
    end
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("our data has string keys")
}

/// A value without what is JSON's: the parts of a list with spaces between them.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(in_words).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// A field in quotation marks, where it needs them.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Options of ReBench's form.
#[derive(Debug, Args)]
pub(crate) struct RebenchOptions {
    /// Write one metric as ReBench reads it from an executor (adapter RebenchLog), a data point for each sample. Numbers are
    /// whole there: picoseconds of times, millionths of ratios, thousandths of bytes. Totals are the same numbers, as
    /// microseconds: ReBench shows a nanosecond as a millisecond.
    #[arg(long)]
    rebench: bool,
    /// The metric for --rebench.
    #[arg(long, value_name = "NAME", requires = "rebench")]
    metric: Option<String>,
    /// What the metric is of, for --rebench: a program, `frames`, `call sites`, ..
    #[arg(long, value_name = "NAME", requires = "rebench")]
    subject: Option<String>,
    /// The size that the metric is of, for --rebench.
    #[arg(long, value_name = "N", requires = "rebench")]
    size: Option<u64>,
}

impl RebenchOptions {
    /// Whether it is asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.rebench
    }

    /// The one series of `records` that is asked for: ReBench takes all that it reads for iterations of one benchmark. What the
    /// form has no room for is told of.
    pub(crate) fn text(&self, records: &[Record]) -> Result<String, Error> {
        let is_chosen = |record: &&Record| {
            let found = &record.finding;
            !found.samples.is_empty()
                && self.metric.as_ref().is_none_or(|metric| found.metric == *metric)
                && self.subject.as_ref().is_none_or(|subject| found.program == *subject)
                && self.size.is_none_or(|size| found.size == Some(size))
        };
        let chosen: Vec<&Record> = records.iter().filter(is_chosen).collect();
        let all: BTreeSet<Series> = chosen.iter().map(|record| record.series()).collect();
        let Some(series) = all.first().filter(|_| all.len() == 1) else {
            return Err(not_one(records, &all));
        };
        let unit = &chosen[0].finding.unit;
        let samples: Vec<f64> =
            chosen.iter().flat_map(|record| record.finding.samples.iter().copied()).collect();
        let negative = samples.iter().filter(|sample| **sample < 0.0).count();
        if negative > 0 {
            let all = samples.len();
            output::to_stderr(format_args!("{negative} of {all} samples are left out: they are below 0\n"));
        }
        Ok(rebench(series, unit, samples.into_iter().filter(|sample| *sample >= 0.0)))
    }
}

/// None of `records`, or several series of them, are chosen: what there is, or why there is nothing.
fn not_one(records: &[Record], chosen: &BTreeSet<Series>) -> Error {
    let is_measured = |record: &&Record| !record.finding.samples.is_empty();
    let measured: BTreeSet<Series> = records.iter().filter(is_measured).map(Record::series).collect();
    let of = if chosen.is_empty() { &measured } else { chosen };
    let notes = records.iter().filter_map(|record| record.finding.note.clone());
    let series = match of.is_empty() {
        true => output::join_some(notes),
        false => output::join_some(of.iter().map(described)),
    };
    Error::NotOneSeries { count: chosen.len(), series }
}

/// A series, by the options that choose it.
fn described(series: &Series) -> String {
    let Series { experiment, mechanism, program, metric, size } = series;
    let size = size.map_or(String::new(), |size| format!(" --size {size}"));
    format!("{experiment} with {mechanism}: --subject '{program}' --metric '{metric}'{size}")
}

/// A line for the metric of each sample, and one for the total that ends a data point.
fn rebench(series: &Series, unit: &str, samples: impl Iterator<Item = f64>) -> String {
    let Series { experiment, mechanism, program, metric, size } = series;
    let size = size.map_or(String::new(), |size| format!("-{size}"));
    // Names are words there, and colons end them.
    let name = format!("{experiment}-{program}{size}-{mechanism}")
        .replace(|c: char| c.is_whitespace() || c == ':', "_");
    let (scale, unit) = match unit {
        "ns" => (1e3, "ps".to_owned()),
        "ratio" => (1e6, "ppm".to_owned()),
        unit => (1e3, format!("m{}", unit.replace(|c: char| !c.is_ascii_alphabetic(), ""))),
    };
    let point = |value: f64| {
        let value = value * scale;
        format!("{name}: {metric}: {value:.0}{unit}\n{name}: iterations=1 runtime: {value:.0}us\n")
    };
    samples.map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::{Series, rebench};

    #[test]
    fn nothing_is_rounded_away_and_names_are_words() {
        let series = Series {
            experiment: "steady".to_owned(),
            mechanism: "v8,poll=flag".to_owned(),
            program: "call sites: all".to_owned(),
            metric: "per call".to_owned(),
            size: Some(7),
        };
        let name = "steady-call_sites__all-7-v8,poll=flag";
        let text = |unit, value| rebench(&series, unit, std::iter::once(value));
        let expected = |number: &str| {
            format!(
                "{name}: per call: {number}\n{name}: iterations=1 runtime: {}us\n",
                number.trim_end_matches(char::is_alphabetic)
            )
        };
        assert_eq!(text("ns", 0.19), expected("190ps"));
        assert_eq!(text("ratio", 1.0175), expected("1017500ppm"));
        assert_eq!(text("bytes", 8.5), expected("8500mbytes"));
    }
}
