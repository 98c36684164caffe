//! `osr-bench guards`: what leaving optimized code at a guard costs, and what guards cost that hold.
//!
//! ```text
//!   cases: a program with a check, how its failures are answered, when it fails
//!     └── rounds: every case once, in random order ──> ns per iteration ──> differences of medians, with intervals
//! ```
//!
//! The exit itself cannot be timed from outside: what a failing iteration takes more than one that holds is the exit, what
//! is executed after it, and the return. Where that is interpreted, a second program with more instructions behind the exit
//! says what an instruction takes, which is subtracted.

mod cases;
mod guest;
mod values;

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::early_end::Progress;
use super::measuring::{Clock, Machine, Turns};
use super::show::{print, table};
use super::statistics::{Estimate, Processes, estimate, estimate_of};
use crate::error::Error;
use crate::guest::session::on_thread;
use crate::laboratory::wide_table::WideTable;
use crate::output;
use cases::{Answer, Case, Key, MORE, MOST_FURTHER, PERIODS, RATES};
use values::Values;

const GUARDS_EXAMPLES: &str = "\
Times are of one iteration, in nanoseconds: medians over rounds, 95% intervals by bootstrap. All cases are in one process, \
in random order in each round.

Examples:
  osr-bench guards
  osr-bench guards --rounds 51 --json
  osr-bench guards --clock cpu              on a machine that is not quiet

Exit codes: 0; 1 if results differ; 2 for bad input.";

/// Options of `guards`.
#[derive(Debug, Args)]
#[command(after_help = GUARDS_EXAMPLES)]
pub(crate) struct GuardsOptions {
    /// How often each case is measured.
    #[arg(long, value_name = "N", default_value_t = 21, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Iterations in each measurement.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    iterations: u32,
    /// How rounds are made.
    #[command(flatten)]
    turns: Turns,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    clock: Clock,
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    exits: Vec<Figure>,
    rates: Vec<Row>,
    phases: Vec<Row>,
    values: Vec<Values>,
}

/// A figure of one exit.
#[derive(Debug, Serialize)]
struct Figure {
    what: &'static str,
    /// Nanoseconds, or a ratio.
    value: Estimate,
    /// What it should be at most.
    aim: Option<f64>,
}

/// What an iteration takes, by answer, in nanoseconds.
#[derive(Debug, Serialize)]
struct Row {
    /// How often the check fails, or how long a phase is.
    when: String,
    answers: Vec<(&'static str, Estimate)>,
}

/// Measures what `options` say.
pub(crate) fn run(options: &GuardsOptions) -> Result<(), Error> {
    let findings = on_thread(cases::STACK_BYTES, || measure(options))??;
    match options.json {
        true => output::json_to_stdout(&findings)?,
        false => print(&findings.text())?,
    }
    Progress::verdict(findings.interrupted)
}

fn measure(options: &GuardsOptions) -> Result<Findings, Error> {
    let failed = |message| Error::Guards { message };
    let mut cases = cases::all(options.iterations.into()).map_err(failed)?;
    let clock = options.turns.clock;
    let size = (options.rounds, cases.len());
    let sample = |case: usize| cases[case].sample(clock).map_err(failed);
    let taken = options.turns.take("guards", size, options.json, sample)?;
    cases::check(&cases).map_err(failed)?;
    let samples = |key: Key| samples(&cases, key);
    let values = values::of_programs()?;
    let parts = (taken.rounds.into(), options.rounds.into());
    Ok(Findings {
        machine: Machine::current(),
        clock,
        rounds: taken.rounds,
        interrupted: options.turns.progress(parts, "rounds").if_early()?,
        exits: figures(&samples, cases::leaves_several(&cases)),
        rates: RATES
            .map(|rate| row(&samples, format!("{rate}"), |answer| Key::Rate(answer, rate.to_bits())))
            .into(),
        values,
        phases: PERIODS
            .map(|period| row(&samples, format!("{period}"), |answer| Key::Phases(answer, period)))
            .into(),
    })
}

/// The samples of a case.
fn samples(cases: &[Case], key: Key) -> &[f64] {
    &cases.iter().find(|case| case.key == key).expect("every case is there").samples
}

fn row<'c>(samples: &impl Fn(Key) -> &'c [f64], when: String, key: impl Fn(Answer) -> Key) -> Row {
    let of = |&answer: &Answer| {
        let estimate = estimate(&Processes::one(samples(key(answer))));
        (answer.name(), estimate.expect("there is a round"))
    };
    Row { when, answers: Answer::ALL.iter().map(of).collect() }
}

/// What is derived of the exits. Frames of several activations are left at guards if `leaves_several`.
fn figures<'c>(samples: &impl Fn(Key) -> &'c [f64], leaves_several: bool) -> Vec<Figure> {
    let figure = |what, aim, keys: &[Key], of: &dyn Fn(&[f64]) -> f64| {
        let series: Vec<Processes> = keys.iter().map(|&key| Processes::one(samples(key))).collect();
        let value = estimate_of(&series.iter().collect::<Vec<_>>(), of);
        Figure { what, value: value.expect("there is a round"), aim }
    };
    let (holds, interpreted) = (Key::Holds(0), Key::Interpreted(0, 0));
    let deepest = [Key::Holds(MOST_FURTHER), Key::Interpreted(MOST_FURTHER, 0)];
    let executed = (guest::USES + 1) as f64;
    let mut figures = vec![
        figure("an iteration whose guard holds", None, &[holds], &|it| it[0]),
        figure("the same against one without a guard: ratio", Some(1.01), &[holds, Key::Unguarded], &|it| {
            it[0] / it[1]
        }),
        figure("an interpreted instruction", None, &[interpreted, Key::Interpreted(0, MORE)], &|it| {
            (it[1] - it[0]) / MORE as f64
        }),
        figure(
            "exit to the interpreter, up to the first instruction, and the return",
            Some(40.0),
            &[holds, interpreted, Key::Interpreted(0, MORE)],
            &|it| it[1] - it[0] - executed * (it[2] - it[1]) / MORE as f64,
        ),
        figure(
            "linked exit, what is executed after it, and the return",
            Some(30.0),
            &[holds, Key::Linked(0)],
            &|it| it[1] - it[0],
        ),
    ];
    if leaves_several {
        let keys = [holds, interpreted, deepest[0], deepest[1]];
        figures.push(figure("each further activation of the frame", Some(15.0), &keys, &|it| {
            ((it[3] - it[2]) - (it[1] - it[0])) / MOST_FURTHER as f64
        }));
        let keys = [holds, Key::Linked(0), deepest[0], Key::Linked(MOST_FURTHER)];
        figures.push(figure("the same, of a frame whose exit is linked", None, &keys, &|it| {
            ((it[3] - it[2]) - (it[1] - it[0])) / MOST_FURTHER as f64
        }));
    }
    figures
}

impl Findings {
    fn text(&self) -> String {
        let number = |estimate: &Estimate| {
            format!("{:.2} [{:.2}, {:.2}]", estimate.median, estimate.low, estimate.high)
        };
        let mut exits = table(&["ns", "median [95 %]", "aim"]);
        for Figure { what, value, aim } in &self.exits {
            let aim = aim.map_or(String::new(), |aim| format!("{aim}"));
            exits.add_row([Cell::new(what), Cell::new(number(value)), Cell::new(aim)]);
        }
        let answers = |name: &str, rows: &[Row]| {
            let mut header = vec![name];
            header.extend(Answer::ALL.iter().map(|answer| answer.name()));
            let mut shown = table(&header);
            for row in rows {
                let cells = row.answers.iter().map(|(_, estimate)| number(estimate));
                shown.add_row(std::iter::once(row.when.clone()).chain(cells));
            }
            shown.to_string()
        };
        let meanings: String = Answer::ALL
            .iter()
            .map(|answer| format!("  {:12} {}\n", answer.name(), answer.meaning()))
            .collect();
        format!(
            "{}{}\nMedians of {} rounds ({} time).\n{exits}\n\nA function with a guard, by how often that fails; ns a call\n{}\n\n\
             A loop of two phases, by their length in iterations; ns an iteration\n{}\n\n{meanings}\n\
             Values at the guards of the bundled programs, with branches speculated\n{}\n",
            Progress::line(self.interrupted),
            self.machine.line(),
            self.rounds,
            self.clock.name(),
            answers("rate", &self.rates),
            answers("period", &self.phases),
            self.values(),
        )
    }

    fn values(&self) -> WideTable {
        let mut shown = table(&[
            "program",
            "guards",
            "values",
            "constants",
            "for the exit alone",
            "recomputable",
            "bytes stored",
            "bytes of code",
            "of maps",
        ]);
        for row in self.values.iter().chain([&Values::sum(&self.values)]) {
            let share = |part: u64| format!("{part} ({:.0} %)", 100.0 * part as f64 / row.live.max(1) as f64);
            shown.add_row([
                row.program.clone(),
                row.guards.to_string(),
                row.live.to_string(),
                share(row.constants),
                share(row.for_exit),
                share(row.recomputable),
                row.stored_bytes.to_string(),
                row.code_bytes.to_string(),
                row.map_bytes.to_string(),
            ]);
        }
        shown
    }
}
