;; Functions of different types that call one another.
;;! call even 100 => 1
;;! call even 101 => 0
;;! call female 20 => 13
;;! call male 20 => 12
;;! call zigzag 30 => 211.375
;;! call zigzag 2000 => 281938.375
;;! call three_way 12 => 1393
(module
  ;; Parity, an i32 and an f64 by turns.
  (func $even (export "even") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 1))
      (else (i32.trunc_f64_s (call $odd (f64.convert_i32_s (i32.sub (local.get $n) (i32.const 1))))))))
  (func $odd (param $n f64) (result f64)
    (if (result f64) (f64.eq (local.get $n) (f64.const 0))
      (then (f64.const 0))
      (else (f64.convert_i32_s (call $even (i32.trunc_f64_s (f64.sub (local.get $n) (f64.const 1))))))))

  ;; Hofstadter's female and male sequences, the male one in f64.
  (func $female (export "female") (param $n i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 1))
      (else
        (i32.sub (local.get $n)
          (i32.trunc_f64_s
            (call $male_of (f64.convert_i32_s
              (call $female (i32.sub (local.get $n) (i32.const 1))))))))))
  (func $male_of (param $n f64) (result f64)
    (if (result f64) (f64.eq (local.get $n) (f64.const 0))
      (then (f64.const 0))
      (else
        (f64.sub (local.get $n)
          (f64.convert_i32_s
            (call $female (i32.trunc_f64_s
              (call $male_of (f64.sub (local.get $n) (f64.const 1))))))))))
  (func $male (export "male") (param $n i32) (result i32)
    (i32.trunc_f64_s (call $male_of (f64.convert_i32_s (local.get $n)))))

  ;; An integer and a float carried down and back up, changed at every step.
  (func $zig (param $n i32) (param $k i64) (param $x f64) (result f64)
    (if (result f64) (i32.eqz (local.get $n))
      (then (f64.add (local.get $x) (f64.convert_i64_s (local.get $k))))
      (else
        (f64.add
          (f64.mul (local.get $x) (f64.const 0.5))
          (f64.convert_i64_s
            (call $zag
              (f64.add (local.get $x) (f64.const 1.25))
              (i64.add (local.get $k) (i64.const 3))
              (i32.sub (local.get $n) (i32.const 1))))))))
  (func $zag (param $x f64) (param $k i64) (param $n i32) (result i64)
    (if (result i64) (i32.eqz (local.get $n))
      (then (i64.sub (local.get $k) (i64.const 1)))
      (else
        (i64.xor (local.get $k)
          (i64.trunc_f64_s
            (call $zig (i32.sub (local.get $n) (i32.const 1)) (local.get $k) (local.get $x)))))))
  (func $zigzag (export "zigzag") (param $n i32) (result f64)
    (call $zig (local.get $n) (i64.const 5) (f64.const 0.75)))

  ;; Three functions in a ring, the number of calls growing as a Fibonacci number.
  (func $ring_a (param $n i32) (result i32)
    (if (result i32) (i32.le_s (local.get $n) (i32.const 1))
      (then (i32.const 1))
      (else
        (i32.add
          (i32.wrap_i64 (call $ring_b (i64.extend_i32_s (i32.sub (local.get $n) (i32.const 1)))))
          (i32.trunc_f32_s (call $ring_c (f32.convert_i32_s (i32.sub (local.get $n) (i32.const 2)))))))))
  (func $ring_b (param $n i64) (result i64)
    (i64.add (i64.const 1)
      (i64.extend_i32_s (i32.trunc_f32_s (call $ring_c (f32.convert_i64_s (local.get $n)))))))
  (func $ring_c (param $n f32) (result f32)
    (f32.add (f32.const 2) (f32.convert_i32_s (call $ring_a (i32.trunc_f32_s (local.get $n))))))
  (func $three_way (export "three_way") (param $n i32) (result i32)
    (call $ring_a (local.get $n))))
