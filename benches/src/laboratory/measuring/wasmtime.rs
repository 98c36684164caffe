//! Wasmtime as a runner: Cranelift optimizing for speed, traps by signals, memory behind guard pages,
//! neither fuel nor epochs. The same code generator as ours, without readiness.

use osr_ir::Value;

use super::clock::Clock;
use super::runner::{Call, Runner, Sample, timed};
use wasmtime::{Config, Engine, Func, Instance, Module, OptLevel, Store, Strategy, Val};

/// The most that it takes without its support for asynchronous calls.
const MOST_STACK_BYTES: usize = 2 << 20;

/// A program on wasmtime.
pub(super) struct Wasmtime {
    store: Store<()>,
    function: Func,
    call: Call,
    arguments: Vec<Val>,
    results: Vec<Val>,
}

impl Wasmtime {
    /// Compiles and instantiates the module `bytes`.
    pub(super) fn open(bytes: &[u8], call: &Call) -> Result<Wasmtime, String> {
        Wasmtime::try_open(bytes, call).map_err(|error| format!("{error:#}"))
    }

    fn try_open(bytes: &[u8], call: &Call) -> wasmtime::Result<Wasmtime> {
        let mut config = Config::new();
        config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
        config.signals_based_traps(true).consume_fuel(false).epoch_interruption(false);
        config.max_wasm_stack(MOST_STACK_BYTES);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, bytes)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let function = instance.get_func(&mut store, &call.name).expect("the importer has seen the export");
        let results = vec![Val::I32(0); call.signature.results.len()];
        let arguments = call.arguments.iter().map(value).collect();
        Ok(Wasmtime { store, function, call: call.clone(), arguments, results })
    }
}

fn value(value: &Value) -> Val {
    match *value {
        Value::I32(number) => Val::I32(number),
        Value::I64(number) => Val::I64(number),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128([low, high]) => Val::V128((u128::from(high) << 64 | u128::from(low)).into()),
        Value::NullFuncref => Val::FuncRef(None),
        Value::Externref(_) | Value::NullExnref => Val::ExternRef(None),
    }
}

fn word(value: &Val) -> Result<u64, String> {
    Ok(match *value {
        Val::I32(number) => u64::from(number as u32),
        Val::I64(number) => number as u64,
        Val::F32(bits) => u64::from(bits),
        Val::F64(bits) => bits,
        Val::FuncRef(None) => 0,
        _ => return Err("it returns a reference or a vector, which is not compared".to_owned()),
    })
}

impl Runner for Wasmtime {
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String> {
        timed(calls, clock, &self.call.signature.results, || {
            self.function
                .call(&mut self.store, &self.arguments, &mut self.results)
                .map_err(|error| format!("{error:#}"))?;
            self.results.iter().map(word).collect()
        })
    }
}
