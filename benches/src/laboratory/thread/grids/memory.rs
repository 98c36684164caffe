//! The table of memory.

use osr_engine::Mechanism;

use super::super::answer::Figure;
use super::{Grid, Results, shown};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::{Estimate, Processes, estimate, estimate_of};

/// A row for each mechanism.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "memory");
    let most = found.sizes("frames").pop();
    let row = |(mechanism, name): (Mechanism, &str)| {
        let programs = |metric| -> Vec<Processes> {
            let is_program = |(program, _): &(&str, _)| !["frames", "versions"].contains(program);
            let rows = found.rows().into_iter().filter(is_program);
            rows.map(|row| found.samples(&mechanism, row, metric)).filter(|found| !found.is_empty()).collect()
        };
        let code = programs("code");
        let sum = estimate_of(&code.iter().collect::<Vec<_>>(), |code| code.iter().sum());
        let share = |metric| {
            let beside = programs(metric);
            let all: Vec<&Processes> = code.iter().chain(&beside).collect();
            let ratio = estimate_of(&all, |medians| {
                let (code, beside) = medians.split_at(code.len());
                beside.iter().sum::<f64>() / code.iter().sum::<f64>()
            });
            count(ratio, |ratio| format!("{:.1}% of it", 100.0 * ratio))
        };
        let bytes = |program, size, metric| {
            count(estimate(&found.samples(&mechanism, (program, size), metric)), |bytes| {
                format!("{bytes:.0} B")
            })
        };
        let figures = vec![
            count(sum, |sum| format!("{:.1} kB", sum / 1e3)),
            share("frame maps"),
            share("unwind rows"),
            bytes("frames", None, "a frame"),
            bytes("frames", most, "records"),
            bytes("versions", None, "kept by an update"),
        ];
        (name.to_owned(), figures)
    };
    Some(Grid {
        title: "What a mechanism needs memory for",
        caption: "Code of all programs, with frame maps and unwind rows beside it; a frame of a recursion, on the stack; what the process \
                  grows by for each frame that is replaced, of the largest number of frames; and what an update leaves in code \
                  memory when its frames have ended.",
        corner: "mechanism",
        header: ["code", "frame maps", "unwind rows", "a frame", "a replaced frame", "an update leaves"]
            .map(str::to_owned)
            .into(),
        rows: found.mechanisms().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}

fn count(estimate: Option<Estimate>, show: impl Fn(f64) -> String) -> Figure {
    shown(estimate, |estimate| Figure::count(estimate, &show))
}
