;; Traps whose points are easily mistaken: in a loop around the loop where code takes over, where
;; they are before that loop's; and loads that machine code does in one instruction with what uses them.
;;
;;! call divide 3 => trap integer divide by zero in divide at p2
;;! call divide 0 => trap integer divide by zero in divide at p2
;;! call stop 3 => trap unreachable in stop at p2
;;! call access 65520 => trap out of bounds memory access in access at p2
;;! call load_of_loaded 0 => 0
;;! call load_of_loaded 65533 => trap out of bounds memory access in load_of_loaded at p1
;;! call load_of_loaded 8 => trap out of bounds memory access in load_of_loaded at p2
;;! call add_to_memory 0 1 => 1
;;! call add_to_memory 65533 1 => trap out of bounds memory access in add_to_memory at p1
;;! call divide_by_loaded 65533 => trap out of bounds memory access in divide_by_loaded at p1
;;! call divide_by_loaded 16 => trap integer divide by zero in divide_by_loaded at p2
;;! call convert_loaded 65533 => trap out of bounds memory access in convert_loaded at p1
;;! call convert_loaded 24 => trap invalid conversion to integer in convert_loaded at p2
;;! call get_loaded 65533 => trap out of bounds memory access in get_loaded at p1
;;! call get_loaded 8 => trap out of bounds table access in get_loaded at p2
;;! call call_loaded 65533 => trap out of bounds memory access in call_loaded at p1
;;! call call_loaded 8 => trap undefined element in call_loaded at p2
(module
  (memory 1 1)
  (table 4 funcref)
  (data (i32.const 8) "\ff\ff\ff\ff\ff\ff\ff\ff")
  (data (i32.const 24) "\ff\ff\ff\ff\ff\ff\ff\ff")

  (func (export "load_of_loaded") (param $address i32) (result i32)
    (i32.load offset=40 (i32.load (local.get $address))))

  (func (export "add_to_memory") (param $address i32) (param $value i32) (result i32)
    (i32.store offset=48 (local.get $address)
      (i32.add (i32.load offset=48 (local.get $address)) (local.get $value)))
    (i32.store offset=48 (local.get $address)
      (i32.sub (i32.load offset=48 (local.get $address)) (local.get $value)))
    (i32.store offset=48 (local.get $address)
      (i32.or (i32.load offset=48 (local.get $address)) (local.get $value)))
    (i32.load offset=48 (local.get $address)))

  (func (export "divide_by_loaded") (param $address i32) (result i32)
    (i32.div_s (i32.const 100) (i32.load (local.get $address))))

  (func (export "convert_loaded") (param $address i32) (result i32)
    (i32.trunc_f64_s (f64.load (local.get $address))))

  (func (export "get_loaded") (param $address i32) (result funcref)
    (table.get 0 (i32.load (local.get $address))))

  (func (export "call_loaded") (param $address i32)
    (call_indirect (i32.load (local.get $address))))

  (func (export "divide") (param $divisor i32) (result i32)
    (local $sum i32) (local $i i32)
    (loop $outer
      (local.set $sum (i32.add (local.get $sum) (i32.div_u (i32.const 12) (local.get $divisor))))
      (local.set $i (i32.const 1000))
      (loop $inner
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $divisor (i32.sub (local.get $divisor) (i32.const 1)))
      (br_if $outer (i32.ne (local.get $divisor) (i32.const -1))))
    (local.get $sum))

  (func (export "stop") (param $rounds i32)
    (local $i i32)
    (loop $outer
      (if (i32.eqz (local.get $rounds)) (then unreachable))
      (local.set $i (i32.const 1000))
      (loop $inner
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br $outer)))

  (func (export "access") (param $address i32)
    (local $i i32)
    (loop $outer
      (i32.store (local.get $address) (i32.const 7))
      (local.set $i (i32.const 1000))
      (loop $inner
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $address (i32.add (local.get $address) (i32.const 4)))
      (br $outer)))
)
