//! The counts, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::{Bytes, Counts, Function, Report};

const CAPTION: &str = "\
calls       call sites of guest code and of the runtime in optimized code; polls are not counted
live        values of the frame state at a call, on average
result .. spilled
            where they are, in percent, with `locations`: returned by the call, constant, in a callee-saved
            register, in a spill slot
remade      of all, in percent: values that a pad recomputes or knows to be constant, because optimized code
            has no use for them as they are; `locations` forces them into a register or a spill slot
code        bytes, and what each state recording adds, in percent; of `pads`, how much is pads
maps        bytes of frame maps in memory, in percent of the code

";

/// All reports as tables with a caption; with `functions` a table for each program, too.
pub(super) fn text(reports: &[Report], functions: bool) -> String {
    let mut text = CAPTION.to_owned();
    let mut table = new_table("program");
    let mut all = Counts::default();
    for Report { program, total, .. } in reports {
        row(&mut table, program, total);
        all.add(total);
    }
    if reports.len() > 1 {
        row(&mut table, "all", &all);
    }
    writeln!(text, "{table}").expect("a string");
    for Report { program, functions, .. } in reports.iter().filter(|_| functions) {
        let mut table = new_table(program);
        functions.iter().for_each(|Function { name, counts }| row(&mut table, name, counts));
        writeln!(text, "\n{table}").expect("a string");
    }
    text
}

fn new_table(first: &str) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let rest = [
        "calls",
        "live",
        "result",
        "constant",
        "register",
        "spilled",
        "remade",
        "code",
        "slots",
        "locations",
        "pads",
        "of it pads",
        "slot maps",
        "location maps",
        "pad maps",
    ];
    table.set_header(std::iter::once(first).chain(rest));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(table: &mut Table, name: &str, counts: &Counts) {
    let percent = |part: u64, whole: u64| match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1}", part as f64 * 100.0 / whole as f64),
    };
    let added = |bytes: Bytes| {
        let base = counts.none.code.max(1) as f64;
        format!("{:+.1}", (bytes.code as f64 / base - 1.0) * 100.0)
    };
    let live = |part| percent(part, counts.live);
    let per_call = counts.live as f64 / counts.calls.max(1) as f64;
    table.add_row([
        Cell::new(name),
        Cell::new(counts.calls),
        Cell::new(format!("{per_call:.2}")),
        Cell::new(live(counts.results)),
        Cell::new(live(counts.constants)),
        Cell::new(live(counts.registers)),
        Cell::new(live(counts.spilled)),
        Cell::new(live(counts.recomputed + counts.pad_constants)),
        Cell::new(counts.none.code),
        Cell::new(added(counts.slots)),
        Cell::new(added(counts.locations)),
        Cell::new(added(counts.pads)),
        Cell::new(percent(counts.pads.pads, counts.pads.code)),
        Cell::new(percent(counts.slots.maps, counts.slots.code)),
        Cell::new(percent(counts.locations.maps, counts.locations.code)),
        Cell::new(percent(counts.pads.maps, counts.pads.code)),
    ]);
}
