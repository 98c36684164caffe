//! Writing to standard output and error without panicking when they are closed.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Error;
use crate::json;

/// Writes all of `text` to standard output.
pub(crate) fn to_stdout(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::Output(error),
    })
}

/// Writes to standard error; if that is closed there is nobody to tell.
pub(crate) fn to_stderr(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Items of a list, separated by commas: the first ones, and how many more there are.
pub(crate) fn join_some(mut items: impl Iterator<Item = String>) -> String {
    const LISTED: usize = 20;
    let mut listed: Vec<String> = items.by_ref().take(LISTED).collect();
    match items.count() {
        0 => {}
        more => listed.push(format!("and {more} more")),
    }
    listed.join(", ")
}

/// Writes `value` as JSON to standard output.
pub(crate) fn json_to_stdout(value: &impl serde::Serialize) -> Result<(), Error> {
    to_stdout(&(json::pretty(value) + "\n"))
}

/// Progress on standard error, if that is a terminal.
pub(crate) fn progress(steps: u64, quiet: bool) -> ProgressBar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(steps) };
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("the template is well formed");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
