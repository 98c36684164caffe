//! The table of code releases.

use osr_engine::Mechanism;

use super::super::answer::Figure;
use super::super::latency::PROGRAM;
use super::{Grid, Results, shown};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::estimate;

/// A row for each code release.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "releases");
    let depth = found.sizes(PROGRAM).pop()?;
    let row = |(mechanism, _): (Mechanism, &str)| {
        let after = |metric| found.time(&mechanism, (PROGRAM, Some(depth)), metric);
        let figures = vec![
            shown(estimate(&found.samples(&mechanism, ("calls", None), "per call")), Figure::time),
            shown(found.programs(&mechanism, "time"), Figure::percent),
            shown(found.programs(&mechanism, "code"), Figure::percent),
            after("old code"),
            after("memory"),
        ];
        (format!("{}, {}", mechanism.release.name(), mechanism.frames.name()), figures)
    };
    Some(Grid {
        title: "Code releases, all else equal",
        caption: "A call, and time and code of programs, against the default, where frames are hijacked and code is freed at once; \
                  and, from an invalidation under frames on, how long old code is in use and in memory.",
        corner: "release",
        header: ["a call", "programs", "code", "old code gone after", "memory back after"]
            .map(str::to_owned)
            .into(),
        rows: found.mechanisms().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}
