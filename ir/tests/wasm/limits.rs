//! Large functions: no native recursion, no quadratic time, no needless registers.

use std::time::{Duration, Instant};

use osr_ir::{Instruction, Terminator};

/// `count` repetitions of `text`.
fn many(text: &str, count: usize) -> String {
    text.repeat(count)
}

/// A limit that linear work stays under by far, on a busy machine too, and quadratic work does not.
#[track_caller]
fn is_quick(what: impl FnOnce()) {
    let start = Instant::now();
    what();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn deep_nesting_is_followed_without_recursion() {
    for (open, close) in [("block ", "end "), ("loop ", "br_if 0 end "), ("local.get 0 if ", "end ")] {
        let close = close.replace("br_if", "local.get 0 br_if");
        let body = format!("{}local.get 0 drop {}", many(open, 10_000), many(&close, 10_000));
        is_quick(|| drop(crate::body(&format!("(module (func (param i32) {body}))"))));
    }
}

#[test]
fn dead_nesting_is_skipped() {
    let body = format!("unreachable {} br 0 {}", many("block loop ", 5_000), many("end end ", 5_000));
    let body = crate::body(&format!("(module (func (result i32) {body}))"));
    assert_eq!(body.blocks.len(), 1);
    assert_eq!(body.blocks[0].terminator, Terminator::Unreachable);
}

#[test]
fn only_locals_that_may_be_read_first_start_as_zero() {
    let locals = many("(local i32) ", 49_998);
    let source = format!(
        "(module (func (param i32) (result i32) (local i64) {locals}
            (local.set 2 (i32.const 7))
            (if (local.get 0) (then (local.set 3 (i32.const 8))))
            (i32.add (local.get 2) (local.get 3))))"
    );
    let body = crate::body(&source);
    let zeroes = body.blocks[0].instructions.iter().filter(
        |instruction| matches!(instruction, Instruction::Const { value, .. } if value.to_bits() == 0),
    );
    assert_eq!(zeroes.count(), 1, "only local 3 may be read before it is written");
    assert!(body.registers.len() < 8, "{} registers", body.registers.len());
}

#[test]
fn many_locals_in_many_blocks() {
    let locals = many("(local i32) ", 50_000);
    let uses: String = (0..50_000).map(|i| format!("block local.get {i} br_if 0 end ")).collect();
    is_quick(|| drop(osr_ir::wasm::import_text(&format!("(module (func {locals} {uses}))")).expect("valid")));
}

#[test]
fn many_pending_locals() {
    let pushes = many("local.get 0 ", 20_000);
    let sets = many("i32.const 1 local.set 0 ", 20_000);
    let blocks = many("block end ", 20_000);
    let source = format!("(module (func (param i32) {pushes} {blocks} {sets} {} ))", many("drop ", 20_000));
    is_quick(|| drop(osr_ir::wasm::import_text(&source).expect("valid")));
}

#[test]
fn long_chains_of_jumps() {
    let body = format!("{} local.get 0 br_table 0 1 2 {}", many("block ", 10_000), many("br 0 end ", 10_000));
    is_quick(|| {
        let body = crate::body(&format!("(module (func (param i32) {body}))"));
        assert!(body.blocks.len() < 4, "{} blocks", body.blocks.len());
    });
}
