//! The same functions by wasmtime: Cranelift optimizing for speed, without readiness.

use std::time::Duration;

use wasmtime::{Config, Engine, Module, OptLevel, Strategy};

use super::cost::Cost;
use crate::laboratory::measuring::Clock;

/// What wasmtime makes of the module `bytes`, function by function in the order of their bodies, and what it takes in all.
/// Compile time is known of the whole only: of one native thread.
///
/// # Errors
/// Why wasmtime refuses the module.
pub(super) fn costs(bytes: &[u8]) -> Result<(Vec<Cost>, Cost), String> {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
    config.signals_based_traps(true).consume_fuel(false).epoch_interruption(false);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let began = Clock::Cpu.now();
    let module = Module::new(&engine, bytes).map_err(|error| format!("{error:#}"))?;
    let time = Clock::Cpu.now() - began;
    let text = module.text();
    let code = |function: wasmtime::ModuleFunction| &text[function.offset..function.offset + function.len];
    let costs: Vec<Cost> =
        module.functions().map(|function| Cost::of_code(code(function), Duration::ZERO)).collect();
    let mut total = Cost::default();
    costs.iter().for_each(|cost| total.add(cost));
    total.compile_nanoseconds = time.as_nanos() as u64;
    Ok((costs, total))
}
