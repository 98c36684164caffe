;; Loads and stores at the last bytes of memory, past them, and with offsets that would wrap.
;; Memory is one page and cannot grow: 65536 is the first address that is not there.
;;! call load8 65535 => 7
;;! call load8 65536 => trap out of bounds memory access in load8 at p2
;;! call load8 -1 => trap out of bounds memory access in load8 at p2
;;! call load16 65534 => 1792
;;! call load16 65535 => trap out of bounds memory access in load16 at p2
;;! call load32 65532 => 117440512
;;! call load32 65533 => trap out of bounds memory access in load32 at p2
;;! call load32 65535 => trap out of bounds memory access in load32 at p2
;;! call load64 65528 => 504403158265495552
;;! call load64 65529 => trap out of bounds memory access in load64 at p2
;;! call load_f32 65533 => trap out of bounds memory access in load_f32 at p2
;;! call load_f64 65528 => 0.5
;;! call load_f64 65529 => trap out of bounds memory access in load_f64 at p2
;;! call load_narrow 65532 => 117440512
;;! call load_narrow 65533 => trap out of bounds memory access in load_narrow at p2
;;! call offset_last 0 => 7
;;! call offset_last 1 => trap out of bounds memory access in offset_last at p2
;;! call offset_last -1 => trap out of bounds memory access in offset_last at p2
;;! call offset_huge 0 => trap out of bounds memory access in offset_huge at p1
;;! call offset_huge 1 => trap out of bounds memory access in offset_huge at p1
;;! call offset_huge -1 => trap out of bounds memory access in offset_huge at p1
;;! call offset_half -2147483648 => trap out of bounds memory access in offset_half at p1
;;! call store8 65535 => 9
;;! call store8 65536 => trap out of bounds memory access in store8 at p1
;;! call store32 65532 => 9
;;! call store32 65533 => trap out of bounds memory access in store32 at p1
;;! call store64 65528 => 9
;;! call store64 65532 => trap out of bounds memory access in store64 at p1
;;! call straddle 65530 => 0
;;! call store_offset_huge 0 => trap out of bounds memory access in store_offset_huge at p1
;;! call sweep 65530 6 => 0
;;! call sweep 65530 7 => trap out of bounds memory access in sweep at p2
;;! call dead_load 65536 => trap out of bounds memory access in dead_load at p1
;;! call unaligned 3 => 1311768467463790320
(module
  (memory (export "memory") 1 1)
  (data (i32.const 65535) "\07")

  (func $load8 (export "load8") (param $at i32) (result i32) (call $reset) (i32.load8_u (local.get $at)))
  (func $load16 (export "load16") (param $at i32) (result i32) (call $reset) (i32.load16_u (local.get $at)))
  (func $load32 (export "load32") (param $at i32) (result i32) (call $reset) (i32.load (local.get $at)))
  (func $load64 (export "load64") (param $at i32) (result i64) (call $reset) (i64.load (local.get $at)))
  (func $load_f32 (export "load_f32") (param $at i32) (result f32) (call $reset) (f32.load (local.get $at)))
  (func $load_f64 (export "load_f64") (param $at i32) (result f64) (call $reset)
    (f64.mul (f64.load (local.get $at)) (f64.const 0x1p+910)))
  (func $load_narrow (export "load_narrow") (param $at i32) (result i64) (call $reset)
    (i64.load32_s (local.get $at)))

  (func $offset_last (export "offset_last") (param $at i32) (result i32) (call $reset)
    (i32.load8_u offset=65535 (local.get $at)))
  ;; 4294967295 + 1 is not 0.
  (func $offset_huge (export "offset_huge") (param $at i32) (result i32)
    (i32.load8_u offset=4294967295 (local.get $at)))
  (func $offset_half (export "offset_half") (param $at i32) (result i32)
    (i32.load8_u offset=2147483648 (local.get $at)))

  (func $store8 (export "store8") (param $at i32) (result i32)
    (i32.store8 (local.get $at) (i32.const 9))
    (i32.load8_u (local.get $at)))
  (func $store32 (export "store32") (param $at i32) (result i32)
    (i32.store (local.get $at) (i32.const 9))
    (i32.load (local.get $at)))
  (func $store64 (export "store64") (param $at i32) (result i64)
    (i64.store (local.get $at) (i64.const 9))
    (i64.load (local.get $at)))
  (func $store_offset_huge (export "store_offset_huge") (param $at i32)
    (f64.store offset=4294967288 (local.get $at) (f64.const 1)))

  ;; Stores below the edge leave the bytes above them alone.
  (func $straddle (export "straddle") (param $at i32) (result i32)
    (i32.store8 offset=4 (local.get $at) (i32.const 0))
    (i32.store (local.get $at) (i32.const -1))
    (i32.load8_u offset=4 (local.get $at)))

  ;; Clears `count` bytes from `at` on, one at a time.
  (func $sweep (export "sweep") (param $at i32) (param $count i32) (result i32)
    (local $i i32)
    (loop $top
      (i32.store8 (i32.add (local.get $at) (local.get $i)) (i32.const 0))
      (br_if $top
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $count))))
    (i32.load16_u (i32.const 65534)))

  ;; A load whose result is not used still traps.
  (func $dead_load (export "dead_load") (param $at i32) (drop (i64.load (local.get $at))))

  ;; The alignment is a hint.
  (func $unaligned (export "unaligned") (param $at i32) (result i64)
    (i64.store align=8 (local.get $at) (i64.const 0x123456789abcdef0))
    (i64.load align=8 (local.get $at)))

  ;; The last eight bytes as the data segment left them.
  (func $reset
    (i64.store (i32.const 65528) (i64.const 0x0700000000000000))))
