;; Functions without results or parameters, empty bodies, and results that are dropped.
;;! call empty =>
;;! call nops =>
;;! call early_return 0 =>
;;! call early_return 1 =>
;;! call effects 10 => 10
;;! call drops 5 => 5
;;! call empty_blocks 3 => 3
;;! call void_recursion 50 => 50
;;! call unused_params 1 2.5 3 4.5 =>
;;! call trap_without_result 1 =>
;;! call trap_without_result 0 => trap integer divide by zero in trap_without_result at p1
(module
  (global $count (mut i32) (i32.const 0))
  (func $empty (export "empty"))
  (func $nops (export "nops") (nop) (nop) (block) (loop) (nop))
  (func $early_return (export "early_return") (param $x i32)
    (if (local.get $x) (then (return)))
    (call $empty))
  (func $tick (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (func $effects (export "effects") (param $n i32) (result i32)
    (global.set $count (i32.const 0))
    (loop $top
      (call $tick)
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.get $count))
  (func $three (result i32 f64 i64)
    (call $tick)
    (i32.const 1) (f64.const 2) (i64.const 3))
  (func $drops (export "drops") (param $n i32) (result i32)
    (global.set $count (i32.const 0))
    (loop $top
      (call $three)
      drop drop drop
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.get $count))
  (func $empty_blocks (export "empty_blocks") (param $x i32) (result i32)
    (block (block (block (br 2))))
    (if (local.get $x) (then))
    (if (local.get $x) (then) (else))
    (block (result i32) (local.get $x)))
  (func $void_down (param $n i32)
    (if (i32.eqz (local.get $n)) (then (return)))
    (call $void_down (i32.sub (local.get $n) (i32.const 1)))
    (call $tick))
  (func $void_recursion (export "void_recursion") (param $n i32) (result i32)
    (global.set $count (i32.const 0))
    (call $void_down (local.get $n))
    (global.get $count))
  (func $unused_params (export "unused_params") (param $a i32) (param $b f64) (param $c i64) (param $d f32))
  (func $trap_without_result (export "trap_without_result") (param $x i32)
    (drop (i32.rem_s (i32.const 1) (local.get $x)))))
