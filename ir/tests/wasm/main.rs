//! Import of WebAssembly: what the code looks like, what it computes, and what is refused.

mod code;
mod evaluator;
mod execution;
mod generated;
mod lazy;
mod limits;
mod origins;
mod refused;

use osr_ir::{Body, Module, wasm};

/// Imports text that is expected to be fine, and verifies it.
fn import(source: &str) -> Module {
    let module = wasm::import_text(source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    osr_ir::verifier::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    module
}

/// The body of the only function that `source` defines.
fn body(source: &str) -> Body {
    let module = import(source);
    let mut bodies = module.functions.iter().filter_map(|function| function.body());
    bodies.next().expect("a defined function").clone()
}
