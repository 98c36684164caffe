;; Several results: in registers, too many for registers, and as block and loop parameters.
;;! call mixed 3 => 3 -9 1.5 -0.75
;;! call sum_mixed 3 => -5.25
;;! call eight 10 => 10 11 12 13 14 15 16 17
;;! call rotate_eight 10 100 => 150
;;! call ten_floats 0.5 => 0.5 1 1.5 2 2.5 3 3.5 4 4.5 5
;;! call sum_floats 0.5 => 27.5
;;! call divmod 47 10 => 4 7
;;! call divmod 47 0 => trap integer divide by zero in divmod at p1
;;! call gcd 1071 462 => 21
;;! call fib_pair 50 => 12586269025 20365011074
;;! call block_params 5 7 => 7 12
;;! call loop_params 10 => 55 3628800
;;! call early 0 => 1 2 3
;;! call early 1 => 4 5 6
(module
  (func $mixed (export "mixed") (param $n i32) (result i32 i64 f32 f64)
    (local.get $n)
    (i64.mul (i64.extend_i32_s (local.get $n)) (i64.const -3))
    (f32.mul (f32.convert_i32_s (local.get $n)) (f32.const 0.5))
    (f64.mul (f64.convert_i32_s (local.get $n)) (f64.const -0.25)))

  (func $sum_mixed (export "sum_mixed") (param $n i32) (result f64)
    (local $a i32) (local $b i64) (local $c f32) (local $d f64)
    (call $mixed (local.get $n))
    (local.set $d) (local.set $c) (local.set $b) (local.set $a)
    (f64.add
      (f64.add (f64.convert_i32_s (local.get $a)) (f64.convert_i64_s (local.get $b)))
      (f64.add (f64.promote_f32 (local.get $c)) (local.get $d))))

  (func $eight (export "eight") (param $n i32)
    (result i32 i32 i32 i32 i32 i32 i32 i32)
    (local.get $n)
    (i32.add (local.get $n) (i32.const 1))
    (i32.add (local.get $n) (i32.const 2))
    (i32.add (local.get $n) (i32.const 3))
    (i32.add (local.get $n) (i32.const 4))
    (i32.add (local.get $n) (i32.const 5))
    (i32.add (local.get $n) (i32.const 6))
    (i32.add (local.get $n) (i32.const 7)))

  (func $add_eight
    (param $a i32) (param $b i32) (param $c i32) (param $d i32)
    (param $e i32) (param $f i32) (param $g i32) (param $h i32) (result i32)
    (i32.sub (local.get $a) (local.get $b))
    (i32.sub (local.get $c) (local.get $d))
    (i32.sub (local.get $e) (local.get $f))
    (i32.sub (local.get $g) (local.get $h))
    i32.add i32.add i32.add)

  ;; -4 from the differences, and 2n + 100 + (n - 10) * 24 kept across both calls.
  (func $rotate_eight (export "rotate_eight") (param $n i32) (param $m i32) (result i32)
    (local.get $m)
    (i32.mul (local.get $n) (i32.const 5))
    (call $add_eight (call $eight (local.get $n)))
    (i32.const 4)
    i32.add i32.add i32.add)

  (func $ten_floats (export "ten_floats") (param $x f64)
    (result f64 f64 f64 f64 f64 f64 f64 f64 f64 f64)
    (local.get $x)
    (f64.mul (local.get $x) (f64.const 2))
    (f64.mul (local.get $x) (f64.const 3))
    (f64.mul (local.get $x) (f64.const 4))
    (f64.mul (local.get $x) (f64.const 5))
    (f64.mul (local.get $x) (f64.const 6))
    (f64.mul (local.get $x) (f64.const 7))
    (f64.mul (local.get $x) (f64.const 8))
    (f64.mul (local.get $x) (f64.const 9))
    (f64.mul (local.get $x) (f64.const 10)))

  (func $sum_floats (export "sum_floats") (param $x f64) (result f64)
    (call $ten_floats (local.get $x))
    f64.add f64.add f64.add f64.add f64.add f64.add f64.add f64.add f64.add)

  (func $divmod (export "divmod") (param $a i32) (param $b i32) (result i32 i32)
    (i32.div_u (local.get $a) (local.get $b))
    (i32.rem_u (local.get $a) (local.get $b)))

  (func $gcd (export "gcd") (param $a i32) (param $b i32) (result i32)
    (local $rest i32)
    (if (result i32) (i32.eqz (local.get $b))
      (then (local.get $a))
      (else
        (call $divmod (local.get $a) (local.get $b))
        (local.set $rest)
        drop
        (call $gcd (local.get $b) (local.get $rest)))))

  (func $fib_pair (export "fib_pair") (param $n i32) (result i64 i64)
    (local $a i64) (local $b i64)
    (if (result i64 i64) (i32.eqz (local.get $n))
      (then (i64.const 0) (i64.const 1))
      (else
        (call $fib_pair (i32.sub (local.get $n) (i32.const 1)))
        (local.set $b) (local.set $a)
        (local.get $b)
        (i64.add (local.get $a) (local.get $b)))))

  (func $block_params (export "block_params") (param $a i32) (param $b i32) (result i32 i32)
    (local $t i32)
    (local.get $a) (local.get $b)
    (block (param i32 i32) (result i32 i32)
      (local.set $t)
      (i32.add (local.get $t))
      (local.get $t)
      (br_if 0 (i32.const 0))
      (local.set $a) (local.set $b)
      (local.get $a) (local.get $b)))

  ;; Sum and product of 1 to n, both loop parameters.
  (func $loop_params (export "loop_params") (param $n i32) (result i32 i64)
    (local $sum i32) (local $product i64)
    (i32.const 0) (i64.const 1)
    (loop $top (param i32 i64) (result i32 i64)
      (local.set $product (i64.mul (i64.extend_i32_s (local.get $n))))
      (local.set $sum (i32.add (local.get $n)))
      (local.get $sum) (local.get $product)
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))

  (func $early (export "early") (param $which i32) (result i32 i32 i32)
    (if (i32.eqz (local.get $which))
      (then (return (i32.const 1) (i32.const 2) (i32.const 3))))
    (i32.const 4) (i32.const 5) (i32.const 6)))
