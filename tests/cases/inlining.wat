;; Inlined bodies: frame maps of several activations, and a frame that lands as what it stands for.
(module
  (import "env" "invalidate" (func $invalidate))

  (func $inner (param $n i32) (result i32 i64)
    (if (i32.eqz (local.get $n)) (then (call $invalidate)))
    (i32.mul (local.get $n) (i32.const 3))
    (i64.extend_i32_u (local.get $n)))

  (func $between (param $n i32) (result i64) (local $wide i64) (local $narrow i32)
    (call $inner (i32.sub (local.get $n) (i32.const 2)))
    (local.set $wide) (local.set $narrow)
    (i64.add (i64.extend_i32_u (local.get $narrow)) (i64.mul (local.get $wide) (i64.const 100))))

  ;;! call outer 5 => 321
  ;;! call outer 2 => 6
  ;;! maps outer --inline on
  ;;= outer, entered at function
  ;;=   site 0: p1 of inner (after call, b1:0)
  ;;=     called by: p1 of between (after call, b0:2)
  ;;=     called by: p1 of outer (after call, b0:2)
  ;;=     outer.r1: i64 = r12
  ;;=     inner.r0: i32 = rbx
  ;;=   site 1: p0 (entry, b0:0)
  ;;=     r0: i32 = rsi
  ;;! events outer 2 --tier optimized --inline on
  ;;= @0 invoked outer
  ;;= @0 ordered outer, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 compiled v1 outer, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @0 entered outer
  ;;= @0 host function invalidate called
  ;;= @0 invalidation began; the host asked
  ;;= @0 retired v1 outer; the host asked
  ;;= @0 hijacked #1 v1 outer p1 of inner; the host asked
  ;;= @0 drained v1 outer; the host asked
  ;;= @0 released v1 outer; the host asked
  ;;= @0 ended
  ;;= @0 host function invalidate returned
  ;;= @0 landed #1 v1 outer p1 of inner, optimized to interpreter, r0 = 0
  ;;= @0 continued between of v1 p1, optimized to interpreter, r1 = 0, r2 = 0
  ;;= @0 continued outer of v1 p1, optimized to interpreter, r1 = 4, r3 = 0
  ;;= @0 finished
  ;;! events outer 2 --tier optimized --inline on --stress land=baseline --stress hijack=100
  ;;= @0 invoked outer
  ;;= @1 ordered outer, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 compiled v1 outer, optimized, entered at function; hot in the interpreter tier, at its entry
  ;;= @1 entered outer
  ;;= @3 host function invalidate called
  ;;= @3 invalidation began; the host asked
  ;;= @3 retired v1 outer; the host asked
  ;;= @3 hijacked #1 v1 outer p1 of inner; the host asked
  ;;= @3 drained v1 outer; the host asked
  ;;= @3 released v1 outer; the host asked
  ;;= @3 ended
  ;;= @3 host function invalidate returned
  ;;= @3 compiled v2 inner, baseline, entered at p1; a landing continues there
  ;;= @3 landed #1 v1 outer p1 of inner, optimized to baseline, r0 = 0
  ;;= @3 compiled v3 between, baseline, entered at p1; a landing continues there
  ;;= @3 continued between of v1 p1, optimized to baseline, r1 = 0, r2 = 0
  ;;= @3 compiled v4 outer, baseline, entered at p1; a landing continues there
  ;;= @3 continued outer of v1 p1, optimized to baseline, r1 = 4, r3 = 0
  ;;= @3 finished
  (func $outer (export "outer") (param $n i32) (result i64) (local $mine i64)
    (local.set $mine (i64.extend_i32_u (i32.add (local.get $n) (local.get $n))))
    (i64.add (call $between (local.get $n)) (i64.add (local.get $mine) (i64.const 2)))))
