//! `osr-bench steady`: our tiers and other engines against one another, in the steady state.

use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::cli::SteadyOptions;
use crate::error::Error;
use crate::measure::{self, Compared, Contestant, Effort, Machine, Mean, Way};
use crate::output;
use crate::report::table;
use crate::statistics::{Interval, Steadiness};
use crate::subjects;

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    effort: Effort,
    /// What times are relative to.
    base: &'static str,
    programs: Vec<Row>,
    geometric_means: Vec<OverPrograms>,
}

/// The geometric mean of one engine.
#[derive(Debug, Serialize)]
struct OverPrograms {
    way: String,
    #[serde(flatten)]
    mean: Mean,
}

/// One engine on one program.
#[derive(Debug, Serialize)]
struct Comparison {
    way: String,
    #[serde(flatten)]
    compared: Compared,
}

/// One program.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    arguments: Vec<String>,
    engines: Vec<Comparison>,
}

/// Measures what `options` say.
pub(crate) fn run(options: &SteadyOptions) -> Result<(), Error> {
    let ways = ways(options)?;
    let subjects = subjects::chosen(&options.subjects)?;
    let effort = options.effort.seeded();
    let machine = Machine::current();
    let progress =
        output::progress(subjects.len() as u64 * u64::from(effort.processes), options.quiet || options.json);
    let contestants: Vec<Contestant> = ways.iter().map(|&way| Contestant::Engine(way)).collect();
    let replies = measure::measure(&subjects, &contestants, &effort, &progress)?;
    progress.finish_and_clear();
    let names: Vec<String> = ways.iter().map(|way| way.name().to_owned()).collect();
    let base = ways.iter().position(|&way| way == options.base).expect("checked above");
    let noise = options.noise / 100.0;
    let row = |(subject, replies): (&measure::Subject, &measure::Replies)| Row {
        name: subject.name(),
        arguments: subject.arguments.clone(),
        engines: (names.iter().enumerate())
            .map(|(position, way)| {
                let compared = measure::compare(replies, position, base, noise);
                Comparison { way: way.clone(), compared }
            })
            .collect(),
    };
    let programs: Vec<Row> = subjects.iter().zip(&replies).map(row).collect();
    let mean = |(position, way): (usize, &String)| {
        let mean = measure::mean(programs.iter().map(|row| &row.engines[position].compared), noise)?;
        Some(OverPrograms { way: way.clone(), mean })
    };
    let geometric_means = names.iter().enumerate().filter_map(mean).collect();
    let findings = Findings { machine, effort, base: options.base.name(), programs, geometric_means };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        output::to_stdout(&findings.text(&names, base))?;
    }
    findings.verdict()
}

/// What is measured, checked to be there.
fn ways(options: &SteadyOptions) -> Result<Vec<Way>, Error> {
    let mut ways = options.engines.clone();
    if ways.is_empty() {
        ways = Way::OURS.into_iter().chain(Way::PEERS).filter(|way| way.is_available()).collect();
    }
    if let Some(missing) = ways.iter().find(|way| !way.is_available()) {
        return Err(Error::NoSuchPeer { engine: missing.name() });
    }
    let mut seen = Vec::new();
    ways.retain(|way| {
        !seen.contains(way) && {
            seen.push(*way);
            true
        }
    });
    if !ways.contains(&options.base) {
        let measured = ways.iter().map(|way| way.name()).collect::<Vec<_>>().join(", ");
        return Err(Error::BaseNotMeasured { base: options.base.name(), measured });
    }
    Ok(ways)
}

/// What to do where `engine` is not available.
pub(crate) fn how_to_get(engine: &str) -> &'static str {
    match engine {
        "node" if cfg!(feature = "peers") => "install node, or leave it out of --engines",
        _ => "build with peers: cargo build --release -p osr-bench --features peers",
    }
}

impl Findings {
    fn text(&self, names: &[String], base: usize) -> String {
        let Effort { processes, rounds, clock, .. } = self.effort;
        let mut text = format!(
            "Time relative to {}, in the steady state, with 95% intervals over {processes} processes of up to \
             {rounds} rounds ({} time).\n{}\n{}\n",
            self.base,
            clock.name(),
            self.machine.line(),
            self.table(names, base),
        );
        text += &legend(&self.programs);
        if !cfg!(feature = "peers") {
            text += "Other engines (wasmtime, wasmi, node): ";
            text += how_to_get("");
            text += "\n";
        }
        text
    }

    fn table(&self, names: &[String], base: usize) -> Table {
        let mut header = vec!["program".to_owned(), "argument".to_owned(), format!("{}, time", self.base)];
        let others = || (0..names.len()).filter(|&position| position != base);
        header.extend(others().map(|position| names[position].clone()));
        let mut table = table(&header.iter().map(|text| &**text).collect::<Vec<_>>());
        for row in &self.programs {
            let mut cells = vec![
                Cell::new(&row.name).set_alignment(CellAlignment::Left),
                Cell::new(row.arguments.join(" ")),
                Cell::new(base_time(&row.engines[base].compared)),
            ];
            cells.extend(others().map(|position| Cell::new(show(&row.engines[position].compared))));
            table.add_row(cells);
        }
        let mean = |position: usize| self.geometric_means.iter().find(|mean| mean.way == names[position]);
        let mut cells = vec![
            Cell::new("geometric mean").set_alignment(CellAlignment::Left),
            Cell::new(""),
            Cell::new(""),
        ];
        cells.extend(others().map(|position| {
            Cell::new(
                mean(position)
                    .map_or("".to_owned(), |found| interval(&found.mean.relative, found.mean.noisy)),
            )
        }));
        table.add_row(cells);
        table
    }

    fn verdict(&self) -> Result<(), Error> {
        let mut differing = Vec::new();
        for row in &self.programs {
            for Comparison { way, compared } in &row.engines {
                if let Compared::Differs(message) = compared {
                    differing.push(format!("{} on {way}: {message}", row.name));
                }
            }
        }
        if differing.is_empty() { Ok(()) } else { Err(Error::ResultsDiffer(differing.join("; "))) }
    }
}

/// What marks mean, and why cells are empty.
fn legend(programs: &[Row]) -> String {
    let mut text =
        "~ noisy: the interval is wide. ! no steady state in some process: the second half of its \
                    rounds was taken. ? too few rounds to tell.\n"
            .to_owned();
    for row in programs {
        for Comparison { way, compared } in &row.engines {
            if let Compared::Failed(message) | Compared::Differs(message) = compared {
                text += &format!("{} on {way}: {message}\n", row.name);
            }
        }
    }
    text
}

fn base_time(compared: &Compared) -> String {
    match compared {
        Compared::Measured { nanoseconds, steadiness, .. } => time(*nanoseconds) + mark(steadiness),
        _ => show(compared),
    }
}

fn show(compared: &Compared) -> String {
    match compared {
        Compared::Measured { relative, noisy, steadiness, .. } => {
            interval(relative, *noisy) + mark(steadiness)
        }
        Compared::Failed(_) => "failed".to_owned(),
        Compared::Differs(_) => "DIFFERS".to_owned(),
    }
}

/// `1.034 ±0.8%`
pub(crate) fn interval(interval: &Interval, noisy: bool) -> String {
    let width = interval.relative_half_width() * 100.0;
    let width = if width.is_finite() { format!(" ±{width:.1}%") } else { " ±?".to_owned() };
    format!("{:.3}{width}{}", interval.ratio, if noisy { " ~" } else { "" })
}

/// What is to be said of the way to the steady state.
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
