//! What passes a landing: results in all their places, the registers of callers that stay compiled, and
//! nothing that the machine left over.

use std::arch::asm;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osr_engine::Imports;
use osr_ir::{GlobalIndex, Signature, Type, Value};
use osr_tests::guest::{acting, eager, hijack_some, interpreted, start};

/// Overwrites every register that a callee may.
fn trash_registers() {
    // SAFETY: everything that is overwritten is declared.
    unsafe {
        asm!(
            "mov rax, {garbage}", "mov rcx, {garbage}", "mov rdx, {garbage}", "mov rsi, {garbage}",
            "mov rdi, {garbage}", "mov r8, {garbage}", "mov r9, {garbage}", "mov r10, {garbage}",
            "movq xmm0, {garbage}", "punpcklqdq xmm0, xmm0",
            "movaps xmm1, xmm0", "movaps xmm2, xmm0", "movaps xmm3, xmm0", "movaps xmm4, xmm0",
            "movaps xmm5, xmm0", "movaps xmm6, xmm0", "movaps xmm7, xmm0", "movaps xmm8, xmm0",
            "movaps xmm9, xmm0", "movaps xmm10, xmm0", "movaps xmm11, xmm0", "movaps xmm12, xmm0",
            "movaps xmm13, xmm0", "movaps xmm14, xmm0", "movaps xmm15, xmm0",
            garbage = in(reg) 0xdddd_dddd_dddd_ddddu64,
            clobber_abi("sysv64"),
        );
    }
}

/// Runs `f0` with every choice of its `functions` hijacked, and compares results and the global 0.
fn check_all_choices(guest: &str, functions: u32, argument: Value) {
    let run = |settings, imports: &Imports| {
        let (instance, thread) = start(guest, &settings, imports);
        let results = thread.invoke("f0", &[argument]).expect("the guest returns");
        (results, instance.global(GlobalIndex::new(0)), thread.transitions())
    };
    let (results, seen, _) = run(interpreted(), &acting(|_| ()));
    for mask in 0..1u64 << functions {
        let imports = acting(move |call| {
            assert_eq!(hijack_some(call, mask).frames, u64::from(mask.count_ones()));
            trash_registers();
        });
        let observed = run(eager(), &imports);
        assert_eq!((&observed.0, observed.1), (&results, seen), "hijacked: {mask:#b}\n{guest}");
        assert_eq!(observed.2.landings, u64::from(mask.count_ones()));
    }
}

const CHAIN: u32 = 6;

/// Functions that call the next one, each with eight integers and four floats live across the call:
/// more than there are callee-saved registers.
fn chain() -> String {
    let mut text =
        String::from("(module (import \"env\" \"act\" (func $act)) (global (mut i64) (i64.const 0))\n");
    for number in 0..CHAIN {
        writeln!(
            text,
            "(func $f{number} (export \"f{number}\") (param $n i64) (result i64) (local $sum i64)"
        )
        .unwrap();
        (0..8).for_each(|i| write!(text, "(local $i{i} i64)").unwrap());
        (0..4).for_each(|i| write!(text, "(local $x{i} f64)").unwrap());
        for i in 0..8 {
            let factor = 0x9e37_79b9 + 2 * i + 16 * number;
            writeln!(text, "(local.set $i{i} (i64.mul (local.get $n) (i64.const {factor})))").unwrap();
        }
        for i in 0..4 {
            writeln!(
                text,
                "(local.set $x{i} (f64.mul (f64.convert_i64_s (local.get $n)) (f64.const {i}.5)))"
            )
            .unwrap();
        }
        let next = number + 1;
        if next < CHAIN {
            writeln!(text, "(local.set $sum (call $f{next} (i64.add (local.get $i0) (local.get $i7))))")
                .unwrap();
        } else {
            writeln!(text, "(call $act)").unwrap();
        }
        for i in 0..8 {
            let sum = "(i64.rotl (local.get $sum) (i64.const 7))";
            writeln!(text, "(local.set $sum (i64.xor {sum} (local.get $i{i})))").unwrap();
        }
        for i in 0..4 {
            writeln!(
                text,
                "(local.set $sum (i64.add (local.get $sum) (i64.reinterpret_f64 (local.get $x{i}))))"
            )
            .unwrap();
        }
        writeln!(text, "(local.get $sum))").unwrap();
    }
    text + ")"
}

#[test]
fn callee_saved_registers_survive_every_choice_of_hijacked_frames() {
    check_all_choices(&chain(), CHAIN, Value::I64(0x0123_4567_89ab_cdef));
}

#[test]
fn the_chain_does_keep_values_in_callee_saved_registers() {
    let saving = Arc::new(AtomicU64::new(0));
    let host = Arc::clone(&saving);
    let imports = acting(move |call| {
        let versions = call.thread().instance().versions();
        let saves = versions.iter().filter(|version| version.saved_registers() > 0);
        host.store(saves.count() as u64, Relaxed);
    });
    let (_, thread) = start(&chain(), &eager(), &imports);
    thread.invoke("f0", &[Value::I64(1)]).expect("the guest returns");
    assert_eq!(saving.load(Relaxed), u64::from(CHAIN));
}

/// How to make a result of type `ty` of `$n`, which has all bits in use, number `position`.
fn make_result(ty: &str, position: usize) -> String {
    let word = format!("(i64.mul (local.get $n) (i64.const {}))", 2 * position + 3);
    match ty {
        // A rotation is not narrowed: its high half stays in the register.
        "i32" => format!("(i32.wrap_i64 (i64.rotl {word} (i64.const 9)))"),
        "i64" => word,
        // The conversion leaves the upper part of the register as it is.
        "f32" => format!("(f32.demote_f64 (f64.convert_i64_s {word}))"),
        _ => format!("(f64.convert_i64_s {word})"),
    }
}

/// All bits of a machine word that a value of type `ty` may occupy, as an i64.
fn word_of(ty: &str, local: &str) -> String {
    match ty {
        "i32" => format!("(i64.extend_i32_u (local.get {local}))"),
        "i64" => format!("(local.get {local})"),
        "f32" => format!("(i64.extend_i32_u (i32.reinterpret_f32 (local.get {local})))"),
        _ => format!("(i64.reinterpret_f64 (local.get {local}))"),
    }
}

/// `f0` calls `f1` calls `f2`, which calls the host. All return results of these types, each caller looks
/// at every one of them, and keeps `n` for afterwards.
fn results_guest(types: &[&str]) -> String {
    let results = types.join(" ");
    let mut text =
        String::from("(module (import \"env\" \"act\" (func $act)) (global $seen (mut i64) (i64.const 0))\n");
    for number in 0..2 {
        let next = number + 1;
        writeln!(text, "(func $f{number} (export \"f{number}\") (param $n i64) (result {results})").unwrap();
        (0..types.len()).for_each(|i| write!(text, "(local $r{i} {})", types[i]).unwrap());
        writeln!(text, "(call $f{next} (i64.add (local.get $n) (i64.const 1)))").unwrap();
        (0..types.len()).rev().for_each(|i| writeln!(text, "local.set $r{i}").unwrap());
        writeln!(text, "(global.set $seen (i64.add (global.get $seen) (local.get $n)))").unwrap();
        for (i, ty) in types.iter().enumerate() {
            let seen = "(i64.rotl (global.get $seen) (i64.const 5))";
            writeln!(text, "(global.set $seen (i64.xor {seen} {}))", word_of(ty, &format!("$r{i}"))).unwrap();
        }
        (0..types.len()).for_each(|i| writeln!(text, "(local.get $r{i})").unwrap());
        writeln!(text, ")").unwrap();
    }
    writeln!(text, "(func $f2 (export \"f2\") (param $n i64) (result {results}) (call $act)").unwrap();
    (0..types.len()).for_each(|i| writeln!(text, "{}", make_result(types[i], i)).unwrap());
    text + "))"
}

#[test]
fn results_pass_the_landing_stub_in_all_their_places() {
    let shapes: [&[&str]; 11] = [
        &[],
        &["i32"],
        &["i64"],
        &["f32"],
        &["f64"],
        &["i32", "i32"],
        &["f32", "f64"],
        &["i64", "f32", "i32", "f64"],
        &["i64", "i64", "i64"],
        &["f32", "f32", "f32", "f64"],
        &["i32", "f32", "i64", "f64", "i32", "f32", "i64", "f64", "i32", "f32"],
    ];
    for types in shapes {
        check_all_choices(&results_guest(types), 3, Value::I64(0x7654_3210_fedc_ba98));
    }
}

/// The callee takes more arguments than there are registers; they lie between its frame and the caller's.
#[test]
fn stack_arguments_pass_a_landing() {
    let parameters = |ty: &str, n| (0..n).map(|i| format!("(param ${ty}{i} {ty})")).collect::<String>();
    let sum = |ty: &str, zero: &str, n: usize| {
        (0..n).fold(zero.to_owned(), |sum, i| format!("({ty}.add (local.get ${ty}{i}) {sum})"))
    };
    let integers = |from: usize| {
        (from..from + 9).map(|i| format!("(i64.mul (local.get $n) (i64.const {i}))")).collect::<String>()
    };
    let floats = |from: usize| (from..from + 11).map(|i| format!("(f64.const {i}.25)")).collect::<String>();
    let callee = |number: usize, before: &str| {
        format!(
            "(func $f{number} (export \"f{number}\") {} {} (result i64) (local $n i64) (local $below i64)
               (local.set $n (local.get $i648)) {before}
               (i64.add (local.get $below) (i64.add {} (i64.trunc_f64_s {}))))\n",
            parameters("i64", 9),
            parameters("f64", 11),
            sum("i64", "(i64.const 1)", 9),
            sum("f64", "(f64.const 1)", 11),
        )
    };
    let call = |number: usize, from| {
        format!("(local.set $below (call $f{number} {} {}))", integers(from), floats(from))
    };
    let guest = format!(
        "(module (import \"env\" \"act\" (func $act)) (global (mut i64) (i64.const 0))
         (func (export \"f0\") (param $n i64) (result i64) (local $below i64)
           {} (i64.xor (local.get $n) (local.get $below)))
         {} {})",
        call(1, 3),
        callee(1, &call(2, 5)),
        callee(2, "(call $act)"),
    );
    check_all_choices(&guest, 3, Value::I64(0x1111_2222_3333));
}

/// A host that does not clear the high half of its 32-bit results.
#[test]
fn the_high_half_of_what_a_host_returns_is_ignored() {
    const GARBAGE: u64 = 0xdead_beef_0000_0000;
    let guest = r#"(module
      (import "env" "integer" (func $integer (result i32)))
      (import "env" "float" (func $float (result f32)))
      (func (export "integer") (result i64) (i64.extend_i32_u (call $integer)))
      (func (export "unchanged") (result i32) (call $integer))
      (func (export "compared") (result i32) (i32.eq (call $integer) (i32.const 5)))
      (func (export "float") (result i64) (i64.extend_i32_u (i32.reinterpret_f32 (call $float)))))"#;
    for (settings, hijack) in [(interpreted(), false), (eager(), false), (eager(), true)] {
        let mut imports = Imports::new();
        for (name, ty, word) in [("integer", Type::I32, 5), ("float", Type::F32, 7)] {
            let signature = Signature::new(vec![], vec![ty]);
            imports.function("env", name, signature, move |call, _, results| {
                results[0] = GARBAGE | word;
                call.thread().hijack(|_| hijack).expect("a walk");
                Ok(())
            });
        }
        let (_, thread) = start(guest, &settings, &imports);
        for (function, expected) in [("integer", 5), ("unchanged", 5), ("compared", 1), ("float", 7)] {
            let results = thread.invoke(function, &[]).expect("the guest returns");
            assert_eq!(results, [expected], "{function}, {:?}, hijacked: {hijack}", settings.tiers);
        }
    }
}

/// Registers and slots that are dead at the landing are poisoned in checked runs; whoever needs one of
/// them computes nonsense. Values live at some calls only, on every path.
#[test]
fn what_is_dead_at_one_call_and_live_at_the_next_is_never_poison() {
    let guest = r#"(module
      (import "env" "act" (func $act))
      (global (mut i64) (i64.const 0))
      (func (export "f0") (param $n i64) (result i64) (local $a i64) (local $b i64) (local $c i64) (local $i i32)
        (loop $again
          (local.set $a (i64.mul (local.get $n) (i64.const 17)))
          (call $act)
          (local.set $b (i64.add (local.get $a) (i64.const 3)))
          (if (i32.and (local.get $i) (i32.const 1))
            (then (call $act) (local.set $c (i64.xor (local.get $c) (local.get $b))))
            (else (local.set $a (local.get $b)) (call $act) (local.set $c (i64.add (local.get $c) (local.get $a)))))
          (local.set $n (i64.add (local.get $n) (local.get $c)))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
        (local.get $c)))"#;
    let run = |settings, imports: &Imports| {
        let (_, thread) = start(guest, &settings, imports);
        thread.invoke("f0", &[Value::I64(12345)]).expect("the guest returns")
    };
    let expected = run(interpreted(), &acting(|_| ()));
    // Every choice of calls at which the frame is hijacked, for the first ten of them, over and over.
    for mask in 0..1u32 << 10 {
        let count = Mutex::new(0);
        let imports = acting(move |call| {
            let mut count = count.lock().unwrap();
            if mask >> (*count % 10) & 1 == 1 {
                call.thread().hijack(|_| true).expect("a walk");
            }
            *count += 1;
        });
        assert_eq!(run(eager(), &imports), expected, "hijacked at calls {mask:#b}");
    }
}
