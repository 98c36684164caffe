;; Several loop headers in a function, each with values live across it; where a loop may be entered.
;;! call three_deep 10 => 461004916 20250 56.25 1.25
;;! call siblings 20 => 2089644104
;;! call two_back_edges 50 => 600 625
;;! call first_instruction 5 => 120
;;! call first_instruction 1 => 1
;;! call values_under_loop 4 => -390
;;! call loop_result 6 => 42
;;! call not_entered 0 => 3
;;! call zero_trip_inner 8 => 229
;;! call collatz_longest 1000 => 871
;;! call primes 1000 => 168
;;! call matrix 12 => 82.5625
(module
  (memory 1)

  ;; Each level has an accumulator of another type.
  (func $three_deep (export "three_deep") (param $n i32) (result i32 i64 f64 f32)
    (local $i i32) (local $j i32) (local $k i32)
    (local $a i32) (local $b i64) (local $c f64) (local $d f32)
    (loop $is
      (local.set $j (i32.const 0))
      (loop $js
        (local.set $k (i32.const 0))
        (loop $ks
          (local.set $a (i32.add (i32.mul (local.get $a) (i32.const 31)) (local.get $k)))
          (local.set $b (i64.add (local.get $b) (i64.extend_i32_s (i32.mul (local.get $i) (local.get $j)))))
          (br_if $ks (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
        (local.set $c (f64.add (local.get $c) (f64.div (f64.convert_i32_s (local.get $i)) (f64.const 8))))
        (br_if $js (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (local.set $d (f32.add (local.get $d) (f32.const 0.125)))
      (br_if $is (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $a) (local.get $b) (local.get $c) (local.get $d))

  ;; Two loops one after the other; what the first computes lives through the second.
  (func $siblings (export "siblings") (param $n i32) (result i64)
    (local $i i32) (local $x i64) (local $y i64)
    (local.set $x (i64.const 1))
    (loop $first
      (local.set $x (i64.rem_u (i64.mul (local.get $x) (i64.const 48271)) (i64.const 2147483647)))
      (br_if $first (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (loop $second
      (local.set $y (i64.xor (i64.shl (local.get $y) (i64.const 1)) (i64.extend_i32_s (local.get $i))))
      (br_if $second (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i64.add (local.get $x) (local.get $y)))

  (func $two_back_edges (export "two_back_edges") (param $n i32) (result i32 i32)
    (local $even i32) (local $odd i32)
    (loop $top
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (if (i32.and (local.get $n) (i32.const 1))
        (then
          (local.set $odd (i32.add (local.get $odd) (local.get $n)))
          (br $top)))
      (local.set $even (i32.add (local.get $even) (local.get $n)))
      (br_if $top (local.get $n)))
    (local.get $even) (local.get $odd))

  ;; The loop header is where the function begins: entry and header are one place.
  (func $first_instruction (export "first_instruction") (param $n i32) (result i64)
    (local $product i64)
    (loop $top
      (local.set $product
        (select
          (i64.mul (local.get $product) (i64.extend_i32_s (local.get $n)))
          (i64.extend_i32_s (local.get $n))
          (i64.ne (local.get $product) (i64.const 0))))
      (br_if $top (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (local.get $product))

  ;; Operands wait on the stack below two loops.
  (func $values_under_loop (export "values_under_loop") (param $n i32) (result f64)
    (local $i i32) (local $x f64)
    (f64.convert_i32_s (local.get $n))
    (i32.mul (local.get $n) (i32.const 3))
    (loop $one
      (local.set $x (f64.add (local.get $x) (f64.const 0.5)))
      (br_if $one (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (f64.mul (local.get $x) (f64.const 2))
    (loop $two
      (local.set $x (f64.add (local.get $x) (f64.const 100)))
      (br_if $two (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.set $x (f64.add (local.get $x)))
    (f64.convert_i32_s)
    (f64.sub (local.get $x))
    f64.add)

  (func $loop_result (export "loop_result") (param $n i32) (result i32)
    (local $i i32)
    (i32.add
      (local.get $n)
      (loop $top (result i32)
        (local.set $i (i32.add (local.get $i) (i32.const 2)))
        (br_if $top (i32.lt_s (local.get $i) (local.get $n)))
        (i32.mul (local.get $i) (local.get $i)))))

  (func $not_entered (export "not_entered") (param $n i32) (result i32)
    (local $x i32)
    (local.set $x (i32.const 3))
    (if (local.get $n)
      (then
        (loop $top
          (local.set $x (i32.mul (local.get $x) (i32.const 3)))
          (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (local.get $x))

  ;; The inner loop runs i mod 3 times, so every third time not at all.
  (func $zero_trip_inner (export "zero_trip_inner") (param $n i32) (result i32)
    (local $i i32) (local $left i32) (local $sum i32)
    (loop $outer
      (local.set $left (i32.rem_u (local.get $i) (i32.const 3)))
      (block $skip
        (loop $inner
          (br_if $skip (i32.eqz (local.get $left)))
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 2)) (local.get $i)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $inner)))
      (br_if $outer (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; The number below n with the longest Collatz sequence: data decides the trip counts.
  (func $collatz_longest (export "collatz_longest") (param $n i32) (result i32)
    (local $i i32) (local $steps i32) (local $most i32) (local $best i32) (local $x i64)
    (local.set $i (i32.const 1))
    (loop $candidates
      (local.set $x (i64.extend_i32_u (local.get $i)))
      (local.set $steps (i32.const 0))
      (block $reached
        (loop $sequence
          (br_if $reached (i64.eq (local.get $x) (i64.const 1)))
          (local.set $x
            (if (result i64) (i64.eqz (i64.and (local.get $x) (i64.const 1)))
              (then (i64.shr_u (local.get $x) (i64.const 1)))
              (else (i64.add (i64.mul (local.get $x) (i64.const 3)) (i64.const 1)))))
          (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
          (br $sequence)))
      (if (i32.gt_s (local.get $steps) (local.get $most))
        (then
          (local.set $most (local.get $steps))
          (local.set $best (local.get $i))))
      (br_if $candidates
        (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $best))

  ;; The sieve of Eratosthenes.
  (func $primes (export "primes") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $count i32)
    (memory.fill (i32.const 0) (i32.const 0) (local.get $n))
    (local.set $i (i32.const 2))
    (loop $outer
      (if (i32.eqz (i32.load8_u (local.get $i)))
        (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $j (i32.mul (local.get $i) (local.get $i)))
          (block $done
            (loop $multiples
              (br_if $done (i32.ge_u (local.get $j) (local.get $n)))
              (i32.store8 (local.get $j) (i32.const 1))
              (local.set $j (i32.add (local.get $j) (local.get $i)))
              (br $multiples)))))
      (br_if $outer (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $count))

  ;; Fills and multiplies two n by n matrices of f64; the trace of the product.
  (func $matrix (export "matrix") (param $n i32) (result f64)
    (local $i i32) (local $j i32) (local $cell i32) (local $sum f64)
    (loop $fill
      (f64.store (i32.shl (local.get $cell) (i32.const 3))
        (f64.mul (f64.convert_i32_s (i32.rem_u (local.get $cell) (i32.const 7))) (f64.const 0.25)))
      (br_if $fill
        (i32.lt_s
          (local.tee $cell (i32.add (local.get $cell) (i32.const 1)))
          (i32.mul (local.get $n) (local.get $n)))))
    (loop $is
      (local.set $j (i32.const 0))
      (loop $js
        (local.set $sum
          (f64.add (local.get $sum)
            (f64.mul
              (f64.load (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $j)) (i32.const 3)))
              (f64.load (i32.shl (i32.add (i32.mul (local.get $j) (local.get $n)) (local.get $i)) (i32.const 3))))))
        (br_if $js (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $is (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
