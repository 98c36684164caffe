//! Compilation: what each tier takes for the functions of the bundled programs, entered by calls. One
//! element is one instruction of the body, terminators included.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use osr_engine::{CompiledTier, EntryPoint, HostError, Imports, Instance, Settings};
use osr_ir::{FunctionIndex, FunctionKind, Module};

/// The bundled programs: as clang optimizes them, and not optimized at all.
const FOLDERS: [&str; 2] = ["wasm", "wasm-ssa"];

fn programs(folder: &str) -> Vec<Module> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/programs").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the programs")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let import = |path: &PathBuf| {
        osr_ir::wasm::import(&std::fs::read(path).expect("a readable file")).expect("a valid module")
    };
    paths.iter().map(import).collect()
}

/// An instance that is never entered: its imports are stand-ins.
fn instantiate(module: &Module) -> Arc<Instance> {
    let mut imports = Imports::new();
    for function in &module.functions {
        if let FunctionKind::Import(name) = &function.kind {
            let signature = module.signature(function.signature).clone();
            imports.function(&name.module, &name.name, signature, |_, _, _| {
                Err(HostError::Failed("only a stand-in".to_owned()))
            });
        }
    }
    let settings = Settings { checked: false, ..Settings::default() };
    Instance::new(settings, module.clone(), &imports).expect("an instance")
}

fn defined(module: &Module) -> impl Iterator<Item = FunctionIndex> {
    module.function_indices().filter(|&function| module.function(function).is_defined())
}

/// Instructions of all bodies, terminators included.
fn instructions(module: &Module) -> usize {
    let bodies = defined(module).map(|function| module.function(function).body().expect("defined"));
    bodies.map(|body| body.instruction_count()).sum()
}

/// The time to compile every function of `modules` once in `tier`, points and liveness known.
fn compile_all(modules: &[Module], tier: CompiledTier) -> Duration {
    let mut total = Duration::ZERO;
    for module in modules {
        let instance = instantiate(module);
        for function in defined(module) {
            // What is computed once for each function, whatever compiles it.
            let _ = instance.points(function);
            let begin = Instant::now();
            instance.compile(function, tier, EntryPoint::Function).expect("it compiles");
            total += begin.elapsed();
        }
    }
    total
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for folder in FOLDERS {
        let modules = programs(folder);
        group.throughput(Throughput::Elements(modules.iter().map(instructions).sum::<usize>() as u64));
        for tier in CompiledTier::ALL {
            group.bench_function(BenchmarkId::new(format!("{tier:?}"), folder), |bencher| {
                bencher.iter_custom(|iterations| (0..iterations).map(|_| compile_all(&modules, tier)).sum());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
