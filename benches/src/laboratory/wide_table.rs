//! Tables that are as wide as they are. Where a terminal is too narrow, columns that do not fit follow below, beside the first
//! column once more: numbers that are broken into lines cannot be read.

use std::fmt;
use std::ops::{Deref, DerefMut};

use comfy_table::{ColumnConstraint, ContentArrangement, Table};

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct WideTable(Table);

impl From<Table> for WideTable {
    fn from(mut table: Table) -> WideTable {
        table.set_content_arrangement(ContentArrangement::Disabled);
        WideTable(table)
    }
}

impl Deref for WideTable {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.0
    }
}

impl DerefMut for WideTable {
    fn deref_mut(&mut self) -> &mut Table {
        &mut self.0
    }
}

impl WideTable {
    /// The columns of each part: the first one, and as many as there is room for.
    fn parts(&self, width: usize) -> Vec<Vec<usize>> {
        let widths = self.0.column_max_content_widths().into_iter().zip(self.0.column_iter());
        // With the line between columns.
        let widths: Vec<usize> =
            widths.map(|(content, column)| usize::from(content + column.padding_width()) + 1).collect();
        let Some(first) = widths.first() else { return Vec::new() };
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let mut taken = 0;
        for (position, column) in widths.iter().enumerate().skip(1) {
            if parts.is_empty() || taken + column > width {
                parts.push(vec![0]);
                taken = 1 + first;
            }
            parts.last_mut().expect("one was made").push(position);
            taken += column;
        }
        if parts.is_empty() { vec![vec![0]] } else { parts }
    }

    /// The table with these columns only.
    fn part(&self, columns: &[usize]) -> Table {
        let mut part = self.0.clone();
        let hidden = part.column_iter_mut().enumerate().filter(|(position, _)| !columns.contains(position));
        hidden.for_each(|(_, column)| {
            column.set_constraint(ColumnConstraint::Hidden);
        });
        part
    }
}

impl fmt::Display for WideTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts(self.0.width().map_or(usize::MAX, usize::from));
        for (number, columns) in parts.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            write!(formatter, "{line}{}", self.part(columns))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::laboratory::show::table;

    #[test]
    fn columns_that_do_not_fit_follow_below() {
        let mut wide = table(&["program", "first", "second", "third"]);
        wide.add_row(["fib", "1", "22", "333"]);
        assert_eq!(wide.to_string().lines().count(), 5);
        wide.set_width(30);
        let text = wide.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert_eq!(text.matches("fib").count(), 2, "{text}");
        assert_eq!(text.matches("333").count(), 1, "{text}");
        wide.set_width(10);
        assert_eq!(wide.to_string().matches("fib").count(), 3);
    }
}
