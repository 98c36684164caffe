//! The ways to run a program that must all observe the same.

use std::sync::Arc;

use osr_engine::{Instance, InvokeError, Settings, Thread, Tier};
use osr_ir::{ExportItem, Module, Value};

use crate::host::imports;

/// A named choice of settings.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// For messages.
    pub name: &'static str,
    /// The settings.
    pub settings: Settings,
}

impl Configuration {
    /// The interpreter alone: the definition of correct.
    pub fn interpreter() -> Configuration {
        Configuration::new("interpreter", Tier::Interpreter, Settings::DEFAULT_THRESHOLD, None)
    }

    /// Optimized code from the first call on.
    pub fn optimized() -> Configuration {
        Configuration::new("optimized", Tier::Optimized, 0, None)
    }

    /// Start in the interpreter, tier up.
    pub fn auto() -> Configuration {
        Configuration::new("auto", Tier::Auto, Settings::DEFAULT_THRESHOLD, None)
    }

    /// As [`Self::auto`], and every `every`th safepoint invalidates.
    pub fn stress(name: &'static str, threshold: u32, every: u64) -> Configuration {
        Configuration::new(name, Tier::Auto, threshold, Some(every))
    }

    /// All that every program must agree in.
    pub fn all() -> Vec<Configuration> {
        let threshold = Settings::DEFAULT_THRESHOLD;
        vec![
            Configuration::interpreter(),
            Configuration::optimized(),
            Configuration::auto(),
            Configuration::stress("auto, hijack=1", threshold, 1),
            Configuration::stress("auto, hijack=7", threshold, 7),
            Configuration::stress("auto, hijack=1000", threshold, 1000),
        ]
    }

    fn new(name: &'static str, tier: Tier, threshold: u32, stress_hijack: Option<u64>) -> Configuration {
        let settings = Settings { tier, threshold, stress_hijack, checked: true, ..Settings::default() };
        Configuration { name, settings }
    }
}

/// What can be observed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The results, or why there are none. The point of stack exhaustion is left out.
    pub outcome: Result<Vec<u64>, String>,
    /// A hash of the memory afterwards.
    pub memory_hash: u64,
    /// The exported globals afterwards.
    pub globals: Vec<u64>,
}

/// An instance of `module` with a thread, its start function run.
///
/// # Panics
/// If that fails.
pub fn start(module: &Module, settings: &Settings) -> (Arc<Instance>, Box<Thread>) {
    let instance = Instance::new(settings.clone(), module.clone(), &imports()).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    (instance, thread)
}

/// Calls `function` in a fresh instance of `module`.
pub fn observe(module: &Module, function: &str, arguments: &[Value], settings: &Settings) -> Observed {
    let (instance, thread) = start(module, settings);
    let outcome = thread.invoke(function, arguments);
    assert_eq!(thread.hijacked_slots(), 0, "the ledger is empty when the guest is gone");
    Observed {
        outcome: outcome.map_err(|error| describe(&error)),
        memory_hash: instance.memory().map_or(0, |memory| memory.hash()),
        globals: exported_globals(&instance),
    }
}

/// What a failure says; for stack exhaustion without the place.
pub fn describe(error: &InvokeError) -> String {
    match error {
        InvokeError::Trap(trap) if trap.kind == osr_ir::TrapKind::StackExhausted => trap.kind.to_string(),
        _ => error.to_string(),
    }
}

fn exported_globals(instance: &Instance) -> Vec<u64> {
    let exports = instance.module().exports.iter();
    exports
        .filter_map(|export| match export.item {
            ExportItem::Global(global) => Some(instance.global(global)),
            _ => None,
        })
        .collect()
}

/// Runs `work` on a thread with a large native stack: where interpreted and compiled frames alternate,
/// each guest call takes several native frames.
pub fn on_large_stack<R: Send>(bytes: usize, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, work);
        match thread.expect("a thread").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
