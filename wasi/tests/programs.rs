//! Programs of WASI in an embedder that has nothing but the public interface.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use osr_engine::{Imports, Instance, Settings, Stress, Thread, Tiers};
use osr_ir::{ExportItem, Module};
use osr_wasi::{Context, ContextError, exit_code};

fn load(name: &str) -> Module {
    let programs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/wasi");
    let bytes = std::fs::read(programs.join(name)).expect("the program is there");
    osr_ir::wasm::import(&bytes).expect("it is valid")
}

/// Runs `_start`; returns the exit code.
fn run(module: Module, settings: Settings, imports: &Imports) -> i32 {
    let instance = Instance::new(settings, module, imports).expect("an instance");
    let ended = Thread::new(&instance).expect("a thread").invoke("_start", &[]);
    ended.map_or_else(|error| exit_code(&error).unwrap_or_else(|| panic!("{error}")), |_| 0)
}

/// A directory that is removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("osr-wasi-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Checks, in front of each function of `imports`, that it writes where it is said to write.
fn check_writes(module: &Module, imports: &mut Imports) -> Arc<AtomicUsize> {
    let checked = Arc::new(AtomicUsize::new(0));
    for (name, item) in module.imports() {
        let (ExportItem::Function(function), Some(host)) = (item, imports.host_function(name).cloned())
        else {
            continue;
        };
        let (called, checked) = (name.name.clone(), Arc::clone(&checked));
        let signature = module.signature_of(function).clone();
        imports.function(&name.module, &name.name, signature, move |call, arguments, results| {
            let before = call.with_memory(|memory| memory.to_vec()).expect("it has memory");
            let ranges = osr_wasi::written(&called, arguments, &before);
            (host.code)(call, arguments, results)?;
            let after = call.with_memory(|memory| memory.to_vec()).expect("it has memory");
            let changed = (0..before.len()).filter(|&at| before[at] != after[at]);
            if let Some(ranges) = ranges {
                let outside = |at: &usize| !ranges.iter().any(|range| range.contains(&(*at as u64)));
                assert_eq!(changed.clone().find(outside), None, "{called}{arguments:x?}: {ranges:x?}");
                checked.fetch_add(changed.count(), Ordering::Relaxed);
            }
            Ok(())
        });
    }
    checked
}

#[test]
fn functions_write_where_they_are_said_to_write() {
    for (name, least) in [("echo.wasm", 10), ("files.wasm", 1_000)] {
        let scratch = Scratch::new(name);
        let module = load(name);
        let mut context = Context::new();
        context.arguments([name, "/"]).expect("they fit");
        context.variable("WHO", "me").expect("it fits");
        context.directory(&scratch.0, "/").expect("it is there");
        let mut imports = Imports::new();
        osr_wasi::provide(context.build(), &mut imports);
        let checked = check_writes(&module, &mut imports);
        run(module, Settings::default(), &imports);
        assert!(checked.load(Ordering::Relaxed) > least, "{name}: {checked:?}");
    }
}

#[test]
fn a_program_ends_with_its_code_from_under_hijacked_frames() {
    for (tiers, stress) in [
        (Tiers::Interpreter, Stress::None),
        (Tiers::Optimized, Stress::hijack(1)),
        (Tiers::Optimized, Stress::invalidate(50)),
    ] {
        for code in [0, 3, 255, -1, i32::MIN] {
            let mut context = Context::new();
            context.arguments(["sort", "exit", &code.to_string()]).expect("they fit");
            let mut imports = Imports::new();
            osr_wasi::provide(context.build(), &mut imports);
            let settings = Settings { tiers, stress: stress.clone(), ..Settings::default() };
            assert_eq!(run(load("sort.wasm"), settings, &imports), code);
        }
    }
}

#[test]
fn what_cannot_be_given_is_refused() {
    let mut context = Context::new();
    assert!(matches!(context.arguments(["a\0b"]), Err(ContextError::ZeroByte(text)) if text == "a\0b"));
    assert!(matches!(context.variable("A", "\0"), Err(ContextError::ZeroByte(_))));
    let missing = context.directory(std::path::Path::new("/no/such/directory"), "/");
    assert!(missing.is_err_and(|error| error.to_string().contains("/no/such/directory")));
}

/// Arguments that point outside of memory are the program's own mistake: an error number, or a trap that says so.
#[test]
fn pointers_out_of_bounds_do_no_harm() {
    let module = osr_ir::wasm::import_text(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_unstable" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "write") (param i32 i32 i32) (result i32)
                (call $write (i32.const 1) (local.get 0) (local.get 1) (local.get 2)))
            (func (export "random") (param i32 i32) (result i32) (call $random (local.get 0) (local.get 1))))"#,
    );
    let mut imports = Imports::new();
    osr_wasi::provide(Context::new().build(), &mut imports);
    let instance =
        Instance::new(Settings::default(), module.expect("it is valid"), &imports).expect("an instance");
    let thread = Thread::new(&instance).expect("a thread");
    let call = |name: &str, arguments: &[i32]| {
        let values: Vec<osr_ir::Value> = arguments.iter().map(|&word| osr_ir::Value::I32(word)).collect();
        thread.invoke(name, &values).map_err(|error| assert_eq!(exit_code(&error), None))
    };
    for (at, count, result) in [(-1, 1, 0), (65_532, 1, 0), (0, -1, 0), (0, 1, -4), (0, 1, 65_533)] {
        assert_ne!(call("write", &[at, count, result]), Ok(vec![0]), "{at} {count} {result}");
    }
    for (at, length) in [(-1, 1), (65_535, 2), (0, -1)] {
        assert_ne!(call("random", &[at, length]), Ok(vec![0]), "{at} {length}");
    }
    assert_eq!(call("random", &[65_535, 1]), Ok(vec![0]));
}
