;; Atomic accesses, and waits, in a shared memory that one thread has to itself.
;;! call add 8 5 => 0 5
;;! call add 9 5 => trap unaligned atomic in add at p1
;;! call add 65536 5 => trap out of bounds memory access in add at p2
;;! call add -8 1 => trap out of bounds memory access in add at p2
;;! call narrow 0 257 => 255 65534 65279
;;! call narrow 1 257 => trap unaligned atomic in narrow at p1
;;! call exchange 16 7 => 0 7
;;! call compare 24 0 9 => 0 9
;;! call compare 24 1 9 => 0 0
;;! call compare8 32 256 1 => 0 0
;;! call wide 40 3 => 4294967296 4294967299
;;! call wide 44 3 => trap unaligned atomic in wide at p1
;;! call offset 1 => 0
;;! call offset 2 => trap unaligned atomic in offset at p1
;;! call notify 8 => 0
;;! call notify 10 => trap unaligned atomic in notify at p1
;;! call wait 48 1 0 => 1
;;! call wait 48 0 1000 => 2
;;! call wait 48 0 -1 => trap endless atomic wait in wait at p2
;;! call wait 50 0 0 => trap unaligned atomic in wait at p1
;;! call wait64 56 0 1000 => 2
;;! call private => trap expected shared memory in private at p2
;;! call counted 50 => 2600
(module
  (memory $shared 1 1 shared)
  (memory $own 1)

  (func $add (export "add") (param $at i32) (param $by i32) (result i32 i32)
    (i32.atomic.rmw.add (local.get $at) (local.get $by))
    (i32.atomic.load (local.get $at)))

  (func (export "narrow") (param $at i32) (param $value i32) (result i32 i32 i32)
    (i32.atomic.store16 offset=64 (local.get $at) (i32.const 0xffff))
    (i32.atomic.rmw8.sub_u offset=64 (local.get $at) (local.get $value))
    (i32.atomic.rmw16.xor_u offset=64 (local.get $at) (local.get $value))
    (i32.atomic.load16_u offset=64 (local.get $at)))

  (func (export "exchange") (param $at i32) (param $value i32) (result i32 i32)
    (i32.atomic.rmw.xchg (local.get $at) (local.get $value))
    (i32.atomic.rmw.or (local.get $at) (i32.const 8)))

  (func (export "compare") (param $at i32) (param $expected i32) (param $new i32) (result i32 i32)
    (i32.atomic.store (local.get $at) (i32.const 0))
    (i32.atomic.rmw.cmpxchg (local.get $at) (local.get $expected) (local.get $new))
    (i32.atomic.load (local.get $at)))

  ;; The whole of what is expected is compared.
  (func (export "compare8") (param $at i32) (param $expected i32) (param $new i32) (result i32 i32)
    (i32.atomic.rmw8.cmpxchg_u (local.get $at) (local.get $expected) (local.get $new))
    (i32.atomic.load8_u (local.get $at)))

  (func (export "wide") (param $at i32) (param $value i64) (result i64 i64)
    (i64.atomic.store (local.get $at) (i64.const 0x1_0000_0000))
    (i64.atomic.rmw.and (local.get $at) (i64.const -1))
    (i64.atomic.rmw32.cmpxchg_u (local.get $at) (i64.const 0) (local.get $value))
    (drop)
    (i64.atomic.rmw.add (local.get $at) (i64.const 1)))

  (func (export "offset") (param $at i32) (result i32)
    (i32.atomic.load offset=3 (local.get $at)))

  (func (export "notify") (param $at i32) (result i32)
    (atomic.fence)
    (memory.atomic.notify (local.get $at) (i32.const 1)))

  (func (export "wait") (param $at i32) (param $expected i32) (param $timeout i64) (result i32)
    (memory.atomic.wait32 (local.get $at) (local.get $expected) (local.get $timeout)))
  (func (export "wait64") (param $at i32) (param $expected i64) (param $timeout i64) (result i32)
    (memory.atomic.wait64 (local.get $at) (local.get $expected) (local.get $timeout)))
  (func (export "private") (result i32)
    (memory.atomic.wait32 $own (i32.const 0) (i32.const 0) (i64.const 0)))

  ;; What is live across a call and a wait.
  (func (export "counted") (param $n i32) (result i32)
    (local $sum i32)
    (i32.atomic.store (i32.const 128) (i32.const 0))
    (loop $top
      (drop (drop (call $add (i32.const 128) (i32.const 3))))
      (local.set $sum (i32.add (local.get $sum) (i32.atomic.rmw.sub (i32.const 128) (i32.const 1))))
      (drop (memory.atomic.wait32 (i32.const 128) (i32.const -1) (i64.const 10)))
      (br_if $top (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
