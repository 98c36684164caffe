;; The unreachable instruction, and code after it, which is typed as anything.
;;! call now => trap unreachable in now at p1
;;! call unless 1 => 5
;;! call unless 0 => trap unreachable in unless at p1
;;! call at_depth 20 1 => 210
;;! call at_depth 20 0 => trap unreachable in at_depth at p1
;;! call at_step 100 200 => 4950
;;! call at_step 100 50 => trap unreachable in at_step at p2
;;! call typed_as_anything 3 => 6
;;! call after_return 4 => 4
;;! call after_branch 4 => 9
;;! call never_called => 0
(module
  (func $now (export "now") (unreachable))

  (func $unless (export "unless") (param $ok i32) (result i32)
    (if (result i32) (local.get $ok) (then (i32.const 5)) (else (unreachable))))

  (func $at_depth (export "at_depth") (param $n i32) (param $ok i32) (result i32)
    (if (i32.eqz (local.get $n))
      (then
        (if (i32.eqz (local.get $ok)) (then (unreachable)))
        (return (i32.const 0))))
    (i32.add (local.get $n)
      (call $at_depth (i32.sub (local.get $n) (i32.const 1)) (local.get $ok))))

  ;; The sum of the numbers below n, unless the sum's turn at `fatal` comes first.
  (func $at_step (export "at_step") (param $n i32) (param $fatal i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $top
      (if (i32.eq (local.get $i) (local.get $fatal)) (then (unreachable)))
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (br_if $top
        (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  (func $typed_as_anything (export "typed_as_anything") (param $x i32) (result i32)
    (block $out (result i32)
      (br $out (i32.mul (local.get $x) (i32.const 2)))
      (i64.add)
      (drop)
      (f64.sqrt)
      (drop)
      (select)
      (i32.trunc_f64_s)))

  (func $after_return (export "after_return") (param $x i32) (result i32)
    (return (local.get $x))
    (call $now)
    (i32.div_s))

  (func $after_branch (export "after_branch") (param $x i32) (result i32)
    (local $kept i32)
    (local.set $kept (i32.const 5))
    (block $a
      (loop $b
        (br_table $a $a $a (local.get $x))
        (local.set $kept (f32.eq (f32.const 0)))
        (br $b)))
    (i32.add (local.get $x) (local.get $kept)))

  (func $never_called (export "never_called") (result i32)
    (if (i32.const 0) (then (call $now)))
    (i32.const 0)))
