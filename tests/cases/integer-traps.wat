;; Integer division: by zero, the one quotient that does not fit, and the remainder that does.
;;! call div_s 7 -2 => -3
;;! call div_s 7 0 => trap integer divide by zero in div_s at p1
;;! call div_s -2147483648 -1 => trap integer overflow in div_s at p1
;;! call div_s -2147483648 1 => -2147483648
;;! call div_u -2 2 => 2147483647
;;! call div_u 1 0 => trap integer divide by zero in div_u at p1
;;! call div_u -2147483648 -1 => 0
;;! call rem_s -7 2 => -1
;;! call rem_s 7 0 => trap integer divide by zero in rem_s at p1
;;! call rem_s -2147483648 -1 => 0
;;! call rem_u -1 10 => 5
;;! call rem_u 1 0 => trap integer divide by zero in rem_u at p1
;;! call div_s64 -9223372036854775808 -1 => trap integer overflow in div_s64 at p1
;;! call div_s64 -9223372036854775808 10 => -922337203685477580
;;! call div_s64 5 0 => trap integer divide by zero in div_s64 at p1
;;! call div_u64 -1 10 => 1844674407370955161
;;! call div_u64 5 0 => trap integer divide by zero in div_u64 at p1
;;! call rem_s64 -9223372036854775808 -1 => 0
;;! call rem_s64 5 0 => trap integer divide by zero in rem_s64 at p1
;;! call rem_u64 -1 10 => 5
;;! call rem_u64 5 0 => trap integer divide by zero in rem_u64 at p1
;;! call dead_quotient 5 => trap integer divide by zero in dead_quotient at p1
;;! call in_loop 10 20 => 663
;;! call in_loop 10 5 => trap integer divide by zero in in_loop at p2
;;! call at_depth 50 1 => 1325
;;! call at_depth 50 0 => trap integer divide by zero in descend at p1
;;! call by_constant -100 => -14
(module
  (func $div_s (export "div_s") (param $a i32) (param $b i32) (result i32)
    (i32.div_s (local.get $a) (local.get $b)))
  (func $div_u (export "div_u") (param $a i32) (param $b i32) (result i32)
    (i32.div_u (local.get $a) (local.get $b)))
  (func $rem_s (export "rem_s") (param $a i32) (param $b i32) (result i32)
    (i32.rem_s (local.get $a) (local.get $b)))
  (func $rem_u (export "rem_u") (param $a i32) (param $b i32) (result i32)
    (i32.rem_u (local.get $a) (local.get $b)))
  (func $div_s64 (export "div_s64") (param $a i64) (param $b i64) (result i64)
    (i64.div_s (local.get $a) (local.get $b)))
  (func $div_u64 (export "div_u64") (param $a i64) (param $b i64) (result i64)
    (i64.div_u (local.get $a) (local.get $b)))
  (func $rem_s64 (export "rem_s64") (param $a i64) (param $b i64) (result i64)
    (i64.rem_s (local.get $a) (local.get $b)))
  (func $rem_u64 (export "rem_u64") (param $a i64) (param $b i64) (result i64)
    (i64.rem_u (local.get $a) (local.get $b)))

  ;; A division whose result is not used still traps.
  (func $dead_quotient (export "dead_quotient") (param $a i32) (result i32)
    (drop (i32.div_s (local.get $a) (i32.sub (local.get $a) (local.get $a))))
    (local.get $a))

  ;; The sum of 1000 / (zero_at - i) for i below n.
  (func $in_loop (export "in_loop") (param $n i32) (param $zero_at i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $top
      (local.set $sum
        (i32.add (local.get $sum)
          (i32.div_s (i32.const 1000) (i32.sub (local.get $zero_at) (local.get $i)))))
      (br_if $top
        (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; depth + ... + 1, plus depth / divisor at the bottom of the recursion.
  (func $at_depth (export "at_depth") (param $n i32) (param $divisor i32) (result i32)
    (call $descend (local.get $n) (local.get $divisor) (local.get $n)))
  (func $descend (param $n i32) (param $divisor i32) (param $top i32) (result i32)
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.div_u (local.get $top) (local.get $divisor)))
      (else
        (i32.add (local.get $n)
          (call $descend (i32.sub (local.get $n) (i32.const 1)) (local.get $divisor) (local.get $top))))))

  (func $by_constant (export "by_constant") (param $a i32) (result i32)
    (i32.div_s (local.get $a) (i32.const 7))))
