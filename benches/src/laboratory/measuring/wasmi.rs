//! Wasmi as a runner: an interpreter of register code, as it comes; translated eagerly.

use osr_ir::Value;

use super::clock::Clock;
use super::ours::STACK_BYTES;
use super::runner::{Call, Runner, Sample, timed};
use wasmi::{CompilationMode, Config, Engine, Func, Linker, Module, Store, Val};

/// A program on wasmi.
pub(super) struct Wasmi {
    store: Store<()>,
    function: Func,
    call: Call,
    arguments: Vec<Val>,
    results: Vec<Val>,
}

impl Wasmi {
    /// Translates and instantiates the module `bytes`.
    pub(super) fn open(bytes: &[u8], call: &Call) -> Result<Wasmi, String> {
        Wasmi::try_open(bytes, call).map_err(|error| error.to_string())
    }

    fn try_open(bytes: &[u8], call: &Call) -> Result<Wasmi, wasmi::Error> {
        let mut config = Config::default();
        config.compilation_mode(CompilationMode::Eager).consume_fuel(false);
        config.set_max_recursion_depth(1 << 20).set_max_stack_height(STACK_BYTES / 8);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes)?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
        let function = instance.get_func(&store, &call.name).expect("the importer has seen the export");
        let results = vec![Val::I32(0); call.signature.results.len()];
        let arguments = call.arguments.iter().map(value).collect();
        Ok(Wasmi { store, function, call: call.clone(), arguments, results })
    }
}

fn value(value: &Value) -> Val {
    match *value {
        Value::I32(number) => Val::I32(number),
        Value::I64(number) => Val::I64(number),
        Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        Value::V128([low, high]) => Val::V128(wasmi::V128::from(u128::from(high) << 64 | u128::from(low))),
        Value::NullFuncref => Val::FuncRef(wasmi::Nullable::Null),
        Value::Externref(_) | Value::NullExnref => Val::ExternRef(wasmi::Nullable::Null),
    }
}

fn word(value: &Val) -> Result<u64, String> {
    Ok(match value {
        Val::I32(number) => u64::from(*number as u32),
        Val::I64(number) => *number as u64,
        Val::F32(number) => u64::from(number.to_bits()),
        Val::F64(number) => number.to_bits(),
        Val::FuncRef(reference) if reference.is_null() => 0,
        _ => return Err("it returns a reference or a vector, which is not compared".to_owned()),
    })
}

impl Runner for Wasmi {
    fn sample(&mut self, calls: u32, clock: Clock) -> Result<Sample, String> {
        timed(calls, clock, &self.call.signature.results, || {
            self.function
                .call(&mut self.store, &self.arguments, &mut self.results)
                .map_err(|error| error.to_string())?;
            self.results.iter().map(word).collect()
        })
    }
}
