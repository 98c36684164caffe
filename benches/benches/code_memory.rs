//! What it costs to install, to call and to release code, with each code memory.
//!
//! ```text
//!   install/arena             a compiled body becomes a version that can be entered
//!   release/jit-module        a version that nothing leads into gives its memory back
//!   call/arena                from the embedder into compiled code and back
//! ```
//!
//! Installing and releasing are timed by the engine itself ([`Instance::code_times`]): compiling, which comes before,
//! takes a thousand times longer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use osr_engine::{CodeMemory, CodeTimes, Imports, Instance, Settings, Thread, Tiers};
use osr_ir::FunctionIndex;

const TEXT: &str = r#"(module
    (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
        (loop $again
            (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $i)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $s)))"#;

fn instance(code_memory: CodeMemory) -> Arc<Instance> {
    let module = osr_ir::wasm::import_text(TEXT).expect("a module");
    let settings = Settings { tiers: Tiers::Optimized, code_memory, checked: false, ..Settings::default() };
    Instance::new(settings, module, &Imports::new()).expect("an instance")
}

/// What is measured, in nanoseconds.
type Part = fn(CodeTimes) -> u64;

/// The `part` of what `rounds` compilations, calls and invalidations of a function took.
fn transitions(code_memory: CodeMemory, rounds: u64, part: Part) -> Duration {
    let instance = instance(code_memory);
    let thread = Thread::new(&instance).expect("a thread");
    for _ in 0..rounds {
        thread.call(FunctionIndex::new(0), &[1]).expect("it returns");
        thread.invalidate_all().expect("an invalidation");
    }
    Duration::from_nanos(part(instance.code_times()))
}

fn code_memory(criterion: &mut Criterion) {
    let install: Part = |times| times.install_ns;
    let release: Part = |times| times.release_ns;
    for (name, part) in [("install", install), ("release", release)] {
        let mut group = criterion.benchmark_group(name);
        for memory in CodeMemory::ALL {
            group.bench_function(memory.name(), |bencher| {
                bencher.iter_custom(|rounds| transitions(memory, rounds, part));
            });
        }
    }
    let mut group = criterion.benchmark_group("call");
    for memory in CodeMemory::ALL {
        let instance = instance(memory);
        let thread = Thread::new(&instance).expect("a thread");
        group.bench_function(memory.name(), |bencher| {
            bencher.iter(|| thread.call(FunctionIndex::new(0), black_box(&[1])).expect("it returns"));
        });
    }
}

criterion_group!(benches, code_memory);
criterion_main!(benches);
