//! Differences between an execution and the shadow interpreter's.

use osr_ir::{FunctionIndex, GlobalIndex, MemoryIndex, Point, Register, Shown, TableIndex};
use thiserror::Error;

use crate::code::VersionId;
use crate::event::statistics::Place;
use crate::settings::Tier;

/// The first thing in which an execution and the shadow interpreter's differ.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{disagreement}\n  at {}, {}", site(.function_name, .point), after(*ordinal, .transition))]
pub struct Difference {
    /// The function that the shadow interpreter executes; none if it executes nothing.
    pub function: Option<FunctionIndex>,
    /// Its name.
    pub function_name: String,
    /// The last point at which the shadow interpreter was seen.
    pub point: Option<Point>,
    /// The last transition, the one at which the difference was found if
    /// [`Disagreement::Register`] it is.
    pub transition: Option<Transition>,
    /// Its number, from 1; 0 if there was none.
    pub ordinal: u64,
    /// What differs.
    pub disagreement: Disagreement,
}

/// A transition: an activation that continues in other code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The function.
    pub function: FunctionIndex,
    /// Where.
    pub point: Point,
    /// What kind of place that is.
    pub place: Place,
    /// The tier that was left.
    pub from: Tier,
    /// The version that was left; none for the interpreter.
    pub from_version: Option<VersionId>,
    /// The tier that was entered.
    pub to: Tier,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Disagreement {
    /// The execution is elsewhere, or something else happens there.
    #[error("the execution {execution}, but the shadow interpreter {shadow}")]
    Path {
        /// What the execution does.
        execution: String,
        /// What the shadow interpreter does.
        shadow: String,
    },
    /// A register of a rebuilt frame state.
    #[error(
        "{register} is {execution:#x} in the rebuilt frame state, but {shadow:#x} in the shadow interpreter"
    )]
    Register {
        /// The register.
        register: Register,
        /// Its word in the frame state.
        execution: u64,
        /// Its word in the shadow interpreter.
        shadow: u64,
    },
    /// A byte of a linear memory.
    #[error(
        "memory {memory} at {address:#x} is {execution:#04x}, but {shadow:#04x} in the shadow interpreter"
    )]
    Memory {
        /// The memory.
        memory: MemoryIndex,
        /// The lowest address that differs.
        address: u64,
        /// The byte there.
        execution: u8,
        /// The byte in the shadow interpreter.
        shadow: u8,
    },
    /// The size of a linear memory.
    #[error("memory {memory} has {execution} pages, but {shadow} in the shadow interpreter")]
    MemorySize {
        /// The memory.
        memory: MemoryIndex,
        /// Pages.
        execution: u32,
        /// Pages in the shadow interpreter.
        shadow: u32,
    },
    /// A global.
    #[error("{global} is {execution:#x}, but {shadow:#x} in the shadow interpreter")]
    Global {
        /// The global.
        global: GlobalIndex,
        /// Its word.
        execution: u64,
        /// Its word in the shadow interpreter.
        shadow: u64,
    },
    /// A table.
    #[error("{table} differs from the shadow interpreter's at entry {entry}")]
    Table {
        /// The table.
        table: TableIndex,
        /// The first entry that differs, or that only one of them has.
        entry: u32,
    },
}

fn site(name: &str, point: &Option<Point>) -> String {
    match point {
        Some(point) => format!("{point} of `{}`", Shown(name)),
        None => "rest".to_owned(),
    }
}

fn after(ordinal: u64, transition: &Option<Transition>) -> String {
    let Some(transition) = *transition else { return "before any transition".to_owned() };
    let Transition { function, point, place, from, from_version, to } = transition;
    let version = from_version.map_or(String::new(), |version| format!(" version {}", version.0));
    let place = match place {
        Place::Entry => "the entry",
        Place::LoopHeader => "a loop header",
        Place::PendingReturn => "a pending return",
        Place::Guard => "a guard",
    };
    format!(
        "transition {ordinal} (at {place}, {point} of {function}, from {}{version} to {})",
        from.name(),
        to.name()
    )
}
