//! The table of polls, beside that of "Stop and Go".

use osr_engine::{Mechanism, PRESETS, Settings};

use super::super::answer::Figure;
use super::{Grid, Results, shown};
use crate::laboratory::results::Record;
use crate::laboratory::stop_and_go;

/// A row for each poll.
pub(super) fn grid(records: &[Record]) -> Option<Grid> {
    let found = Results::of(records, "polls");
    let unrolling = u64::from(Settings::DEFAULT_UNROLLING);
    let row = |(mechanism, _): (Mechanism, &str)| {
        let figure = |size, metric| shown(found.mean(&mechanism, size, metric), Figure::percent);
        let mut figures = [(unrolling, "time"), (unrolling, "code"), (1, "time"), (1, "code")]
            .map(|(size, metric)| figure(size, metric))
            .to_vec();
        figures.push(Figure::said(stop_and_go::figure(mechanism.poll)));
        let of = ["orc", "thread-2015"].into_iter().find(|name| {
            PRESETS.iter().any(|preset| preset.name == *name && preset.mechanism.poll == mechanism.poll)
        });
        let name = mechanism.poll.name();
        (of.map_or_else(|| name.to_owned(), |of| format!("{name} ({of})")), figures)
    };
    Some(Grid {
        title: "What a poll costs while nobody asks",
        caption: "Time and bytes that each adds to the stack check, geometric means over programs, with loops unrolled and as \
                  they are. Beside them the figures of Lin et al., \u{201c}Stop and Go\u{201d} (ISMM 2015), in Jikes RVM, where \
                  methods have yieldpoints at their exits, too. patched-nop-active is the same code as patched-nop.",
        corner: "poll",
        header: [
            &format!("time, unrolled {unrolling}x"),
            "code",
            "time, not unrolled",
            "code",
            "Stop and Go",
        ]
        .map(str::to_owned)
        .into(),
        rows: found.mechanisms().into_iter().map(row).collect(),
        notes: found.notes(),
        command: found.command()?,
    })
}
