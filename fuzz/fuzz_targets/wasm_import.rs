//! No bytes make the importer panic, and what it imports is valid.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(module) = osr_ir::wasm::import(bytes) {
        osr_ir::verifier::verify(&module).expect("imported modules are valid");
    }
});
