//! Runs with all that a reproduction of them may be compared by, from transitions to code.

use osr_engine::{
    CodeRelease, CodeStatistics, Delegates, Instance, Moves, Schedule, Settings, Transitions, VersionState,
};
use osr_ir::{Body, Module, Value};

use crate::Program;
use crate::configuration::{describe, start_with};

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
    ///
    /// # Panics
    /// If slots are still hijacked after a call.
    pub fn of(module: &Module, calls: &Calls, settings: &Settings) -> Run {
        Run::with_delegates(module, calls, settings, Delegates::default())
    }

    /// The same, with `delegates`.
    pub fn with_delegates(module: &Module, calls: &Calls, settings: &Settings, delegates: Delegates) -> Run {
        let (instance, thread) = start_with(module, settings, delegates);
        let counts_frames = settings.mechanism.release == CodeRelease::FrameCount;
        let is_current = |instance: &Instance| {
            instance.versions().iter().all(|version| version.state() == VersionState::Current)
        };
        let call = |(name, arguments): &(String, Vec<Value>)| {
            let outcome = thread.invoke(name, arguments);
            assert_eq!(thread.hijacked_slots(), 0, "the ledger is empty when the guest is gone");
            assert!(!counts_frames || is_current(&instance), "{name}: old code is gone when the guest is");
            outcome.map_err(|error| describe(&error))
        };
        Run {
            outcomes: calls.iter().map(call).collect(),
            memory_hash: instance.memory_hash(),
            transitions: thread.transitions(),
            moves: thread.moves(),
            code: instance.code_statistics(),
            schedule: thread.schedule(),
        }
    }
}

/// Whether some frame of the program may leave its code by itself: for a tail call, or to become others.
pub fn leaves_for_interpreter(module: &Module) -> bool {
    let mut bodies = module.functions.iter().filter_map(|function| function.body());
    bodies.any(Body::leaves_for_interpreter)
}

/// The call of a C program with its small arguments.
pub fn calls_of_program(program: &Program) -> Calls {
    vec![(program.invoke.clone(), program.small_arguments())]
}
