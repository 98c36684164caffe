;; memory.fill, memory.copy (overlapping both ways), memory.init and data.drop, and their traps.
;; A trap comes before any byte is written.
;;! call fill 100 5 7 => 35
;;! call fill 65531 5 7 => 35
;;! call fill 65532 5 7 => trap out of bounds memory access in fill at p1
;;! call fill 65536 0 7 => 0
;;! call fill 65537 0 7 => trap out of bounds memory access in fill at p1
;;! call fill 0 -1 7 => trap out of bounds memory access in fill at p1
;;! call fill_low_byte 511 => 255
;;! call copy_up => 1 2 1 2 3 4 5 6
;;! call copy_down => 3 4 5 6 7 8 7 8
;;! call copy_onto_itself => 1 2 3 4 5 6 7 8
;;! call copy 0 65530 7 => trap out of bounds memory access in copy at p1
;;! call copy 65530 0 7 => trap out of bounds memory access in copy at p1
;;! call copy 65536 0 0 => 0
;;! call copy 0 65536 0 => 0
;;! call copy 65537 0 0 => trap out of bounds memory access in copy at p1
;;! call copy -1 0 1 => trap out of bounds memory access in copy at p1
;;! call init 200 0 5 => 104 101
;;! call init 200 1 3 => 101 108
;;! call init 200 0 6 => trap out of bounds memory access in init at p2
;;! call init 200 5 0 => 0 0
;;! call init 200 6 0 => trap out of bounds memory access in init at p2
;;! call init 65534 0 3 => trap out of bounds memory access in init at p2
;;! call init_dropped 1 => trap out of bounds memory access in init_dropped at p3
;;! call init_dropped 0 => 0
;;! call init_active 1 => trap out of bounds memory access in init_active at p1
;;! call fill_loop 50 => 162800 903
(module
  (memory (export "memory") 1 1)
  (data $active (i32.const 512) "active")
  (data $hello "hello")
  (data $gone "gone")

  (func $sum (param $at i32) (param $n i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $top
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $top)))
    (local.get $sum))

  (func $fill (export "fill") (param $at i32) (param $n i32) (param $byte i32) (result i32)
    (memory.fill (local.get $at) (local.get $byte) (local.get $n))
    (call $sum (local.get $at) (local.get $n)))

  (func $fill_low_byte (export "fill_low_byte") (param $byte i32) (result i32)
    (memory.fill (i32.const 300) (local.get $byte) (i32.const 1))
    (i32.load16_u (i32.const 300)))

  (func $eight_bytes (i64.store (i32.const 0) (i64.const 0x0807060504030201)))
  (func $read_eight (result i32 i32 i32 i32 i32 i32 i32 i32)
    (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 1))
    (i32.load8_u (i32.const 2)) (i32.load8_u (i32.const 3))
    (i32.load8_u (i32.const 4)) (i32.load8_u (i32.const 5))
    (i32.load8_u (i32.const 6)) (i32.load8_u (i32.const 7)))

  (func $copy_up (export "copy_up") (result i32 i32 i32 i32 i32 i32 i32 i32)
    (call $eight_bytes)
    (memory.copy (i32.const 2) (i32.const 0) (i32.const 6))
    (call $read_eight))
  (func $copy_down (export "copy_down") (result i32 i32 i32 i32 i32 i32 i32 i32)
    (call $eight_bytes)
    (memory.copy (i32.const 0) (i32.const 2) (i32.const 6))
    (call $read_eight))
  (func $copy_onto_itself (export "copy_onto_itself") (result i32 i32 i32 i32 i32 i32 i32 i32)
    (call $eight_bytes)
    (memory.copy (i32.const 0) (i32.const 0) (i32.const 8))
    (call $read_eight))

  (func $copy (export "copy") (param $to i32) (param $from i32) (param $n i32) (result i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $n))
    (i32.const 0))

  ;; The first two bytes written.
  (func $init (export "init") (param $to i32) (param $from i32) (param $n i32) (result i32 i32)
    (i32.store16 (i32.const 200) (i32.const 0))
    (memory.init $hello (local.get $to) (local.get $from) (local.get $n))
    (i32.load8_u (i32.const 200))
    (i32.load8_u (i32.const 201)))

  (func $init_dropped (export "init_dropped") (param $n i32) (result i32)
    (data.drop $gone)
    (data.drop $gone)
    (memory.init $gone (i32.const 400) (i32.const 0) (local.get $n))
    (i32.const 0))

  ;; An active segment is dropped once it has been written.
  (func $init_active (export "init_active") (param $n i32)
    (memory.init $active (i32.const 400) (i32.const 0) (local.get $n)))

  ;; Fills and shifts a window, with values live across both.
  (func $fill_loop (export "fill_loop") (param $n i32) (result i32 f64)
    (local $i i32) (local $sum i32) (local $x f64)
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 256))
    (loop $top
      (memory.fill (i32.const 1024) (local.get $i) (i32.const 16))
      (memory.copy (i32.const 1032) (i32.const 1024) (i32.const 200))
      (local.set $x (f64.add (local.get $x) (f64.convert_i32_s (i32.load8_u (i32.const 1100)))))
      (local.set $sum (i32.add (local.get $sum) (call $sum (i32.const 1024) (i32.const 240))))
      (br_if $top
        (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)
    (local.get $x)))
