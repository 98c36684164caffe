//! Traps as they are shown: with a backtrace, and with where in the program's source it is.

use std::fmt;

use osr_engine::{Callers, Trap, TrapFrame};
use osr_ir::{FunctionIndex, Locator, Module, Point, Shown};
use serde::Serialize;

/// A trap of a program.
#[derive(Debug)]
pub(crate) struct Trapped {
    /// The trap.
    pub(crate) trap: Trap,
    frames: Vec<ShownFrame>,
}

/// Activations in a row that are at the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ShownFrame {
    function: String,
    point: String,
    /// Where in the WebAssembly module, and in its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// How many there are.
    activations: usize,
}

impl Trapped {
    /// `trap`, which is one of `module`.
    pub(crate) fn of(module: &Module, trap: Trap) -> Trapped {
        let frames = backtrace(module, &trap);
        Trapped { trap, frames }
    }

    /// Where it is, as a backtrace.
    pub(crate) fn place(&self) -> impl fmt::Display {
        fmt::from_fn(|out| self.write_frames(out))
    }

    fn write_frames(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = 0;
        for frame in &self.frames {
            writeln!(out, "  #{number:<3} {frame}")?;
            number += frame.activations;
        }
        match self.trap.callers.further() {
            0 => Ok(()),
            further => writeln!(out, "  and {further} further out ({} are kept)", Callers::KEPT),
        }
    }
}

/// What trapped and who waited for it, innermost first, where `trap` is one of `module`.
pub(crate) fn backtrace(module: &Module, trap: &Trap) -> Vec<ShownFrame> {
    let locator = Locator::default();
    let shown = |name: &str, function: FunctionIndex, point: Point, activations: usize| ShownFrame {
        function: name.to_owned(),
        point: point.to_string(),
        place: locator.place(module, function, point).map(|place| place.to_string()),
        activations,
    };
    let own = shown(&trap.function_name, trap.function, trap.point, 1);
    let equal = trap.callers.frames().chunk_by(|one, other| one == other);
    let callers = equal.map(|equal| {
        let TrapFrame { function, function_name, point } = &equal[0];
        shown(function_name, *function, *point, equal.len())
    });
    std::iter::once(own).chain(callers).collect()
}

impl fmt::Display for Trapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.trap.without_message())?;
        if let Some(message) = &self.trap.message {
            writeln!(formatter, "  the host says: {}", Shown(message))?;
        }
        if let [ShownFrame { place: None, .. }] = *self.frames {
            return Ok(());
        }
        self.write_frames(formatter)
    }
}

impl fmt::Display for ShownFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", Shown(&self.function), self.point)?;
        self.place.iter().try_for_each(|place| write!(formatter, ", {place}"))?;
        if self.activations > 1 { write!(formatter, " ({} activations)", self.activations) } else { Ok(()) }
    }
}
