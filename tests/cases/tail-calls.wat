;; Tail calls: of functions with more and with fewer parameters, on the stack, too; through a table, with all that may be wrong
;; there; of the host; under a frame that waits with values; out of a `try`, which does not catch what the callee throws; with
;; several results and with vectors. Frames are hijacked in between.
;;! call run 60 => 1328057504
;;! call even 20001 => 0
;;! call wrong 0 => trap uninitialized element in wrong at p1
;;! call wrong 1 => trap indirect call type mismatch in wrong at p1
;;! call wrong 9 => trap undefined element in wrong at p1
;;! call thrown => 5
(module
  (import "env" "invalidate" (func $invalidate))
  (import "env" "print_i32" (func $print (param i32)))
  (tag $t (param i32))
  (type $two (func (param i32 i64) (result i32 f64)))
  (table $table 4 funcref)
  (elem (i32.const 1) $print $pair $swap)

  (func $even (export "even") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1)) (i64.const 5)))
  (func $odd (param i32 i64) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (return_call $even (i32.sub (local.get 0) (i32.const 1))))

  ;; From few parameters to many, most of them on the stack, and back.
  (func $few (param $n i32) (param $sum i64) (result i64)
    (if (i32.eqz (local.get $n)) (then (call $invalidate) (return (local.get $sum))))
    (if (i32.eq (i32.const 3) (i32.and (local.get $n) (i32.const 7))) (then (call $invalidate)))
    (return_call $many
      (local.get $sum) (i32.const 1) (f64.const 2) (i64.const 3) (i32.const 4) (i32.const 5) (f32.const 6)
      (i64.const 7) (i64.const 8) (i32.const 9) (local.get $n)))
  (func $many
    (param $sum i64) (param i32 f64 i64 i32 i32 f32 i64 i64 i32) (param $n i32) (result i64)
    (local $mine i64)
    (local.set $mine (i64.add (i64.mul (local.get 7) (i64.const 100)) (i64.extend_i32_u (local.get 9))))
    (return_call $few
      (i32.sub (local.get $n) (i32.const 1))
      (i64.add (i64.mul (local.get $sum) (i64.const 3)) (i64.add (local.get $mine) (local.get 3)))))

  (func $pair (type $two)
    (i32.add (local.get 0) (i32.const 1)) (f64.convert_i64_s (local.get 1)))
  (func $swap (type $two)
    (if (i64.eqz (local.get 1)) (then (return (local.get 0) (f64.const 0.5))))
    (return_call_indirect $table (type $two)
      (i32.add (local.get 0) (i32.const 10)) (i64.sub (local.get 1) (i64.const 1))
      (i32.add (i32.const 2) (i32.wrap_i64 (i64.and (local.get 1) (i64.const 1))))))
  (func $vector (param $v v128) (param $n i32) (result v128 i32)
    (if (i32.eqz (local.get $n)) (then (return (local.get $v) (local.get $n))))
    (return_call $vector
      (i32x4.add (local.get $v) (i32x4.splat (local.get $n))) (i32.sub (local.get $n) (i32.const 1))))
  (func $tell (param i32) (return_call $print (local.get 0)))

  (func $all (param $n i32) (result i32) (local $kept f64) (local $sum i32)
    (local.set $kept (f64.convert_i32_s (i32.mul (local.get $n) (i32.const 7))))
    (call $tell (local.get $n))
    (local.set $sum (i32.wrap_i64 (call $few (local.get $n) (i64.const 1))))
    (call_indirect $table (type $two) (local.get $n) (i64.extend_i32_u (local.get $n)) (i32.const 3))
    (local.set $kept (f64.add (local.get $kept)))
    (local.set $sum (i32.add (local.get $sum)))
    (call $vector (v128.const i32x4 1 2 3 4) (local.get $n))
    (drop)
    (local.set $sum (i32.add (i32x4.extract_lane 2) (local.get $sum)))
    (i32.add (local.get $sum) (i32.trunc_sat_f64_s (local.get $kept))))

  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (call $all (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "wrong") (param i32) (result i32 f64)
    (return_call_indirect $table (type $two) (i32.const 1) (i64.const 2) (local.get 0)))

  (func $throw (param i32) (result i32) (throw $t (local.get 0)))
  (func $leaves (param i32) (result i32)
    (block $no (result i32)
      (try_table (result i32) (catch $t $no)
        (return_call $throw (i32.add (local.get 0) (i32.const 1))))))
  (func (export "thrown") (result i32)
    (block $yes (result i32)
      (try_table (result i32) (catch $t $yes) (i32.mul (call $leaves (i32.const 4)) (i32.const 100))))))
