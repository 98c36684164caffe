//! Random valid modules of the supported features: all import, and all verify.

use arbitrary::Unstructured;
use osr_ir::wasm;
use proptest::prelude::*;
use wasm_smith::Config;

/// Modules with reference types have vectors, further memories, 64-bit ones and atomic instructions, too.
fn config(has_reference_types: bool) -> Config {
    Config {
        // Small sections leave more of the seed to function bodies.
        max_data_segments: 3,
        max_element_segments: 4,
        max_exports: 4,
        max_globals: 5,
        max_imports: 5,
        max_instructions: 400,
        max_memories: if has_reference_types { 3 } else { 1 },
        max_tables: if has_reference_types { 3 } else { 1 },
        max_types: 8,
        min_funcs: 3,
        min_globals: 2,
        min_memories: 1,
        min_types: 5,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: true,
        gc_enabled: false,
        memory64_enabled: has_reference_types,
        reference_types_enabled: has_reference_types,
        relaxed_simd_enabled: has_reference_types,
        simd_enabled: has_reference_types,
        tail_call_enabled: false,
        threads_enabled: has_reference_types,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// The module that `seed` gives, unless the seed is too short for one.
fn generate(seed: &[u8], has_reference_types: bool) -> Option<Vec<u8>> {
    let module = wasm_smith::Module::new(config(has_reference_types), &mut Unstructured::new(seed));
    module.ok().map(|module| module.to_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_modules_import_and_verify(seed in proptest::collection::vec(any::<u8>(), 1000..12_000)) {
        let Some(bytes) = generate(&seed, false) else { return Ok(()) };
        match wasm::import(&bytes) {
            Ok(module) => prop_assert!(osr_ir::verifier::verify(&module).is_ok(), "{module}"),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn random_modules_with_references_import(seed in proptest::collection::vec(any::<u8>(), 1000..12_000)) {
        let Some(bytes) = generate(&seed, true) else { return Ok(()) };
        match wasm::import(&bytes) {
            Ok(module) => prop_assert!(osr_ir::verifier::verify(&module).is_ok(), "{module}"),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

#[test]
fn random_modules_are_not_trivial() {
    let mut state = 1_u64;
    let mut seed = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let mut instructions = 0;
    for _ in 0..50 {
        let bytes: Vec<u8> = (0..8000).map(|_| seed()).collect();
        let module = generate(&bytes, false).and_then(|bytes| wasm::import(&bytes).ok());
        let bodies =
            module.iter().flat_map(|module| &module.functions).filter_map(|function| function.body());
        instructions += bodies.map(|body| body.instruction_count()).sum::<usize>();
    }
    assert!(instructions > 2_000, "{instructions}");
}
