//! `osr-bench report`: results as one page that opens offline, or in the forms that other tools read.

pub(in crate::laboratory) mod charts;
mod page;

use std::path::PathBuf;

use clap::Args;

use super::results::{mixtures, read_some, rebench, tidy};
use crate::error::Error;
use crate::new_file::NewFile;
use crate::output;

const REPORT_EXAMPLES: &str = "\
Examples:
  osr-bench thread --full -o results.jsonl
  osr-bench report results.jsonl -o report.html             one page, which opens offline
  osr-bench report results.jsonl --csv -o results.csv       tidy: a line for each sample
  osr-bench report results.jsonl --rebench                  for an executor of ReBench, adapter RebenchLog";

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
    /// Write what ReBench reads from an executor.
    #[arg(long)]
    rebench: bool,
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
    for mixture in mixtures(&records) {
        output::to_stderr(format_args!("{}: {mixture}\n", options.results.display()));
    }
    let text = match (options.csv, options.rebench) {
        (true, _) => tidy(&records),
        (_, true) => rebench(&records),
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
