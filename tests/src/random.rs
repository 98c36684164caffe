//! Random modules, run in every setup that there is, must be observed to do the same.
//!
//! ```text
//!   seed ──wasm-smith──> module ──┬─ interpreter ─────────────────────┐
//!     │                           ├─ each tier, with and without stress ─┼─> equal Behaviors
//!     └─────────── schedule ──────┴─ as the seed has it, shadowed ────┘
//! ```
//!
//! A module has fuel, taken at entries and loop headers, so that every call ends; what it has left is a
//! global like the others, so that it is compared, too. It may import functions of the host, one of which
//! invalidates whatever is active. Compared are results, kinds *and points* of traps, memory and all
//! globals. Generated code makes every NaN canonical. Modules that exhaust the stack are left out: where
//! they do is exempt.

use arbitrary::Unstructured;
use osr_engine::{Land, Mechanism, Settings, StateRecording, Stress, Tier, Tiers};
use osr_ir::wasm;
use osr_ir::word_layout::word_types;
use osr_ir::{ExportItem, Instruction, Module, Type};

use crate::run::{Call, run};
use crate::schedule::{Size, random_settings};

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

/// The seeds that the environment asks for: `OSR_RANDOM_SEEDS=FROM..TO`.
///
/// # Panics
/// If it says something else.
pub fn seeds_asked_for() -> Option<std::ops::Range<u64>> {
    let text = std::env::var("OSR_RANDOM_SEEDS").ok()?;
    let (from, to) = text.split_once("..").expect("OSR_RANDOM_SEEDS=FROM..TO");
    Some(from.parse().expect("a number")..to.parse().expect("a number"))
}

/// The module of `seed`; `None` if it makes none.
///
/// # Panics
/// If the importer refuses it for another reason.
pub fn random_module(seed: u64) -> Option<Module> {
    module_of(seed, &entropy(seed))
}

/// The module that `entropy` makes, of the kind that `seed` picks. Otherwise like [`random_module`].
///
/// # Panics
/// If the importer refuses it for another reason.
pub fn module_of(seed: u64, entropy: &[u8]) -> Option<Module> {
    let bytes = wasm_of(seed, entropy)?;
    let module = wasm::import(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    (!has_atomics(seed) || !waits(&module)).then_some(module)
}

/// The module of `seed`, as WebAssembly.
pub fn random_wasm(seed: u64) -> Option<Vec<u8>> {
    wasm_of(seed, &entropy(seed))
}

fn entropy(seed: u64) -> Vec<u8> {
    let length = 1_000 + mix(seed) as usize % 6_000;
    (0..length as u64).map(|i| mix(mix(seed) ^ i) as u8).collect()
}

fn wasm_of(seed: u64, entropy: &[u8]) -> Option<Vec<u8>> {
    let mut module = wasm_smith::Module::new(config(seed), &mut Unstructured::new(entropy)).ok()?;
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

/// Every other module is free of traps, so that it runs for longer; but for `unreachable` when its fuel is out.
pub fn is_trap_free(seed: u64) -> bool {
    seed % 2 == 1
}

/// Some modules may use vectors, which the oracle is built without.
pub fn has_vectors(seed: u64) -> bool {
    seed % 8 >= 6
}

/// Some modules may throw and catch.
pub fn has_exceptions(seed: u64) -> bool {
    matches!(seed % 8, 4 | 5)
}

/// Some modules may make tail calls.
pub fn has_tail_calls(seed: u64) -> bool {
    matches!(seed % 8, 3 | 5)
}

/// Some modules may have several memories, also such with addresses of 64 bits, which the oracle is not asked about.
pub fn has_memories(seed: u64) -> bool {
    seed % 8 == 2
}

/// Some of them may have atomic instructions; where one waits, there is no module of that seed: the timeout may be years.
fn has_atomics(seed: u64) -> bool {
    seed % 16 == 10
}

fn waits(module: &Module) -> bool {
    let bodies = module.functions.iter().filter_map(|function| function.body());
    let mut instructions = bodies.flat_map(|body| &body.blocks).flat_map(|block| &block.instructions);
    instructions.any(|instruction| matches!(instruction, Instruction::AtomicWait { .. }))
}

fn config(seed: u64) -> wasm_smith::Config {
    wasm_smith::Config {
        available_imports: Some(wat::parse_str(AVAILABLE_IMPORTS).expect("valid text")),
        canonicalize_nans: true,
        disallow_traps: is_trap_free(seed),
        export_everything: true,
        max_data_segments: 3,
        max_element_segments: 4,
        max_funcs: 8,
        max_globals: 5,
        max_imports: 4,
        max_instructions: 300,
        max_memories: if has_memories(seed) { 3 } else { 1 },
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
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
        exceptions_enabled: has_exceptions(seed),
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: has_memories(seed),
        reference_types_enabled: seed % 4 < 2,
        relaxed_simd_enabled: has_vectors(seed),
        simd_enabled: has_vectors(seed),
        tail_call_enabled: has_tail_calls(seed),
        threads_enabled: has_atomics(seed),
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    }
}

/// How to run a random module.
struct Setup {
    name: &'static str,
    settings: Settings,
    /// With a shadow interpreter.
    shadowed: bool,
}

/// All setups to run a random module in, the interpreter first, the schedule that the seed makes last.
fn setups(seed: u64) -> Vec<Setup> {
    let setup = |name, tiers, (threshold, optimize_threshold), stress| Setup {
        name,
        settings: Settings {
            tiers,
            threshold: Some(threshold),
            optimize_threshold: Some(optimize_threshold),
            stress,
            checked: true,
            code_bytes: 16 << 20,
            value_stack_bytes: 16 << 20,
            ..Settings::default()
        },
        shadowed: false,
    };
    use Tiers::{Auto, Baseline, Interpreter, Optimized};
    let invalidate = |every, tier| Stress::invalidate(every).landing(Land::In(tier));
    let random = |every| Stress::invalidate(every).landing(Land::Random(seed));
    let recorded = |name, recording| {
        let setup = setup(name, Optimized, (0, 0), Stress::invalidate(1));
        Setup {
            settings: Settings { mechanism: Mechanism::recorded_by(recording), ..setup.settings },
            ..setup
        }
    };
    let hijack = Stress::hijack(1).landing(Land::Random(!seed));
    let scheduled = |name, seed, shadowed| Setup {
        name,
        settings: Settings { checked: true, ..random_settings(seed, Size::Small) },
        shadowed,
    };
    vec![
        setup("interpreter", Interpreter, (0, 0), Stress::None),
        setup("baseline", Baseline, (0, 0), Stress::None),
        setup("optimized", Optimized, (0, 0), Stress::None),
        recorded("optimized, invalidate=1, slots", StateRecording::Slots),
        setup("optimized, invalidate=1, land=optimized", Optimized, (0, 0), invalidate(1, Tier::Optimized)),
        setup("baseline, invalidate=1, land=baseline", Baseline, (0, 0), invalidate(1, Tier::Baseline)),
        setup("optimized, hijack=2", Optimized, (0, 0), Stress::hijack(2)),
        setup("auto 1 1", Auto, (1, 1), Stress::None),
        setup("auto 1 0, invalidate=1", Auto, (1, 0), Stress::invalidate(1)),
        setup("auto 1 1, invalidate=1, land=random", Auto, (1, 1), random(1)),
        setup("auto 2 3, invalidate=3, land=random", Auto, (2, 3), random(3)),
        recorded("optimized, invalidate=1, locations", StateRecording::Locations),
        recorded("optimized, invalidate=1, pads", StateRecording::Pads),
        recorded("optimized, invalidate=1, cross-checked", StateRecording::CrossChecked),
        Setup { shadowed: true, ..setup("auto 1 2, hijack=1, land=random, shadowed", Auto, (1, 2), hijack) },
        scheduled("the seed's schedule", seed, false),
        scheduled("the other seed's schedule, shadowed", !seed, true),
    ]
}

/// Runs the module of `seed` in every setup.
///
/// # Panics
/// If two differ, or a shadow interpreter finds a difference.
pub fn check_random_module(seed: u64) -> Verdict {
    random_module(seed)
        .map_or(Verdict::LeftOut, |module| check_module(&format!("seed {seed}"), seed, &module))
}

/// Calls the exported functions of `module` with arguments made from `seed`, in every setup.
///
/// # Panics
/// If two differ, or a shadow interpreter finds a difference.
pub fn check_module(name: &str, seed: u64, module: &Module) -> Verdict {
    let calls = calls_of(module, seed);
    let mut expected = None;
    for setup in setups(seed) {
        let Some(run) = run(module, &calls, &setup.settings, setup.shadowed) else { return Verdict::LeftOut };
        let context = || format!("{name}: {} ({:?})", setup.name, setup.settings.stress);
        if let Some(difference) = run.difference {
            panic!("{}: {difference}", context());
        }
        let expected = expected.get_or_insert_with(|| run.behavior.clone());
        assert_eq!(run.behavior, *expected, "{}", context());
    }
    let calls = expected.expect("there are setups").calls;
    let trapped = calls.iter().filter(|call| call.contains("trap")).count();
    Verdict::Agreed { returned: calls.len() - trapped, trapped }
}

/// Calls of all exported functions of `module`, twice, with arguments made from `seed`.
pub fn calls_of(module: &Module, seed: u64) -> Vec<Call> {
    let mut calls = Vec::new();
    for round in 0..2 {
        for export in &module.exports {
            let ExportItem::Function(function) = export.item else { continue };
            let words = word_types(&module.signature_of(function).parameters).enumerate();
            let arguments =
                words.map(|(i, ty)| argument(ty, mix(seed ^ (i as u64 + 1) << 8 ^ round))).collect();
            calls.push(Call { name: export.name.clone(), function, arguments });
        }
    }
    calls
}

/// A small number, or any bits.
fn argument(ty: Type, random: u64) -> u64 {
    let small = random >> 8 & 15;
    match ty {
        Type::Funcref | Type::Externref | Type::Exnref => 0,
        Type::V128 => unreachable!("its words are integers"),
        Type::F32 if random & 1 == 0 => u64::from((small as f32).to_bits()),
        Type::F64 if random & 1 == 0 => (small as f64).to_bits(),
        Type::I32 | Type::I64 if random & 1 == 0 => small,
        Type::F32 => u64::from(((random >> 40) as f32).to_bits()),
        Type::F64 => ((random >> 11) as f64).to_bits(),
        Type::I32 => random >> 32,
        Type::I64 => random,
    }
}
