//! What is refused: unsupported features by name and offset, malformed bytes by offset, never a panic.

use osr_ir::wasm::{self, Feature, ImportError};
use proptest::prelude::*;

/// The error for `source`, which parses as text.
fn refusal(source: &str) -> ImportError {
    wasm::import_text(source).expect_err(source)
}

#[track_caller]
fn is_unsupported(source: &str, feature: Feature) {
    match refusal(source) {
        ImportError::Unsupported { feature: found, offset } => {
            assert_eq!(found, feature, "{source}");
            assert!(offset >= 4, "{source}: offset {offset}");
        }
        other => panic!("{source}: {other}"),
    }
}

#[test]
fn unsupported_features_are_named() {
    let cases = [
        ("(module (type (struct)))", Feature::GarbageCollection),
        ("(module (type (array i8)))", Feature::GarbageCollection),
        ("(module (func (param anyref)))", Feature::GarbageCollection),
        ("(module (rec (type (func)) (type (struct))))", Feature::GarbageCollection),
        ("(module (rec (type (func)) (type (func))))", Feature::RecursiveTypes),
        ("(module (type $f (func (param (ref null $f)))))", Feature::RecursiveTypes),
        ("(module (type (sub (func))))", Feature::RecursiveTypes),
        ("(module (memory 1 (pagesize 1)))", Feature::CustomPageSizes),
        (
            "(module (func (param i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1)) drop drop))",
            Feature::WideArithmetic,
        ),
    ];
    for (source, feature) in cases {
        is_unsupported(source, feature);
    }
}

#[test]
fn components_are_refused() {
    let refused = wasm::import(b"\0asm\x0d\0\x01\0");
    assert_eq!(refused, Err(ImportError::Unsupported { feature: Feature::ComponentModel, offset: 4 }));
}

#[test]
fn the_offset_is_that_of_the_operator() {
    let bytes = wat::parse_str("(module (func nop nop (drop (ref.i31 (i32.const 0)))))").expect("text");
    let call = bytes.windows(2).position(|pair| pair == [0xfb, 0x1c]).expect("the operator") as u64;
    let expected = ImportError::Unsupported { feature: Feature::GarbageCollection, offset: call };
    assert_eq!(wasm::import(&bytes), Err(expected.clone()));
    assert_eq!(expected.to_string(), format!("gc is not supported (at offset {call:#x})"));
}

#[test]
fn ill_typed_code_is_malformed_even_beside_newer_features() {
    for source in [
        "(module (func (result i32)))",
        "(module (func i32.const 1))",
        "(module (func (drop (i32.add (i64.const 1) (i32.const 1)))))",
        "(module (func br 1))",
        "(module (func local.get 0 drop))",
    ] {
        assert!(matches!(refusal(source), ImportError::Malformed { .. }), "{source}");
    }
    let both = "(module (func i32.const 1) (func (param anyref)))";
    assert!(matches!(refusal(both), ImportError::Unsupported { feature: Feature::GarbageCollection, .. }));
}

#[test]
fn all_unsupported_features_are_listed_once() {
    let features = |source: &str| {
        let bytes = wat::parse_str(source).expect("text");
        let all = osr_ir::wasm::unsupported_features(&bytes);
        assert!(all.iter().all(|&(_, offset)| offset < bytes.len() as u64), "{all:?}");
        all.into_iter().map(|(feature, _)| feature).collect::<Vec<_>>()
    };
    use Feature::{CustomPageSizes, GarbageCollection, WideArithmetic};
    let many = "(module (memory 1 (pagesize 1)) (func (param anyref)) (func (param anyref))
        (func (param i64 i64) (result i64 i64) local.get 0 local.get 1 i64.mul_wide_s))";
    assert_eq!(features(many), [GarbageCollection, CustomPageSizes, WideArithmetic]);
    assert_eq!(features("(module (func (param anyref)) (func i32.const 1))"), [GarbageCollection]);
    assert_eq!(features("(module)"), []);
}

#[test]
fn text_errors_have_a_line_and_a_column() {
    let error = refusal("(module\n  (func\n    i32.bogus))");
    let ImportError::Text { line, column, message } = error else { panic!("{error}") };
    assert_eq!((line, column), (3, 5), "{message}");
}

/// A module with every section.
const EVERYTHING: &str = r#"(module $m
    (type $t (func (param i32) (result i32)))
    (import "env" "f" (func $f (type $t)))
    (table $table 2 funcref) (memory 1) (global $g (mut i32) (i32.const 1))
    (export "run" (func $run)) (start $start)
    (elem (i32.const 0) $f $run) (elem declare func $run)
    (func $start)
    (func $run (type $t) (local i64)
        block (result i32) local.get 0 local.get 0 br_if 0 call $f end
        loop i32.const 0 br_if 0 end
        if (result i32) ref.func $run ref.is_null else i32.const 2 end)
    (data (i32.const 0) "abc") (data "passive"))"#;

#[test]
fn every_prefix_is_an_error_unless_it_ends_with_a_section() {
    let bytes = wat::parse_str(EVERYTHING).expect("text");
    wasm::import(&bytes).expect("the whole module");
    let ends = section_ends(&bytes);
    for length in 0..bytes.len() {
        let result = wasm::import(&bytes[..length]);
        assert!(result.is_err() || ends.contains(&length), "{length} bytes");
        assert!(!matches!(result, Err(ImportError::Unsupported { .. })), "{length} bytes: {result:?}");
    }
}

fn section_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![8];
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        if let Some((_, range)) = payload.expect("valid").as_section() {
            ends.push(range.end as usize);
        }
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = wasm::import(&bytes);
        let _ = wasm::import(&[b"\0asm\x01\0\0\0", bytes.as_slice()].concat());
    }

    #[test]
    fn no_damaged_module_panics(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut bytes = wat::parse_str(EVERYTHING).expect("text");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(module) = wasm::import(&bytes) {
            prop_assert!(osr_ir::verifier::verify(&module).is_ok(), "{module}");
        }
    }
}
