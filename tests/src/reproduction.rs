//! Runs with all that a reproduction of them may be compared by, from transitions to code.

use osr_engine::{CodeStatistics, Delegates, Moves, Schedule, Settings, Transitions};
use osr_ir::{Module, Value};

use crate::case::parse_value;
use crate::configuration::{describe, start_with};
use crate::{Case, Program};

/// Exported functions with arguments, called one after the other in one instance.
pub type Calls = Vec<(String, Vec<Value>)>;

/// What a run did.
#[derive(Debug, PartialEq)]
pub struct Run {
    /// Per call its results, or why there are none.
    pub outcomes: Vec<Result<Vec<u64>, String>>,
    /// A hash of the memory afterwards.
    pub memory_hash: Option<u64>,
    /// What happened, in numbers.
    pub transitions: Transitions,
    /// From where to where.
    pub moves: Vec<Moves>,
    /// How much code there was.
    pub code: CodeStatistics,
    /// What was forced, if it was recorded.
    pub schedule: Schedule,
}

impl Run {
    /// Makes `calls` in a fresh instance of `module`.
    pub fn of(module: &Module, calls: &Calls, settings: &Settings) -> Run {
        Run::with_delegates(module, calls, settings, Delegates::default())
    }

    /// The same, with `delegates`.
    pub fn with_delegates(module: &Module, calls: &Calls, settings: &Settings, delegates: Delegates) -> Run {
        let (instance, thread) = start_with(module, settings, delegates);
        let call = |(name, arguments): &(String, Vec<Value>)| {
            thread.invoke(name, arguments).map_err(|error| describe(&error))
        };
        Run {
            outcomes: calls.iter().map(call).collect(),
            memory_hash: instance.memory().map(|memory| memory.hash()),
            transitions: thread.transitions(),
            moves: thread.moves(),
            code: instance.code_statistics(),
            schedule: thread.schedule(),
        }
    }
}

/// The call of a C program with its small arguments.
pub fn calls_of_program(program: &Program) -> Calls {
    vec![(program.invoke.clone(), program.small_arguments())]
}

/// The calls of a case.
///
/// # Panics
/// If one is not of an exported function.
pub fn calls_of_case(case: &Case) -> Calls {
    let call = |call: &crate::case::Call| {
        let Some(osr_ir::ExportItem::Function(function)) = case.module.export(&call.function) else {
            panic!("{} exports {}", case.name, call.function);
        };
        let types = &case.module.signature_of(function).parameters;
        let arguments = types.iter().zip(&call.arguments).map(|(&ty, text)| parse_value(ty, text));
        (call.function.clone(), arguments.collect())
    };
    case.calls.iter().map(call).collect()
}
