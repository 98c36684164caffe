;; Integers of 32 bits that were the low half of larger ones. Optimized code takes whole words, whose high half has to be
;; zero: of arguments in registers and on the stack, and of results. `run` is in baseline code when `$at` and `$sum`, which
;; loop, are optimized already; `$low` is in baseline code when `$sum` is optimized.
;;! call run 50 => 1176396832
(module
  (memory 1)
  (data (i32.const 8) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10\11\12\13\14\15\16\17\18")
  (type $number (func (result i32)))
  (table funcref (elem $three $five))
  (func $three (type $number) (i32.const 3))
  (func $five (type $number) (i32.const 5))

  ;; The bytes at the first and the last parameter, eight times, which are in a register and on the stack.
  (func $at (param $first i32) (param i32 i32 i32 i32 i32) (param $last i32) (result i32)
    (local $sum i32) (local $left i32)
    (local.set $left (i32.const 8))
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $first))))
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=1 (local.get $last))))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get $sum))

  ;; Leaves words with high halves where stack arguments are.
  (func $fill (param i64 i64 i64 i64 i64 i64 i64))

  ;; The low half, in the register that the whole was loaded to.
  (func $low (param i64) (result i32)
    (i64.store (i32.const 64) (local.get 0))
    (i32.wrap_i64 (i64.load (i32.const 64))))

  ;; The byte at the low half, eight times, and what a function says that it names.
  (func $sum (param $wide i64) (result i32)
    (local $sum i32) (local $left i32) (local $address i32)
    (local.set $address (call $low (local.get $wide)))
    (local.set $left (i32.const 8))
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $address))))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.add
      (local.get $sum)
      (call_indirect (type $number) (call $low (i64.and (local.get $wide) (i64.const -0xffffffff))))))

  (func (export "run") (param $n i32) (result i32)
    (local $sum i32) (local $wide i64)
    (loop $again
      ;; A large number whose low half is an address below 16.
      (local.set $wide
        (i64.or
          (i64.shl (i64.extend_i32_u (local.get $n)) (i64.const 33))
          (i64.extend_i32_u (i32.and (local.get $n) (i32.const 15)))))
      (call $fill
        (i64.const -1) (i64.const -1) (i64.const -1) (i64.const -1) (i64.const -1) (i64.const -1) (i64.const -1))
      (local.set $sum
        (i32.add
          (i32.mul (local.get $sum) (i32.const 31))
          (call $at
            (i32.wrap_i64 (i64.add (local.get $wide) (i64.const 8)))
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.wrap_i64 (i64.add (local.get $wide) (i64.const 9))))))
      (local.set $sum (i32.xor (local.get $sum) (call $sum (i64.add (local.get $wide) (i64.const 8)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
