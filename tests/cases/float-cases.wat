;; Not-a-numbers, infinities, signed zeros, rounding. Nothing depends on a NaN's payload or sign.
;;! call div 0 0 => NaN
;;! call div 1 0 => inf
;;! call div -1 0 => -inf
;;! call sqrt -1 => NaN
;;! call sqrt 2.25 => 1.5
;;! call min 1 NaN => NaN
;;! call min NaN 1 => NaN
;;! call max NaN 1 => NaN
;;! call zero_sign_min => -1
;;! call zero_sign_max => 1
;;! call compare_nan NaN => 0 1 0 0 0 0
;;! call compare_nan 1 => 1 0 0 0 1 1
;;! call copysign 3 -1 => -3
;;! call copysign -3 1 => 3
;;! call nearest 0.5 => 0
;;! call nearest 1.5 => 2
;;! call nearest 2.5 => 2
;;! call nearest -2.5 => -2
;;! call round_all -1.5 => -1 -2 -1 -2
;;! call round_all 1.5 => 2 1 1 2
;;! call demote 0.1 => 0.1
;;! call demote 1e300 => inf
;;! call promote 0.1 => 0.10000000149011612
;;! call from_u64 -1 => 18446744073709552000
;;! call from_u64 9007199254740993 => 9007199254740992
;;! call f32_from_i64 16777217 => 16777216
;;! call f32_from_i64 16777219 => 16777220
;;! call f32_from_u32 -1 => 4294967300
;;! call bits 1.5 => 4609434218613702656
;;! call from_bits 4607182418800017408 => 1
;;! call bits32 -2 => -1073741824
;;! call nan_in_loop 100 => 100
;;! call select_nan NaN 3 => 3
;;! call branch_on_nan NaN => 4
;;! call branch_on_nan 1 => 1
;;! call branch_on_nan -1 => 2
;;! call subnormal => 1
;;! call absorb 10000000000000000 => 0
(module
  (func $div (export "div") (param $a f64) (param $b f64) (result f64)
    (f64.div (local.get $a) (local.get $b)))
  (func $sqrt (export "sqrt") (param $a f64) (result f64) (f64.sqrt (local.get $a)))
  (func $min (export "min") (param $a f64) (param $b f64) (result f64)
    (f64.min (local.get $a) (local.get $b)))
  (func $max (export "max") (param $a f64) (param $b f64) (result f64)
    (f64.max (local.get $a) (local.get $b)))
  ;; min(0, -0) is -0, max(-0, 0) is 0.
  (func $zero_sign_min (export "zero_sign_min") (result f64)
    (f64.copysign (f64.const 1) (call $min (f64.const 0) (f64.const -0))))
  (func $zero_sign_max (export "zero_sign_max") (result f64)
    (f64.copysign (f64.const 1) (call $max (f64.const -0) (f64.const 0))))

  ;; eq ne lt gt le ge, of x with itself.
  (func $compare_nan (export "compare_nan") (param $x f64) (result i32 i32 i32 i32 i32 i32)
    (f64.eq (local.get $x) (local.get $x)) (f64.ne (local.get $x) (local.get $x))
    (f64.lt (local.get $x) (local.get $x)) (f64.gt (local.get $x) (local.get $x))
    (f64.le (local.get $x) (local.get $x)) (f64.ge (local.get $x) (local.get $x)))

  (func $copysign (export "copysign") (param $a f64) (param $b f64) (result f64)
    (f64.copysign (local.get $a) (local.get $b)))
  (func $nearest (export "nearest") (param $a f64) (result f64) (f64.nearest (local.get $a)))
  (func $round_all (export "round_all") (param $a f64) (result f64 f64 f64 f64)
    (f64.ceil (local.get $a)) (f64.floor (local.get $a))
    (f64.trunc (local.get $a)) (f64.nearest (local.get $a)))
  (func $demote (export "demote") (param $a f64) (result f32) (f32.demote_f64 (local.get $a)))
  (func $promote (export "promote") (param $a f32) (result f64) (f64.promote_f32 (local.get $a)))
  (func $from_u64 (export "from_u64") (param $a i64) (result f64)
    (f64.convert_i64_u (local.get $a)))
  (func $f32_from_i64 (export "f32_from_i64") (param $a i64) (result f32)
    (f32.convert_i64_s (local.get $a)))
  (func $f32_from_u32 (export "f32_from_u32") (param $a i32) (result f32)
    (f32.convert_i32_u (local.get $a)))
  (func $bits (export "bits") (param $a f64) (result i64) (i64.reinterpret_f64 (local.get $a)))
  (func $from_bits (export "from_bits") (param $a i64) (result f64)
    (f64.reinterpret_i64 (local.get $a)))
  (func $bits32 (export "bits32") (param $a f32) (result i32) (i32.reinterpret_f32 (local.get $a)))

  (func $opaque (param $x f64) (result f64) (local.get $x))

  ;; A NaN live across calls stays one.
  (func $nan_in_loop (export "nan_in_loop") (param $n i32) (result i32)
    (local $nan f64) (local $nan32 f32) (local $i i32) (local $count i32)
    (local.set $nan (f64.div (f64.const 0) (call $opaque (f64.const 0))))
    (local.set $nan32 (f32.demote_f64 (local.get $nan)))
    (loop $top
      (local.set $nan (call $opaque (f64.add (local.get $nan) (f64.convert_i32_s (local.get $i)))))
      (local.set $count
        (i32.add (local.get $count)
          (i32.and
            (f64.ne (local.get $nan) (local.get $nan))
            (f32.ne (local.get $nan32) (local.get $nan32)))))
      (br_if $top (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $count))

  (func $select_nan (export "select_nan") (param $a f64) (param $b f64) (result f64)
    (select (local.get $a) (local.get $b) (f64.eq (local.get $a) (local.get $a))))

  ;; No order relation holds for a NaN, and neither does the negation of its opposite.
  (func $branch_on_nan (export "branch_on_nan") (param $x f64) (result i32)
    (if (f64.gt (local.get $x) (f64.const 0)) (then (return (i32.const 1))))
    (if (f64.lt (local.get $x) (f64.const 0)) (then (return (i32.const 2))))
    (if (f64.eq (local.get $x) (f64.const 0)) (then (return (i32.const 3))))
    (i32.const 4))

  ;; The smallest subnormal is not flushed to zero.
  (func $subnormal (export "subnormal") (result i64)
    (i64.reinterpret_f64
      (f64.mul (call $opaque (f64.const 0x1p-1073)) (f64.const 0.5))))

  ;; (x + 1) - x without extended precision.
  (func $absorb (export "absorb") (param $x f64) (result f64)
    (f64.sub (f64.add (local.get $x) (f64.const 1)) (local.get $x))))
