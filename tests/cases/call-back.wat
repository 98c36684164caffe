;; Guest -> host -> guest: env.call_back(i) calls element i, of type () -> i32, of the exported
;; table "table", and returns its result. A trap in there passes through the host to the caller.
;; env.invalidate, called from the inner guest frames, replaces the frames on both sides of the host.
;;! call direct => 43
;;! call chain 10 => 65
;;! call chain 100 => 5150
;;! call chain_invalidating 10 => 3070
;;! call loop_of_calls 20 => 2870 3.999958038330078
;;! call trap_inside => trap unreachable in trap at p2
;;! call trap_deep_inside 8 => trap integer divide by zero in divide_when_done at p2
;;! call memory_inside => 77
;;! call memory_grown_inside => 99
;;! call live_across 6 => 6000000016 0.75 1.5
;;! call alternate 12 => 3046
;;! call global_changed_inside => 5 6
(module
  (import "env" "call_back" (func $call_back (param i32) (result i32)))
  (import "env" "invalidate" (func $invalidate))
  (memory (export "memory") 1 64)
  (table (export "table") 10 funcref)
  (elem (i32.const 0) func
    $forty_two $chain_step $chain_invalidating_step $square_of_argument $trap
    $divide_when_done $write_memory $grow_memory $alternate_step $increment)
  ;; What the inner function would have as parameters.
  (global $left (mut i32) (i32.const 0))
  (global $total (mut i32) (i32.const 0))

  (func $forty_two (result i32) (i32.const 42))
  (func $direct (export "direct") (result i32)
    (i32.add (i32.const 1) (call $call_back (i32.const 0))))

  ;; A recursion in which every call goes through the host: n + ... + 1, plus n, at least.
  (func $chain_step (result i32)
    (local $mine i32)
    (local.set $mine (global.get $left))
    (if (i32.eqz (local.get $mine)) (then (return (global.get $total))))
    (global.set $left (i32.sub (local.get $mine) (i32.const 1)))
    (i32.add (local.get $mine) (call $call_back (i32.const 1))))
  (func $chain (export "chain") (param $n i32) (result i32)
    (global.set $left (local.get $n))
    (global.set $total (local.get $n))
    (call $chain_step))

  ;; The same, each step invalidating once before its call and once after.
  (func $chain_invalidating_step (result i32)
    (local $mine i32) (local $below i32)
    (local.set $mine (global.get $left))
    (if (i32.eqz (local.get $mine))
      (then (call $invalidate) (return (i32.const 11))))
    (global.set $left (i32.sub (local.get $mine) (i32.const 1)))
    (call $invalidate)
    (local.set $below (call $call_back (i32.const 2)))
    (call $invalidate)
    (i32.add (i32.mul (local.get $below) (i32.const 2)) (i32.sub (local.get $mine) (i32.const 10))))
  (func $chain_invalidating (export "chain_invalidating") (param $n i32) (result i32)
    (global.set $left (local.get $n))
    (call $chain_invalidating_step))

  (func $square_of_argument (result i32)
    (if (i32.eqz (i32.rem_u (global.get $left) (i32.const 4))) (then (call $invalidate)))
    (i32.mul (global.get $left) (global.get $left)))
  (func $loop_of_calls (export "loop_of_calls") (param $n i32) (result i32 f64)
    (local $sum i32) (local $x f64)
    (loop $top
      (global.set $left (local.get $n))
      (local.set $sum (i32.add (local.get $sum) (call $call_back (i32.const 3))))
      (local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.5)) (f64.convert_i32_s (local.get $n))))
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum) (local.get $x))

  (func $trap (result i32) (call $invalidate) (unreachable))
  (func $trap_inside (export "trap_inside") (result i32) (call $call_back (i32.const 4)))

  (func $divide_when_done (result i32)
    (local $mine i32)
    (local.set $mine (global.get $left))
    (if (i32.eqz (local.get $mine))
      (then
        (call $invalidate)
        (return (i32.div_s (i32.const 1) (local.get $mine)))))
    (global.set $left (i32.sub (local.get $mine) (i32.const 1)))
    (i32.add (local.get $mine) (call $call_back (i32.const 5))))
  (func $trap_deep_inside (export "trap_deep_inside") (param $n i32) (result i32)
    (global.set $left (local.get $n))
    (call $divide_when_done))

  (func $write_memory (result i32)
    (i32.store (i32.const 8) (i32.const 70))
    (i32.const 0))
  (func $memory_inside (export "memory_inside") (result i32)
    (i32.store (i32.const 8) (i32.const 1))
    (i32.store (i32.const 12) (i32.const 7))
    (drop (call $call_back (i32.const 6)))
    (i32.add (i32.load (i32.const 8)) (i32.load (i32.const 12))))

  ;; Memory may have moved when control returns.
  (func $grow_memory (result i32)
    (call $invalidate)
    (memory.grow (i32.const 3)))
  (func $memory_grown_inside (export "memory_grown_inside") (result i32)
    (local $old_end i32)
    (i32.store (i32.const 8) (i32.const 33))
    (local.set $old_end (i32.shl (call $call_back (i32.const 7)) (i32.const 16)))
    (i32.store (local.get $old_end) (i32.const 66))
    (i32.add (i32.load (i32.const 8)) (i32.load (local.get $old_end))))

  (func $live_across (export "live_across") (param $n i32) (result i64 f64 f32)
    (local $l i64) (local $d f64) (local $f f32)
    (local.set $l (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 1000000000)))
    (local.set $d (f64.div (f64.convert_i32_s (local.get $n)) (f64.const 8)))
    (local.set $f (f32.div (f32.convert_i32_s (local.get $n)) (f32.const 4)))
    (global.set $left (i32.const 4))
    (local.set $l (i64.add (local.get $l) (i64.extend_i32_s (call $call_back (i32.const 3)))))
    (local.get $l) (local.get $d) (local.get $f))

  ;; Direct recursion and recursion through the host by turns; the innermost invalidates.
  (func $alternate_step (result i32) (call $down (global.get $left)))
  (func $down (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $invalidate) (return (i32.const 1))))
    (global.set $left (i32.sub (local.get $n) (i32.const 1)))
    (i32.add
      (i32.mul (local.get $n) (local.get $n))
      (if (result i32) (i32.and (local.get $n) (i32.const 1))
        (then (call $down (i32.sub (local.get $n) (i32.const 1))))
        (else (i32.mul (i32.const 2) (call $call_back (i32.const 8)))))))
  (func $alternate (export "alternate") (param $n i32) (result i32)
    (call $down (local.get $n)))

  (func $increment (result i32)
    (global.set $left (i32.add (global.get $left) (i32.const 1)))
    (i32.const 0))
  (func $global_changed_inside (export "global_changed_inside") (result i32 i32)
    (global.set $left (i32.const 5))
    (global.get $left)
    (drop (call $call_back (i32.const 9)))
    (global.get $left)))
