//! No module makes the verifier panic, and nothing that it passes makes the analyses panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osr_ir::{Liveness, Points};

#[path = "../../ir/tests/support/mod.rs"]
mod support;

fuzz_target!(|tape: &[u8]| {
    let module = support::module(tape, support::Shape::Wild);
    if osr_ir::verifier::verify(&module).is_ok() {
        for body in module.functions.iter().filter_map(|function| function.body()) {
            Liveness::of(body, &Points::of(body));
        }
    }
});
