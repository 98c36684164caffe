;; env.invalidate is a call to the host that invalidates all active code: every frame of the guest
;; below it is replaced before control returns into it. A host in which it does nothing gives the
;; same results.
;;! call once => 3
;;! call in_leaf 50 => -3376269686755486106
;;! call every_level 50 => 24.5
;;! call in_loop 100 => 4950 25
;;! call in_nested_loops 6 => 1895795852 -2441981641485623993
;;! call all_types 3 => 3 -3 1.5 0.75
;;! call under_operands 7 => 7000000105.5
;;! call then_trap 1 => trap unreachable in then_trap at p2
;;! call then_divide 20 0 => trap integer divide by zero in divide_below at p2
;;! call then_divide 20 4 => 215
;;! call mixed_frames 40 => 1682.75
;;! call through_table 30 => 189653
;;! call many_results 5 => 5 10 15 20 25 30
;;! call memory_survives 8 => 36
;;! call twice_in_one_expression 9 => -1134
;;! call depth 1000 => 500500
(module
  (import "env" "invalidate" (func $invalidate))
  (memory 1)
  (type $unary (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) func $table_even $table_odd)
  (global $ticks (mut i32) (i32.const 0))

  (func $once (export "once") (result i32) (call $invalidate) (i32.const 3))

  ;; Only the innermost of n + 1 frames invalidates.
  (func $in_leaf (export "in_leaf") (param $n i32) (result i64)
    (local $kept i64)
    (if (i32.eqz (local.get $n))
      (then
        (call $invalidate)
        (return (i64.const 17))))
    (local.set $kept (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 1000003)))
    (i64.xor
      (i64.mul (call $in_leaf (i32.sub (local.get $n) (i32.const 1))) (i64.const 3))
      (local.get $kept)))

  ;; Every frame invalidates on the way down and again on the way up.
  (func $every_level (export "every_level") (param $n i32) (result f64)
    (local $x f64)
    (if (i32.eqz (local.get $n)) (then (return (f64.const 1))))
    (local.set $x (f64.div (f64.convert_i32_s (local.get $n)) (f64.const 4)))
    (call $invalidate)
    (f64.add (f64.mul (call $every_level (i32.sub (local.get $n) (i32.const 1))) (f64.const 0.5)) (local.get $x))
    (call $invalidate))

  (func $in_loop (export "in_loop") (param $n i32) (result i32 f64)
    (local $i i32) (local $sum i32) (local $x f64)
    (loop $top
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (local.set $x (f64.add (local.get $x) (f64.const 0.25)))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 10))) (then (call $invalidate)))
      (br_if $top (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum) (local.get $x))

  (func $in_nested_loops (export "in_nested_loops") (param $n i32) (result i32 i64)
    (local $i i32) (local $j i32) (local $k i32) (local $sum i32) (local $wide i64)
    (local.set $wide (i64.const 1))
    (loop $is
      (local.set $j (i32.const 0))
      (loop $js
        (if (i32.eq (local.get $j) (local.get $i)) (then (call $invalidate)))
        (local.set $k (i32.const 0))
        (loop $ks
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 7)) (local.get $k)))
          (if (i32.eq (i32.add (local.get $i) (local.get $k)) (i32.const 5)) (then (call $invalidate)))
          (br_if $ks (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
        (local.set $wide (i64.add (i64.mul (local.get $wide) (i64.const 5)) (i64.extend_i32_s (local.get $sum))))
        (br_if $js (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $is (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum) (local.get $wide))

  (func $all_types (export "all_types") (param $n i32) (result i32 i64 f32 f64)
    (local $l i64) (local $f f32) (local $d f64)
    (local.set $l (i64.sub (i64.const 0) (i64.extend_i32_s (local.get $n))))
    (local.set $f (f32.mul (f32.convert_i32_s (local.get $n)) (f32.const 0.5)))
    (local.set $d (f64.mul (f64.convert_i32_s (local.get $n)) (f64.const 0.25)))
    (call $invalidate)
    (local.get $n) (local.get $l) (local.get $f) (local.get $d))

  ;; Operands, not locals, are what must survive.
  (func $under_operands (export "under_operands") (param $n i32) (result f64)
    (f64.const 0.5)
    (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 1000000007))
    (f32.convert_i32_s (local.get $n))
    (i32.mul (local.get $n) (local.get $n))
    (local.set $n (i32.const 0))
    (call $invalidate)
    f32.convert_i32_s
    f32.add
    i64.trunc_f32_s
    i64.add
    f64.convert_i64_s
    f64.add)

  (func $then_trap (export "then_trap") (param $n i32) (result i32)
    (call $invalidate)
    (if (local.get $n) (then (unreachable)))
    (i32.const 1))

  ;; n + ... + 1, and n / divisor from below an invalidation.
  (func $then_divide (export "then_divide") (param $n i32) (param $divisor i32) (result i32)
    (call $divide_below (local.get $n) (local.get $divisor) (local.get $n)))
  (func $divide_below (param $n i32) (param $divisor i32) (param $top i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then
        (call $invalidate)
        (return (i32.div_s (local.get $top) (local.get $divisor)))))
    (i32.add (local.get $n)
      (call $divide_below (i32.sub (local.get $n) (i32.const 1)) (local.get $divisor) (local.get $top))))

  ;; Frames of three shapes, invalidated at every seventh level.
  (func $shape_a (param $n i32) (param $x f64) (result f64)
    (if (i32.eqz (local.get $n)) (then (return (local.get $x))))
    (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 7))) (then (call $invalidate)))
    (f64.sub
      (f64.convert_i64_s
        (call $shape_b (i64.extend_i32_s (local.get $n)) (i32.sub (local.get $n) (i32.const 1))))
      (local.get $x)))
  (func $shape_b (param $k i64) (param $n i32) (result i64)
    (if (i32.eqz (local.get $n)) (then (return (local.get $k))))
    (i64.add
      (i64.mul (local.get $k) (i64.const 3))
      (i64.extend_i32_s (call $shape_c (local.get $n) (i32.wrap_i64 (local.get $k)) (f32.const 0.5)))))
  (func $shape_c (param $n i32) (param $m i32) (param $y f32) (result i32)
    (local $loops i32)
    (local.set $loops (i32.const 3))
    (loop $top
      (local.set $y (f32.add (local.get $y) (f32.const 0.5)))
      (br_if $top (local.tee $loops (i32.sub (local.get $loops) (i32.const 1)))))
    (i32.add
      (i32.trunc_f32_s (local.get $y))
      (i32.add (local.get $m)
        (i32.trunc_sat_f64_s
          (call $shape_a (i32.sub (local.get $n) (i32.const 1)) (f64.promote_f32 (local.get $y)))))))
  (func $mixed_frames (export "mixed_frames") (param $n i32) (result f64)
    (call $shape_a (local.get $n) (f64.const 1.25)))

  ;; Parity by indirect calls, counting the frames on the way back.
  (func $table_even (param $n i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then (call $invalidate) (return (i32.const 1))))
    (i32.add (i32.const 2)
      (call_indirect (type $unary) (i32.sub (local.get $n) (i32.const 1)) (i32.const 1))))
  (func $table_odd (param $n i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then (call $invalidate) (return (i32.const 0))))
    (i32.mul (i32.const 3)
      (i32.and (i32.const 0xffff)
        (call_indirect (type $unary) (i32.sub (local.get $n) (i32.const 1)) (i32.const 0)))))
  (func $through_table (export "through_table") (param $n i32) (result i32)
    (call_indirect (type $unary) (local.get $n) (i32.const 0)))

  ;; Six results come back into a frame that was replaced while they were being made.
  (func $six (param $n i32) (result i32 i32 i32 i32 i32 i32)
    (local.get $n)
    (i32.mul (local.get $n) (i32.const 2))
    (i32.mul (local.get $n) (i32.const 3))
    (call $invalidate)
    (i32.mul (local.get $n) (i32.const 4))
    (i32.mul (local.get $n) (i32.const 5))
    (i32.mul (local.get $n) (i32.const 6)))
  (func $many_results (export "many_results") (param $n i32) (result i32 i32 i32 i32 i32 i32)
    (call $six (local.get $n)))

  (func $memory_survives (export "memory_survives") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (local.set $i (local.get $n))
    (loop $write
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $i))
      (call $invalidate)
      (br_if $write (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (loop $read
      (local.set $sum (i32.add (local.get $sum) (i32.load (i32.shl (local.get $n) (i32.const 2)))))
      (call $invalidate)
      (br_if $read (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func $tick (param $x i32) (result i32)
    (call $invalidate)
    (global.set $ticks (i32.add (global.get $ticks) (i32.const 1)))
    (i32.add (local.get $x) (global.get $ticks)))
  (func $twice_in_one_expression (export "twice_in_one_expression") (param $x i32) (result i32)
    (global.set $ticks (i32.const 0))
    (i32.sub
      (i32.mul (call $tick (local.get $x)) (local.get $x))
      (i32.mul (call $tick (i32.const 100)) (call $tick (local.get $x)))))

  (func $depth (export "depth") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then
        (call $invalidate)
        (return (i32.const 0))))
    (i32.add (local.get $n) (call $depth (i32.sub (local.get $n) (i32.const 1))))))
