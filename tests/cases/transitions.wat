;; What happens in the transitions, event by event.
(module
  (import "env" "invalidate" (func $invalidate))

  ;; A loop tiers up twice. Each time its activation continues in the middle of the loop, with its sum.
  ;;! call sum 10 => 45
  ;;! events sum 10 --threshold 3 --optimize-threshold 4
  ;;= @0 invoked sum
  ;;= @0 ordered sum, baseline, entered at p1; hot in the interpreter tier, at a loop header
  ;;= @0 compiled v1 sum, baseline, entered at p1; hot in the interpreter tier, at a loop header
  ;;= @0 tiered up sum p1, to baseline, r0 = 10, r1 = 1, r2 = 0
  ;;= @0 ordered sum, optimized, entered at p1; hot in the baseline tier, at a loop header
  ;;= @0 compiled v2 sum, optimized, entered at p1; hot in the baseline tier, at a loop header
  ;;= @0 hijacked #1 v1 sum p1; hot in the baseline tier, at a loop header
  ;;= @0 landed #1 v1 sum p1, baseline to optimized, r0 = 10, r1 = 5, r2 = 10
  ;;= @0 finished
  (func $sum (export "sum") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $top
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (br_if $top (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; The innermost of three frames asks the host to invalidate: all three are hijacked, the code is released at
  ;; once, and each lands when control returns into it.
  ;;! call descend 2 => 3
  ;;! events descend 2 --tier optimized
  ;;= @0 invoked descend
  ;;= @0 ordered descend, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 compiled v1 descend, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 entered descend
  ;;= @0 host function invalidate called
  ;;= @0 invalidation began; the host asked
  ;;= @0 retired v1 descend; the host asked
  ;;= @0 hijacked #1 v1 descend p1; the host asked
  ;;= @0 hijacked #2 v1 descend p2; the host asked
  ;;= @0 hijacked #3 v1 descend p2; the host asked
  ;;= @0 drained v1 descend; the host asked
  ;;= @0 released v1 descend; the host asked
  ;;= @0 ended
  ;;= @0 host function invalidate returned
  ;;= @0 landed #1 v1 descend p1, optimized to interpreter
  ;;= @0 landed #2 v1 descend p2, optimized to interpreter, r0 = 1, r3 = 0
  ;;= @0 landed #3 v1 descend p2, optimized to interpreter, r0 = 2, r3 = 1
  ;;= @0 finished
  (func $descend (export "descend") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (call $invalidate) (return (i32.const 0))))
    (i32.add (local.get $n) (call $descend (i32.sub (local.get $n) (i32.const 1)))))

  ;; The frames wait in code that is hijacked again and again, and stays; they land in the other tier.
  ;;! events descend 1 --tier baseline --stress hijack=2 --stress land=optimized
  ;;= @0 invoked descend
  ;;= @1 ordered descend, baseline, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 compiled v1 descend, baseline, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 entered descend
  ;;= @2 hijack began; stress: hijack at safepoint 2
  ;;= @2 hijacked #1 v1 descend p0; stress: hijack at safepoint 2
  ;;= @2 ended
  ;;= @2 compiled v2 descend, optimized, entered at p0; a landing continues there
  ;;= @2 landed #1 v1 descend p0, baseline to optimized, r0 = 1
  ;;= @4 hijack began; stress: hijack at safepoint 4
  ;;= @4 hijacked #2 v1 descend p1; stress: hijack at safepoint 4
  ;;= @4 hijacked #3 v2 descend p2; stress: hijack at safepoint 4
  ;;= @4 ended
  ;;= @4 host function invalidate called
  ;;= @4 invalidation began; the host asked
  ;;= @4 ended
  ;;= @4 host function invalidate returned
  ;;= @4 compiled v3 descend, optimized, entered at p1; a landing continues there
  ;;= @4 landed #2 v1 descend p1, baseline to optimized
  ;;= @4 compiled v4 descend, optimized, entered at p2; a landing continues there
  ;;= @4 landed #3 v2 descend p2, optimized to optimized, r0 = 1, r3 = 0
  ;;= @4 finished

  ;; A poll invalidates the loop that reaches it; the frame that is stopped there is left, not returned into.
  ;;! events sum 3 --tier optimized --unrolling 1 --stress invalidate=3 --stress land=baseline
  ;;= @0 invoked sum
  ;;= @1 ordered sum, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 compiled v1 sum, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 entered sum
  ;;= @3 invalidation began; stress: invalidate at safepoint 3
  ;;= @3 retired v1 sum; stress: invalidate at safepoint 3
  ;;= @3 hijacked #1 v1 sum p1; stress: invalidate at safepoint 3
  ;;= @3 drained v1 sum; stress: invalidate at safepoint 3
  ;;= @3 released v1 sum; stress: invalidate at safepoint 3
  ;;= @3 ended
  ;;= @3 compiled v2 sum, baseline, entered at p1; a landing continues there
  ;;= @3 landed #1 v1 sum p1, optimized to baseline, r0 = 3, r1 = 2, r2 = 1
  ;;= @3 finished

  ;; A trap jumps over hijacked frames: they are dropped, and never land.
  ;;! call fail 1 => trap unreachable in fail at p3
  ;;! events fail 1 --tier optimized
  ;;= @0 invoked fail
  ;;= @0 ordered fail, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 compiled v1 fail, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 entered fail
  ;;= @0 host function invalidate called
  ;;= @0 invalidation began; the host asked
  ;;= @0 retired v1 fail; the host asked
  ;;= @0 hijacked #1 v1 fail p2; the host asked
  ;;= @0 hijacked #2 v1 fail p1; the host asked
  ;;= @0 drained v1 fail; the host asked
  ;;= @0 released v1 fail; the host asked
  ;;= @0 ended
  ;;= @0 host function invalidate returned
  ;;= @0 landed #1 v1 fail p2, optimized to interpreter
  ;;= @0 dropped #2 v1 fail p1
  ;;= @0 finished, trap: unreachable in fail at p3
  (func $fail (export "fail") (param $n i32)
    (if (local.get $n)
      (then (call $fail (i32.sub (local.get $n) (i32.const 1))))
      (else (call $invalidate) (unreachable)))))
