//! The table of tails.

use super::super::answer::{Figure, nanoseconds};
use super::super::latency::PROGRAM;
use super::{Grid, Results};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::{estimate, percentile};

/// What happens at an update, as it is measured and as it is told of, in the order of time.
const EVENTS: [(&str, &str); 4] = [
    ("new call", "new call"),
    ("new frame", "new frame"),
    ("old code", "old code gone"),
    ("memory", "memory back"),
];

/// A row for each mechanism and event: how late it can be.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "latency");
    let sizes = || found.rows().into_iter().filter(|(program, _)| *program == PROGRAM);
    let mut rows = Vec::new();
    for (mechanism, name) in found.mechanisms() {
        for (row, (metric, event)) in sizes().flat_map(|row| EVENTS.map(|event| (row, event))) {
            let processes = found.samples(&mechanism, row, metric);
            let Some(median) = estimate(&processes) else { continue };
            let samples = processes.all();
            let at = |percent| {
                percentile(&samples, percent)
                    .map_or_else(Figure::none, |latency| Figure::said(nanoseconds(latency)))
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
