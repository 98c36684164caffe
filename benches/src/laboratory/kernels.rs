//! The smallest programs: one thing, again and again.

use std::path::PathBuf;

use crate::error::Error;
use crate::guest::host::kind;
use crate::guest::load::Program;
use crate::guest::schedule_file::program_hash;

/// Calls: Fibonacci numbers, by recursion.
const CALLS: &str = r#"(module (func $fib (export "run") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                       (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#;

/// Iterations with nothing in them: counts up to its argument.
const LOOP: &str = r#"(module (func (export "run") (param i32) (result i32) (local i32)
    (loop $again
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1)))"#;

/// Iterations with a load, a multiplication and an addition: n numbers times themselves, each from 0 to 31.
const DOT: &str = r#"(module (memory 2) (func (export "run") (param i32) (result i32) (local i32) (local f64)
    (loop $fill
        (f64.store (i32.shl (local.get 1) (i32.const 3)) (f64.convert_i32_u (i32.and (local.get 1) (i32.const 31))))
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get 1) (local.get 0))))
    (local.set 1 (i32.const 0))
    (loop $again
        (local.set 2 (f64.add (local.get 2) (f64.mul
            (f64.load (i32.shl (local.get 1) (i32.const 3))) (f64.load (i32.shl (local.get 1) (i32.const 3))))))
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get 1) (local.get 0))))
    (i32.trunc_f64_s (local.get 2))))"#;

const KERNELS: [(&str, &str); 3] = [("calls", CALLS), ("loop", LOOP), ("dot", DOT)];

/// The kernel of that name.
///
/// # Panics
/// If there is none.
pub(crate) fn load(name: &str) -> Result<Program, Error> {
    let (_, text) =
        KERNELS.into_iter().find(|(kernel, _)| *kernel == name).expect("the laboratory knows its kernels");
    let path = PathBuf::from(format!("{name}.wat"));
    let module =
        osr_ir::wasm::import_text(text).map_err(|source| Error::Wasm { path: path.clone(), source })?;
    Ok(Program { path, hash: program_hash(text.as_bytes()), kind: kind::of(&module), module })
}

/// Whether it is the name of a kernel.
pub(crate) fn is_kernel(name: &str) -> bool {
    KERNELS.iter().any(|(kernel, _)| *kernel == name)
}
