;; Indirect calls that work and the three ways in which they trap.
;;! call apply 0 7 => 8
;;! call apply 1 7 => 14
;;! call apply 2 7 => 49
;;! call apply 3 7 => trap uninitialized element in apply at p1
;;! call apply 4 7 => trap indirect call type mismatch in apply at p1
;;! call apply 5 7 => trap indirect call type mismatch in apply at p1
;;! call apply 6 7 => -7
;;! call apply 7 7 => trap uninitialized element in apply at p1
;;! call apply 8 7 => trap undefined element in apply at p1
;;! call apply -1 7 => trap undefined element in apply at p1
;;! call apply 2147483647 7 => trap undefined element in apply at p1
;;! call apply_other 0 => 100
;;! call apply_other 1 => 101
;;! call apply_other 2 => trap undefined element in apply_other at p1
;;! call float_at 4 => 2.5
;;! call float_at 0 => trap indirect call type mismatch in float_at at p1
;;! call none_at 5 => 1
;;! call rounds 3 => 25
;;! call rounds 4 => trap uninitialized element in rounds at p2
;;! call same_type 9 => 10
(module
  (type $unary (func (param i32) (result i32)))
  (type $unary_again (func (param i32) (result i32)))
  (type $float (func (param f64) (result f64)))
  (type $constant (func (result i32)))
  (type $nothing (func))
  (table $t 8 funcref)
  (table $u 2 2 funcref)
  (elem (table $t) (i32.const 0) func $inc $double $square)
  (elem (table $t) (i32.const 4) func $half $set $negate)
  (elem (table $u) (i32.const 0) func $hundred $hundred_one)
  (global $flag (mut i32) (i32.const 0))

  (func $inc (param $x i32) (result i32) (i32.add (local.get $x) (i32.const 1)))
  (func $double (param $x i32) (result i32) (i32.shl (local.get $x) (i32.const 1)))
  (func $square (param $x i32) (result i32) (i32.mul (local.get $x) (local.get $x)))
  (func $half (param $x f64) (result f64) (f64.mul (local.get $x) (f64.const 0.5)))
  (func $set (global.set $flag (i32.const 1)))
  (func $negate (param $x i32) (result i32) (i32.sub (i32.const 0) (local.get $x)))
  (func $hundred (result i32) (i32.const 100))
  (func $hundred_one (result i32) (i32.const 101))

  (func $apply (export "apply") (param $i i32) (param $x i32) (result i32)
    (call_indirect $t (type $unary) (local.get $x) (local.get $i)))

  (func $apply_other (export "apply_other") (param $i i32) (result i32)
    (call_indirect $u (type $constant) (local.get $i)))

  (func $float_at (export "float_at") (param $i i32) (result f64)
    (call_indirect $t (type $float) (f64.const 5) (local.get $i)))

  (func $none_at (export "none_at") (param $i i32) (result i32)
    (global.set $flag (i32.const 0))
    (call_indirect $t (type $nothing) (local.get $i))
    (global.get $flag))

  ;; Calls elements 0 to n-1 on a running value; the fourth round meets a null.
  (func $rounds (export "rounds") (param $n i32) (result i32)
    (local $i i32) (local $x i32) (local $kept i32)
    (local.set $x (i32.const 1))
    (local.set $kept (i32.const 9))
    (block $done
      (loop $top
        (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
        (local.set $x (call_indirect $t (type $unary) (local.get $x) (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $top)))
    (i32.add (local.get $x) (local.get $kept)))

  ;; Two types with the same structure are the same type.
  (func $same_type (export "same_type") (param $x i32) (result i32)
    (call_indirect $t (type $unary_again) (local.get $x) (i32.const 0))))
