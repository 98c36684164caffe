;; Several memories: each has its own bytes and its own size, and what is done in one is not seen in another. Calls and
;; growth in between are where frames are replaced.
;;! call sums 5 => 5030
;;! call distinct => -1 -2 -3
;;! call far 0 => 2.5
;;! call far 65533 => trap out of bounds memory access in far at p2
;;! call between 7 => 67306034
;;! call filled 9 6 => 7
;;! call filled 65530 10 => trap out of bounds memory access in filled at p1
;;! call grown 2 => 2 1
;;! call grown 7 => -1 1
;;! call segment 4 => 218893066
;;! call segment 5 => trap out of bounds memory access in segment at p1
;;! call out 0 => 0
;;! call out 262144 => trap out of bounds memory access in out at p2
(module
  (memory $first 1)
  (memory $second 2 5)
  (memory $third 1)
  (data $bytes (memory $third) (i32.const 8) "\01\02\03\04")
  (data $passive "\0a\0b\0c\0d")

  ;; A loop that stores to two memories and loads from both, with a call in it.
  (func (export "sums") (param $n i32) (result i64)
    (local $i i32) (local $sum i64)
    (loop $top
      (i32.store $second (i32.shl (local.get $i) (i32.const 2)) (call $square (local.get $i)))
      (i32.store $first (i32.shl (local.get $i) (i32.const 2)) (i32.const 1000))
      (local.set $sum (i64.add (local.get $sum)
        (i64.add (i64.load32_s $second (i32.shl (local.get $i) (i32.const 2)))
                 (i64.load32_u $first (i32.shl (local.get $i) (i32.const 2))))))
      (br_if $top (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))
  (func $square (param $i i32) (result i32) (i32.mul (local.get $i) (local.get $i)))

  (func (export "distinct") (result i32 i32 i32)
    (i32.store8 $first (i32.const 100) (i32.const -1))
    (i32.store16 $second (i32.const 100) (i32.const -2))
    (i32.store $third (i32.const 100) (i32.const -3))
    (i32.load8_s $first (i32.const 100))
    (i32.load16_s $second (i32.const 100))
    (i32.load $third (i32.const 100)))

  ;; The third memory ends where the second does not.
  (func (export "far") (param $at i32) (result f64)
    (f64.store $second (local.get $at) (f64.const 2.5))
    (i32.store $third (local.get $at) (i32.const 1))
    (f64.load $second (local.get $at)))

  (func (export "between") (param $n i32) (result i32)
    (memory.copy $first $third (i32.const 200) (i32.const 8) (i32.const 4))
    (memory.copy $second $first (i32.const 300) (i32.const 200) (i32.const 4))
    (i32.store8 $third (i32.const 8) (i32.const 1))
    (i32.add (call $square (local.get $n)) (i32.load $second (i32.const 300))))

  (func (export "filled") (param $at i32) (param $length i32) (result i32)
    (memory.fill $third (local.get $at) (i32.const 7) (local.get $length))
    (i32.add (i32.load8_u $third (local.get $at)) (i32.load8_u $second (local.get $at))))

  (func (export "grown") (param $by i32) (result i32 i32)
    (memory.grow $second (local.get $by))
    (memory.size $first))

  (func (export "segment") (param $length i32) (result i32)
    (memory.init $second $passive (i32.const 400) (i32.const 0) (local.get $length))
    (i32.load $second (i32.const 400)))

  ;; The last word of the second memory as it was made, and what is beyond the largest that it may become.
  (func (export "out") (param $at i32) (result i32)
    (local $kept i32)
    (local.set $kept (call $square (local.get $at)))
    (i32.load $second offset=131068 (local.get $at))
    (i32.add (local.get $kept))))
