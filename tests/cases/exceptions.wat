;; Exceptions: thrown through frames that are hijacked, to frames that are; caught by tag, by reference, by all; thrown once
;; more; through functions that could be inlined; to the innermost of several handlers in one frame; uncaught.
;;! call run 40 => 1793323112
;;! call uncaught 3 => trap uncaught exception in uncaught at p4
;;! call null => trap null exception reference in null at p1
(module
  (import "env" "invalidate" (func $invalidate))
  (tag $number (param i32 f64 i64))
  (tag $nothing)
  (tag $vector (param v128 i32))

  ;; Throws in the frame that is `$depth` calls further in. All the frames have been hijacked by then.
  (func $dive (param $depth i32) (param $kind i32) (result i32) (local $kept f64)
    (local.set $kept (f64.convert_i32_s (i32.mul (local.get $depth) (i32.const 3))))
    (if (i32.eqz (local.get $depth))
      (then
        (call $invalidate)
        (if (i32.eq (local.get $kind) (i32.const 0)) (then (throw $nothing)))
        (if (i32.eq (local.get $kind) (i32.const 1))
          (then (throw $number (local.get $kind) (f64.const 2.5) (i64.const -7))))
        (if (i32.eq (local.get $kind) (i32.const 2))
          (then (throw $vector (i32x4.splat (i32.const 11)) (local.get $kind))))
        (return (i32.const 1000))))
    (i32.add
      (call $dive (i32.sub (local.get $depth) (i32.const 1)) (local.get $kind))
      (i32.trunc_f64_s (local.get $kept))))

  ;; Cleans up what it can, and throws that once more, from where more is caught.
  (func $clean (param $depth i32) (param $kind i32) (result i32) (local $e exnref)
    (block $again (result exnref)
      (try_table (result exnref) (catch_all_ref $again)
        (return (call $dive (local.get $depth) (local.get $kind)))))
    (local.set $e)
    (call $invalidate)
    (throw_ref (local.get $e)))

  ;; Small enough to be inlined, with a handler of its own and without.
  (func $pass (param $depth i32) (param $kind i32) (result i32)
    (i32.mul (call $clean (local.get $depth) (local.get $kind)) (i32.const 2)))
  (func $small (param $x i32) (result i32)
    (if (i32.and (local.get $x) (i32.const 1)) (then (throw $nothing)))
    (i32.shr_u (local.get $x) (i32.const 1)))

  (func $catch (param $depth i32) (param $kind i32) (result i32)
    (local $outer i32) (local $f f64) (local $n i64) (local $i i32)
    (local.set $outer (i32.mul (local.get $depth) (i32.const 100)))
    (block $any
      (block $nothing
        (block $number (result i32 f64 i64)
          (try_table (catch_all $any)
            (local.set $outer (i32.add (local.get $outer) (i32.const 1)))
            (try_table (catch $nothing $nothing)
              (local.set $outer (i32.add (local.get $outer) (i32.const 2)))
              (try_table (catch $number $number) (catch $nothing $nothing)
                (local.set $outer
                  (i32.add (call $pass (local.get $depth) (local.get $kind)) (i32.const 4)))
                (drop (call $small (i32.const 8)))
                (drop (call $small (i32.add (local.get $outer) (local.get $depth))))))
            (return (local.get $outer)))
          (unreachable))
        (local.set $n) (local.set $f) (local.set $i)
        (return
          (i32.add
            (i32.add (local.get $outer) (local.get $i))
            (i32.add (i32.trunc_f64_s (f64.mul (local.get $f) (f64.const 2))) (i32.wrap_i64 (local.get $n))))))
      (return (i32.sub (local.get $outer) (i32.const 1))))
    (i32.xor (local.get $outer) (i32.const 0x5555)))

  (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $i i32)
    (loop $again
      (local.set $sum
        (i32.add
          (i32.mul (local.get $sum) (i32.const 31))
          (call $catch (i32.rem_u (local.get $i) (i32.const 5)) (i32.rem_u (local.get $i) (i32.const 4)))))
      (br_if $again
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  (func (export "uncaught") (param $depth i32) (result i32)
    (drop (call $catch (local.get $depth) (i32.const 1)))
    (block $wrong (result i32 f64 i64)
      (try_table (result i32 f64 i64) (catch $number $wrong)
        (drop (call $pass (local.get $depth) (i32.const 2)))
        (i32.const 1) (f64.const 1) (i64.const 1)))
    (drop) (drop))

  (func (export "null") (result i32)
    (block $all
      (try_table (catch_all $all) (throw_ref (ref.null exn))))
    (i32.const 1)))
