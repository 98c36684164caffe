;; Growing memory, and using it at once, from callees and inside loops. Grows by at most 40 pages
;; in all when every line runs in one instance.
;;! call delta 1 => 1
;;! call delta 0 => 0
;;! call too_much => -1
;;! call way_too_much => -1
;;! call size_after_failure => 0
;;! call new_page_is_zero => 0
;;! call past_the_end => trap out of bounds memory access in past_the_end at p3
;;! call callee_grows 5 => 47
;;! call loop_grows 4 => 10
;;! call kept_across 3 => 1.5 7000000000 6
;;! call recursion_grows 6 => 21
(module
  (memory (export "memory") 1 100)

  (func $end (result i32) (i32.mul (memory.size) (i32.const 65536)))

  (func $delta (export "delta") (param $pages i32) (result i32)
    (local $before i32)
    (local.set $before (memory.grow (local.get $pages)))
    (i32.sub (memory.size) (local.get $before)))

  (func $too_much (export "too_much") (result i32) (memory.grow (i32.const 100)))
  (func $way_too_much (export "way_too_much") (result i32) (memory.grow (i32.const -1)))

  (func $size_after_failure (export "size_after_failure") (result i32)
    (local $before i32)
    (local.set $before (memory.size))
    (drop (memory.grow (i32.const 65536)))
    (i32.sub (memory.size) (local.get $before)))

  (func $new_page_is_zero (export "new_page_is_zero") (result i64)
    (local $old_end i32)
    (local.set $old_end (call $end))
    (drop (memory.grow (i32.const 1)))
    (i64.or
      (i64.load (local.get $old_end))
      (i64.load offset=65528 (local.get $old_end))))

  (func $past_the_end (export "past_the_end") (result i32)
    (drop (memory.grow (i32.const 1)))
    (i32.load8_u (call $end)))

  (func $grow_one (drop (memory.grow (i32.const 1))))

  ;; The address was out of bounds before the call and is in bounds after it.
  (func $callee_grows (export "callee_grows") (param $x i32) (result i32)
    (local $at i32)
    (local.set $at (call $end))
    (i32.store (i32.const 16) (i32.const 42))
    (call $grow_one)
    (i32.store (local.get $at) (local.get $x))
    (i32.add (i32.load (local.get $at)) (i32.load (i32.const 16))))

  ;; Writes i at the start of the i-th new page, then sums them.
  (func $loop_grows (export "loop_grows") (param $n i32) (result i32)
    (local $i i32) (local $base i32) (local $sum i32)
    (local.set $base (call $end))
    (loop $top
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (call $grow_one)
      (i32.store
        (i32.add (local.get $base)
          (i32.mul (i32.sub (local.get $i) (i32.const 1)) (i32.const 65536)))
        (local.get $i))
      (br_if $top (i32.lt_s (local.get $i) (local.get $n))))
    (loop $sums
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $base))))
      (local.set $base (i32.add (local.get $base) (i32.const 65536)))
      (br_if $sums (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $sum))

  ;; Values of other types live across the growth.
  (func $kept_across (export "kept_across") (param $n i32) (result f64 i64 i32)
    (local $x f64) (local $wide i64)
    (local.set $x (f64.const 0.5))
    (local.set $wide (i64.const 6999999997))
    (i32.store (i32.const 32) (local.get $n))
    (call $grow_one)
    (f64.mul (local.get $x) (f64.convert_i32_s (i32.load (i32.const 32))))
    (i64.add (local.get $wide) (i64.load32_u (i32.const 32)))
    (i32.add (local.get $n) (i32.load (i32.const 32))))

  (func $recursion_grows (export "recursion_grows") (param $n i32) (result i32)
    (local $at i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (local.set $at (call $end))
    (call $grow_one)
    (i32.store (local.get $at) (local.get $n))
    (i32.add
      (call $recursion_grows (i32.sub (local.get $n) (i32.const 1)))
      (i32.load (local.get $at)))))
