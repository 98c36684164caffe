;; Floating-point numbers to integers: trapping (two kinds of trap) and saturating.
;;! call i32_f64 2147483647.9 => 2147483647
;;! call i32_f64 2147483648 => trap integer overflow in i32_f64 at p1
;;! call i32_f64 -2147483648.9 => -2147483648
;;! call i32_f64 -2147483649 => trap integer overflow in i32_f64 at p1
;;! call i32_f64 NaN => trap invalid conversion to integer in i32_f64 at p1
;;! call i32_f64 inf => trap integer overflow in i32_f64 at p1
;;! call i32_f64 -inf => trap integer overflow in i32_f64 at p1
;;! call u32_f64 4294967295.9 => -1
;;! call u32_f64 4294967296 => trap integer overflow in u32_f64 at p1
;;! call u32_f64 -0.9 => 0
;;! call u32_f64 -1 => trap integer overflow in u32_f64 at p1
;;! call u32_f64 NaN => trap invalid conversion to integer in u32_f64 at p1
;;! call i32_f32 2147483520 => 2147483520
;;! call i32_f32 2147483648 => trap integer overflow in i32_f32 at p1
;;! call i32_f32 -2147483648 => -2147483648
;;! call i32_f32 NaN => trap invalid conversion to integer in i32_f32 at p1
;;! call u32_f32 4294967040 => -256
;;! call u32_f32 4294967296 => trap integer overflow in u32_f32 at p1
;;! call u32_f32 -1 => trap integer overflow in u32_f32 at p1
;;! call i64_f64 9223372036854774784 => 9223372036854774784
;;! call i64_f64 9223372036854775808 => trap integer overflow in i64_f64 at p1
;;! call i64_f64 -9223372036854775808 => -9223372036854775808
;;! call i64_f64 NaN => trap invalid conversion to integer in i64_f64 at p1
;;! call u64_f64 18446744073709549568 => -2048
;;! call u64_f64 18446744073709551616 => trap integer overflow in u64_f64 at p1
;;! call u64_f64 -0.5 => 0
;;! call u64_f64 -1 => trap integer overflow in u64_f64 at p1
;;! call i64_f32 9223371487098961920 => 9223371487098961920
;;! call i64_f32 9223372036854775808 => trap integer overflow in i64_f32 at p1
;;! call u64_f32 18446742974197923840 => -1099511627776
;;! call u64_f32 NaN => trap invalid conversion to integer in u64_f32 at p1
;;! call sat_i32_f64 NaN => 0
;;! call sat_i32_f64 inf => 2147483647
;;! call sat_i32_f64 -inf => -2147483648
;;! call sat_i32_f64 -1.9 => -1
;;! call sat_u32_f64 -5 => 0
;;! call sat_u32_f64 5000000000 => -1
;;! call sat_i64_f64 NaN => 0
;;! call sat_i64_f64 inf => 9223372036854775807
;;! call sat_i64_f64 -inf => -9223372036854775808
;;! call sat_u64_f64 -inf => 0
;;! call sat_u64_f64 inf => -1
;;! call sat_i32_f32 3000000000 => 2147483647
;;! call sat_u32_f32 NaN => 0
;;! call sat_i64_f32 -inf => -9223372036854775808
;;! call sat_u64_f32 inf => -1
;;! call in_loop 31 => 2147483647
;;! call in_loop 32 => trap integer overflow in in_loop at p2
(module
  (func $i32_f64 (export "i32_f64") (param $x f64) (result i32) (i32.trunc_f64_s (local.get $x)))
  (func $u32_f64 (export "u32_f64") (param $x f64) (result i32) (i32.trunc_f64_u (local.get $x)))
  (func $i32_f32 (export "i32_f32") (param $x f32) (result i32) (i32.trunc_f32_s (local.get $x)))
  (func $u32_f32 (export "u32_f32") (param $x f32) (result i32) (i32.trunc_f32_u (local.get $x)))
  (func $i64_f64 (export "i64_f64") (param $x f64) (result i64) (i64.trunc_f64_s (local.get $x)))
  (func $u64_f64 (export "u64_f64") (param $x f64) (result i64) (i64.trunc_f64_u (local.get $x)))
  (func $i64_f32 (export "i64_f32") (param $x f32) (result i64) (i64.trunc_f32_s (local.get $x)))
  (func $u64_f32 (export "u64_f32") (param $x f32) (result i64) (i64.trunc_f32_u (local.get $x)))
  (func $sat_i32_f64 (export "sat_i32_f64") (param $x f64) (result i32)
    (i32.trunc_sat_f64_s (local.get $x)))
  (func $sat_u32_f64 (export "sat_u32_f64") (param $x f64) (result i32)
    (i32.trunc_sat_f64_u (local.get $x)))
  (func $sat_i64_f64 (export "sat_i64_f64") (param $x f64) (result i64)
    (i64.trunc_sat_f64_s (local.get $x)))
  (func $sat_u64_f64 (export "sat_u64_f64") (param $x f64) (result i64)
    (i64.trunc_sat_f64_u (local.get $x)))
  (func $sat_i32_f32 (export "sat_i32_f32") (param $x f32) (result i32)
    (i32.trunc_sat_f32_s (local.get $x)))
  (func $sat_u32_f32 (export "sat_u32_f32") (param $x f32) (result i32)
    (i32.trunc_sat_f32_u (local.get $x)))
  (func $sat_i64_f32 (export "sat_i64_f32") (param $x f32) (result i64)
    (i64.trunc_sat_f32_s (local.get $x)))
  (func $sat_u64_f32 (export "sat_u64_f32") (param $x f32) (result i64)
    (i64.trunc_sat_f32_u (local.get $x)))

  ;; 2^0 + ... + 2^(n-1), each a double made an integer; 2^31 is one too many.
  (func $in_loop (export "in_loop") (param $n i32) (result i32)
    (local $power f64) (local $sum i32)
    (local.set $power (f64.const 1))
    (loop $top
      (local.set $sum (i32.add (local.get $sum) (i32.trunc_f64_s (local.get $power))))
      (local.set $power (f64.mul (local.get $power) (f64.const 2)))
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
