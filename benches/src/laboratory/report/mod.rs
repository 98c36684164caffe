//! `osr-bench report`: results as one page that opens offline, or in the forms that other tools read.

pub(in crate::laboratory) mod charts;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use osr_engine::Mechanism;

use super::results::{RebenchOptions, Record, mixtures, read_some, tidy};
use crate::error::Error;
use crate::new_file::NewFile;
use crate::output;

const REPORT_EXAMPLES: &str = "\
Examples:
  osr-bench thread --full -o results.jsonl
  osr-bench report results.jsonl -o report.html             one page, which opens offline
  osr-bench report results.jsonl --csv -o results.csv       tidy: a line for each sample
  osr-bench report results.jsonl --rebench --experiment update --mechanism v8 --metric unbind --size 100";

/// Options of `report`.
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct ReportOptions {
    /// Results, as `osr-bench thread -o` and `osr-bench sweep` write them.
    #[arg(value_name = "RESULTS.jsonl")]
    results: PathBuf,
    /// Write comma-separated values, one sample on each line.
    #[arg(long, conflicts_with = "rebench")]
    csv: bool,
    /// ReBench's form.
    #[command(flatten)]
    rebench: RebenchOptions,
    /// The experiment for --rebench.
    #[arg(long, value_name = "NAME", requires = "rebench")]
    experiment: Option<String>,
    /// The mechanism for --rebench.
    #[arg(long, value_name = "PRESET|AXIS=VALUE,..", requires = "rebench")]
    mechanism: Option<Mechanism>,
    /// The file to write [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the plot of updates against active frames, as a picture of its own.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// Writes what `options` ask for.
pub(crate) fn run(options: &ReportOptions) -> Result<(), Error> {
    let records = read_some(&options.results)?;
    for output in [&options.output, &options.plot].into_iter().flatten() {
        check_is_another(output, &options.results)?;
    }
    for mixture in mixtures(&records) {
        output::to_stderr(format_args!("{}: {mixture}\n", options.results.display()));
    }
    let text = match (options.csv, options.rebench.is_wanted()) {
        (true, _) => tidy(&records),
        (_, true) => {
            let is_chosen = |record: &Record| {
                options.experiment.as_ref().is_none_or(|name| record.experiment == *name)
                    && options.mechanism.is_none_or(|mechanism| record.settings == mechanism)
            };
            options
                .rebench
                .text(&records.iter().filter(|record| is_chosen(record)).cloned().collect::<Vec<_>>())?
        }
        _ => page::page(&records),
    };
    if let (Some(path), Some(svg)) = (&options.plot, page::updates_by_frames(&records)) {
        NewFile::create(path)?.replace(svg.as_bytes())?;
    }
    match &options.output {
        Some(path) => NewFile::create(path)?.replace(text.as_bytes()),
        None => output::to_stdout(&text),
    }
}

/// An output that is what it is made of would destroy that.
fn check_is_another(output: &Path, input: &Path) -> Result<(), Error> {
    match (fs::canonicalize(output), fs::canonicalize(input)) {
        (Ok(written), Ok(read)) if written == read => Err(Error::OutputIsInput { path: output.to_owned() }),
        _ => Ok(()),
    }
}
