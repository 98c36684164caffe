//! `osr-bench why`: for the deoptimizations of a run what did not hold, who saw to that, and what it cost.

mod witness;

use std::fmt::Write;
use std::sync::Arc;

use clap::Args;
use comfy_table::{Cell, Table, presets};
use osr_engine::{Delegates, Observer};
use osr_ir::Shown;
use serde::Serialize;

use super::run::end_of;
use crate::cli::{CallOptions, HostOptions};
use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::host::Output;
use crate::guest::session::Session;
use crate::output;
use witness::{Broken, Deoptimization, NewCode, Witness};

const WHY_EXAMPLES: &str = "\
A deoptimization is a frame that leaves compiled code before it ends: at a guard that fails, or because its code was \
retired or its frames hijacked. They are numbered as they happen. Without --number and --at, all are listed, by function, \
point and cause. Frames that take exits which are linked are not seen after the first.

Examples:
  osr-bench why phase-change.wasm 1000 --speculate branch
  osr-bench why phase-change.wasm 1000 --speculate branch --number 3
  osr-bench why fib.wasm 20 --tier optimized --stress invalidate=100 --at fib:p1
  osr-bench why tests/programs/redefinition/sort.ir 400 --json

Exit codes: 0; 1 after a trap; 2 for bad input, or if there is no such deoptimization.";

/// Options of `why`.
#[derive(Debug, Args)]
#[command(after_help = WHY_EXAMPLES)]
pub(crate) struct WhyOptions {
    /// What is called.
    #[command(flatten)]
    call: CallOptions,
    /// What it is given.
    #[command(flatten)]
    host: HostOptions,
    /// The deoptimization of that number, from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    /// The first deoptimization at that point.
    #[arg(long, value_name = "FUNCTION:POINT", conflicts_with = "number")]
    at: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Deoptimizations that are alike.
#[derive(Debug, Serialize)]
struct Group {
    function: String,
    point: String,
    position: String,
    why: String,
    /// Number of the first.
    first: usize,
    count: u64,
    continues: String,
}

/// All of a run.
#[derive(Debug, Serialize)]
struct Listed {
    groups: Vec<Group>,
    /// Those that came later, and are in no group.
    others: u64,
}

/// Runs what `options` say, and tells.
pub(crate) fn run(options: &WhyOptions) -> Result<(), Error> {
    let call = Call::of(&options.call, &options.host, false)?;
    let witness = Arc::new(Witness::new());
    let delegates = Delegates { observer: Some(witness.clone() as Arc<dyn Observer>), policy: None };
    let imports = call.host.imports(&call.program, Output::Dropped)?;
    let outcome = Session { delegates, ..call.session(&call.settings, imports) }.run()?;
    let (seen, others) = witness.seen();
    if options.number.is_none() && options.at.is_none() {
        let listed = Listed { groups: groups(&seen), others };
        show(options.json, &listed, || listed.text())?;
    } else {
        let chosen = seen.iter().find(|one| options.chooses(one));
        let chosen = chosen.ok_or(Error::NoDeoptimization { seen: seen.len() as u64 + others })?;
        show(options.json, chosen, || text(chosen))?;
    }
    outcome.result.map_or_else(|trap| end_of(&call.program, trap), |_| Ok(()))
}

fn show(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
    if json { output::json_to_stdout(value) } else { output::to_stdout(&text()) }
}

impl WhyOptions {
    fn chooses(&self, one: &Deoptimization) -> bool {
        match &self.at {
            Some(at) => at.rsplit_once(':').is_some_and(|at| at == (&*one.function, &*one.point)),
            None => self.number == Some(one.number as u64),
        }
    }
}

fn groups(seen: &[Deoptimization]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for one in seen {
        let why = one.broken.text();
        let is_alike = |group: &&mut Group| {
            (&group.function, &group.point, &group.why, &group.continues)
                == (&one.function, &one.point, &why, &one.continues)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.count += 1,
            None => groups.push(Group {
                function: one.function.clone(),
                point: one.point.clone(),
                position: one.position.clone(),
                why,
                first: one.number,
                count: 1,
                continues: one.continues.clone(),
            }),
        }
    }
    groups
}

impl Broken {
    /// In a few words, the same for those that are alike.
    fn text(&self) -> String {
        match self {
            Broken::Guard { reason, at, forced, .. } => {
                let made_to = if *forced { ", made to fail" } else { "" };
                format!("{reason} at {at}{made_to}")
            }
            Broken::Replaced { by, host, .. } => {
                // Stress says at which safepoint.
                let by = by.split(" at safepoint").next().unwrap_or(by);
                host.as_ref().map_or(by.to_owned(), |host| format!("{by}, in `{}`", Shown(host)))
            }
        }
    }
}

impl Listed {
    fn text(&self) -> String {
        let mut shown = Table::new();
        shown.load_preset(presets::NOTHING);
        shown.set_header(["first", "count", "where", "why", "continues in"]);
        for Group { function, point, position, why, first, count, continues } in &self.groups {
            let place = format!("{} {point} ({position})", Shown(function));
            let cells = [first.to_string(), count.to_string(), place, why.clone(), continues.clone()];
            shown.add_row(cells.map(Cell::new));
        }
        let others = match self.others {
            0 => String::new(),
            others => format!("and {others} later ones\n"),
        };
        match self.groups.is_empty() {
            true => "nothing was deoptimized\n".to_owned(),
            false => format!("{shown}\n{others}--number N tells more of one\n"),
        }
    }
}

/// All that is known of one.
fn text(one: &Deoptimization) -> String {
    let mut out = format!(
        "deoptimization {} at {}: `{}` left v{} ({}, entered at {})\n",
        one.number,
        microseconds(one.at_ns),
        Shown(&one.function),
        one.version,
        one.tier,
        one.entry
    );
    match &one.broken {
        Broken::Guard { reason, at, exit, forced, before } => {
            let how = if *forced { "was made to fail, and holds" } else { "failed" };
            _ = writeln!(out, "  a guard {how}: {reason} at {at}, which exits to {exit}");
            let times = if *before == 1 { "time" } else { "times" };
            _ = writeln!(out, "  it had failed {before} {times} before");
        }
        Broken::Replaced { by, at_ns, host } => {
            let waited = microseconds(one.at_ns.saturating_sub(*at_ns));
            let host =
                host.as_ref().map_or(String::new(), |host| format!(", while `{}` executed", Shown(host)));
            _ = writeln!(out, "  its frame was to leave: {by}{host}; that was {waited} before it did");
        }
    }
    _ = writeln!(out, "  it continues at {} ({}) in {}", one.point, one.position, one.continues);
    for value in &one.values {
        _ = writeln!(out, "    {value}");
    }
    match &one.new_code {
        Some(NewCode { version, tier, entry, after_ns, compile_ns }) => {
            _ = writeln!(
                out,
                "  new code of the function was there {} later: v{version} ({tier}, entered at {entry}), compiled in {}",
                microseconds(*after_ns),
                microseconds(*compile_ns)
            );
        }
        None => out += "  no code of the function was made after that\n",
    }
    out
}

fn microseconds(ns: u64) -> String {
    format!("{}.{:03} us", ns / 1_000, ns % 1_000)
}
