;; A trap whose point comes right before that of the first instruction of a continuation. With `$note` inlined, the
;; continuation after its call begins with the call of the host: no register is live, so nothing comes before. Cranelift
;; keeps locations relative to the first one that it is told, and takes the one before that for none.
;;! call count 0 => 8
;;! call count 1 => trap unreachable in count at p2
;;! events count 1 --tier baseline --inline on --stress hijack=1 --stress land=optimized
;;= @0 invoked count
;;= @1 hijack began; stress: hijack at safepoint 1
;;= @1 ended
;;= @1 ordered count, baseline, entered at function; hot in the interpreter tier, at its entry
;;= @1 compiled v1 count, baseline, entered at function; hot in the interpreter tier, at its entry
;;= @1 entered count
;;= @2 hijack began; stress: hijack at safepoint 2
;;= @2 hijacked #1 v1 count p0; stress: hijack at safepoint 2
;;= @2 ended
;;= @2 compiled v2 count, optimized, entered at p0; a landing continues there
;;= @2 landed #1 v1 count p0, baseline to optimized, r0 = 1
;;= @3 hijack began; stress: hijack at safepoint 3
;;= @3 hijacked #2 v2 count p1 of note; stress: hijack at safepoint 3
;;= @3 ended
;;= @3 compiled v3 note, optimized, entered at p1; a landing continues there
;;= @3 landed #2 v2 count p1 of note, optimized to optimized
;;= @3 compiled v4 count, optimized, entered at p3; a landing continues there
;;= @3 continued count of v2 p3, optimized to optimized
;;= @4 hijack began; stress: hijack at safepoint 4
;;= @4 hijacked #3 v4 count p4; stress: hijack at safepoint 4
;;= @4 ended
;;= @4 host function invalidate called
;;= @4 invalidation began; the host asked
;;= @4 ended
;;= @4 host function invalidate returned
;;= @4 compiled v5 count, optimized, entered at p4; a landing continues there
;;= @4 landed #3 v4 count p4, optimized to optimized
;;= @5 hijack began; stress: hijack at safepoint 5
;;= @5 hijacked #4 v5 count p1; stress: hijack at safepoint 5
;;= @5 ended
;;= @5 compiled v6 count, optimized, entered at p1; a landing continues there
;;= @5 landed #4 v5 count p1, optimized to optimized
;;= @6 hijack began; stress: hijack at safepoint 6
;;= @6 hijacked #5 v6 count p1 of note; stress: hijack at safepoint 6
;;= @6 ended
;;= @6 landed #5 v6 count p1 of note, optimized to optimized
;;= @6 continued count of v6 p3, optimized to optimized
;;= @7 hijack began; stress: hijack at safepoint 7
;;= @7 hijacked #6 v4 count p4; stress: hijack at safepoint 7
;;= @7 ended
;;= @7 host function invalidate called
;;= @7 invalidation began; the host asked
;;= @7 ended
;;= @7 host function invalidate returned
;;= @7 landed #6 v4 count p4, optimized to optimized
;;= @8 hijack began; stress: hijack at safepoint 8
;;= @8 hijacked #7 v5 count p1; stress: hijack at safepoint 8
;;= @8 ended
;;= @8 landed #7 v5 count p1, optimized to optimized
;;= @8 finished, trap: unreachable in count at p2
(module
  (import "env" "invalidate" (func $invalidate))
  (memory 1)
  (global $n (mut i32) (i32.const 0))
  (func $note
    (global.set $n (i32.add (global.get $n) (i32.const 2)))
    (drop (memory.grow (i32.const 0))))
  (func (export "count") (param $n i32) (result i32)
    (global.set $n (local.get $n))
    (loop $next
      (if (i32.eq (global.get $n) (i32.const 5)) (then (unreachable)))
      (call $note)
      (call $invalidate)
      (br_if $next (i32.ne (global.get $n) (i32.const 8))))
    (global.get $n)))
