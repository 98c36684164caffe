;; Recursion without end, in several shapes. How deep it gets is not specified; that it ends in a
;; trap is, and that the instance can be used afterwards.
;;! call forever 1 => trap stack exhausted
;;! call shallow 100 => 5050
;;! call ping 1 => trap stack exhausted
;;! call wide_frames 1 => trap stack exhausted
;;! call through_table 0 => trap stack exhausted
;;! call shallow 100 => 5050
(module
  (type $unary (func (param i32) (result i32)))
  (table 1 funcref)
  (elem (i32.const 0) func $through_table)
  (global $depth (mut i64) (i64.const 0))

  (func $forever (export "forever") (param $n i32) (result i32)
    (i32.add (local.get $n) (call $forever (i32.add (local.get $n) (i32.const 1)))))

  (func $shallow (export "shallow") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 0))
      (else (i32.add (local.get $n) (call $shallow (i32.sub (local.get $n) (i32.const 1)))))))

  (func $ping (export "ping") (param $n i32) (result i32)
    (i32.trunc_sat_f64_s (f64.add (f64.const 1) (call $pong (f64.convert_i32_s (local.get $n))))))
  (func $pong (param $x f64) (result f64)
    (f64.mul (local.get $x)
      (f64.convert_i32_s (call $ping (i32.trunc_sat_f64_s (f64.add (local.get $x) (f64.const 1)))))))

  ;; Twelve values live across the call.
  (func $wide_frames (export "wide_frames") (param $n i32) (result i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    (local $e f64) (local $f f64) (local $g f64) (local $h f64)
    (global.set $depth (i64.add (global.get $depth) (i64.const 1)))
    (local.set $a (i64.extend_i32_s (local.get $n)))
    (local.set $b (i64.mul (local.get $a) (i64.const 3)))
    (local.set $c (i64.mul (local.get $b) (i64.const 5)))
    (local.set $d (i64.mul (local.get $c) (i64.const 7)))
    (local.set $e (f64.convert_i64_s (local.get $a)))
    (local.set $f (f64.sqrt (local.get $e)))
    (local.set $g (f64.sqrt (local.get $f)))
    (local.set $h (f64.sqrt (local.get $g)))
    (call $wide_frames (i32.add (local.get $n) (i32.const 1)))
    (i64.add (i64.add (local.get $a) (local.get $b)))
    (i64.add (i64.add (local.get $c) (local.get $d)))
    (i64.add (i64.trunc_sat_f64_s (f64.add (f64.add (local.get $e) (local.get $f)) (f64.add (local.get $g) (local.get $h))))))

  (func $through_table (export "through_table") (param $i i32) (result i32)
    (i32.add (i32.const 1) (call_indirect (type $unary) (local.get $i) (local.get $i)))))
