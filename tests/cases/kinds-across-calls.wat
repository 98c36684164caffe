;; Values of every type that wait for a call, in callee-saved registers as far as they go: floats have none, and
;; wait in the frame. The call is a recursion, so that what a frame restores is what the frame below it saved.
;;! call descend 1 -3 0.5 2.25 => 0 -3 0.5 4.5
;;! call descend 40 1000000007 0.125 -0.75 => 780 40000001060 5 -30.75
;;! maps descend
;;= descend, entered at function
;;=   site 0: p1 (after call, b2:4)
;;=     r0: i32 = rbx
;;=     r1: i64 = r12
;;=     r2: f32 = [rbp-48]
;;=     r3: f64 = [rbp-32]
;;=     r4: i32 = rax
;;=     r5: i64 = rdx
;;=     r6: f32 = xmm0
;;=     r7: f64 = xmm1
;;=   site 1: p0 (entry, b0:0)
;;=     r0: i32 = rbx
;;=     r1: i64 = r12
;;=     r2: f32 = xmm0
;;=     r3: f64 = xmm1
;;! maps descend --state-recording slots
;;= descend, entered at function
;;=   site 0: p1 (after call, b2:4)
;;=     r0: i32 = [rbp-80]
;;=     r1: i64 = [rbp-72]
;;=     r2: f32 = [rbp-64]
;;=     r3: f64 = [rbp-56]
;;=     r4: i32 = rax
;;=     r5: i64 = rdx
;;=     r6: f32 = xmm0
;;=     r7: f64 = xmm1
;;=   site 1: p0 (entry, b0:0)
;;=     r0: i32 = rsi
;;=     r1: i64 = rdx
;;=     r2: f32 = xmm0
;;=     r3: f64 = xmm1
(module
  (func $descend (export "descend")
    (param $n i32) (param $a i64) (param $x f32) (param $y f64) (result i32 i64 f32 f64)
    (local $sum i32) (local $b i64) (local $z f32) (local $w f64)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0) (i64.const 0) (f32.const 0) (local.get $y))))
    (call $descend
      (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $a) (i64.const 1)) (local.get $x) (local.get $y))
    (local.set $w)
    (local.set $z)
    (local.set $b)
    (local.set $sum)
    (i32.add (local.get $sum) (i32.sub (local.get $n) (i32.const 1)))
    (i64.add (local.get $a) (local.get $b))
    (f32.add (local.get $x) (local.get $z))
    (f64.add (local.get $y) (local.get $w))))
