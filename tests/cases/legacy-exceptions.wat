;; The older form of exceptions: `catch` of several tags, `catch_all`, `rethrow` from within, `delegate` to a label and to the
;; caller, a `try` in a `catch`. Frames are hijacked when something is thrown.
;;! call run 24 => 2446
(module
  (import "env" "invalidate" (func $invalidate))
  (tag $a (param i32))
  (tag $b (param i64 i32))
  (tag $c)

  (func $throw (param $kind i32) (result i32)
    (call $invalidate)
    (if (i32.eq (local.get $kind) (i32.const 0)) (then (throw $a (i32.const 5))))
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (throw $b (i64.const 6) (i32.const 7))))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (throw $c)))
    (i32.const 9))

  (func $one (param $kind i32) (result i32) (local $seen i32)
    (local.set $seen (i32.const 10))
    try (result i32)
      (local.set $seen (i32.const 20))
      (i32.add (local.get $seen) (call $throw (local.get $kind)))
    catch $a
      local.get $seen
      i32.add
    catch $b
      (drop)
      i32.wrap_i64
      local.get $seen
      i32.add
      i32.const 1
      i32.add
    end)

  (func $two (param $kind i32) (result i32) (local $seen i32)
    (local.set $seen (i32.mul (local.get $kind) (i32.const 1000)))
    try $outer (result i32)
      try $inner (result i32)
        try (result i32)
          (i32.add (i32.const 3) (call $one (local.get $kind)))
        delegate $outer
      catch_all
        unreachable
      end
    catch_all
      (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
      try (result i32)
        (call $throw (i32.const 0))
      catch $a
        (call $invalidate)
        local.get $seen
        i32.add
        local.set $seen
        local.get $kind
        i32.const 2
        i32.eq
        if
          rethrow 2
        end
        local.get $seen
      end
    end)

  (func $three (param $kind i32) (result i32)
    try (result i32)
      (i32.add (call $two (local.get $kind)) (call $one (i32.and (local.get $kind) (i32.const 1))))
    delegate 0)

  (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $i i32)
    (loop $again
      (i32.mul (local.get $sum) (i32.const 31))
      try (param i32) (result i32)
        (call $three (i32.rem_u (local.get $i) (i32.const 4)))
        i32.add
      catch $c
        (i32.const 77)
      end
      local.set $sum
      (br_if $again
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
