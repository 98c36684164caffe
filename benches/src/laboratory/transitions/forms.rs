//! What was found, as a table, as a line for each sample, and as a plot.

use std::fmt::Write;

use super::{Findings, Measured};
use crate::laboratory::early_end::Progress;
use crate::laboratory::report::charts::{Line, standalone};
use crate::laboratory::show::table;
use crate::laboratory::statistics::Estimate;

/// A number in five characters, but for very large ones.
fn short(number: f64) -> String {
    match number.abs() {
        ..9.995 => format!("{number:.2}"),
        ..99.95 => format!("{number:.1}"),
        ..9_999.5 => format!("{number:.0}"),
        _ => format!("{:.1}k", number / 1e3),
    }
}

impl Findings {
    /// In 80 columns.
    pub(super) fn text(&self) -> String {
        let interval = |Estimate { median, low, high, .. }: &Estimate| {
            let [median, low, high] = [median, low, high].map(|number| short(*number));
            format!("{median} [{low}, {high}]")
        };
        let mut shown = table(&["depth", "live", "lands in", "hijack", "return", "landing"]);
        for row in &self.rows {
            shown.add_row([
                row.depth.to_string(),
                row.live.to_string(),
                row.destination.to_owned(),
                interval(&row.hijack.estimate),
                short(row.plain.estimate.median),
                interval(&row.landing.estimate),
            ]);
        }
        for column in shown.column_iter_mut() {
            column.set_padding((0, 1));
        }
        format!(
            "{}{}\nMechanism {}; nanoseconds by frame ({} time), medians of {} rounds [95 %].\n{shown}\n",
            Progress::line(self.interrupted),
            self.machine.line(),
            self.mechanism,
            self.clock.name(),
            self.rounds,
        )
    }

    /// A header, and a line for each sample.
    pub(super) fn csv(&self) -> String {
        let mut text = "mechanism,depth,live,destination,metric,unit,round,value\n".to_owned();
        for row in &self.rows {
            for (metric, Measured { samples, .. }) in row.metrics() {
                for (round, value) in samples.iter().enumerate() {
                    let (depth, live, destination) = (row.depth, row.live, row.destination);
                    // A mechanism has commas.
                    let start = format!("\"{}\",{depth},{live},{destination}", self.mechanism);
                    writeln!(text, "{start},{metric},ns,{},{value}", round + 1).expect("a string grows");
                }
            }
        }
        text
    }

    /// Time by frame against depth: a line for each number of live values and destination. Logarithmic: what is not more
    /// than 0 has no place there.
    pub(super) fn svg(&self) -> String {
        let mut lines: Vec<Line> = Vec::new();
        for row in &self.rows {
            for (metric, measured) in row.metrics() {
                let name = match metric {
                    "landing" => format!("landing in the {} tier, {} live", row.destination, row.live),
                    // They do not depend on where frames land.
                    _ if row.destination != "interpreter" => continue,
                    _ => format!("{metric}, {} live", row.live),
                };
                let point = (row.depth as f64, measured.estimate.median);
                let position = lines.len();
                match lines.iter_mut().find(|line| line.name == name) {
                    _ if point.1 <= 0.0 => {}
                    Some(line) => line.points.push(point),
                    None => lines.push(Line { name, position, points: vec![point] }),
                }
            }
        }
        lines.iter_mut().for_each(|line| line.points.sort_by(|one, other| one.0.total_cmp(&other.0)));
        standalone(&lines, "frames", "by frame").unwrap_or_default()
    }
}
