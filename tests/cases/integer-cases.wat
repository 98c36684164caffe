;; Integer operations at their edges: shift counts, rotations, bit counts, sign extension, wrapping.
;;! call shl 1 33 => 2
;;! call shr_s -8 33 => -4
;;! call shr_u -8 1 => 2147483644
;;! call rotl -2147483648 1 => 1
;;! call rotr 1 1 => -2147483648
;;! call shl64 1 65 => 2
;;! call rotl64 -9223372036854775808 1 => 1
;;! call counts 0 => 32 32 0
;;! call counts 1 => 31 0 1
;;! call counts -2147483648 => 0 31 1
;;! call counts -1 => 0 0 32
;;! call counts64 0 => 64 64 0
;;! call counts64 4294967296 => 31 32 1
;;! call extend 128 => -128 128
;;! call extend 32768 => 0 -32768
;;! call extend64 2147483648 => 0 0 -2147483648
;;! call wrap 4294967301 => 5
;;! call widen -1 => -1 4294967295
;;! call compare -1 1 => 1 0 0 1
;;! call compare 5 5 => 0 0 0 0
;;! call overflow 2147483647 => -2147483648
;;! call mul64 4294967296 4294967296 => 0
;;! call min_negated => -2147483648
;;! call mixing 100 => 7637374163995658383
(module
  (func $shl (export "shl") (param $a i32) (param $b i32) (result i32) (i32.shl (local.get $a) (local.get $b)))
  (func $shr_s (export "shr_s") (param $a i32) (param $b i32) (result i32) (i32.shr_s (local.get $a) (local.get $b)))
  (func $shr_u (export "shr_u") (param $a i32) (param $b i32) (result i32) (i32.shr_u (local.get $a) (local.get $b)))
  (func $rotl (export "rotl") (param $a i32) (param $b i32) (result i32) (i32.rotl (local.get $a) (local.get $b)))
  (func $rotr (export "rotr") (param $a i32) (param $b i32) (result i32) (i32.rotr (local.get $a) (local.get $b)))
  (func $shl64 (export "shl64") (param $a i64) (param $b i64) (result i64) (i64.shl (local.get $a) (local.get $b)))
  (func $rotl64 (export "rotl64") (param $a i64) (param $b i64) (result i64) (i64.rotl (local.get $a) (local.get $b)))
  (func $counts (export "counts") (param $a i32) (result i32 i32 i32)
    (i32.clz (local.get $a)) (i32.ctz (local.get $a)) (i32.popcnt (local.get $a)))
  (func $counts64 (export "counts64") (param $a i64) (result i64 i64 i64)
    (i64.clz (local.get $a)) (i64.ctz (local.get $a)) (i64.popcnt (local.get $a)))
  (func $extend (export "extend") (param $a i32) (result i32 i32)
    (i32.extend8_s (local.get $a)) (i32.extend16_s (local.get $a)))
  (func $extend64 (export "extend64") (param $a i64) (result i64 i64 i64)
    (i64.extend8_s (local.get $a)) (i64.extend16_s (local.get $a)) (i64.extend32_s (local.get $a)))
  (func $wrap (export "wrap") (param $a i64) (result i32) (i32.wrap_i64 (local.get $a)))
  (func $widen (export "widen") (param $a i32) (result i64 i64)
    (i64.extend_i32_s (local.get $a)) (i64.extend_i32_u (local.get $a)))
  ;; lt_s lt_u gt_s gt_u.
  (func $compare (export "compare") (param $a i32) (param $b i32) (result i32 i32 i32 i32)
    (i32.lt_s (local.get $a) (local.get $b)) (i32.lt_u (local.get $a) (local.get $b))
    (i32.gt_s (local.get $a) (local.get $b)) (i32.gt_u (local.get $a) (local.get $b)))
  (func $overflow (export "overflow") (param $a i32) (result i32) (i32.add (local.get $a) (i32.const 1)))
  (func $mul64 (export "mul64") (param $a i64) (param $b i64) (result i64) (i64.mul (local.get $a) (local.get $b)))
  (func $min_negated (export "min_negated") (result i32) (i32.sub (i32.const 0) (i32.const -2147483648)))
  ;; Every operation above in one loop.
  (func $mixing (export "mixing") (param $n i32) (result i64)
    (local $x i32) (local $y i64)
    (local.set $x (i32.const 0x12345678))
    (local.set $y (i64.const 0x0123456789abcdef))
    (loop $top
      (local.set $x (i32.rotl (i32.mul (local.get $x) (i32.const 0x9e3779b1)) (local.get $n)))
      (local.set $x (i32.xor (local.get $x) (i32.popcnt (i32.shr_s (local.get $x) (local.get $n)))))
      (local.set $y (i64.rotr (i64.add (local.get $y) (i64.extend_i32_s (local.get $x))) (i64.extend_i32_u (local.get $n))))
      (local.set $y (i64.xor (local.get $y) (i64.clz (i64.extend16_s (local.get $y)))))
      (local.set $x (i32.add (local.get $x) (i32.extend8_s (i32.wrap_i64 (local.get $y)))))
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.add (local.get $y) (i64.extend_i32_u (local.get $x)))))
