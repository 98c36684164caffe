//! The findings, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table};

use super::cost::Cost;
use super::{Findings, Function, Instead, RECORDINGS, Report};
use crate::laboratory::show;
use crate::laboratory::wide_table::WideTable;

const VALUES: &str = "\
Values of the frame states at calls of optimized code; polls are not counted.
live        on average, at a call
result .. spilled
            where they are, in percent, with `locations`: returned by the call,
            constant, in a callee-saved register, spilled
remade      in percent: a pad recomputes them or knows them to be constant, since
            optimized code has no use for them as they are; `locations` forces
            them into a register or a slot
";

const BYTES: &str = "\
Bytes of code, all functions.
none        without recording; then what each recording adds, in percent
of it pads  how much of the code with `pads` they are, in percent
maps        frame maps, in percent of the code; by slots, locations, pads
A function has slots instead where its frame would be too large with another
recording, its values scattered over the frame, or its pads not movable.
";

const BY_CODE: &str = "\
moves       instructions that copy one register to another
spills      instructions that copy between a register and the frame
frame       the largest, in bytes
compile     processor time
";

/// All reports as tables with captions; if `functions`, also the costs of each program, and so many functions of it.
pub(super) fn text(reports: &[Report], functions: Option<usize>) -> String {
    let mut all = Findings::default();
    reports.iter().for_each(|report| all.add(&report.total));
    let mut rows: Vec<(&str, &Findings)> =
        reports.iter().map(|report| (&*report.program, &report.total)).collect();
    if reports.len() > 1 {
        rows.push(("all", &all));
    }
    let mut text = format!("{VALUES}{}\n\n{BYTES}{}\n", values(&rows), bytes(&rows));
    for report in reports {
        notes(&mut text, report);
        if let Some(most) = functions {
            write!(
                text,
                "\n{}: all code of {} functions.\n{BY_CODE}{}\n",
                report.program,
                report.total.functions,
                by_code(report)
            )
            .expect("a string");
            text += &worst(report, most);
        }
    }
    text
}

fn values(rows: &[(&str, &Findings)]) -> WideTable {
    let mut table =
        table(&["program", "calls", "live", "result", "constant", "register", "spilled", "remade"]);
    for (name, findings) in rows {
        let values = &findings.values;
        let share = |part: u64| Cell::new(percent(part, values.live));
        table.add_row([
            Cell::new(name),
            Cell::new(values.calls),
            Cell::new(format!("{:.2}", values.live as f64 / values.calls.max(1) as f64)),
            share(values.results),
            share(values.constants),
            share(values.registers),
            share(values.spilled),
            share(values.recomputed + values.pad_constants),
        ]);
    }
    table
}

fn bytes(rows: &[(&str, &Findings)]) -> WideTable {
    let header =
        ["program", "none", "slots", "locations", "pads", "of it pads", "slot maps", "maps", "pad maps"];
    let mut table = table(&header);
    for (name, Findings { none, slots, locations, pads, .. }) in rows {
        let added = |cost: &Cost| format!("{:+.1}", (ratio(cost.code, none.code) - 1.0) * 100.0);
        let maps = |cost: &Cost| percent(cost.maps, cost.code);
        table.add_row([
            (*name).to_owned(),
            none.code.to_string(),
            added(slots),
            added(locations),
            added(pads),
            percent(pads.pads, pads.code),
            maps(slots),
            maps(locations),
            maps(pads),
        ]);
    }
    table
}

/// What a reader of the tables has to know of a program besides.
fn notes(text: &mut String, report: &Report) {
    for refused in &report.refused {
        let (program, function) = (&report.program, &refused.name);
        let (recording, message) = (refused.recording.name(), &refused.message);
        writeln!(text, "{program}: `{function}` is left out: not compiled with {recording}: {message}")
            .expect("a string");
    }
    for (asked, used) in RECORDINGS.into_iter().flat_map(|asked| RECORDINGS.map(|used| (asked, used))) {
        let is_such = |instead: &Instead| (instead.asked, instead.used) == (asked, used);
        let functions = report.functions.iter().filter(|function| function.instead.iter().any(is_such));
        let names: Vec<String> = functions.map(|function| bounded(&function.name)).collect();
        if !names.is_empty() {
            let shown = names[..names.len().min(8)].join(", ");
            writeln!(
                text,
                "{}: {} functions have {} instead of {}: {shown}{}",
                report.program,
                names.len(),
                used.name(),
                asked.name(),
                if names.len() > 8 { ", .." } else { "" }
            )
            .expect("a string");
        }
    }
    if let Some(message) = &report.no_wasmtime {
        writeln!(text, "{}: wasmtime does not compile it: {message}", report.program).expect("a string");
    }
}

/// A row for each recording of a program's code, and for wasmtime's.
fn by_code(report: &Report) -> WideTable {
    let mut header = vec!["code", "bytes", "of none"];
    let total = &report.total;
    header.extend(total.wasmtime.map(|_| "of wasmtime"));
    header.extend(["moves", "spills", "frame", "compile"]);
    let mut table = table(&header);
    let rows = [
        ("wasmtime", total.wasmtime.as_ref()),
        ("none", Some(&total.none)),
        ("slots", Some(&total.slots)),
        ("locations", Some(&total.locations)),
        ("pads", Some(&total.pads)),
    ];
    for (name, cost) in rows {
        let Some(cost) = cost else { continue };
        let of = |base: &Cost| format!("{:.2}", ratio(cost.code, base.code));
        let mut cells = vec![name.to_owned(), cost.code.to_string(), of(&total.none)];
        cells.extend(total.wasmtime.as_ref().map(of));
        cells.extend([cost.moves.to_string(), cost.spills.to_string(), cost.frame_bytes.to_string()]);
        cells.push(show::time(cost.compile_nanoseconds as f64));
        table.add_row(cells);
    }
    table
}

/// The `most` functions of a program whose code has the most bytes in excess, the worst first.
fn worst(report: &Report, most: usize) -> String {
    let mut functions: Vec<&Function> = report.functions.iter().collect();
    functions.sort_by_key(|function| std::cmp::Reverse(function.findings.excess()));
    functions.truncate(most);
    let Some(first) = functions.first() else { return String::new() };
    let reference = if first.findings.wasmtime.is_some() { "wasmtime" } else { "none" };
    let header =
        ["function", reference, "none", "slots", "locations", "pads", "moves", "spills", "frame", "compile"];
    let mut table = table(&header);
    for function in functions {
        let findings = &function.findings;
        let reference = findings.reference();
        let of = |cost: &Cost| format!("{:.2}", ratio(cost.code, reference.code));
        let Findings { none, slots, locations, pads, .. } = findings;
        table.add_row([
            bounded(&function.name),
            reference.code.to_string(),
            of(none),
            of(slots),
            of(locations),
            of(pads),
            locations.moves.to_string(),
            locations.spills.to_string(),
            locations.frame_bytes.to_string(),
            show::time(locations.compile_nanoseconds as f64),
        ]);
    }
    format!(
        "\nThe functions that `locations` adds the most bytes to: bytes by {reference}, how\n\
         many times that the others have; the rest is with `locations`.\n{table}\n"
    )
}

/// A name that leaves room for the rest of the row.
fn bounded(name: &str) -> String {
    const CHARACTERS: usize = 32;
    match name.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", name[..end].escape_debug()),
        None => name.escape_debug().to_string(),
    }
}

fn table(header: &[&str]) -> WideTable {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.into()
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}", part as f64 * 100.0 / whole as f64) }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
