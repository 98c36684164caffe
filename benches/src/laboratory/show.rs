//! How figures are shown to people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::statistics::{Interval, Steadiness};
use super::wide_table::WideTable;
use crate::error::Error;
use crate::output;
use crate::wrapped::wrapped;

/// A table with that header, all cells to the right.
pub(crate) fn table(header: &[&str]) -> WideTable {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.into()
}

/// Writes `text` to standard output: tables, and lines of words between them, which are wrapped at a terminal's width.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let width = Table::new().width().map_or(usize::MAX, usize::from);
    output::to_stdout(&text.split_inclusive('\n').map(|line| wrapped_words(line, width)).collect::<String>())
}

/// `line`, [wrapped] if it is words. Tables and what is indented stay as they are.
fn wrapped_words(line: &str, width: usize) -> String {
    let is_words = line.starts_with(|first: char| first.is_ascii_graphic());
    if is_words { wrapped(line, width) } else { line.to_owned() }
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

#[cfg(test)]
mod tests {
    use super::wrapped_words;

    #[test]
    fn lines_of_words_are_wrapped_and_tables_are_not() {
        assert_eq!(wrapped_words("one two three\n", 7), "one two\nthree\n");
        for line in ["  indented by two\n", "\u{2502} a table \u{2502}\n", "\n"] {
            assert_eq!(wrapped_words(line, 4), line);
        }
    }
}
