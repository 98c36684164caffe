;; Vectors that are live where frames can be replaced: across calls, host calls, polls, in arguments, results,
;; globals and memory. Exports take and return scalars, which every engine can check.
;;! call dot 100 => 4931.25
;;! call dot 0 => 0
;;! call mixed 7 => 317827580053
;;! call deep 40 => 1276650816774042679
;;! call many 3 => 140
;;! call swap 5 9 => -117
;;! call global 11 => 23
;;! call choose 0 4 => 4
;;! call choose 1 4 => -3
;;! call indirect 0 6 => 2458998502589994516
;;! call indirect 1 6 => 653593773738296853
;;! call hash 50 => 1823018021016974884
;;! call edge 65520 => 65520
;;! call edge 65521 => trap out of bounds memory access in edge at p2
;;! call lane_edge 65528 => 65528
;;! call lane_edge 65529 => trap out of bounds memory access in lane_edge at p2
;;! call rounds 25 => -4647996286128095233
(module
  (import "env" "invalidate" (func $invalidate))
  (memory (export "memory") 1)
  (type $pair (func (param v128 v128) (result v128)))
  (table $table (export "table") 2 funcref)
  (elem (i32.const 0) $add $interleave)
  (global $g (mut v128) (v128.const i32x4 1 2 3 4))
  (global $fixed v128 (v128.const f32x4 1.5 -2.5 0.25 8))

  ;; Three accumulators are live across the host's call, and at the loop's poll.
  (func (export "dot") (param $n i32) (result f64)
    (local $i i32) (local $a v128) (local $b v128) (local $sum v128)
    (local.set $a (v128.const f32x4 1 2 3 4))
    (local.set $b (v128.const f32x4 0.5 0.25 -1 2))
    (block $done
      (loop $next
        (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
        (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (local.get $a) (local.get $b))))
        (local.set $a (f32x4.add (local.get $a) (f32x4.splat (f32.const 0.5))))
        (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 10))) (then (call $invalidate)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (f64.promote_f32 (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $sum)) (f32x4.extract_lane 1 (local.get $sum)))
      (f32.add (f32x4.extract_lane 2 (local.get $sum)) (f32x4.extract_lane 3 (local.get $sum))))))

  ;; Vectors between scalars of every class, so that words and registers are not the same numbers.
  (func $mixture (param $x i32) (param $v v128) (param $y f64) (param $w v128) (param $z i64)
      (result i32 v128 f64 v128 i64)
    (call $invalidate)
    (i32.add (local.get $x) (i32.const 1))
    (i32x4.add (local.get $v) (local.get $w))
    (f64.mul (local.get $y) (f64.const 2))
    (v128.xor (local.get $v) (local.get $w))
    (i64.sub (local.get $z) (i64.const 3)))
  (func (export "mixed") (param $n i32) (result i64)
    (local $x i32) (local $v v128) (local $y f64) (local $w v128) (local $z i64)
    (call $mixture (local.get $n) (v128.const i32x4 10 20 30 40) (f64.const 1.25)
      (i32x4.splat (local.get $n)) (i64.const 100))
    (local.set $z) (local.set $w) (local.set $y) (local.set $v) (local.set $x)
    (call $invalidate)
    (i64.add
      (i64.add (i64.extend_i32_s (local.get $x)) (i64x2.extract_lane 0 (local.get $v)))
      (i64.add
        (i64.add (i64.trunc_f64_s (local.get $y)) (i64x2.extract_lane 1 (local.get $w)))
        (local.get $z))))

  ;; A frame for each level, each with a vector that only its caller's and its own words tell apart.
  (func $descend (param $n i32) (param $v v128) (result v128)
    (local $own v128)
    (if (result v128) (i32.eqz (local.get $n))
      (then (call $invalidate) (local.get $v))
      (else
        (local.set $own (i16x8.mul (local.get $v) (i16x8.splat (local.get $n))))
        (i16x8.add (local.get $own)
          (call $descend (i32.sub (local.get $n) (i32.const 1))
            (i8x16.add (local.get $v) (i8x16.splat (local.get $n))))))))
  (func (export "deep") (param $n i32) (result i64)
    (local $v v128)
    (local.set $v (call $descend (local.get $n) (v128.const i64x2 0x0123456789abcdef 0x7edcba9876543210)))
    (i64.xor (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $v))))

  ;; More words than there are registers for arguments, and for results.
  (func $gather (param v128 v128 v128 v128 v128) (result v128 v128 v128)
    (call $invalidate)
    (i32x4.add (local.get 0) (local.get 4))
    (i32x4.sub (local.get 1) (local.get 3))
    (i32x4.mul (local.get 2) (local.get 2)))
  (func (export "many") (param $n i32) (result i32)
    (local $v v128)
    (local.set $v (i32x4.splat (local.get $n)))
    (call $gather (local.get $v) (v128.const i32x4 1 2 3 4) (v128.const i32x4 5 6 7 8)
      (i32x4.neg (local.get $v)) (v128.const i32x4 9 10 11 12))
    (i32x4.add) (i32x4.add)
    (local.set $v)
    (i32.add (i32x4.extract_lane 1 (local.get $v)) (i32x4.extract_lane 3 (local.get $v))))

  ;; Vectors that change places in a loop: moves of two words each.
  (func (export "swap") (param $n i32) (param $seed i32) (result i32)
    (local $a v128) (local $b v128) (local $t v128)
    (local.set $a (i8x16.splat (local.get $seed)))
    (loop $next
      (local.set $t (local.get $a))
      (local.set $a (i8x16.sub (local.get $b) (local.get $a)))
      (local.set $b (local.get $t))
      (call $invalidate)
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.sub (i8x16.extract_lane_s 3 (local.get $a)) (i8x16.extract_lane_u 15 (local.get $b))))

  (func (export "global") (param $n i32) (result i32)
    (global.set $g (i32x4.add (global.get $g) (i32x4.splat (local.get $n))))
    (call $invalidate)
    (i32.add (i32x4.extract_lane 3 (global.get $g))
      (i32.trunc_f32_s (f32x4.extract_lane 3 (global.get $fixed)))))

  (func (export "choose") (param $which i32) (param $n i32) (result i32)
    (local $a v128) (local $b v128)
    (local.set $a (i32x4.splat (local.get $n)))
    (local.set $b (v128.const i32x4 -1 -2 -3 -4))
    (call $invalidate)
    (i32x4.extract_lane 2
      (select (local.get $b) (local.get $a) (local.get $which))))

  (func $add (type $pair) (i16x8.add (local.get 0) (local.get 1)))
  (func $interleave (type $pair)
    (call $invalidate)
    (i8x16.shuffle 0 16 1 17 2 18 3 19 31 15 30 14 29 13 28 12 (local.get 0) (local.get 1)))
  (func (export "indirect") (param $which i32) (param $n i32) (result i64)
    (local $v v128)
    (local.set $v (call_indirect $table (type $pair)
      (i8x16.splat (local.get $n)) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
      (local.get $which)))
    (i64.add (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $v))))

  ;; Bytes of memory, mixed: loads and stores of every kind.
  (func (export "hash") (param $n i32) (result i64)
    (local $p i32) (local $h v128) (local $x v128)
    (local.set $h (v128.const i64x2 0x9e3779b97f4a7c15 0xc2b2ae3d27d4eb4f))
    (loop $next
      (local.set $p (i32.and (i32.mul (local.get $n) (i32.const 24)) (i32.const 0xfff)))
      (v128.store offset=64 (local.get $p) (local.get $h))
      (local.set $x (v128.load8x8_s offset=66 (local.get $p)))
      (local.set $x (i16x8.add_sat_s (local.get $x) (v128.load16_splat offset=70 (local.get $p))))
      (local.set $x (v128.xor (local.get $x) (v128.load32_zero offset=72 (local.get $p))))
      (local.set $x (v128.load8_lane offset=75 5 (local.get $p) (local.get $x)))
      (v128.store16_lane offset=80 6 (local.get $p) (local.get $x))
      (local.set $x (i8x16.swizzle (local.get $x) (v128.load offset=68 (local.get $p))))
      (local.set $h (i64x2.add
        (v128.or (i32x4.shl (local.get $h) (i32.const 5)) (i32x4.shr_u (local.get $h) (i32.const 27)))
        (v128.bitselect (local.get $x) (local.get $h) (i8x16.gt_u (local.get $x) (local.get $h)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.add
      (i64.extend_i32_u (i8x16.bitmask (local.get $h)))
      (i64.xor (i64x2.extract_lane 0 (local.get $h)) (i64x2.extract_lane 1 (local.get $h)))))

  ;; Traps at the edge of memory, with a vector live.
  (func (export "edge") (param $p i32) (result i32)
    (local $v v128)
    (local.set $v (i32x4.splat (local.get $p)))
    (call $invalidate)
    (i32x4.extract_lane 0 (i32x4.add (local.get $v) (v128.load (local.get $p)))))
  (func (export "lane_edge") (param $p i32) (result i32)
    (local $v v128)
    (local.set $v (i32x4.splat (local.get $p)))
    (call $invalidate)
    (v128.store64_lane 1 (local.get $p) (local.get $v))
    (i32x4.extract_lane 3 (v128.load64_lane 0 (local.get $p) (local.get $v))))

  ;; Rounding, saturation, comparison.
  (func (export "rounds") (param $n i32) (result i64)
    (local $f v128) (local $d v128) (local $sum v128)
    (local.set $f (v128.const f32x4 1.5 -2.5 1e10 -0.75))
    (local.set $d (v128.const f64x2 1e18 -3.7))
    (loop $next
      (local.set $sum (i32x4.add (local.get $sum) (i32x4.trunc_sat_f32x4_s (f32x4.nearest (local.get $f)))))
      (local.set $sum (v128.xor (local.get $sum) (i32x4.trunc_sat_f64x2_u_zero (local.get $d))))
      (local.set $sum (i32x4.add (local.get $sum) (f32x4.lt (local.get $f) (f32x4.ceil (local.get $f)))))
      (local.set $f (f32x4.pmin (f32x4.mul (local.get $f) (f32x4.splat (f32.const -1.25)))
        (f32x4.convert_i32x4_s (local.get $sum))))
      (local.set $d (f64x2.max (f64x2.sqrt (f64x2.abs (local.get $d)))
        (f64x2.convert_low_i32x4_u (local.get $sum))))
      (local.set $sum (i16x8.narrow_i32x4_s (local.get $sum) (i32x4.dot_i16x8_s (local.get $sum) (local.get $f))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.xor (i64x2.extract_lane 0 (local.get $sum)) (i64x2.extract_lane 1 (local.get $sum)))))
