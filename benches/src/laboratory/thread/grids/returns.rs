//! Swapped returns, and memory.

use osr_engine::{ActiveFrames, Mechanism};

use super::super::answer::Figure;
use super::{Grid, Results};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::{Estimate, Processes, estimate, estimate_of};

/// A row for each length of chains.
pub(super) fn returns(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "predictor");
    let has_any = |(mechanism, _): &(Mechanism, &str)| {
        found.rows().into_iter().any(|row| !found.samples(mechanism, row, "swapped").is_empty())
    };
    let mechanisms: Vec<_> = found.mechanisms().into_iter().filter(has_any).collect();
    let row = |row: (&str, Option<u64>)| {
        // Beside the plain returns of the same mechanism: an invalidation leaves code that was compiled just now.
        let figures = mechanisms.iter().flat_map(|(mechanism, _)| {
            let [plain, swapped] = ["plain", "swapped"].map(|metric| found.samples(mechanism, row, metric));
            let added = estimate_of(&[&swapped, &plain], |medians| medians[0] - medians[1]);
            [found.time(mechanism, row, "plain"), added.as_ref().map_or_else(Figure::none, Figure::time)]
        });
        let figures = figures.collect();
        (row.1.map_or(String::new(), |chain| chain.to_string()), figures)
    };
    let name = |(mechanism, _): &(Mechanism, &str)| match mechanism.frames {
        ActiveFrames::ReturnBarrier => ["plain".to_owned(), "noticed adds".to_owned()],
        _ => ["plain".to_owned(), format!("landing adds, {}", mechanism.bookkeeping.name())],
    };
    Some(Grid {
        title: "A swapped return beside a plain one",
        caption: "By frame, in chains of so many, the calls on the way back included: plain returns of each mechanism, and what a swapped \
                  return adds, which a return barrier only notices, and which elsewhere lands. The processor predicts each swapped \
                  return wrongly; in long chains departures of the landing stub tell it otherwise. Frames that land are rebuilt in \
                  continuations that are there.",
        corner: "frames in a row",
        header: mechanisms.iter().flat_map(name).collect(),
        rows: found.rows().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}

/// A row for each mechanism.
pub(super) fn memory(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "memory");
    let most = found.sizes("frames").pop();
    let row = |(mechanism, name): (Mechanism, &str)| {
        let programs = |metric| -> Vec<Processes> {
            let rows =
                found.rows().into_iter().filter(|(program, _)| !["frames", "versions"].contains(program));
            rows.map(|row| found.samples(&mechanism, row, metric)).filter(|found| !found.is_empty()).collect()
        };
        let code = programs("code");
        let share = |metric| {
            let (part, count) = (programs(metric), code.len());
            let all: Vec<&Processes> = code.iter().chain(&part).collect();
            let ratio =
                |medians: &[f64]| medians[count..].iter().sum::<f64>() / medians[..count].iter().sum::<f64>();
            let ratio = if part.is_empty() { None } else { estimate_of(&all, ratio) };
            shown(ratio, |ratio| format!("{:.1}% of it", 100.0 * ratio))
        };
        let bytes = |program, size, metric| {
            shown(estimate(&found.samples(&mechanism, (program, size), metric)), bytes)
        };
        let sum = if code.is_empty() {
            None
        } else {
            estimate_of(&code.iter().collect::<Vec<_>>(), |all| all.iter().sum())
        };
        let figures = vec![
            shown(sum, |sum| format!("{:.1} kB", sum / 1e3)),
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

fn shown(estimate: Option<Estimate>, show: impl Fn(f64) -> String) -> Figure {
    estimate.map_or_else(Figure::none, |estimate| Figure::count(&estimate, show))
}

fn bytes(bytes: f64) -> String {
    format!("{bytes:.0} B")
}
