;; Globals of every type, initial values, changes by callees, and globals as loop counters.
;;! call initial => 7 -5000000000 1.5 -2.25
;;! call constant => 42
;;! call count_to 100 => 100
;;! call callee_changes 5 => 6 10
;;! call swap => 2 1
;;! call loop_over_global 10 => 55
;;! call recursion 20 => 20 10.5
;;! call trap_keeps 3 => trap unreachable in trap_keeps at p1
;;! call after_trap => 1
(module
  (global $i (mut i32) (i32.const 7))
  (global $l (mut i64) (i64.const -5000000000))
  (global $f (mut f32) (f32.const 1.5))
  (global $d (mut f64) (f64.const -2.25))
  (global $c i32 (i32.const 42))
  (global $n (export "counter") (mut i32) (i32.const 0))
  (global $a (mut i32) (i32.const 0))
  (global $b (mut i32) (i32.const 0))
  (global $x (mut f64) (f64.const 0))
  (global $trapped (mut i32) (i32.const 1))

  (func $initial (export "initial") (result i32 i64 f32 f64)
    (global.get $i) (global.get $l) (global.get $f) (global.get $d))

  (func $constant (export "constant") (result i32) (global.get $c))

  (func $bump (global.set $n (i32.add (global.get $n) (i32.const 1))))

  ;; The call must not be taken out of the loop, nor the global kept in a register across it.
  (func $count_to (export "count_to") (param $limit i32) (result i32)
    (global.set $n (i32.const 0))
    (loop $top
      (call $bump)
      (br_if $top (i32.lt_s (global.get $n) (local.get $limit))))
    (global.get $n))

  (func $callee_changes (export "callee_changes") (param $v i32) (result i32 i32)
    (global.set $n (local.get $v))
    (local.get $v)
    (call $bump)
    (i32.add (global.get $n))
    (i32.sub (i32.const 5))
    (i32.add (local.get $v) (local.get $v)))

  (func $swap (export "swap") (result i32 i32)
    (global.set $a (i32.const 1))
    (global.set $b (i32.const 2))
    (global.get $a)
    (global.set $a (global.get $b))
    (global.set $b)
    (global.get $a) (global.get $b))

  (func $loop_over_global (export "loop_over_global") (param $limit i32) (result i32)
    (local $sum i32)
    (global.set $n (local.get $limit))
    (loop $top
      (local.set $sum (i32.add (local.get $sum) (global.get $n)))
      (global.set $n (i32.sub (global.get $n) (i32.const 1)))
      (br_if $top (global.get $n)))
    (local.get $sum))

  (func $down (param $k i32)
    (local $seen f64)
    (if (i32.eqz (local.get $k)) (then (return)))
    (local.set $seen (global.get $x))
    (global.set $x (f64.const 0.5))
    (call $bump)
    (call $down (i32.sub (local.get $k) (i32.const 1)))
    (global.set $x (f64.add (global.get $x) (local.get $seen))))
  (func $recursion (export "recursion") (param $k i32) (result i32 f64)
    (global.set $n (i32.const 0))
    (global.set $x (f64.const 0.5))
    (call $down (local.get $k))
    (global.get $n) (global.get $x))

  ;; What was written before a trap stays written (in the same instance).
  (func $trap_keeps (export "trap_keeps") (param $v i32)
    (global.set $trapped (i32.const 1))
    (if (local.get $v) (then (unreachable)))
    (global.set $trapped (i32.const 0)))
  (func $after_trap (export "after_trap") (result i32) (global.get $trapped)))
