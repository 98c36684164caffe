//! How figures are shown to people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::statistics::{Interval, Steadiness};

/// A table with that header, all cells to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// A table without lines, as wide as any terminal, whose cells are wrapped. All cells are to the left.
pub(crate) fn list() -> Table {
    /// As wide as any terminal.
    const WIDTH: u16 = 80;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

/// `1.034 [1.026, 1.042]`
pub(crate) fn interval(interval: &Interval, noisy: bool) -> String {
    let ends = match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("[{low:.3}, {high:.3}]"),
        // Of one process.
        _ => "[?]".to_owned(),
    };
    format!("{:.3} {ends}{}", interval.ratio, if noisy { " ~" } else { "" })
}

/// Marks processes that reached no steady state, or for too short a time to tell.
pub(crate) fn mark(steadiness: &[Steadiness]) -> &'static str {
    if steadiness.contains(&Steadiness::None) {
        " !"
    } else if steadiness.contains(&Steadiness::Unknown) {
        " ?"
    } else {
        ""
    }
}

/// A time with a unit that suits it.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e4 => format!("{nanoseconds:.0} ns"),
        ..1e7 => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
