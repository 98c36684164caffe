//! Random modules, run in every way that there is, must be observed to do the same.
//!
//! ```text
//!   seed ──wasm-smith──> module ──┬─ interpreter ────────────────────┐
//!                                 ├─ optimized, with and without stress ─┼─> equal [`Behavior`]s
//!                                 └─ auto, threshold 1, stress ──────┘
//! ```
//!
//! A module has fuel, taken at entries and loop headers, so that every call ends; what it has left is a
//! global like the others, so that it is compared, too. It may import functions of the host, one of which
//! invalidates whatever is active. Compared are results, kinds *and points* of traps, memory and all
//! globals. Generated code makes every NaN canonical. Modules that exhaust the stack are left out: where
//! they do is exempt.

use arbitrary::Unstructured;
use osr_engine::{Instance, InvokeError, Land, Settings, StateRecording, Stress, Thread, Tier, Tiers};
use osr_ir::wasm::{self, Feature, ImportError};
use osr_ir::{ExportItem, GlobalIndex, Module, TrapKind, Type};

use crate::host::imports;

/// What a module was observed to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behavior {
    /// Per call what came back: results, or the trap with its point.
    pub calls: Vec<String>,
    /// A hash of the memory afterwards.
    pub memory_hash: u64,
    /// All globals afterwards.
    pub globals: Vec<u64>,
}

/// What became of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All configurations agreed. So many calls returned, so many trapped.
    Agreed {
        /// Calls that returned.
        returned: usize,
        /// Calls that trapped.
        trapped: usize,
    },
    /// No module to compare comes of it.
    LeftOut,
}

/// The functions of `env`, as a module that imports them: what the generator may use.
const AVAILABLE_IMPORTS: &str = r#"(module
    (import "env" "print_i32" (func (param i32)))
    (import "env" "print_i64" (func (param i64)))
    (import "env" "print_f64" (func (param f64)))
    (import "env" "invalidate" (func)))"#;

/// The module of `seed`; `None` if it makes none, or one with what is not supported.
///
/// # Panics
/// If the importer refuses it for another reason.
pub fn random_module(seed: u64) -> Option<Module> {
    let bytes = random_wasm(seed)?;
    match wasm::import(&bytes) {
        Ok(module) => Some(module),
        // The generator has one switch for all reference types.
        Err(ImportError::Unsupported { feature: Feature::ExternalReferences, .. }) => None,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

/// The module of `seed`, as WebAssembly.
pub fn random_wasm(seed: u64) -> Option<Vec<u8>> {
    let length = 1_000 + mix(seed) as usize % 6_000;
    let entropy: Vec<u8> = (0..length as u64).map(|i| mix(mix(seed) ^ i) as u8).collect();
    let mut module = wasm_smith::Module::new(config(seed), &mut Unstructured::new(&entropy)).ok()?;
    // Under stress every unit of fuel may cost a compilation.
    module.ensure_termination(30 + mix(!seed) as u32 % 200).ok()?;
    Some(module.to_bytes())
}

/// A pseudo-random number from `x` (splitmix64's finalizer).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Every other module is free of traps as far as the generator can see, so that it runs for longer.
fn config(seed: u64) -> wasm_smith::Config {
    wasm_smith::Config {
        available_imports: Some(wat::parse_str(AVAILABLE_IMPORTS).expect("valid text")),
        canonicalize_nans: true,
        disallow_traps: seed % 2 == 1,
        export_everything: true,
        max_data_segments: 3,
        max_element_segments: 4,
        max_funcs: 8,
        max_globals: 5,
        max_imports: 4,
        max_instructions: 300,
        max_memories: 1,
        max_memory32_bytes: 4 << 16,
        max_table_elements: 100,
        max_tables: if seed % 4 < 2 { 2 } else { 1 },
        max_types: 8,
        memory_max_size_required: true,
        min_funcs: 2,
        min_globals: 1,
        min_memories: 1,
        min_types: 4,
        table_max_size_required: true,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: seed % 4 < 2,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    }
}

/// All ways to run a random module, the interpreter first.
fn configurations(seed: u64) -> Vec<(&'static str, Settings)> {
    let settings = |tiers, (threshold, optimize_threshold), stress| Settings {
        tiers,
        threshold,
        optimize_threshold,
        stress,
        checked: true,
        code_bytes: 16 << 20,
        value_stack_bytes: 16 << 20,
        ..Settings::default()
    };
    use Tiers::{Auto, Baseline, Interpreter, Optimized};
    let hijack = |every, tier| Stress::hijack(every).landing(Land::In(tier));
    let random = |every| Stress::hijack(every).landing(Land::Random(seed));
    vec![
        ("interpreter", settings(Interpreter, (0, 0), Stress::None)),
        ("baseline", settings(Baseline, (0, 0), Stress::None)),
        ("optimized", settings(Optimized, (0, 0), Stress::None)),
        ("optimized, hijack=1", settings(Optimized, (0, 0), Stress::hijack(1))),
        ("optimized, hijack=1, land=optimized", settings(Optimized, (0, 0), hijack(1, Tier::Optimized))),
        ("baseline, hijack=1, land=baseline", settings(Baseline, (0, 0), hijack(1, Tier::Baseline))),
        ("optimized, redirect=2", settings(Optimized, (0, 0), Stress::redirect(2))),
        ("auto 1 1", settings(Auto, (1, 1), Stress::None)),
        ("auto 1 0, hijack=1", settings(Auto, (1, 0), Stress::hijack(1))),
        ("auto 1 1, hijack=1, land=random", settings(Auto, (1, 1), random(1))),
        ("auto 2 3, hijack=3, land=random", settings(Auto, (2, 3), random(3))),
        (
            "optimized, hijack=1, locations",
            Settings {
                state_recording: StateRecording::Locations,
                ..settings(Optimized, (0, 0), Stress::hijack(1))
            },
        ),
        (
            "auto 1 2, redirect=1, land=random",
            settings(Auto, (1, 2), Stress::redirect(1).landing(Land::Random(!seed))),
        ),
        ("auto 1 2, random", settings(Auto, (1, 2), Stress::Random(seed))),
    ]
}

/// Runs the module of `seed` in every configuration.
///
/// # Panics
/// If two differ.
pub fn check_random_module(seed: u64) -> Verdict {
    random_module(seed)
        .map_or(Verdict::LeftOut, |module| check_module(&format!("seed {seed}"), seed, &module))
}

/// Calls the exported functions of `module` with arguments made from `seed`, in every configuration.
///
/// # Panics
/// If two differ.
pub fn check_module(name: &str, seed: u64, module: &Module) -> Verdict {
    let mut expected = None;
    for (configuration, settings) in configurations(seed) {
        let Some(behavior) = behavior(module, seed, &settings) else { return Verdict::LeftOut };
        let expected = expected.get_or_insert_with(|| behavior.clone());
        assert_eq!(behavior, *expected, "{name}: {configuration}");
    }
    let calls = expected.expect("there are configurations").calls;
    let trapped = calls.iter().filter(|call| call.contains("trap")).count();
    Verdict::Agreed { returned: calls.len() - trapped, trapped }
}

/// What `module` does; `None` if it exhausts the stack, or cannot be made an instance.
fn behavior(module: &Module, seed: u64, settings: &Settings) -> Option<Behavior> {
    let instance = Instance::new(settings.clone(), module.clone(), &imports()).ok()?;
    let thread = Thread::new(&instance).expect("a thread");
    let mut calls = vec![describe("start", &thread.start().map(|()| Vec::new()))?];
    for round in 0..2 {
        for export in &module.exports {
            let ExportItem::Function(function) = export.item else { continue };
            let parameters = &module.signature_of(function).parameters;
            let words = parameters.iter().enumerate();
            let arguments: Vec<u64> =
                words.map(|(i, &ty)| argument(ty, mix(seed ^ (i as u64 + 1) << 8 ^ round))).collect();
            calls.push(describe(&export.name, &thread.call(function, &arguments))?);
            assert_eq!(thread.hijacked_slots(), 0, "the ledger is empty when the guest is gone");
        }
    }
    Some(Behavior {
        calls,
        memory_hash: instance.memory().map_or(0, |memory| memory.hash()),
        globals: (0..module.globals.len()).map(|global| instance.global(GlobalIndex::new(global))).collect(),
    })
}

fn describe(name: &str, outcome: &Result<Vec<u64>, InvokeError>) -> Option<String> {
    match outcome {
        Ok(words) => Some(format!("{name}: {words:x?}")),
        Err(InvokeError::Trap(trap)) if trap.kind == TrapKind::StackExhausted => None,
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// A small number, or any bits.
fn argument(ty: Type, random: u64) -> u64 {
    let small = random >> 8 & 15;
    match ty {
        Type::Funcref => 0,
        Type::F32 if random & 1 == 0 => u64::from((small as f32).to_bits()),
        Type::F64 if random & 1 == 0 => (small as f64).to_bits(),
        Type::I32 | Type::I64 if random & 1 == 0 => small,
        Type::F32 => u64::from(((random >> 40) as f32).to_bits()),
        Type::F64 => ((random >> 11) as f64).to_bits(),
        Type::I32 => random >> 32,
        Type::I64 => random,
    }
}
