//! The table of sparse hijacks.

use osr_engine::{HijackDensity, Mechanism};

use super::{Grid, Results};
use crate::laboratory::results::Record;

/// A row for each depth.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "sparse");
    let mechanisms = found.mechanisms();
    let metrics = ["update", "way back", "total"];
    let row = |row: (&str, Option<u64>)| {
        let figures = metrics.iter().flat_map(|metric| {
            mechanisms.iter().map(|(mechanism, _)| found.time(mechanism, row, metric)).collect::<Vec<_>>()
        });
        (row.1.map_or(String::new(), |depth| depth.to_string()), figures.collect())
    };
    let header = metrics.iter().flat_map(|metric| {
        let named = |(mechanism, name): &(Mechanism, &str)| {
            let is_own =
                |density: &HijackDensity| *mechanism == Mechanism { density: *density, ..Mechanism::DEFAULT };
            let name = if HijackDensity::ALL.iter().any(is_own) { mechanism.density.name() } else { name };
            format!("{metric}, {name}")
        };
        mechanisms.iter().map(named).collect::<Vec<_>>()
    });
    Some(Grid {
        title: "Sparse hijacks against every frame",
        caption: "An invalidation on a stack of that depth, the way back through all its frames, and both together. Beside them what the same program takes \
                  whose frames are not replaced (orc).",
        corner: "frames",
        header: header.collect(),
        rows: found.rows().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}
