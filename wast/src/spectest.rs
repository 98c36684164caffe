//! The module `spectest`, from which scripts import.

use std::sync::Arc;

use osr_engine::{Imports, Instance, Settings, Store};
use osr_ir::{Signature, Type};

use crate::Print;

/// What is not the host's: one instance for each script, since it has state.
const MODULE: &str = r#"(module
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (table (export "table64") i64 10 20 funcref)
    (memory (export "memory") 1 2)
    (memory (export "shared_memory") 1 2 shared))"#;

/// Provides it, and returns its instance.
///
/// # Panics
/// If memory runs out.
pub(super) fn provide(
    store: &Store,
    settings: &Settings,
    imports: &mut Imports,
    print: &Arc<Print>,
) -> Arc<Instance> {
    use Type::{F32, F64, I32, I64};
    let printed: [(&str, &[Type]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, parameters) in printed {
        let signature = Signature::new(parameters.to_vec(), vec![]);
        let print = Arc::clone(print);
        imports.function("spectest", name, signature, move |_, arguments, _| {
            let shown =
                parameters.iter().zip(arguments).map(|(ty, &word)| format!("{ty} {}", ty.show(&[word])));
            print(&shown.collect::<Vec<_>>().join(", "));
            Ok(())
        });
    }
    let module = osr_ir::wasm::import_text(MODULE).expect("a valid module");
    let instance = store.instantiate(settings.clone(), module, &Imports::new()).expect("an instance");
    imports.instance("spectest", &instance);
    instance
}
