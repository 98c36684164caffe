//! What each poll adds to the stack check while nobody requests one, with loops unrolled and as they are, beside
//! ["Stop and Go"](crate::laboratory::stop_and_go).

use comfy_table::{Cell, CellAlignment};
use osr_engine::Poll;

use super::report::percent;
use super::{Component, Findings, OverPrograms};
use crate::laboratory::show;
use crate::laboratory::stop_and_go;
use crate::laboratory::wide_table::WideTable;

/// What the names of components end in whose loops are not unrolled.
pub(super) const NOT_UNROLLED: &str = ", not unrolled";

/// A row for each poll that stops loops.
pub(super) fn table(findings: &Findings, unrolling: u8) -> WideTable {
    let unrolled = format!("unrolled {unrolling} times");
    let mut table = show::table(&["poll", &unrolled, "code", "not unrolled", "code", "Stop and Go"]);
    for &poll in Poll::ALL.iter().filter(|poll| poll.stops_loops()) {
        let mut row = vec![Cell::new(poll.name()).set_alignment(CellAlignment::Left)];
        for unrolling in [unrolling, 1] {
            row.extend(cells(findings, poll, unrolling).map(Cell::new));
        }
        row.push(Cell::new(stop_and_go::figure(poll)));
        table.add_row(row);
    }
    table
}

/// Time and bytes that `poll` adds to the stack check.
fn cells(findings: &Findings, poll: Poll, unrolling: u8) -> [String; 2] {
    let is_it = |component: &Component| {
        component.name.starts_with(poll.name())
            && component.code.mechanism.recording == osr_engine::StateRecording::None
            && (component.code.mechanism.poll, component.code.unrolling) == (poll, unrolling)
    };
    let position = findings.components.iter().position(is_it);
    let found: Option<&OverPrograms> =
        position.and_then(|position| findings.geometric_means[position].as_ref());
    found.map_or_else(
        || ["-".to_owned(), "-".to_owned()],
        |mean| {
            let time = percent(&mean.added.relative, mean.added.noisy, mean.added.differs_from_base);
            [time, format!("{:+.1}%", (mean.code_bytes - 1.0) * 100.0)]
        },
    )
}
