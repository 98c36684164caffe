;; Imported functions: calls out of the guest with values live across them. The host's print
;; functions take a value and do nothing that the guest can see.
;;! call print_all =>
;;! call print_loop 10 => 45 2.5
;;! call print_recursion 6 => 720
;;! call imported_in_table 5 => 5
;;! call wrong_type_in_table => trap indirect call type mismatch in wrong_type_in_table at p1
;;! call print_then_trap 1 => trap unreachable in print_then_trap at p2
;;! call live_across 2 => 6566.40625
(module
  (import "env" "print_i32" (func $print_i32 (param i32)))
  (import "env" "print_i64" (func $print_i64 (param i64)))
  (import "env" "print_f64" (func $print_f64 (param f64)))
  (type $print (func (param i32)))
  (type $unary (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) func $print_i32 $print_f64)

  (func $print_all (export "print_all")
    (call $print_i32 (i32.const -1))
    (call $print_i64 (i64.const 5000000000))
    (call $print_f64 (f64.const 1.5)))

  (func $print_loop (export "print_loop") (param $n i32) (result i32 f64)
    (local $i i32) (local $sum i32) (local $x f64)
    (loop $top
      (call $print_i32 (local.get $i))
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (call $print_f64 (local.get $x))
      (local.set $x (f64.add (local.get $x) (f64.const 0.25)))
      (br_if $top (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum) (local.get $x))

  (func $print_recursion (export "print_recursion") (param $n i32) (result i64)
    (local $below i64)
    (call $print_i32 (local.get $n))
    (if (i32.eqz (local.get $n)) (then (return (i64.const 1))))
    (local.set $below (call $print_recursion (i32.sub (local.get $n) (i32.const 1))))
    (call $print_i64 (local.get $below))
    (i64.mul (local.get $below) (i64.extend_i32_s (local.get $n))))

  (func $imported_in_table (export "imported_in_table") (param $x i32) (result i32)
    (call_indirect (type $print) (local.get $x) (i32.const 0))
    (local.get $x))

  (func $wrong_type_in_table (export "wrong_type_in_table") (result i32)
    (call_indirect (type $unary) (i32.const 1) (i32.const 1)))

  (func $print_then_trap (export "print_then_trap") (param $x i32)
    (call $print_i32 (local.get $x))
    (unreachable))

  ;; Eight integers and eight floats live across a call to the host.
  (func $live_across (export "live_across") (param $x i32) (result f64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    (local $e i64) (local $f i64) (local $g i64) (local $h i64)
    (local $p f64) (local $q f64) (local $r f64) (local $s f64)
    (local $t f32) (local $u f32) (local $v f32) (local $w f32)
    (local.set $a (i64.extend_i32_s (local.get $x)))
    (local.set $b (i64.mul (local.get $a) (i64.const 3)))
    (local.set $c (i64.mul (local.get $b) (i64.const 3)))
    (local.set $d (i64.mul (local.get $c) (i64.const 3)))
    (local.set $e (i64.mul (local.get $d) (i64.const 3)))
    (local.set $f (i64.mul (local.get $e) (i64.const 3)))
    (local.set $g (i64.mul (local.get $f) (i64.const 3)))
    (local.set $h (i64.mul (local.get $g) (i64.const 3)))
    (local.set $p (f64.convert_i32_s (local.get $x)))
    (local.set $q (f64.mul (local.get $p) (f64.const 0.5)))
    (local.set $r (f64.mul (local.get $q) (f64.const 0.5)))
    (local.set $s (f64.mul (local.get $r) (f64.const 0.5)))
    (local.set $t (f32.convert_i32_s (local.get $x)))
    (local.set $u (f32.mul (local.get $t) (f32.const 0.25)))
    (local.set $v (f32.mul (local.get $u) (f32.const 0.25)))
    (local.set $w (f32.mul (local.get $v) (f32.const 0.25)))
    (call $print_i64 (local.get $h))
    (f64.convert_i64_s
      (i64.add
        (i64.add (i64.add (local.get $a) (local.get $b)) (i64.add (local.get $c) (local.get $d)))
        (i64.add (i64.add (local.get $e) (local.get $f)) (i64.add (local.get $g) (local.get $h)))))
    (f64.add (f64.add (f64.add (local.get $p) (local.get $q)) (f64.add (local.get $r) (local.get $s))))
    (f64.add
      (f64.promote_f32
        (f32.add (f32.add (local.get $t) (local.get $u)) (f32.add (local.get $v) (local.get $w)))))))
