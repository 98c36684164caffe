;; br_table with many arms, with values, as a loop's back edge, and with a huge index.
;;! call arms 0 => 100
;;! call arms 1 => 101
;;! call arms 39 => 139
;;! call arms 40 => -1
;;! call arms 41 => -1
;;! call arms -1 => -1
;;! call with_value 0 => 17
;;! call with_value 1 => 107
;;! call with_value 2 => 1007
;;! call with_value 9 => 1007
;;! call default_only 5 => 7
;;! call machine 20 => 363 0.484375
;;! call machine 1000 => 1458416156 0.5
;;! call bytecode 10 => 55
;;! call bytecode 1000 => 500500
;;! call leave_loops 0 => 70125
;;! call leave_loops 1 => 26385
;;! call leave_loops 2 => 25606
(module
  (memory 1)

  (func $arms (export "arms") (param $i i32) (result i32)
    (block $default
      (block $a39 (block $a38 (block $a37 (block $a36 (block $a35
      (block $a34 (block $a33 (block $a32 (block $a31 (block $a30
      (block $a29 (block $a28 (block $a27 (block $a26 (block $a25
      (block $a24 (block $a23 (block $a22 (block $a21 (block $a20
      (block $a19 (block $a18 (block $a17 (block $a16 (block $a15
      (block $a14 (block $a13 (block $a12 (block $a11 (block $a10
      (block $a9 (block $a8 (block $a7 (block $a6 (block $a5
      (block $a4 (block $a3 (block $a2 (block $a1 (block $a0
        (br_table $a0 $a1 $a2 $a3 $a4 $a5 $a6 $a7 $a8 $a9
                  $a10 $a11 $a12 $a13 $a14 $a15 $a16 $a17 $a18 $a19
                  $a20 $a21 $a22 $a23 $a24 $a25 $a26 $a27 $a28 $a29
                  $a30 $a31 $a32 $a33 $a34 $a35 $a36 $a37 $a38 $a39
                  $default (local.get $i))
      ) (return (i32.const 100))) (return (i32.const 101)))
      (return (i32.const 102))) (return (i32.const 103)))
      (return (i32.const 104))) (return (i32.const 105)))
      (return (i32.const 106))) (return (i32.const 107)))
      (return (i32.const 108))) (return (i32.const 109)))
      (return (i32.const 110))) (return (i32.const 111)))
      (return (i32.const 112))) (return (i32.const 113)))
      (return (i32.const 114))) (return (i32.const 115)))
      (return (i32.const 116))) (return (i32.const 117)))
      (return (i32.const 118))) (return (i32.const 119)))
      (return (i32.const 120))) (return (i32.const 121)))
      (return (i32.const 122))) (return (i32.const 123)))
      (return (i32.const 124))) (return (i32.const 125)))
      (return (i32.const 126))) (return (i32.const 127)))
      (return (i32.const 128))) (return (i32.const 129)))
      (return (i32.const 130))) (return (i32.const 131)))
      (return (i32.const 132))) (return (i32.const 133)))
      (return (i32.const 134))) (return (i32.const 135)))
      (return (i32.const 136))) (return (i32.const 137)))
      (return (i32.const 138))) (return (i32.const 139)))
    (i32.const -1))

  ;; The arms take the value 7 along.
  (func $with_value (export "with_value") (param $i i32) (result i32)
    (block $c (result i32)
      (block $b (result i32)
        (block $a (result i32)
          (br_table $a $b $c (i32.const 7) (local.get $i)))
        (return (i32.add (i32.const 10))))
      (return (i32.add (i32.const 100))))
    (i32.add (i32.const 1000)))

  (func $default_only (export "default_only") (param $i i32) (result i32)
    (block $a (result i32) (br_table $a (i32.const 7) (local.get $i))))

  ;; Four states; each goes to a loop header or leaves.
  (func $machine (export "machine") (param $steps i32) (result i32 f64)
    (local $state i32) (local $sum i32) (local $x f64)
    (block $done
      (loop $top
        (br_if $done (i32.eqz (local.get $steps)))
        (local.set $steps (i32.sub (local.get $steps) (i32.const 1)))
        (block $s3 (block $s2 (block $s1 (block $s0
          (br_table $s0 $s1 $s2 $s3 (local.get $state)))
          (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
          (local.set $state (i32.const 2))
          (br $top))
          (local.set $x (f64.add (local.get $x) (f64.const 0.25)))
          (local.set $state (i32.and (local.get $steps) (i32.const 3)))
          (br $top))
          (local.set $sum (i32.mul (local.get $sum) (i32.const 3)))
          (local.set $state (i32.const 3))
          (br $top))
        (local.set $x (f64.mul (local.get $x) (f64.const 0.5)))
        (local.set $state (i32.const 1))
        (br $top)))
    (local.get $sum)
    (local.get $x))

  ;; An interpreter in the program: adds n, n-1, ... 1 by four opcodes in memory.
  (func $bytecode (export "bytecode") (param $n i32) (result i32)
    (local $pc i32) (local $sum i32)
    (i32.store (i32.const 0) (i32.const 0x03020100))
    (loop $next
      (block $halt (block $jump (block $dec (block $add
        (br_table $add $dec $jump $halt (i32.load8_u (local.get $pc))))
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (br $next))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (br $next))
        (local.set $pc (select (i32.const 0) (i32.const 3) (local.get $n)))
        (br $next)))
    (local.get $sum))

  ;; One br_table that continues the inner loop, continues the outer one, or leaves both.
  (func $leave_loops (export "leave_loops") (param $bias i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (block $out
      (loop $outer
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $out (i32.gt_s (local.get $i) (i32.const 50)))
        (local.set $j (i32.const 0))
        (loop $inner
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
          (br_table $inner $outer $out
            (i32.add
              (i32.gt_s (local.get $j) (i32.const 9))
              (i32.mul (local.get $bias) (i32.gt_s (local.get $i) (i32.const 30))))))))
    (local.get $sum)))
