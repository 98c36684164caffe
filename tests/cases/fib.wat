;; A recursion in a loop, as compilers write `fib(n - 1) + fib(n - 2)`: three values wait for each call, the
;; result arrives in a register, and continuations enter in the middle of a sum.
;;! call fib 0 => 0
;;! call fib 1 => 1
;;! call fib 12 => 144
;;! call fib 17 => 1597
;;! maps fib
;;= fib, entered at function
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = rbx
;;=     r1: i64 = r14
;;=     r5: i64 = rax
;;=   site 1: p0 (entry, b0:0)
;;=     r0: i32 = rsi
;;=   site 2: p1 (loop header, b1:0)
;;=     r0: i32 = rbx
;;=     r1: i64 = r14
;;= fib, entered at p1
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = r12
;;=     r1: i64 = rbx
;;=     r5: i64 = rax
;;=   site 1: p2 (after call, b1:2)
;;=     r0: i32 = r12
;;=     r1: i64 = rbx
;;=     r5: i64 = rax
;;=   site 2: p1 (loop header, b1:0)
;;=     r0: i32 = r12
;;=     r1: i64 = rbx
;;! maps fib --tier baseline
;;= fib, entered at function
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = [rbp-16]
;;=     r1: i64 = [rbp-24]
;;=     r5: i64 = rax
;;=   site 1: p0 (entry, b0:0)
;;=     r0: i32 = [rbp-16]
;;=   site 2: p1 (loop header, b1:0)
;;=     r0: i32 = [rbp-16]
;;=     r1: i64 = [rbp-24]
;;= fib, entered at p1
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = [rbp-16]
;;=     r1: i64 = [rbp-24]
;;=     r5: i64 = rax
;;=   site 1: p1 (loop header, b1:0)
;;=     r0: i32 = [rbp-16]
;;=     r1: i64 = [rbp-24]
;;! maps fib --state-recording pads
;;= fib, entered at function
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = pad
;;=     r1: i64 = pad
;;=     r5: i64 = rax
;;=   site 1: p0 (entry, b0:0)
;;=     r0: i32 = rsi
;;=   site 2: p1 (loop header, b1:0)
;;=     r0: i32 = rbx
;;=     r1: i64 = r14
;;= fib, entered at p1
;;=   site 0: p2 (after call, b1:2)
;;=     r0: i32 = pad
;;=     r1: i64 = pad
;;=     r5: i64 = rax
;;=   site 1: p2 (after call, b1:2)
;;=     r0: i32 = pad
;;=     r1: i64 = pad
;;=     r5: i64 = rax
;;=   site 2: p1 (loop header, b1:0)
;;=     r0: i32 = r13
;;=     r1: i64 = rbx
(module
  (func $fib (export "fib") (param $n i32) (result i64) (local $sum i64)
    (block $small
      (br_if $small (i32.lt_s (local.get $n) (i32.const 2)))
      (loop $rest
        (local.set $sum (i64.add (local.get $sum) (call $fib (i32.sub (local.get $n) (i32.const 1)))))
        (local.set $n (i32.sub (local.get $n) (i32.const 2)))
        (br_if $rest (i32.gt_s (local.get $n) (i32.const 1)))))
    (i64.add (local.get $sum) (i64.extend_i32_s (local.get $n)))))
