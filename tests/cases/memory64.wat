;; 64-bit memories and tables: addresses of more than 32 bits are out of bounds, whatever their low half says.
;;! call round 0 => 72623859790382856
;;! call round 65528 => 72623859790382856
;;! call round 65529 => trap out of bounds memory access in round at p1
;;! call round 4294967296 => trap out of bounds memory access in round at p1
;;! call round -8 => trap out of bounds memory access in round at p1
;;! call offset 0 => trap out of bounds memory access in offset at p1
;;! call constant => trap out of bounds memory access in constant at p2
;;! call copied 16 4 => 151521030
;;! call copied 4294967296 0 => trap out of bounds memory access in copied at p1
;;! call copied 0 4294967297 => trap out of bounds memory access in copied at p1
;;! call grown 1 => 1
;;! call grown 4294967296 => -1
;;! call sum 100 => 4950
;;! call entry 0 => 0
;;! call entry 3 => trap out of bounds table access in entry at p1
;;! call entry 4294967296 => trap out of bounds table access in entry at p1
;;! call indirect 1 => 2
;;! call indirect 2 => trap uninitialized element in indirect at p1
;;! call indirect 4294967297 => trap undefined element in indirect at p1
;;! call table_grown 2 => 3 5
(module
  (memory $wide i64 1 3)
  (memory $narrow 1)
  (data (memory $wide) (i64.const 40) "\05\06\07\08")
  (type $number (func (result i32)))
  (table $t i64 3 5 funcref)
  (elem (table $t) (i64.const 0) func $one $two)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))

  (func (export "round") (param $at i64) (result i64)
    (i64.store $wide (local.get $at) (i64.const 0x0102030405060708))
    (i64.load $wide (local.get $at)))

  ;; An offset that 32 bits do not hold.
  (func (export "offset") (param $at i64) (result i32)
    (i32.load8_u $wide offset=4294967296 (local.get $at)))

  (func (export "constant") (result i32)
    (i32.load $wide (i64.const 40))
    (drop (i32.load $wide (i64.const 0x100000028))))

  (func (export "copied") (param $to i64) (param $length i64) (result i32)
    (memory.copy $wide $wide (local.get $to) (i64.const 40) (local.get $length))
    (memory.copy $narrow $wide (i32.const 4) (i64.const 16) (i32.const 4))
    (memory.fill $wide (i64.const 60) (i32.const 1) (i64.const 4))
    (i32.add (i32.load $narrow (i32.const 4)) (i32.load $wide (i64.const 60))))

  (func (export "grown") (param $by i64) (result i64)
    (memory.grow $wide (local.get $by)))
  (func (export "size") (result i64)
    (memory.size $wide))

  (func (export "sum") (param $n i64) (result i64)
    (local $i i64) (local $sum i64)
    (loop $top
      (i64.store $wide (i64.shl (local.get $i) (i64.const 3)) (local.get $i))
      (local.set $sum (i64.add (local.get $sum) (i64.load $wide (i64.shl (local.get $i) (i64.const 3)))))
      (br_if $top (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $sum))

  (func (export "entry") (param $index i64) (result i32)
    (ref.is_null (table.get $t (local.get $index))))
  (func (export "indirect") (param $index i64) (result i32)
    (call_indirect $t (type $number) (local.get $index)))
  (func (export "table_grown") (param $by i64) (result i64 i64)
    (table.grow $t (ref.func $one) (local.get $by))
    (table.size $t)))
