//! Vectors where words leave an instance: host functions, other instances, shared globals, calls from outside.
//! (`tests/cases/vectors.wat` has what happens within one.)

use osr_engine::{HostError, Settings, StateRecording, Store, Thread};
use osr_ir::{Signature, Type, Value};
use osr_tests::guest::{acting, eager, hijack_some, interpreted, parse};

const PROVIDER: &str = r#"(module
    (type $t (func (param v128 i32 v128) (result i32 v128)))
    (global (export "state") (mut v128) (v128.const i64x2 1 2))
    (table (export "table") 1 funcref)
    (elem (i32.const 0) $mix)
    (func $mix (export "mix") (type $t)
        (i32.add (local.get 1) (i32.const 1))
        (i64x2.sub (local.get 0) (local.get 2))))"#;

/// `f0` has vectors live across calls of the host, which hijacks its frame, and of the provider, also through its table.
const USER: &str = r#"(module
    (type $t (func (param v128 i32 v128) (result i32 v128)))
    (import "env" "act" (func $act))
    (import "env" "rotate" (func $rotate (param v128 i32) (result v128 i64)))
    (import "provider" "mix" (func $mix (type $t)))
    (import "provider" "state" (global $state (mut v128)))
    (import "provider" "table" (table 1 funcref))
    (func (export "f0") (param $v v128) (param $n i32) (result v128 i64 v128)
        (local $w v128) (local $x i64)
        (call $rotate (local.get $v) (local.get $n)) (local.set $x) (local.set $w)
        (call $act)
        (global.set $state (i64x2.add (global.get $state) (local.get $w)))
        (call $mix (local.get $w) (local.get $n) (local.get $v)) (local.set $w) (local.set $n)
        (call $act)
        (call_indirect (type $t) (local.get $w) (local.get $n) (global.get $state) (i32.const 0))
        (local.set $w) (local.set $n)
        (call $act)
        (local.get $w) (i64.add (local.get $x) (i64.extend_i32_s (local.get $n))) (global.get $state)))"#;

fn halves(bits: u128) -> [u64; 2] {
    [bits as u64, (bits >> 64) as u64]
}

/// Lane by lane.
fn zip(a: [u64; 2], b: [u64; 2], of: fn(u64, u64) -> u64) -> [u64; 2] {
    [of(a[0], b[0]), of(a[1], b[1])]
}

#[test]
fn vectors_are_two_words_to_whatever_is_outside() {
    let recorded = [StateRecording::Slots, StateRecording::Pads, StateRecording::CrossChecked];
    let recorded = recorded.map(|recording| {
        let mechanism = osr_engine::Mechanism::recorded_by(recording);
        Settings { mechanism, ..eager() }
    });
    let baseline = Settings { tiers: osr_engine::Tiers::Baseline, ..eager() };
    for settings in [interpreted(), baseline, eager()].into_iter().chain(recorded) {
        let store = Store::new();
        let mut imports = acting(|call| _ = hijack_some(call, 1));
        let signature = Signature::new(vec![Type::V128, Type::I32], vec![Type::V128, Type::I64]);
        imports.function("env", "rotate", signature, |_, arguments, results| {
            let &[low, high, by] = arguments else { panic!("three words, not {arguments:x?}") };
            results[..2]
                .copy_from_slice(&halves((u128::from(high) << 64 | u128::from(low)).rotate_left(by as u32)));
            results[2] = by * 100;
            Ok::<(), HostError>(())
        });
        let provider = store.instantiate(settings.clone(), parse(PROVIDER), &imports).expect("an instance");
        imports.instance("provider", &provider);
        let user = store.instantiate(settings, parse(USER), &imports).expect("an instance");
        let thread = Thread::new(&user).expect("a thread");
        let given = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978_u128;
        let mut state = [1, 2];
        for n in 1..4_u32 {
            let arguments = [Value::V128(halves(given)), Value::I32(n as i32)];
            let returned = thread.invoke("f0", &arguments).expect("it returns");
            let rotated = halves(given.rotate_left(n));
            state = zip(state, rotated, u64::wrapping_add);
            let mixed = zip(zip(rotated, halves(given), u64::wrapping_sub), state, u64::wrapping_sub);
            let expected = [&mixed[..], &[u64::from(n) * 101 + 2], &state].concat();
            assert_eq!(returned, expected);
            let osr_ir::ExportItem::Global(global) = provider.module().export("state").expect("an export")
            else {
                panic!("a global")
            };
            assert_eq!(provider.global_value(global), state);
        }
    }
}
