//! The table of swapped returns.

use osr_engine::{ActiveFrames, Mechanism};

use super::super::answer::Figure;
use super::{Grid, Results, shown};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::estimate_of;

/// A row for each length of chains.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
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
            [found.time(mechanism, row, "plain"), shown(added, Figure::time)]
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
