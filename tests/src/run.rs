//! Runs: calls of a module's functions under some settings, and what was observed of them.

use std::sync::Arc;

use osr_engine::{
    CodeStatistics, Compared, Delegates, Difference, Instance, InvokeError, Moves, Observer, Observers,
    Script, Settings, Shadow, Thread, Transitions,
};
use osr_ir::{FunctionIndex, GlobalIndex, Module, TrapKind};

use crate::host::imports;

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it is called in messages.
    pub name: String,
    /// The function.
    pub function: FunctionIndex,
    /// One word per parameter.
    pub arguments: Vec<u64>,
}

/// What a module was observed to do. Equal for every choice of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behavior {
    /// Per call what came back: results, or the trap with its point. The start function's comes first.
    pub calls: Vec<String>,
    /// A hash of the memory afterwards.
    pub memory_hash: u64,
    /// All globals afterwards.
    pub globals: Vec<u64>,
}

/// What happened in a run. Depends on the settings.
#[derive(Clone, Debug)]
pub struct Run {
    /// What must not depend on them.
    pub behavior: Behavior,
    /// What the thread counted.
    pub transitions: Transitions,
    /// Whether landings were watched: by an observer, or because the settings ask for it.
    pub is_watched: bool,
    /// Frames that left by exits of guards that are linked.
    pub linked_exits: u64,
    /// Activations that continued in other code.
    pub moves: Vec<Moves>,
    /// Code that there was.
    pub code: CodeStatistics,
    /// What a shadow interpreter compared, if there was one.
    pub compared: Compared,
    /// And what it found.
    pub difference: Option<Difference>,
}

/// Makes an instance of `module`, runs its start function and makes `calls`, with a shadow interpreter if
/// it is to be `shadowed`. That makes points safepoints, and so does the module's script, which is carried out. `None` if
/// the stack is exhausted, since where it is depends on the tiers, if no instance can be made, or if a step of the script
/// cannot be carried out.
///
/// # Panics
/// If slots are still hijacked after a call.
pub fn run(module: &Module, calls: &[Call], settings: &Settings, shadowed: bool) -> Option<Run> {
    let shadow = match shadowed {
        true => Some(Arc::new(Shadow::new(module, &imports()).ok()?)),
        false => None,
    };
    let script = (!module.script.is_empty()).then(|| Arc::new(Script::new(&module.script)));
    let watches = shadow.clone().map(|shadow| shadow as Arc<dyn Observer>);
    let steps = script.clone().map(|script| script as Arc<dyn Observer>);
    let watched =
        Delegates { observer: Observers::join(watches.into_iter().chain(steps).collect()), policy: None };
    let points = settings.points || shadowed || script.is_some();
    let is_watched = settings.watches_landings() || watched.observer.is_some();
    let settings = Settings { points, ..settings.clone() };
    let instance = Instance::with_delegates(settings, watched, module.clone(), &imports()).ok()?;
    let thread = Thread::new(&instance).expect("a thread");
    let mut observed = vec![describe("start", &thread.start().map(|()| Vec::new()))?];
    for call in calls {
        observed.push(describe(&call.name, &thread.call(call.function, &call.arguments))?);
        assert_eq!(thread.hijacked_slots(), 0, "the ledger is empty when the guest is gone");
    }
    if script.is_some_and(|script| script.failure().is_some()) {
        return None;
    }
    Some(Run {
        linked_exits: instance.linked_exits(),
        behavior: Behavior {
            calls: observed,
            memory_hash: instance.memory_hash().unwrap_or(0),
            globals: (0..module.globals.len())
                .map(|global| instance.global(GlobalIndex::new(global)))
                .collect(),
        },
        transitions: thread.transitions(),
        is_watched,
        moves: thread.moves(),
        code: instance.code_statistics(),
        compared: shadow.as_ref().map(|shadow| shadow.compared()).unwrap_or_default(),
        difference: shadow.and_then(|shadow| shadow.difference()),
    })
}

fn describe(name: &str, outcome: &Result<Vec<u64>, InvokeError>) -> Option<String> {
    match outcome {
        Ok(words) => Some(format!("{name}: {words:x?}")),
        Err(InvokeError::Trap(trap)) if trap.kind == TrapKind::StackExhausted => None,
        Err(InvokeError::Trap(trap)) => Some(format!("{name}: {trap}{}", trap.callers)),
        Err(error) => Some(format!("{name}: {error}")),
    }
}
