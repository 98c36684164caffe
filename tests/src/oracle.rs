//! The oracle: an independent engine, wasmi, has a second opinion on the interpreter itself.
//!
//! Compared are the results of every call, kinds of traps, all of memory, and all exported globals. Points of
//! traps are not: wasmi has none. Two kinds of traps are one to it: an index outside a table, whether the
//! table is read or called through. Left out are modules on which either exhausts its stack, and those whose
//! start function traps, of which wasmi makes no instance.

use osr_engine::{Instance, InvokeError, Settings, Thread, Tiers};
use osr_ir::word_layout::word_types;
use osr_ir::{ExportItem, TrapKind, wasm};
use wasmi::{Engine, Func, Linker, Module, Nullable, Store, TrapCode, Val, ValType};

use crate::host::imports;
use crate::run::Call;

/// What a call came to, in words that both engines have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned: one word for each result; of a reference, whether it is null.
    Returned(Vec<u64>),
    /// It trapped.
    Trapped(TrapKind),
}

/// What an engine made of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// Of each call.
    pub calls: Vec<Outcome>,
    /// Memory afterwards.
    pub memory: Vec<u8>,
    /// The exported globals afterwards, with their names.
    pub globals: Vec<(String, Vec<u64>)>,
}

/// The interpreter's opinion; `None` if it exhausts the stack, makes no instance, or does not start.
///
/// # Panics
/// If `bytes` are not a module that is supported.
pub fn of_interpreter(bytes: &[u8], calls: &[Call]) -> Option<Opinion> {
    let module = wasm::import(bytes).expect("a supported module");
    let settings = Settings { tiers: Tiers::Interpreter, ..Settings::default() };
    let instance = Instance::new(settings, module, &imports()).ok()?;
    let thread = Thread::new(&instance).expect("a thread");
    let outcome = |result: Result<Vec<u64>, InvokeError>, references: &[bool]| match result {
        Ok(words) => {
            let words = words.into_iter().zip(references);
            let word = |(word, &is_reference)| if is_reference { u64::from(word != 0) } else { word };
            Some(Outcome::Returned(words.map(word).collect()))
        }
        Err(InvokeError::Trap(trap)) => trapped(trap.kind),
        Err(error) => panic!("{error}"),
    };
    thread.start().ok()?;
    let mut outcomes = Vec::new();
    for call in calls {
        let results = &instance.module().signature_of(call.function).results;
        let references: Vec<bool> = word_types(results).map(|ty| ty.is_reference()).collect();
        outcomes.push(outcome(thread.call(call.function, &call.arguments), &references)?);
    }
    let memory =
        instance.memory().map_or(vec![], |memory| memory.read(0, memory.bytes()).expect("all of it"));
    let globals = instance.module().exports.iter().filter_map(|export| match export.item {
        ExportItem::Global(global) => {
            let is_reference = instance.module().globals[global.index()].ty.is_reference();
            let words = instance.global_value(global);
            let words = words.into_iter().map(|word| if is_reference { u64::from(word != 0) } else { word });
            Some((export.name.clone(), words.collect()))
        }
        _ => None,
    });
    Some(Opinion { calls: outcomes, memory, globals: sorted(globals.collect()) })
}

/// wasmi's opinion; `None` if it exhausts its stack, makes no instance, or does not start.
///
/// # Panics
/// If it refuses `bytes`.
pub fn of_wasmi(bytes: &[u8], calls: &[Call]) -> Option<Opinion> {
    let engine = Engine::default();
    let module = Module::new(&engine, bytes).expect("a valid module");
    let mut store = Store::new(&engine, ());
    let instance = linker(&engine).instantiate_and_start(&mut store, &module).ok()?;
    let mut outcomes = Vec::new();
    for call in calls {
        let function = instance.get_func(&store, &call.name).expect("the same exports");
        outcomes.push(call_wasmi(function, &mut store, &call.arguments)?);
    }
    let mut memory = vec![];
    let mut globals = vec![];
    for export in instance.exports(&store) {
        let name = export.name().to_owned();
        match export.into_extern() {
            wasmi::Extern::Memory(exported) => memory = exported.data(&store).to_vec(),
            wasmi::Extern::Global(global) => globals.push((name, words(&global.get(&store)))),
            _ => {}
        }
    }
    Some(Opinion { calls: outcomes, memory, globals: sorted(globals) })
}

fn sorted(mut globals: Vec<(String, Vec<u64>)>) -> Vec<(String, Vec<u64>)> {
    globals.sort();
    globals
}

fn trapped(kind: TrapKind) -> Option<Outcome> {
    match kind {
        TrapKind::StackExhausted => None,
        TrapKind::UndefinedElement => Some(Outcome::Trapped(TrapKind::TableOutOfBounds)),
        kind => Some(Outcome::Trapped(kind)),
    }
}

fn call_wasmi(function: Func, store: &mut Store<()>, arguments: &[u64]) -> Option<Outcome> {
    let ty = function.ty(&*store);
    let mut given = arguments.iter().copied();
    let arguments: Vec<Val> = ty.params().iter().map(|&ty| value(ty, &mut given)).collect();
    let mut results: Vec<Val> = ty.results().iter().map(|&ty| Val::default_for_ty(ty)).collect();
    match function.call(store, &arguments, &mut results) {
        Ok(()) => Some(Outcome::Returned(results.iter().flat_map(words).collect())),
        Err(error) => {
            let code = error.as_trap_code().unwrap_or_else(|| panic!("not a trap: {error}"));
            trapped(match code {
                TrapCode::UnreachableCodeReached => TrapKind::Unreachable,
                TrapCode::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
                TrapCode::TableOutOfBounds => TrapKind::TableOutOfBounds,
                TrapCode::IndirectCallToNull => TrapKind::UninitializedElement,
                TrapCode::IntegerDivisionByZero => TrapKind::IntegerDivideByZero,
                TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
                TrapCode::BadConversionToInteger => TrapKind::InvalidConversionToInteger,
                TrapCode::StackOverflow => TrapKind::StackExhausted,
                TrapCode::BadSignature => TrapKind::IndirectCallTypeMismatch,
                other => panic!("{other:?} is not asked for"),
            })
        }
    }
}

/// The functions of `env` that the generator may import; none does anything here.
fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("env", "print_i32", |_: i32| {}).expect("a new name");
    linker.func_wrap("env", "print_i64", |_: i64| {}).expect("a new name");
    linker.func_wrap("env", "print_f64", |_: f64| {}).expect("a new name");
    linker.func_wrap("env", "invalidate", || {}).expect("a new name");
    linker
}

fn value(ty: ValType, words: &mut impl Iterator<Item = u64>) -> Val {
    let mut next = || words.next().expect("as many as the parameters take");
    let word = next();
    match ty {
        ValType::V128 => Val::V128(wasmi::V128::from(u128::from(next()) << 64 | u128::from(word))),
        ValType::I32 => Val::I32(word as i32),
        ValType::I64 => Val::I64(word as i64),
        ValType::F32 => Val::F32(wasmi::F32::from_bits(word as u32)),
        ValType::F64 => Val::F64(wasmi::F64::from_bits(word)),
        ty => Val::default_for_ty(ty),
    }
}

fn words(value: &Val) -> Vec<u64> {
    let word = match value {
        Val::V128(value) => {
            let bits = value.as_u128();
            return vec![bits as u64, (bits >> 64) as u64];
        }
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        Val::FuncRef(Nullable::Val(_)) => 1,
        Val::FuncRef(Nullable::Null) => 0,
        Val::ExternRef(reference) => u64::from(!reference.is_null()),
    };
    vec![word]
}
