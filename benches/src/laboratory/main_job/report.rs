//! The findings of the main job, for people.

use comfy_table::{Attribute, Cell, CellAlignment};

use super::descent::Descent;
use super::{Findings, Row};
use crate::laboratory::early_end::Progress;
use crate::laboratory::show::table;
use crate::laboratory::wide_table::WideTable;

/// All findings as tables with captions.
pub(crate) fn tables(findings: &Findings) -> String {
    format!(
        "{}Every program in three ways; under invalidation every {}th safepoint in compiled code invalidates \
         all that is active.\nTimes are of one call in a new instance, compilation included; `again` is the optimized call made a \
         second time.\n{}\ninstall, release: of one version under invalidation, on average\n\n\
         What one frame costs: a recursion invalidated when it is deepest, all frames at once; medians.\n{}\n\
         hijack   the invalidation by frame: walks, records, swapped slots, release of the code\n\
         return   the way back by frame, not hijacked\n\
         landing  what the way back takes more by frame: the frame rebuilt, and its rest interpreted\n",
        Progress::line(findings.interrupted),
        findings.every,
        programs(&findings.programs),
        descents(&findings.descents),
    )
}

fn programs(rows: &[Row]) -> WideTable {
    let header = [
        "program",
        "argument",
        "interpreter",
        "optimized",
        "again",
        "invalidated",
        "hijacked",
        "landings",
        "versions",
        "released",
        "install",
        "release",
        "results",
    ];
    let mut table = table(&header);
    for row in rows {
        let sample = &row.invalidated;
        table.add_row([
            Cell::new(&row.name).set_alignment(CellAlignment::Left),
            Cell::new(row.arguments.join(" ")),
            Cell::new(milliseconds(row.interpreter.wall_ns)),
            Cell::new(milliseconds(row.optimized.wall_ns)),
            Cell::new(milliseconds(row.optimized.again_ns)),
            Cell::new(milliseconds(sample.wall_ns)),
            Cell::new(sample.hijacked_frames),
            Cell::new(sample.landings),
            Cell::new(sample.versions_compiled),
            Cell::new(bytes(sample.released_bytes)),
            Cell::new(nanoseconds(sample.install_ns)),
            Cell::new(nanoseconds(sample.release_ns)),
            verdict(row),
        ]);
    }
    table
}

fn verdict(row: &Row) -> Cell {
    if row.agrees {
        return Cell::new("equal");
    }
    let found = [&row.interpreter, &row.optimized, &row.invalidated].map(|sample| &*sample.result);
    let text = format!("DIFFER: {} (expected {})", found.join(", "), row.expected);
    Cell::new(text).add_attribute(Attribute::Bold)
}

fn descents(descents: &[Descent]) -> WideTable {
    let mut table = table(&["depth", "frames", "hijack", "return", "landing", "released", "results"]);
    for descent in descents {
        table.add_row([
            Cell::new(descent.depth),
            Cell::new(descent.frames),
            Cell::new(nanoseconds(descent.hijack_ns)),
            Cell::new(nanoseconds(descent.return_ns)),
            Cell::new(nanoseconds(descent.landing_ns)),
            Cell::new(bytes(descent.released_bytes)),
            Cell::new(if descent.agrees { "equal" } else { "DIFFER" }),
        ]);
    }
    table
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.2} ms", nanoseconds as f64 / 1e6)
}

fn nanoseconds(nanoseconds: f64) -> String {
    format!("{nanoseconds:.1} ns")
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
