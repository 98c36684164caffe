//! Start-up of a WebAssembly module of one megabyte: from its bytes to the end of the first call, and the
//! parts of that.
//!
//! ```text
//!  validate      wasmparser's validator alone
//!  import        validation, sections, names; no body is translated
//!  instance      items verified; call cells, stubs, memory, segments
//!  first call    a thread, and `run(1)`, interpreted, with what it enters translated
//!  whole         the last three
//!  translation   for comparison: every body
//! ```
//!
//! The module has the sections of the bundled program `deltablue`, and its function bodies over and over:
//! copies call the functions of the first, so the code is valid. They have 137 bytes on average.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use osr_engine::{Imports, Instance, Settings, Thread};
use osr_ir::{Module, Value};
use wasm_encoder::{CodeSection, FunctionSection, RawSection, SectionId};
use wasmparser::{Parser, Payload, Validator};

/// No fewer bytes than this has the module.
const BYTES: usize = 1_000_000;

const CUSTOM: u8 = SectionId::Custom as u8;
const FUNCTION: u8 = SectionId::Function as u8;
const CODE: u8 = SectionId::Code as u8;

/// The module.
fn megabyte() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/wasm/deltablue.wasm");
    let program = std::fs::read(path).expect("the program");
    let (mut types, mut bodies) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(&program) {
        match payload.expect("a valid program") {
            Payload::FunctionSection(section) => {
                types = section.into_iter().map(|ty| ty.expect("a type")).collect()
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {}
        }
    }
    let copies = BYTES.div_ceil(bodies.iter().map(|body| body.len()).sum());
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for _ in 0..copies {
        for (&ty, body) in types.iter().zip(&bodies) {
            functions.function(ty);
            code.raw(body);
        }
    }
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(&program) {
        match payload.expect("a valid program").as_section() {
            None | Some((CUSTOM, _)) => continue,
            Some((FUNCTION, _)) => module.section(&functions),
            Some((CODE, _)) => module.section(&code),
            Some((id, range)) => {
                let data = &program[range.start as usize..range.end as usize];
                module.section(&RawSection { id, data })
            }
        };
    }
    module.finish()
}

fn import(bytes: &[u8]) -> Module {
    osr_ir::wasm::import(bytes).expect("a valid module")
}

fn instantiate(module: Module) -> Arc<Instance> {
    Instance::new(Settings::default(), module, &Imports::new()).expect("an instance")
}

fn first_call(instance: &Arc<Instance>) {
    let thread = Thread::new(instance).expect("a thread");
    black_box(thread.invoke("run", &[Value::I32(1)]).expect("a result"));
}

fn translate_all(module: &Module) {
    for function in &module.functions {
        black_box(function.body());
    }
}

fn start_up(criterion: &mut Criterion) {
    let bytes = megabyte();
    let mut group = criterion.benchmark_group("start-up");
    group.sample_size(20);
    let batch = BatchSize::PerIteration;
    group.bench_function("validate", |bencher| {
        bencher.iter_with_large_drop(|| Validator::new().validate_all(&bytes).expect("a valid module"));
    });
    group.bench_function("import", |bencher| bencher.iter_with_large_drop(|| import(&bytes)));
    group.bench_function("instance", |bencher| bencher.iter_batched(|| import(&bytes), instantiate, batch));
    group.bench_function("first call", |bencher| {
        bencher.iter_batched_ref(|| instantiate(import(&bytes)), |instance| first_call(instance), batch);
    });
    group.bench_function("whole", |bencher| {
        bencher.iter_with_large_drop(|| {
            let instance = instantiate(import(&bytes));
            first_call(&instance);
            instance
        });
    });
    group.bench_function("translation", |bencher| {
        bencher.iter_batched_ref(|| import(&bytes), |module| translate_all(module), batch);
    });
    group.finish();
}

criterion_group!(benches, start_up);
criterion_main!(benches);
