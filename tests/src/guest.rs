//! Guests that a test writes out itself, and the host functions that it gives them.

use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{Delegates, Hijacked, HostCall, Imports, Instance, Land, Settings, Stress, Thread, Tiers};
use osr_ir::{FunctionIndex, Module, Signature};

use crate::configuration::Configuration;
use crate::host::imports;

/// The module that `text` spells: WebAssembly if it begins with `(module`, otherwise our own form.
///
/// # Panics
/// If it is not valid.
pub fn parse(text: &str) -> Module {
    if text.trim_start().starts_with("(module") {
        osr_ir::wasm::import_text(text).expect("a valid module")
    } else {
        osr_ir::text::parse(text).expect("a valid module")
    }
}

/// Checked, optimized code from the first call on: tier-up at once, at every loop header.
pub fn eager() -> Settings {
    Settings { tiers: Tiers::Optimized, threshold: Some(0), checked: true, ..Settings::default() }
}

/// The interpreter alone: the definition of correct.
pub fn interpreted() -> Settings {
    Settings { tiers: Tiers::Interpreter, ..eager() }
}

/// Each tier alone, and all with frames that land anywhere, of versions that are invalidated every so many safepoints.
pub fn in_each_tier(every: u64) -> Vec<Settings> {
    let alone = [interpreted(), Settings { tiers: Tiers::Baseline, ..eager() }, eager()];
    let stressed = (1..4).map(|seed| Settings {
        tiers: Tiers::Auto,
        threshold: Some(2),
        optimize_threshold: Some(3),
        stress: Stress::invalidate(every).landing(Land::Random(seed)),
        inlining: (seed == 3).then_some(Configuration::MUCH),
        ..eager()
    });
    alone.into_iter().chain(stressed).collect()
}

/// The usual imports, and `env.act: () -> ()`.
pub fn acting(act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) -> Imports {
    let mut imports = imports();
    add_act(&mut imports, "act", act);
    imports
}

/// Provides `env.name: () -> ()`.
pub fn add_act(imports: &mut Imports, name: &str, act: impl Fn(&HostCall<'_>) + Send + Sync + 'static) {
    let signature = Signature::new(vec![], vec![]);
    imports.function("env", name, signature, move |call, _, _| {
        act(call);
        Ok(())
    });
}

/// Hijacks the frames of the exported functions `f0`, `f1`, ... whose bits are set in `mask`.
///
/// # Panics
/// If the stack cannot be walked.
pub fn hijack_some(call: &HostCall<'_>, mask: u64) -> Hijacked {
    let instance = call.thread().instance();
    let numbers = (0..).map_while(|number| instance.exported_function(&format!("f{number}")));
    let functions: Vec<FunctionIndex> = numbers.collect();
    let chosen =
        |function| functions.iter().position(|&known| known == function).is_some_and(|n| mask >> n & 1 == 1);
    call.thread().hijack(|version| chosen(version.function)).expect("a walk")
}

/// An instance of the module that `text` spells, with a thread, its start function run.
///
/// # Panics
/// If that fails.
pub fn start(text: &str, settings: &Settings, imports: &Imports) -> (Arc<Instance>, Pin<Box<Thread>>) {
    start_with(text, settings, Delegates::default(), imports)
}

/// The same, with `delegates`.
///
/// # Panics
/// If that fails.
pub fn start_with(
    text: &str,
    settings: &Settings,
    delegates: Delegates,
    imports: &Imports,
) -> (Arc<Instance>, Pin<Box<Thread>>) {
    let instance = Instance::with_delegates(settings.clone(), delegates, parse(text), imports);
    let instance = instance.expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    thread.start().expect("the start function returns");
    (instance, thread)
}
