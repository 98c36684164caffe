//! The prices, for people.

use comfy_table::{Cell, CellAlignment};

use super::{Component, Findings, OverPrograms, Row, polls};
use crate::laboratory::early_end::Progress;
use crate::laboratory::measuring::{Compared, Effort};
use crate::laboratory::show::{mark, table, time};
use crate::laboratory::statistics::Interval;
use crate::laboratory::wide_table::WideTable;

/// All findings as tables with captions.
pub(super) fn text(findings: &Findings, unrolling: u8) -> String {
    let Effort { processes, rounds, clock, seed, .. } = &findings.effort;
    let mut text = format!(
        "What each component adds, in percent of the time of the code that it is added to; 95% intervals over \
         {processes} processes of up to {rounds} rounds ({} time), each with code placed elsewhere (seed {}).\n{}{}\n",
        clock.name(),
        seed.unwrap_or(0),
        Progress::line(findings.interrupted),
        findings.machine.line(),
    );
    for columns in columns(findings, unrolling) {
        text += &format!("{}\n", added(findings, &columns));
    }
    text += "* the interval excludes 0. ~ noisy: the interval is wide. ! no steady state in some process. \
             ? too few rounds to tell.\n\n";
    text += &format!(
        "Polls, against the stack check: geometric means over the programs, here and in \"Stop and Go\" (ISMM 2015), \
         whose yieldpoints are on method exits, too. patched-nop-active is the same code as patched-nop.\n{}\n\n",
        polls::table(findings, unrolling)
    );
    text += &format!(
        "All together, against the bare code (direct calls, nothing else): geometric means.\n{}\n",
        totals(findings)
    );
    for (_, mean) in means(findings, unrolling) {
        text += &bar(mean);
    }
    text + &best(findings)
}

/// `Readiness with the best poll and allocator locations: +0.9 ±0.2% * (patched-nop, locations)`
fn best(findings: &Findings) -> String {
    let mut means = findings.geometric_means.iter().flatten();
    let best = means.find(|mean| Some(&mean.component) == findings.best.as_ref());
    best.map_or_else(String::new, |mean| {
        let total = percent(&mean.total.relative, mean.total.noisy, mean.total.differs_from_base);
        format!("\nReadiness with the best poll and allocator locations: {total} ({})\n", mean.component)
    })
}

/// What is known of each component that is not there for the table of polls alone.
fn means(findings: &Findings, unrolling: u8) -> impl Iterator<Item = (&Component, &OverPrograms)> {
    let means = findings.components.iter().zip(&findings.geometric_means);
    means.filter_map(move |(component, mean)| {
        Some((component, mean.as_ref().filter(|_| !component.is_of_polls_alone(unrolling))?))
    })
}

/// The components of each table, as many as there is room for beside one another.
fn columns(findings: &Findings, unrolling: u8) -> Vec<Vec<usize>> {
    /// As many as a wide terminal has room for.
    const MOST: usize = 6;
    let shown = findings.components.iter().enumerate().skip(1);
    let shown = shown.filter(|(_, component)| !component.is_of_polls_alone(unrolling));
    let shown: Vec<usize> = shown.map(|(position, _)| position).collect();
    shown.chunks(MOST).map(<[usize]>::to_vec).collect()
}

/// A row for each program, a column for each of those components.
fn added(findings: &Findings, components: &[usize]) -> WideTable {
    let mut header = vec!["program", "argument", "bare, time"];
    header.extend(components.iter().map(|&position| &*findings.components[position].name));
    let mut table = table(&header);
    for row in &findings.programs {
        let mut cells = vec![
            Cell::new(&row.name).set_alignment(CellAlignment::Left),
            Cell::new(row.arguments.join(" ")),
            Cell::new(bare_time(&row.prices[0].total)),
        ];
        cells.extend(components.iter().map(|&position| Cell::new(show(&row.prices[position].added))));
        table.add_row(cells);
    }
    let mut summary = |name: &str, show: &dyn Fn(&OverPrograms) -> String| {
        let mut cells =
            vec![Cell::new(name).set_alignment(CellAlignment::Left), Cell::new(""), Cell::new("")];
        let means = components.iter().map(|&position| &findings.geometric_means[position]);
        cells.extend(means.map(|mean| Cell::new(mean.as_ref().map_or_else(String::new, show))));
        table.add_row(cells);
    };
    summary("geometric mean", &|mean| {
        percent(&mean.added.relative, mean.added.noisy, mean.added.differs_from_base)
    });
    summary("code bytes", &|mean| format!("{:+.1}%", (mean.code_bytes - 1.0) * 100.0));
    table
}

/// A row for each component, with all that it hangs on.
fn totals(findings: &Findings) -> WideTable {
    let mut table = table(&["up to", "time", "code bytes", "worst program", "its time"]);
    for (position, mean) in findings.geometric_means.iter().enumerate() {
        let Some(mean) = mean else { continue };
        let worst = worst(&findings.programs, position);
        table.add_row([
            Cell::new(&mean.component).set_alignment(CellAlignment::Left),
            Cell::new(percent(&mean.total.relative, mean.total.noisy, mean.total.differs_from_base)),
            Cell::new(format!("{:+.1}%", (mean.total_code_bytes - 1.0) * 100.0)),
            Cell::new(worst.map_or("", |row| &row.name)),
            Cell::new(worst.map_or_else(String::new, |row| show(&row.prices[position].total))),
        ]);
    }
    table
}

/// The program that pays most for the component at `position` and all that it hangs on.
fn worst(programs: &[Row], position: usize) -> Option<&Row> {
    let ratio = |row: &&Row| match &row.prices[position].total {
        Compared::Measured { relative, .. } => Some(relative.ratio),
        _ => None,
    };
    let measured = programs.iter().filter(|row| ratio(row).is_some());
    measured.max_by(|a, b| ratio(a).partial_cmp(&ratio(b)).expect("times are numbers"))
}

/// `     stack check   +0.3%  █`: a block for a quarter of a percent.
fn bar(mean: &OverPrograms) -> String {
    let percent = (mean.added.relative.ratio - 1.0) * 100.0;
    let blocks = (percent.abs() * 4.0).round().min(60.0) as usize;
    let sign = if percent < 0.0 { "-" } else { "█" };
    format!("{:>29} {percent:+6.1}% {}\n", mean.component, sign.repeat(blocks))
}

fn bare_time(compared: &Compared) -> String {
    match compared {
        Compared::Measured { nanoseconds, steadiness, .. } => time(*nanoseconds) + mark(steadiness),
        _ => show(compared),
    }
}

fn show(compared: &Compared) -> String {
    match compared {
        Compared::Measured { relative, noisy, differs_from_base, steadiness, .. } => {
            percent(relative, *noisy, *differs_from_base) + mark(steadiness)
        }
        Compared::Failed(_) => "failed".to_owned(),
        Compared::Differs(_) => "DIFFERS".to_owned(),
    }
}

/// `+0.8 ±0.3% *`
pub(super) fn percent(interval: &Interval, noisy: bool, differs: bool) -> String {
    let width = interval.relative_half_width() * interval.ratio * 100.0;
    let width = if width.is_finite() { format!("±{width:.1}%") } else { "±?".to_owned() };
    let added = (interval.ratio - 1.0) * 100.0;
    format!("{added:+.1} {width}{}{}", if differs { " *" } else { "" }, if noisy { " ~" } else { "" })
}
