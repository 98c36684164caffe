;; Structured control: values out of blocks, branches out of several at once, select, if chains.
;;! call sign -5 => -1
;;! call sign 0 => 0
;;! call sign 5 => 1
;;! call pick 1 => 1.5
;;! call pick 0 => 2.5
;;! call select_both_run 1 => 10 2
;;! call out_of_three 0 => 321
;;! call out_of_three 1 => 320
;;! call out_of_three 2 => 300
;;! call value_or_fall 5 => 15
;;! call value_or_fall -5 => 95
;;! call diamond 3 4 => 7
;;! call diamond 4 3 => 12
;;! call short_circuit 0 => 0
;;! call short_circuit 4 => 1
;;! call default_locals => 0 0 0 0
;;! call return_from_loop 30 => 8
;;! call typed_select => 1
(module
  (global $calls (mut i32) (i32.const 0))

  (func $sign (export "sign") (param $x i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $x) (i32.const 0))
      (then (i32.const -1))
      (else
        (if (result i32) (local.get $x) (then (i32.const 1)) (else (i32.const 0))))))

  (func $pick (export "pick") (param $which i32) (result f64)
    (select (f64.const 1.5) (f64.const 2.5) (local.get $which)))

  (func $counted (param $x i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.get $x))
  ;; Both operands of a select are computed.
  (func $select_both_run (export "select_both_run") (param $which i32) (result i32 i32)
    (global.set $calls (i32.const 0))
    (select (call $counted (i32.const 10)) (call $counted (i32.const 20)) (local.get $which))
    (global.get $calls))

  (func $out_of_three (export "out_of_three") (param $depth i32) (result i32)
    (local $x i32)
    (block $a
      (block $b
        (block $c
          (br_if $c (i32.eqz (local.get $depth)))
          (br_if $b (i32.eq (local.get $depth) (i32.const 1)))
          (br $a))
        (local.set $x (i32.add (local.get $x) (i32.const 1))))
      (local.set $x (i32.add (local.get $x) (i32.const 20))))
    (i32.add (local.get $x) (i32.const 300)))

  (func $value_or_fall (export "value_or_fall") (param $x i32) (result i32)
    (i32.add (i32.const 10)
      (block $out (result i32)
        (br_if $out (local.get $x) (i32.gt_s (local.get $x) (i32.const 0)))
        (i32.add (i32.const 90)))))

  ;; A local set in both arms, another in one.
  (func $diamond (export "diamond") (param $a i32) (param $b i32) (result i32)
    (local $r i32) (local $extra i32)
    (if (i32.lt_s (local.get $a) (local.get $b))
      (then (local.set $r (i32.add (local.get $a) (local.get $b))))
      (else
        (local.set $r (i32.mul (local.get $a) (local.get $b)))
        (local.set $extra (i32.const 0))))
    (i32.add (local.get $r) (local.get $extra)))

  ;; x != 0 and 8 / x == 2, without dividing by zero.
  (func $short_circuit (export "short_circuit") (param $x i32) (result i32)
    (if (result i32) (local.get $x)
      (then (i32.eq (i32.div_u (i32.const 8) (local.get $x)) (i32.const 2)))
      (else (i32.const 0))))

  (func $default_locals (export "default_locals") (result i32 i64 f32 f64)
    (local $a i32) (local $b i64) (local $c f32) (local $d f64)
    (local.get $a) (local.get $b) (local.get $c) (local.get $d))

  ;; The least k for which 1 + ... + k exceeds n.
  (func $return_from_loop (export "return_from_loop") (param $n i32) (result i32)
    (local $k i32) (local $sum i32)
    (loop $top
      (local.set $k (i32.add (local.get $k) (i32.const 1)))
      (local.set $sum (i32.add (local.get $sum) (local.get $k)))
      (if (i32.gt_s (local.get $sum) (local.get $n)) (then (return (local.get $k))))
      (br $top))
    (unreachable))

  (func $typed_select (export "typed_select") (result i32)
    (ref.is_null
      (select (result funcref) (ref.null func) (ref.null func) (i32.const 1)))))
