//! Lines of a version's code.

use osr_engine::{CodeVersion, Instance};
use osr_ir::{Locator, SourceLine};

/// A line that code is of, from `offset` to that of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineRow {
    pub(crate) offset: u32,
    pub(crate) line: SourceLine,
}

/// The lines of the code of `version`, ascending; none if its module does not know any.
///
/// What is known of code is where calls return to, and what traps. So each of these has its own line, up to its last byte,
/// and what is before it, from the one before, has the same: frames and traps have exact lines, and steps between them
/// coarse ones. It takes no record but those that landings need anyway.
pub(crate) fn lines_of(instance: &Instance, version: &CodeVersion, locator: &Locator) -> Vec<LineRow> {
    let place = |function, point| locator.place(instance.module(), function, point)?.line;
    let sites = version.frame_maps.sites().zip(0..).filter_map(|(site, number)| {
        let innermost = instance.activations(version, number)[0];
        Some((site.return_offset, place(innermost.function, innermost.point)?))
    });
    let traps = version.trap_sites.iter().filter_map(|trap| {
        let (function, site) = version.trap_site(version.start + u64::from(trap.offset))?;
        Some((trap.offset + 1, place(function, site.point)?))
    });
    let mut ends: Vec<(u32, SourceLine)> = sites.chain(traps).collect();
    ends.sort();
    let mut rows: Vec<LineRow> = Vec::new();
    let mut offset = 0;
    for (end, line) in ends {
        if rows.last().is_none_or(|last| last.line != line) {
            rows.push(LineRow { offset, line });
        }
        offset = end;
    }
    rows
}
